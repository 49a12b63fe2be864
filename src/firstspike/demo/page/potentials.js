// The membrane potentials of the output neurons, drawn over time.

import { colour, moment, plot } from "/paint.js";

const HIGHEST = 4; // thresholds, beyond which potentials are cut off
const LOWEST = -3;

/**
 * @param canvas where they go
 * @param result of the race: potentials [steps][classes] in thresholds, winner, decision, t_max
 * @param last step on the axis
 * @param step potentials are known up to here
 * @param names of the classes
 */
export function drawPotentials(canvas, result, last, step, names) {
  const { potentials = [], winner, decision, t_max: steps } = result;
  const view = plot(canvas, last);
  const { pen, box, x } = view;
  const values = potentials.slice(0, last + 1).flat();
  const high = Math.min(HIGHEST, Math.max(1.5, ...values));
  const low = Math.max(LOWEST, Math.min(-0.5, ...values));
  const y = (value) => box.bottom - ((box.bottom - box.top) * (value - low)) / (high - low);
  drawThreshold(pen, box, y);
  if (potentials.length) {
    drawTraces(view, potentials, winner, Math.min(step, last), y);
    if (decision < steps && step >= decision) {
      drawWinner(view, x(decision), y(Math.min(high, potentials[decision][winner])), names[winner]);
    }
  }
  moment(view, step, "spike");
}

function drawThreshold(pen, box, y) {
  pen.strokeStyle = pen.fillStyle = colour("soft");
  pen.textAlign = "right";
  pen.fillText("fires", box.left - 6, y(1) + 4);
  pen.fillText("0", box.left - 6, y(0) + 4);
  for (const [value, dash] of [[1, [5, 4]], [0, [1, 4]]]) {
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(box.left, y(value));
    pen.lineTo(box.right, y(value));
    pen.stroke();
  }
  pen.setLineDash([]);
}

/** All neurons' potentials, the winner's on top. */
function drawTraces({ pen, box, x }, potentials, winner, to, y) {
  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  pen.clip();
  const others = potentials[0].map((_, k) => k).filter((k) => k !== winner);
  for (const k of [...others, winner]) {
    pen.strokeStyle = colour(k === winner ? "spike" : "trace");
    pen.lineWidth = k === winner ? 2.5 : 1.3;
    pen.beginPath();
    pen.moveTo(x(0), y(potentials[0][k]));
    for (let step = 1; step <= to; step++) {
      pen.lineTo(x(step), y(potentials[step - 1][k])); // it stays until the next spike arrives
      pen.lineTo(x(step), y(potentials[step][k]));
    }
    pen.stroke();
  }
  pen.restore();
}

function drawWinner({ pen, box }, left, top, name) {
  pen.fillStyle = colour("spike");
  pen.beginPath();
  pen.arc(left, top, 5, 0, 2 * Math.PI);
  pen.fill();
  pen.font = "bold 20px system-ui, sans-serif";
  const fits = left + 11 + pen.measureText(name).width < box.right;
  pen.textAlign = fits ? "left" : "right";
  pen.fillText(name, fits ? left + 11 : left - 11, top + 7);
}
