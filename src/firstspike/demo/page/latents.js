// Latents: a map of what two spikes draw, and any place on it drawn spike by spike.

import { showPixels, showTimes } from "/paint.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);
const PART = "map"; // whose complaints are its own
const STRIDE = 0.05; // of an arrow key, as a share of the map
const group = (number) => number.toLocaleString("en");

export class Latents {
  /**
   * @param picker of the network
   * @param networks all on offer, by number
   */
  constructor(picker, networks) {
    this.number = () => Number(picker.value);
    this.network = () => networks[picker.value];
    this.map = $("latent-map");
    this.map.addEventListener("pointerdown", (event) => this.#follow(event));
    this.map.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" || event.buttons) this.#follow(event);
    });
    this.map.addEventListener("keydown", (event) => this.#step(event));
    $("latent-example").addEventListener("click", () => this.example());
    picker.addEventListener("change", () => this.open());
  }

  /** Draw the map, and then a test image. */
  async open() {
    const drawn = await attempt(() => ask(`map?network=${this.number()}`), PART);
    if (!drawn) return;
    this.shape = this.network().shape;
    const { height, width } = this.shape;
    const field = new OffscreenCanvas(width, height);
    this.map.width = drawn.side * width;
    this.map.height = drawn.side * height;
    const pen = this.map.getContext("2d");
    drawn.images.forEach((times, k) => {
      showTimes(field, times, this.shape, drawn.t_max);
      // Shares grow to the right and upwards, as of the axes of a plot.
      const column = Math.floor(k / drawn.side);
      const row = drawn.side - 1 - (k % drawn.side);
      pen.drawImage(field, column * width, row * height);
    });
    this.map.parentElement.style.aspectRatio = `${width} / ${height}`;
    await this.example();
  }

  /** Where a random test image lies, and what is drawn from there. */
  async example() {
    const pick = Math.floor(Math.random() * 1e6);
    const told = await attempt(() => ask(`reconstruct?network=${this.number()}&pick=${pick}`), PART);
    if (!told) return;
    showPixels($("latent-seen"), told.pixels, this.shape);
    $("latent-seen").parentElement.hidden = false;
    const origin = `${told.source}, image ${told.index}: ${group(told.encoder)} spikes of the encoder put it here.`;
    this.#show(told, origin);
  }

  /** Draw a place; while an answer is awaited, only the newest counts. */
  async go(shares) {
    this.wanted = shares.map((share) => Math.min(1, Math.max(0, share)));
    $("latent-seen").parentElement.hidden = true;
    this.#mark(this.wanted);
    while (this.wanted && !this.asking) {
      const request = JSON.stringify({ shares: this.wanted });
      this.wanted = undefined;
      this.asking = attempt(() => ask(`place?network=${this.number()}`, request), PART);
      const told = await this.asking;
      this.asking = undefined;
      if (told) this.#show(told, "");
    }
  }

  #follow(event) {
    const box = this.map.getBoundingClientRect();
    this.go([(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]);
  }

  #step(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (!move || !this.place) return;
    event.preventDefault();
    this.go(this.place.map((share, k) => share + STRIDE * move[k]));
  }

  #mark([across, up = 0.5]) {
    this.place = [across, up];
    $("latent-mark").style.left = `${100 * across}%`;
    $("latent-mark").style.top = `${100 * (1 - up)}%`;
  }

  #show({ layers, shares, t_max: steps }, origin) {
    this.#mark(shares);
    showTimes($("latent-drawn"), layers.at(-1), this.shape, steps);
    const spikes = layers.flat().filter((time) => time < steps).length;
    const latents = layers[0].slice(0, 2).map((time) => (time < steps ? `step ${time}` : "never"));
    $("latent-facts").textContent =
      `Latent neurons spike at ${latents.join(" and ")}; ${group(spikes)} of ${group(layers.flat().length)} neurons ` +
      `of the decoder spike. ${origin}`;
  }
}
