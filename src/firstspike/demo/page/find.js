// Find: a canvas, what a segmenter says of its pixels, and the boxes of a detector.

import { showPixels } from "/paint.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);
const LARGE = 6; // pixels of a side for each of the image, where boxes are drawn
const SHADE = 0.35; // of an image below the colours of its classes
const TRUE = "#e6edf5"; // boxes that are there
const group = (number) => number.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Red, green and blue of a class, of so many; the first is the ground. */
function hue(kind, kinds) {
  const turn = (kind - 1) / (kinds - 1);
  return [0, 1, 2].map((part) => 127.5 + 127.5 * Math.cos(2 * Math.PI * (turn + part / 3)));
}

const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;

export class Find {
  /**
   * @param pickers of the networks, by part; of these there is at least one
   * @param networks all on offer, by number
   */
  constructor(pickers, networks) {
    this.pickers = pickers;
    this.networks = networks;
    this.told = {};
    $("find-new").addEventListener("click", () => this.open());
    $("find-truth").addEventListener("change", () => this.#show());
    for (const part of Object.keys(pickers)) pickers[part].addEventListener("change", () => this.#ask(part));
  }

  /** Another canvas, for both networks the same. */
  async open() {
    this.pick = Math.floor(Math.random() * 1e6);
    await Promise.all(Object.keys(this.pickers).map((part) => this.#ask(part)));
  }

  async #ask(part) {
    const number = Number(this.pickers[part].value);
    const { pick } = this;
    const told = await attempt(() => ask(`${part}?network=${number}&pick=${pick}`), part);
    if (!told || pick !== this.pick || number !== Number(this.pickers[part].value)) return;
    const { channels, height, width, classes: names } = this.networks[number].shape;
    this.told[part] = { ...told, shape: { channels, height, width }, names };
    this.#show();
  }

  #show() {
    const { segment, detect } = this.told;
    const truth = $("find-truth").checked;
    if (segment ?? detect) showPixels($("find-image"), (segment ?? detect).pixels, (segment ?? detect).shape);
    if (segment) this.#showClasses(segment, truth);
    if (detect) this.#showBoxes(detect, truth);
  }

  #showClasses({ pixels, classes: said, truth, spikes, neurons, shape, names }, isTruth) {
    const kinds = isTruth ? truth : said;
    const plane = shape.height * shape.width;
    const mixed = Array.from({ length: 3 * plane }, (_, k) => {
      const [part, place] = [Math.floor(k / plane), k % plane];
      const gray = pixels[shape.channels === 1 ? place : k];
      if (kinds[place] === 0) return SHADE * gray;
      return SHADE * gray + (1 - SHADE) * hue(kinds[place], names.length)[part];
    });
    showPixels($("find-classes"), mixed, { ...shape, channels: 3 });
    const present = [...new Set(kinds)].filter((kind) => kind > 0).sort((a, b) => a - b);
    $("find-legend").replaceChildren(
      ...present.map((kind) => {
        const entry = document.createElement("span");
        entry.textContent = names[kind];
        entry.style.setProperty("--hue", css(hue(kind, names.length)));
        return entry;
      }),
    );
    const right = said.filter((kind, place) => kind === truth[place]).length / plane;
    $("segment-facts").textContent =
      `${percent(right)} of pixels are right; ${group(spikes)} of ${group(neurons)} neurons spike.`;
  }

  #showBoxes({ pixels, found, truth, spikes, neurons, shape }, isTruth) {
    const canvas = $("find-boxes");
    const small = new OffscreenCanvas(shape.width, shape.height);
    showPixels(small, pixels, shape);
    canvas.width = LARGE * shape.width;
    canvas.height = LARGE * shape.height;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    pen.lineWidth = LARGE / 2;
    pen.font = `bold ${4 * LARGE}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    const { boxes, names } = isTruth ? truth : found;
    boxes.forEach((box, k) => {
      const [left, top, width, height] = box.map((length) => LARGE * length);
      pen.strokeStyle = pen.fillStyle = isTruth ? TRUE : "#ff8f4d";
      pen.strokeRect(left, top, width, height);
      pen.fillText(names[k], Math.max(2, left + LARGE), Math.max(2, top + LARGE / 2));
    });
    const list = (words) => (words.length ? [...words].sort().join(", ") : "nothing");
    $("detect-facts").textContent =
      `Found: ${list(found.names)}. There: ${list(truth.names)}. ` +
      `${group(spikes)} of ${group(neurons)} neurons spike.`;
  }
}
