// Recognise: the pad, the lanes of the output neurons, their potentials and the raster of all spikes.

import { Pad } from "/pad.js";
import { drawRaster, showTimes } from "/paint.js";
import { Player } from "/player.js";
import { drawPotentials } from "/potentials.js";
import { ask, attempt, complain } from "/server.js";

const $ = (id) => document.getElementById(id);
const RATE = 16; // steps a second, and fewer in a short race
const SHORTEST = 2.5; // seconds of a race
const PAUSE = 350; // milliseconds after a stroke until the race starts
const LOWEST = -1; // potential at the left end of a lane, in thresholds, if none goes below
const count = (times, step, steps) => times.filter((time) => time <= step && time < steps).length;
const group = (number) => number.toLocaleString("en");

export class Race {
  constructor(number, largest) {
    this.number = () => Number(number.value);
    this.largest = largest;
    this.player = new Player($("race-transport"), (step) => this.#show(step), RATE);
    this.pad = new Pad($("pad"), () => this.#drawn(), () => this.#lifted());
    $("clear").addEventListener("click", () => this.clear());
    $("example").addEventListener("click", () => this.example());
    $("upload").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => this.#upload($("file").files[0]));
    $("whole").addEventListener("change", () => this.#settle());
    number.addEventListener("change", () => this.run().then(() => this.result && this.player.start()));
    this.#acceptDrops($("pad").parentElement);
  }

  /** Race a random test image. */
  async example() {
    const pick = Math.floor(Math.random() * 1e6);
    const digit = await attempt(() => ask(`digit?network=${this.number()}&pick=${pick}`));
    if (!digit) return;
    await this.read(digit.pixels, `${digit.source}, image ${digit.index}: a ${digit.label}`);
  }

  /** Race an image of 28x28 pixels. */
  async read(pixels, origin) {
    clearTimeout(this.timer);
    this.pad.show(pixels);
    $("origin").textContent = origin;
    await this.run();
    this.player.start();
  }

  clear() {
    clearTimeout(this.timer);
    this.player.pause();
    this.pad.clear();
    this.result = undefined;
    $("origin").textContent = "";
    $("winner").className = "winner";
    $("winner").textContent = "–";
    $("sentence").textContent = "";
    $("pad-hint").hidden = false;
    for (const name of ["step", "spikes", "additions"]) $(`fact-${name}`).textContent = "–";
    this.#show(0);
  }

  /** Ask for the race of what is on the pad. While an answer is awaited, only the newest counts. */
  async run() {
    if (this.pad.empty) return;
    $("pad-hint").hidden = true;
    this.wanted = true;
    while (this.wanted && !this.asking) {
      this.wanted = false;
      this.asking = this.#ask();
      await this.asking;
      this.asking = undefined;
    }
    await this.asking;
  }

  async #ask() {
    const picture = await this.pad.picture();
    const result = await attempt(() => ask(`race?network=${this.number()}`, picture));
    if (result && !this.pad.empty) this.#take(result);
  }

  #drawn() {
    clearTimeout(this.timer);
    this.player.pause();
    $("origin").textContent = "";
    this.run();
  }

  #lifted() {
    this.timer = setTimeout(async () => {
      await this.run();
      if (this.result) this.player.start();
    }, PAUSE);
  }

