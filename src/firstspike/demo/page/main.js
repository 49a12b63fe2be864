// Starts the page: which networks there are, and then its parts; the later ones when they are seen.

import { Drawing } from "/draw.js";
import { Find } from "/find.js";
import { Latents } from "/latents.js";
import { Race } from "/race.js";
import { ask, attempt } from "/server.js";
import { Translate } from "/translate.js";

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

/** What a network is, by part of the page. */
const KINDS = {
  race: ({ loss }) => `${loss} loss`,
  draw: ({ digit }) => (digit === "all" ? "all classes" : `class ${digit}`),
  map: ({ latent }) => `${latent} latents`,
  translate: ({ task }) => `task ${task}`,
  segment: () => "a class for each pixel",
  detect: () => "boxes with their classes",
};

/** What was measured of a bundled network, on test images. */
const MEASURED = {
  strict_accuracy: (share) => `${percent(share)} of MNIST’s test images right`,
  read_as_the_digit: (share) => `${percent(share)} of samples read as meant by an independent network`,
  reconstruction_error: (error) => `squared error of a pixel ${error.toFixed(4)}`,
  psnr: (ratio) => `peak signal-to-noise ratio ${ratio.toFixed(1)} dB`,
  mean_iou: (share) => `mean IoU ${share.toFixed(2)}`,
  map_50: (share) => `mean average precision ${share.toFixed(2)} at an IoU of .5`,
};

function about({ part, options, shape, provenance }) {
  const parts = [KINDS[part](options)];
  parts.push(`${shape.width} × ${shape.height} pixels${shape.channels > 1 ? " in colour" : ""}`);
  const ramps = options.neuron === "ramp" ? "ramp neurons " : "";
  if ((options.network ?? "dense") !== "dense") parts.push(`${ramps}${options.network}`);
  else if (options.hidden) parts.push(`${options.hidden} hidden ${ramps || "neurons"}`.trim());
  parts.push(options.epochs === 1 ? "1 epoch" : `${options.epochs} epochs`, `seed ${options.seed}`);
  for (const [name, value] of Object.entries(provenance?.measured ?? {})) {
    if (MEASURED[name]) parts.push(MEASURED[name](value));
  }
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
const vae = offer("vae", "map", networks);
const translator = offer("translator", "translate", networks);
const finders = { segment: offer("segmenter", "segment", networks), detect: offer("detector", "detect", networks) };
const drawing = new Drawing(gan, networks, classifier.options.length ? read : undefined);
if (classifier.options.length) race.clear();

function redraw() {
  if (classifier.options.length) race.redraw();
  drawing.redraw();
}
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

/** Open a part of the page as it comes near, so that nobody waits for what nobody sees. */
function whenSeen(id, open) {
  const near = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      open();
    },
    { rootMargin: "200px" },
  );
  near.observe($(id));
}

function addLaterParts() {
  if (vae.options.length) whenSeen("latents", () => new Latents(vae, networks).open());
  else remove("latents");
  if (translator.options.length) whenSeen("translate", () => new Translate(translator, networks).open());
  else remove("translate");
  for (const [part, picker] of Object.entries(finders)) {
    if (picker.options.length) continue;
    picker.parentElement.remove();
    $(`${part}-side`).remove();
    delete finders[part];
  }
  if (Object.keys(finders).length) whenSeen("find", () => new Find(finders, networks).open());
  else remove("find");
}

/** A part of the page that no network is for, and the link to it. */
function remove(id) {
  $(id).remove();
  document.querySelector(`nav a[href="#${id}"]`).remove();
}

await Promise.all([
  classifier.options.length ? race.example() : remove("recognise"),
  gan.options.length ? drawing.sample() : remove("generate"),
]);
addLaterParts();
document.documentElement.dataset.ready = "true";
