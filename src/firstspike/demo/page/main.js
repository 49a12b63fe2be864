// Starts the page: which networks there are, and then its two parts.

import { Drawing } from "/draw.js";
import { Race } from "/race.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);

/** Fill a picker with the networks for a part of the page; its values are their numbers. */
function offer(id, part, networks) {
  const picker = $(id);
  networks.forEach((network, number) => {
    if (network.part === part) picker.add(new Option(network.name, number));
  });
  // What was named itself, else a bundled one: what a folder holds may be half-trained or damaged.
  const first = networks.findIndex((network) => network.part === part && network.first);
  if (first >= 0) picker.value = first;
  const tell = () => ($(`${id}-about`).textContent = about(networks[picker.value]));
  if (picker.options.length) tell();
  picker.addEventListener("change", tell);
  return picker;
}

function about({ part, options, shape, provenance }) {
  const wanted = options.digit === "all" ? "all classes" : `class ${options.digit}`;
  const parts = [part === "draw" ? wanted : `${options.loss} loss`];
  parts.push(`${shape.width} × ${shape.height} pixels${shape.channels > 1 ? " in colour" : ""}`);
  const ramps = options.neuron === "ramp" ? "ramp neurons " : "";
  if ((options.network ?? "dense") !== "dense") parts.push(`${ramps}${options.network}`);
  else if (options.hidden) parts.push(`${options.hidden} hidden ${ramps || "neurons"}`.trim());
  parts.push(options.epochs === 1 ? "1 epoch" : `${options.epochs} epochs`, `seed ${options.seed}`);
  const { strict_accuracy: right, read_as_the_digit: read } = provenance?.measured ?? {};
  if (right) parts.push(`${percent(right)} of MNIST’s test images right`);
  if (read) parts.push(`${percent(read)} of samples read as meant by an independent network`);
  return parts.join(", ");
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

const { version, largest, networks } = (await attempt(() => ask("networks"), "networks")) ?? { networks: [] };
$("version").textContent = version ?? "";
const classifier = offer("classifier", "race", networks);
const gan = offer("gan", "draw", networks);
const race = new Race(classifier, networks, largest);
const read = (pixels, shape, origin) => {
  race.read(pixels, shape, origin);
  $("recognise").scrollIntoView();
};
const drawing = new Drawing(gan, networks, classifier.options.length ? read : undefined);
if (classifier.options.length) race.clear();

function redraw() {
  if (classifier.options.length) race.redraw();
  drawing.redraw();
}
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

await Promise.all([
  classifier.options.length ? race.example() : $("recognise").remove(),
  gan.options.length ? drawing.sample() : $("generate").remove(),
]);
document.documentElement.dataset.ready = "true";
