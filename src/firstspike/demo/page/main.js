// Starts the page: which networks there are, and then its two parts.

import { Drawing } from "/draw.js";
import { Race } from "/race.js";
import { ask, attempt } from "/server.js";

const $ = (id) => document.getElementById(id);

/** Fill a picker with the networks of a kind; its values are their numbers. */
function offer(kind, networks) {
  const picker = $(kind);
  networks.forEach((network, number) => {
    if (network.kind === kind) picker.add(new Option(network.name, number));
  });
  const tell = () => ($(`${kind}-about`).textContent = about(networks[picker.value]));
  if (picker.options.length) tell();
  picker.addEventListener("change", tell);
  return picker;
}

function about({ kind, options, provenance }) {
  const wanted = options.digit === "all" ? "all digits" : `digit ${options.digit}`;
  const parts = [kind === "gan" ? wanted : `${options.loss} loss`];
  parts.push(`${options.hidden} hidden neurons`, `${options.epochs} epochs`, `seed ${options.seed}`);
  const { strict_accuracy: right, read_as_the_digit: read } = provenance?.measured ?? {};
  if (right) parts.push(`${percent(right)} of MNIST’s test images right`);
  if (read) parts.push(`${percent(read)} of samples read as meant by an independent network`);
  return parts.join(", ");
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

const { version, largest, networks } = (await attempt(() => ask("networks"))) ?? { networks: [] };
$("version").textContent = version ?? "";
const classifier = offer("classifier", networks);
const gan = offer("gan", networks);
const race = new Race(classifier, largest);
const read = (pixels, origin) => {
  race.read(pixels, origin);
  $("recognise").scrollIntoView();
};
const drawing = new Drawing(gan, classifier.options.length ? read : undefined);
race.clear();

function redraw() {
  race.redraw();
  drawing.redraw();
}
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

await Promise.all([
  classifier.options.length ? race.example() : $("recognise").remove(),
  gan.options.length ? drawing.sample() : $("generate").remove(),
]);
document.documentElement.dataset.ready = "true";
