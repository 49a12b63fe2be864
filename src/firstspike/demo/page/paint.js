// Canvases: images out of spike times, rasters and axes.

const SPARK = [255, 143, 77]; // a pixel whose neuron has just spiked
const AFTERGLOW = 20; // steps until a spark has settled
const EDGE = { left: 54, right: 14, bottom: 20 };

export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const valuesOf = ({ channels, height, width }) => channels * height * width;

/** Paint a canvas pixel by pixel: red, green and blue of the values at these places of an image. */
function paint(canvas, { channels, height, width }, rgb) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const data = new ImageData(width, height);
  const plane = height * width;
  for (let k = 0; k < plane; k++) {
    const places = channels === 1 ? [k, k, k] : [k, k + plane, k + 2 * plane];
    data.data.set([...rgb(places), 255], 4 * k);
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
}

/** Values 0..255 of an image on a canvas, which becomes as large: gray, or channel by channel. */
export function showPixels(canvas, pixels, shape) {
  paint(canvas, shape, (places) => places.map((k) => pixels[k]));
}

/** The image of pixels' spike times; up to a step, with sparks, if one is given. */
export function showTimes(canvas, times, shape, steps, step = Infinity, glow = AFTERGLOW) {
  const shade = (time) => (time > step ? 0 : (255 * (steps - time)) / steps);
  const heatOf = (time) => (time > step || time >= steps ? 0 : Math.max(0, 1 - (step - time) / glow));
  paint(canvas, shape, (places) => {
    const own = places.map((k) => times[k]);
    const heat = Math.max(...own.map(heatOf)); // of the channels
    return own.map((time, part) => shade(time) + (SPARK[part] - shade(time)) * heat);
  });
}

/** A drawing context in CSS pixels that is as sharp as the screen. */
function context(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

/** A plot over time: its pen, the place of a step, and the box inside its axis. */
export function plot(canvas, last) {
  const { pen, width, height } = context(canvas);
  const box = { left: EDGE.left, right: width - EDGE.right, top: 6, bottom: height - EDGE.bottom };
  const x = (step) => box.left + ((box.right - box.left) * step) / last;
  pen.fillStyle = colour("soft");
  pen.textAlign = "center";
  for (let step = 0; step <= last; step += spacing(last, box.right - box.left)) {
    pen.fillText(step === 0 ? "step 0" : String(step), x(step), height - 5);
  }
  return { pen, box, x };
}

function spacing(last, width) {
  const wanted = (last * 64) / width;
  return [1, 2, 5, 10, 20, 25, 50, 100, 250, 500].find((step) => step >= wanted) ?? 1000;
}

/** A line through a moment. */
export function moment({ pen, box, x }, step, name) {
  pen.strokeStyle = colour(name);
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(x(step), box.top);
  pen.lineTo(x(step), box.bottom);
  pen.stroke();
}

/**
 * Dots for the spikes of all layers, one band each.
 * @param layers [{name, times, share}], share of the height
 * @param step spikes up to here are seen; later ones that come by `limit`, not yet
 */
export function drawRaster(canvas, layers, steps, last, step, limit, window = steps) {
  const view = plot(canvas, last);
  const { pen, box, x } = view;
  const inks = { seen: colour("ink"), fresh: colour("spike"), faint: colour("faint") };
  const gap = Math.min(10, 40 / layers.length);
  const height = box.bottom - box.top - gap * (layers.length - 1);
  let top = box.top;
  for (const { name, times, share } of layers) {
    const band = height * share;
    pen.fillStyle = colour("ground");
    pen.fillRect(box.left, top, box.right - box.left, band);
    pen.fillStyle = colour("soft");
    pen.textAlign = "right";
    if (band + gap >= 12) pen.fillText(name, box.left - 6, top + 11);
    const size = Math.min(5, Math.max(2.2, (0.7 * band) / times.length));
    times.forEach((time, k) => {
      if (time >= steps || time > last || (time > step && time <= limit)) return;
      const fresh = time <= limit && step - time < Math.max(2, 0.03 * last);
      pen.fillStyle = time > limit ? inks.faint : fresh ? inks.fresh : inks.seen;
      pen.fillRect(x(time) - size / 2, top + ((k + 0.5) * band) / times.length - size / 2, size, size);
    });
    top += band + gap;
  }
  for (let start = window; start < last; start += window) moment(view, start, "soft");
  moment(view, step, "spike");
}
