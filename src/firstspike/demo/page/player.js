// Time: a position in steps that plays, pauses and can be dragged.

export const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  /**
   * @param {HTMLElement} root becomes the controls
   * @param {(step: number) => void} show draws a step
   * @param {number} rate steps a second at normal speed
   */
  constructor(root, show, rate) {
    root.append(document.getElementById("transport-controls").content.cloneNode(true));
    this.button = root.querySelector("button");
    this.slider = root.querySelector("input");
    this.now = root.querySelector("output");
    this.speed = root.querySelector("select");
    this.show = show;
    this.rate = rate;
    this.position = 0;
    this.end = 1; // where playing stops
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    this.slider.addEventListener("input", () => {
      this.pause();
      this.seek(Number(this.slider.value));
    });
  }

  /** The last step that can be seen, and the one at which playing stops. */
  range(last, end = last) {
    this.slider.max = last;
    this.end = end;
  }

  get step() {
    return Math.floor(this.position);
  }

  seek(position) {
    this.position = Math.min(position, Number(this.slider.max));
    this.slider.value = this.step;
    this.now.textContent = `step ${this.step}`;
    this.show(this.step);
  }

  play() {
    if (this.step >= this.end) this.seek(0);
    this.pause();
    this.button.classList.add("playing");
    this.button.setAttribute("aria-label", "Pause");
    let before;
    const tick = (now) => {
      const passed = before === undefined ? 0 : Math.min(now - before, 100) / 1000;
      before = now;
      const next = this.position + passed * this.rate * Number(this.speed.value);
      this.seek(Math.min(next, this.end));
      if (next >= this.end) this.pause();
      else this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  /** Play from the start; those who want no motion see the end at once. */
  start() {
    this.pause();
    this.seek(still.matches ? this.end : 0);
    if (!still.matches) this.play();
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    this.button.classList.remove("playing");
    this.button.setAttribute("aria-label", "Play");
  }

  get playing() {
    return this.frame !== undefined;
  }
}
