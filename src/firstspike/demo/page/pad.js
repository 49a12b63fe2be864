// The drawing pad: white strokes on black, with gray edges as in MNIST's scans.

import { showPixels } from "/paint.js";

const LONGEST = 336; // pixels of its longer side
const WIDTH = 0.06; // of a stroke's white core, as a share of the pad
const EDGE = 0.05; // of its gray edge

export class Pad {
  /**
   * @param canvas where strokes go
   * @param {() => void} moved called as a stroke grows
   * @param {() => void} lifted called when it ends
   */
  constructor(canvas, moved, lifted) {
    this.canvas = canvas;
    this.width = 1; // of strokes, as a share of the usual one
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
    let stroke = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      if (this.shown) this.clear();
      stroke = [place(event)];
      this.strokes.push(stroke);
      this.#draw();
      moved();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (stroke === null) return;
      const parts = event.getCoalescedEvents?.() ?? [];
      stroke.push(...(parts.length ? parts : [event]).map(place));
      this.#draw();
      moved();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        if (stroke !== null) lifted();
        stroke = null;
      });
    }
  }

  clear() {
    this.shown = null; // an image that is not drawn by hand
    this.strokes = [];
    this.#wipe();
  }

  get empty() {
    return !this.shown && !this.strokes.length;
  }

  /** Take the form of a network's images. */
  fit({ height, width }) {
    const longest = Math.max(height, width);
    this.canvas.width = Math.round((LONGEST * width) / longest);
    this.canvas.height = Math.round((LONGEST * height) / longest);
    this.canvas.parentElement.style.aspectRatio = `${width} / ${height}`;
    this.clear();
  }

  /** Show an image of any size; the next stroke starts on a clear pad. */
  show(pixels, shape) {
    const small = new OffscreenCanvas(shape.width, shape.height);
    showPixels(small, pixels, shape);
    this.clear();
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
    this.shown = small;
  }

  /** The picture as a PNG file; an image that is shown keeps its pixels. */
  picture() {
    if (this.shown) return this.shown.convertToBlob();
    return new Promise((resolve) => this.canvas.toBlob(resolve));
  }

  #wipe() {
    this.pen.shadowColor = "transparent";
    this.pen.fillStyle = "black";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** All strokes in one go: drawn one by one, edges would add up where they meet. */
  #draw() {
    this.#wipe();
    this.pen.strokeStyle = this.pen.shadowColor = "white";
    this.pen.shadowBlur = this.width * EDGE * LONGEST;
    this.pen.lineWidth = this.width * WIDTH * LONGEST;
    this.pen.lineCap = this.pen.lineJoin = "round";
    this.pen.beginPath();
    for (const [first, ...others] of this.strokes) {
      this.pen.moveTo(...first);
      for (const next of others.length ? others : [first]) this.pen.lineTo(...next);
    }
    this.pen.stroke();
  }
}
