// Recognise: the pad, the lanes of the output neurons, their potentials and the raster of all spikes.

import { Pad } from "/pad.js";
import { drawRaster, showTimes, valuesOf } from "/paint.js";
import { Player } from "/player.js";
import { drawPotentials } from "/potentials.js";
import { ask, attempt, complain } from "/server.js";

const $ = (id) => document.getElementById(id);
const PART = "race"; // whose complaints are its own
const RATE = 16; // steps a second, and fewer in a short race
const SHORTEST = 2.5; // seconds of a race
const LONGEST = 8; // seconds of a race over several windows
const PAUSE = 350; // milliseconds after a stroke until the race starts
const LOWEST = -1; // potential at the left end of a lane, in thresholds, if none goes below
const FEW = 12; // lanes that stand one below the other in full height
const count = (times, step, steps) => times.filter((time) => time <= step && time < steps).length;
const group = (number) => number.toLocaleString("en");

export class Race {
  /**
   * @param picker of the network
   * @param networks all on offer, by number
   * @param largest bytes of a picture
   */
  constructor(picker, networks, largest) {
    this.number = () => Number(picker.value);
    this.network = () => networks[picker.value];
    this.largest = largest;
    this.player = new Player($("race-transport"), (step) => this.#show(step), RATE);
    this.pad = new Pad($("pad"), () => this.#drawn(), () => this.#lifted());
    $("clear").addEventListener("click", () => this.clear());
    $("example").addEventListener("click", () => this.example());
    $("upload").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => this.#upload($("file").files[0]));
    $("whole").addEventListener("change", () => this.#settle());
    picker.addEventListener("change", () => this.#change());
    this.#acceptDrops($("pad").parentElement);
    if (this.network()) this.#prepare();
  }

  get names() {
    return this.network().shape.classes;
  }

  /** Make the page fit the images and classes of the network. */
  #prepare() {
    const { shape } = this.network();
    this.shape = shape;
    this.pad.fit(shape);
    const digits = shape.classes.join("") === "0123456789";
    $("subject").textContent = digits ? "a digit" : `one of ${shape.classes.length} classes`;
    this.#makeLanes();
  }

  /** Another network: the same picture races again, if it is one for this network. */
  async #change() {
    if (JSON.stringify(this.shape) !== JSON.stringify(this.network().shape)) {
      this.clear();
      this.#prepare();
      return this.example();
    }
    await this.run();
    this.#start();
  }

  /** Race a random test image. */
  async example() {
    const pick = Math.floor(Math.random() * 1e6);
    const digit = await attempt(() => ask(`digit?network=${this.number()}&pick=${pick}`), PART);
    if (!digit) return;
    const origin = `${digit.source}, image ${digit.index}, class ${digit.label}`;
    await this.read(digit.pixels, this.shape, origin);
  }

  /** Race an image of any size. */
  async read(pixels, shape, origin) {
    clearTimeout(this.timer);
    this.pad.show(pixels, shape);
    $("origin").textContent = origin;
    await this.run();
    this.#start();
  }

  clear() {
    clearTimeout(this.timer);
    this.pad.clear();
    $("origin").textContent = "";
    $("pad-hint").hidden = false;
    this.#forget();
  }

  /** No picture, no answer. */
  #forget() {
    this.player.pause();
    this.result = undefined;
    $("winner").className = "winner";
    $("winner").textContent = "–";
    $("sentence").textContent = "";
    for (const name of ["step", "spikes", "additions"]) $(`fact-${name}`).textContent = "–";
    this.#show(0);
  }

  /** Play the race; where nothing spikes, there is nothing to wait for. */
  #start() {
    if (this.result && this.result.decision < this.result.t_max) this.player.start();
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
    const number = this.number();
    const result = await attempt(() => ask(`race?network=${number}`, picture), PART);
    if (number !== this.number() || this.pad.empty) return;
    if (result) this.#take(result);
    else this.#forget(); // the answer to another picture
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
      this.#start();
    }, PAUSE);
  }

  async #upload(file) {
    if (!file) return;
    $("file").value = "";
    if (file.size > this.largest) {
      complain(new Error(`${file.name} is too large; give one of ${this.largest / 1e6} MB at most`), PART);
      return;
    }
    const number = this.number();
    const result = await attempt(() => ask(`race?network=${number}`, file), PART);
    if (!result || number !== this.number()) return;
    this.pad.show(result.pixels, this.shape);
    $("pad-hint").hidden = true;
    $("origin").textContent = file.name;
    this.#take(result);
    this.#start();
    $("winner").scrollIntoView({ block: "nearest" });
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
    if (this.result.window < steps) this.player.rate = Math.max(RATE, end / LONGEST);
    this.player.range(last, end);
    this.player.seek(end);
  }

  /** A lane for each class: many of them in two columns, read downwards. */
  #makeLanes() {
    const { names } = this;
    this.lanes = names.map((name) => {
      const lane = document.createElement("div");
      lane.className = "lane";
      lane.innerHTML = `<b></b><div class="track"><i></i></div>`;
      lane.firstChild.textContent = lane.firstChild.title = name;
      return lane;
    });
    const lanes = $("lanes");
    lanes.classList.toggle("many", names.length > FEW);
    lanes.style.setProperty("--rows", Math.ceil(names.length / 2));
    lanes.parentElement.style.setProperty("--letters", Math.max(...names.map((name) => name.length)));
    lanes.replaceChildren(...this.lanes);
  }

  redraw() {
    this.#show(this.player.step);
  }

  #show(step) {
    this.#showLanes(step);
    this.#showFacts(step);
    drawPotentials($("potentials"), this.result ?? {}, Number(this.player.slider.max), step, this.names);
    const { times = [[], [], []], t_max: steps = 256, window = steps, decision = 0 } = this.result ?? {};
    const shares = [0.45, ...times.slice(2).map(() => 0.35 / (times.length - 2)), 0.2];
    const names = ["pixels", ...times.slice(2).map(() => "hidden"), "output"];
    const layers = times.map((layer, k) => ({ name: names[k], times: layer, share: shares[k] }));
    drawRaster($("raster"), layers, steps, Number(this.player.slider.max), step, decision, window);
    const seen = times[0].length ? times[0] : Array(valuesOf(this.shape)).fill(window);
    showTimes($("seen"), seen, this.shape, window, step);
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
    return this.result !== undefined && !this.result.blank && step >= Math.min(this.result.decision, this.result.t_max - 1);
  }

  #showFacts(step) {
    if (!this.result) return;
    const { times, t_max: steps, decision, reach } = this.result;
    if (this.result.blank) return this.#showBlank();
    const winner = this.names[this.result.winner];
    const over = this.#isOver(step);
    const until = Math.min(step, decision);
    const spikes = times.map((layer) => count(layer, until, steps));
    const additions = Math.round(spikes.slice(0, -1).reduce((sum, n, k) => sum + n * reach[k], 0));
    $("fact-step").textContent = until;
    $("fact-spikes").textContent = group(spikes.reduce((sum, n) => sum + n));
    $("fact-additions").textContent = group(additions);
    $("winner").textContent = over ? winner : "?";
    $("winner").style.setProperty("--letters", over ? winner.length : 1);
    $("winner").classList.toggle("decided", over);
    $("sentence").textContent = over ? this.#sentence() : "They are off.";
    if (over && !this.player.playing) $("spoken").textContent = `${winner}. ${this.#sentence()}`;
  }

  #showBlank() {
    $("winner").className = "winner";
    $("winner").textContent = "–";
    const fault = "The picture is blank: there is nothing to recognise.";
    $("sentence").textContent = $("spoken").textContent = fault;
    for (const name of ["step", "spikes", "additions"]) $(`fact-${name}`).textContent = "–";
  }

  #sentence() {
    const { decision, t_max: steps, tied } = this.result;
    if (decision === steps) return "No output neuron spiked; the largest potential names it.";
    const share = `after ${((100 * decision) / steps).toFixed(0)} % of the time`;
    const names = tied.map((k) => this.names[k]);
    if (tied.length > 1) return `${names.join(" and ")} spiked together at step ${decision}; the first of them counts.`;
    return `Decided at step ${decision}, ${share}.`;
  }
}
