// Generate: samples, one of them drawn in the order of its spikes, and the walk between two.

import { drawRaster, showTimes } from "/paint.js";
import { arrows, oneTabStop, stopHere } from "/keys.js";
import { Player, still } from "/player.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);
const PART = "draw"; // whose complaints are its own
const SAMPLES = 24;
const STEPS = 16; // of a walk
const RATE = 64; // time steps a second, and fewer in a short drawing
const SHORTEST = 3; // seconds of a drawing
const STRIDE = 140; // milliseconds a step of the walk

export class Drawing {
  /**
   * @param picker of the network
   * @param networks all on offer, by number
   * @param {((pixels: number[], shape, origin: string) => void) | undefined} read recognises an image
   */
  constructor(picker, networks, read) {
    this.number = () => Number(picker.value);
    this.network = () => networks[picker.value];
    this.player = new Player($("stage-transport"), (step) => this.#show(step), RATE);
    for (const id of ["gallery", "walk"]) {
      $(id).addEventListener("keydown", arrows);
      $(id).addEventListener("focusin", stopHere);
    }
    $("more").addEventListener("click", () => this.sample());
    $("walk-play").addEventListener("click", () => this.#setWalking(!this.walking));
    $("walk-place").addEventListener("input", () => {
      this.#setWalking(false);
      this.#goTo(Number($("walk-place").value));
    });
    picker.addEventListener("change", () => {
      this.#offerClasses();
      this.sample();
    });
    $("wanted").addEventListener("change", () => this.sample());
    if (this.network()) this.#offerClasses();
    $("read").hidden = !read;
    $("read").addEventListener("click", () => read(this.#pixels(), this.shape, "drawn by the generator below"));
  }

  /** What a conditional network can be asked for. */
  #offerClasses() {
    const { options, shape } = this.network();
    $("wanted").replaceChildren(
      new Option("all in turn", ""),
      ...shape.classes.map((name, label) => new Option(name, label + 1)),
    );
    $("wanted").parentElement.hidden = !options.conditional;
  }

  /** Draw new samples and play the second one; the first is where the walk starts. */
  async sample() {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const { shape } = this.network();
    const digit = shape.classes[Number($("wanted").value) - 1]; // none is left out of the request
    const request = JSON.stringify({ count: SAMPLES, seed, digit });
    const drawn = await attempt(() => ask(`sample?network=${this.number()}`, request), PART);
    if (!drawn) return;
    this.#setWalking(false);
    this.steps = drawn.t_max;
    this.shape = shape;
    this.samples = drawn.images;
    this.tiles = drawn.images.map((image, k) =>
      this.#tile(image, `Sample ${k + 1}: draw it spike by spike`, () => this.pick(k)),
    );
    $("gallery").replaceChildren(...this.tiles);
    oneTabStop($("gallery"));
    this.picked = [0, 1];
    await this.pick(1);
  }

  /** Play a sample; the walk goes between it and the one before. */
  async pick(k) {
    if (k !== this.picked[1]) this.picked = [this.picked[1], k];
    this.tiles.forEach((tile, n) => {
      const mark = this.picked.indexOf(n);
      if (mark < 0) delete tile.dataset.mark;
      else tile.dataset.mark = "AB"[mark];
    });
    this.#setWalking(false);
    this.#stage(this.samples[k]);
    this.player.start();
    await this.#plan();
  }

  redraw() {
    if (this.image) this.#show(this.player.step);
  }

  /** Fetch the walk between the two samples that are picked. */
  async #plan() {
    const ends = this.picked.map((k) => this.samples[k][0]);
    const request = JSON.stringify({ ends, steps: STEPS });
    const drawn = await attempt(() => ask(`walk?network=${this.number()}`, request), PART);
    if (!drawn) return;
    this.walk = drawn.images;
    this.places = drawn.images.map((image, k) =>
      this.#tile(image, `Image ${k + 1} of ${STEPS} on the walk`, () => {
        this.#setWalking(false);
        this.#goTo(k);
      }),
    );
    $("walk").replaceChildren(...this.places);
    oneTabStop($("walk"));
    $("walk-place").value = STEPS - 1;
  }

  #goTo(k) {
    this.player.pause();
    $("walk-place").value = k;
    this.places.forEach((tile, n) => tile.setAttribute("aria-current", n === k));
    this.#stage(this.walk[k]);
    this.player.seek(this.player.end);
  }

  #setWalking(on) {
    this.walking = on;
    $("walk-play").setAttribute("aria-pressed", on);
    $("walk-play").textContent = on ? "Stop" : "Walk";
    clearInterval(this.timer);
    if (!on || !this.walk) return;
    let place = Number($("walk-place").value);
    let direction = place >= STEPS - 1 ? -1 : 1;
    this.timer = setInterval(() => {
      place += direction;
      if (place <= 0 || place >= STEPS - 1) direction = -direction;
      this.#goTo(place);
    }, still.matches ? 10 * STRIDE : STRIDE);
  }

  /** Values 0..255 of the image on the stage. */
  #pixels() {
    return this.image.at(-1).map((time) => Math.round((255 * (this.steps - time)) / this.steps));
  }

  #stage(image) {
    this.image = image;
    const end = Math.max(1, ...image.flat().filter((time) => time < this.steps));
    this.player.rate = Math.min(RATE, end / SHORTEST);
    this.player.range(Math.min(this.steps - 1, Math.ceil(1.35 * end)), end);
  }

  #show(step) {
    const [latent, ...hidden] = this.image;
    const pixels = hidden.pop();
    const last = Number(this.player.slider.max);
    showTimes($("stage"), pixels, this.shape, this.steps, step < this.player.end ? step : Infinity, 0.15 * last);
    const layers = [
      { name: "latent", times: latent, share: 0.2 },
      ...hidden.map((times, n) => ({ name: n ? "" : "hidden", times, share: 0.35 / hidden.length })),
      { name: "pixels", times: pixels, share: 0.45 },
    ];
    drawRaster($("stage-raster"), layers, this.steps, last, step, last);
    const spikes = layers.map(({ times }) => times.filter((t) => t <= step && t < this.steps).length);
    const neurons = layers.reduce((sum, { times }) => sum + times.length, 0);
    const total = spikes.reduce((sum, n) => sum + n);
    $("stage-facts").textContent = `${total.toLocaleString("en")} of ${neurons.toLocaleString("en")} neurons have spiked`;
  }

  #tile(image, name, pick) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    tile.setAttribute("aria-label", name);
    const canvas = document.createElement("canvas");
    showTimes(canvas, image.at(-1), this.shape, this.steps);
    tile.append(canvas);
    tile.addEventListener("click", pick);
    return tile;
  }
}
