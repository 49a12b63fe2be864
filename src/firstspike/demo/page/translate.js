// Translate: what is drawn, damaged where the task says so, and what a network makes of it.

import { Pad } from "/pad.js";
import { showPixels, showTimes } from "/paint.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);
const PART = "translate"; // whose complaints are its own
const FINE = 0.3; // of the usual width, of strokes that draw an outline
const group = (number) => number.toLocaleString("en");
const TASKS = {
  outline: ["Draw the outline of a digit: both rims of its strokes.", "the outline", "filled by the network"],
  colour: ["Draw a digit: each class gets a hue of its own.", "in gray", "coloured by the network"],
  holes: ["Draw a digit: three squares of it are cut out first.", "with holes", "made whole by the network"],
  noisy: ["Draw a digit: noise is put over it first.", "noisy", "cleaned by the network"],
  pairs: ["Draw an input, or take one of the data.", "the input", "what the network makes of it"],
};

export class Translate {
  /**
   * @param picker of the network
   * @param networks all on offer, by number
   */
  constructor(picker, networks) {
    this.number = () => Number(picker.value);
    this.network = () => networks[picker.value];
    const read = () => this.#read();
    this.pad = new Pad($("translate-pad"), read, read);
    $("translate-clear").addEventListener("click", () => this.clear());
    $("translate-example").addEventListener("click", () => this.example());
    picker.addEventListener("change", () => this.open());
  }

  /** Make the page fit the network's task and images, and translate a test image. */
  async open() {
    const { options, shape } = this.network();
    const [what, input, answer] = TASKS[options.task];
    $("translate-what").textContent = what;
    $("translate-input").textContent = input;
    $("translate-answer").textContent = answer;
    this.pad.fit(shape);
    this.pad.width = options.task === "outline" ? FINE : 1;
    await this.example();
  }

  clear() {
    this.pad.clear();
    this.wanted = false;
    $("translate-hint").hidden = false;
    for (const id of ["translate-seen", "translate-drawn"]) this.#blank($(id));
    $("translate-facts").textContent = "";
    this.#setTarget();
  }

  /** Translate the input of a random test image, whose target is known. */
  async example() {
    this.wanted = false;
    const pick = Math.floor(Math.random() * 1e6);
    const number = this.number();
    const told = await attempt(() => ask(`translate?network=${number}&pick=${pick}`), PART);
    if (!told || number !== this.number()) return;
    $("translate-hint").hidden = true;
    this.pad.show(told.seen, this.network().shape);
    this.#show(told, `${told.source}, image ${told.index}. `);
    this.#setTarget(told.target, told.channels);
  }

  /** Translate what is drawn; while an answer is awaited, only the newest counts. */
  async #read() {
    $("translate-hint").hidden = true;
    this.#setTarget();
    this.wanted = true;
    while (this.wanted && !this.asking) {
      this.wanted = false;
      const picture = await this.pad.picture();
      const number = this.number();
      this.asking = attempt(() => ask(`translate?network=${number}`, picture), PART);
      const told = await this.asking;
      this.asking = undefined;
      if (told && number === this.number() && !this.pad.empty && !this.pad.shown) this.#show(told, "");
    }
  }

  #show({ seen, times, channels, spikes, neurons, t_max: steps }, origin) {
    const { shape } = this.network();
    showPixels($("translate-seen"), seen, shape);
    showTimes($("translate-drawn"), times, { ...shape, channels }, steps);
    $("translate-facts").textContent = `${origin}${group(spikes)} of ${group(neurons)} neurons spike, each once.`;
  }

  #setTarget(pixels, channels) {
    const figure = $("translate-wanted").parentElement;
    figure.hidden = !pixels;
    if (pixels) showPixels($("translate-wanted"), pixels, { ...this.network().shape, channels });
  }

  #blank(canvas) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }
}