  async #upload(file) {
    if (!file) return;
    $("file").value = "";
    if (file.size > this.largest) {
      complain(new Error(`${file.name} is too large; give one of ${this.largest / 1e6} MB at most`));
      return;
    }
    const result = await attempt(() => ask(`race?network=${this.number()}`, file));
    if (!result) return;
    this.pad.show(result.pixels);
    $("pad-hint").hidden = true;
    $("origin").textContent = file.name;
    this.#take(result);
    this.player.start();
  }

  #acceptDrops(frame) {
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
      frame.addEventListener(kind, (event) => {
        event.preventDefault();
        frame.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
        if (kind === "drop") this.#upload(event.dataTransfer.files[0]);
      });
    }
  }

  /** A new result: show it as it ends. */
  #take(result) {
    this.result = result;
    this.#makeLanes(result.potentials[0].length);
    const neurons = result.times.reduce((sum, times) => sum + times.length, 0);
    $("fact-steps").textContent = `of ${result.t_max}`;
    $("fact-neurons").textContent = `of ${group(neurons)} neurons`;
    $("fact-macs").textContent = `dense: ${group(result.macs)} multiply-adds`;
    this.#settle();
  }

  #settle() {
    if (!this.result) return;
    const { decision, t_max: steps } = this.result;
    const end = Math.min(decision, steps - 1);
    const last = $("whole").checked ? steps - 1 : Math.min(steps - 1, Math.max(24, Math.ceil(1.35 * end)));
    this.lowest = Math.min(LOWEST, ...this.result.potentials.slice(0, end + 1).flat());
    this.player.rate = Math.min(RATE, Math.max(1, end / SHORTEST));
    this.player.range(last, end);
    this.player.seek(end);
  }

  #makeLanes(classes) {
    if (this.lanes?.length === classes) return;
    this.lanes = Array.from({ length: classes }, (_, k) => {
      const lane = document.createElement("div");
      lane.className = "lane";
      lane.innerHTML = `<b>${k}</b><div class="track"><i></i></div>`;
      return lane;
    });
    $("lanes").replaceChildren(...this.lanes);
  }

  redraw() {
    this.#show(this.player.step);
  }

  #show(step) {
    this.#showLanes(step);
    this.#showFacts(step);
    drawPotentials($("potentials"), this.result ?? {}, Number(this.player.slider.max), step);
    const { times = [[], [], []], t_max: steps = 256, decision = 0 } = this.result ?? {};
    const shares = [0.45, ...times.slice(2).map(() => 0.35 / (times.length - 2)), 0.2];
    const names = ["pixels", ...times.slice(2).map(() => "hidden"), "output"];
    const layers = times.map((layer, k) => ({ name: names[k], times: layer, share: shares[k] }));
    drawRaster($("raster"), layers, steps, Number(this.player.slider.max), step, decision);
    showTimes($("seen"), times[0].length ? times[0] : Array(784).fill(steps), steps, step);
  }

  #showLanes(step) {
    const potentials = this.result?.potentials[step];
    const leader = potentials?.indexOf(Math.max(...potentials));
    const over = this.#isOver(step);
    this.lanes?.forEach((lane, k) => {
      const potential = potentials?.[k] ?? 0;
      const reach = potential > 0 ? Math.min(1, potential) : Math.max(-1, -potential / this.lowest);
      lane.style.setProperty("--reach", reach);
      lane.classList.toggle("leads", k === leader && !over);
      lane.classList.toggle("won", over && k === this.result.winner);
    });
  }

  #isOver(step) {
    return this.result !== undefined && step >= Math.min(this.result.decision, this.result.t_max - 1);
  }

  #showFacts(step) {
    if (!this.result) return;
    const { times, t_max: steps, decision, winner } = this.result;
    const over = this.#isOver(step);
    const until = Math.min(step, decision);
    const spikes = times.map((layer) => count(layer, until, steps));
    const additions = spikes.slice(0, -1).reduce((sum, n, k) => sum + n * times[k + 1].length, 0);
    $("fact-step").textContent = until;
    $("fact-spikes").textContent = group(spikes.reduce((sum, n) => sum + n));
    $("fact-additions").textContent = group(additions);
    $("winner").textContent = over ? winner : "?";
    $("winner").classList.toggle("decided", over);
    $("sentence").textContent = over ? this.#sentence() : "They are off.";
    if (over && !this.player.playing) $("spoken").textContent = `${winner}. ${this.#sentence()}`;
  }

  #sentence() {
    const { decision, t_max: steps, tied } = this.result;
    if (decision === steps) return "No output neuron spiked; the largest potential names it.";
    const share = `after ${((100 * decision) / steps).toFixed(0)} % of the time`;
    if (tied.length > 1) return `${tied.join(" and ")} spiked together at step ${decision}; the first of them counts.`;
    return `Decided at step ${decision}, ${share}.`;
  }
}
