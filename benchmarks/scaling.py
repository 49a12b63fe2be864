"""How time and memory of one layer grow: with batch, inputs, width, density, steps and threads.

A layer of one-spike neurons (`fire`) against ``Linear`` and ``ReLU`` of the same size in PyTorch,
forward alone and forward plus backward. All but one of the settings stay at 100 MNIST images,
784-400, 256 steps and one thread. For the density, and for other numbers of inputs, images are
random: each pixel is lit with that probability, or with MNIST's, at a random brightness. Weights
are drawn so that about 0.85 of the neurons fire, as the output states. Spike times are compared
with the reference's before anything is timed.

    python benchmarks/scaling.py --cpu --json FILE --picture docs/images/scaling.png

All points of a curve are measured in turns, so that they see the same state of the machine. Times
are medians in milliseconds, ratios are medians over neighbouring turns. ``--cpu`` takes the CPU
time of the calling thread; the curve over threads is always wall time, and says something only on
a machine that nobody else uses. ``--memory`` also tells how much one training step adds to the
largest memory of a process that holds layer and images.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _table
import torch
from _points import CHECKED, PARTS, Point, Setting
from _timing import alternate, median_ratio
from rich.console import Console

AXES: dict[str, tuple[float, ...]] = {
    "batch": (1, 4, 16, 64, 256, 1024, 10_000),
    "inputs": (300, 1000, 3000, 10_000, 30_000, 100_000),
    "neurons": (100, 300, 1000, 3000, 10_000),
    "density": (0.01, 0.03, 0.1, 0.3, 1.0),
    "t_max": (64, 256, 1024, 4096, 16_384, 65_536),
    "threads": tuple(range(1, (os.cpu_count() or 1) + 1)),
}


def main() -> None:
    options = _options()
    result: dict[str, Any] = {
        "what": "784-400, 100 MNIST images, 256 steps, one thread, unless varied",
        "clock": "CPU time, but wall time for threads" if options.cpu else "wall time",
        "repeats": options.repeats,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    console = Console(width=160, highlight=False)
    for axis in options.axes:
        torch.manual_seed(0)
        wall = axis == "threads" or not options.cpu
        clock = time.perf_counter if wall else time.thread_time
        result[axis] = _curve(axis, options.repeats, clock)
        if options.memory:
            _add_memory(axis, result[axis])
        _table.show(axis, result[axis], console)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.picture is not None:
        _draw({axis: result[axis] for axis in options.axes}, options.picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=AXES, default=[*AXES])
    parser.add_argument("--repeats", type=int, default=15, help="turns")
    parser.add_argument("--cpu", action="store_true", help="CPU time of the thread, not wall time")
    parser.add_argument("--memory", action="store_true", help="also of a training step")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--picture", type=Path, help="file for the curves")
    return parser.parse_args()


def _curve(axis: str, repeats: int, clock: Callable[[], float]) -> dict[str, dict[str, float]]:
    """The columns of one table, for each value of ``axis``."""
    changes: list[tuple[float, dict[str, Any]]] = [(value, {axis: value}) for value in AXES[axis]]
    points = {value: Point(dataclasses.replace(Setting(), **change)) for value, change in changes}
    functions = {
        f"{value:g} {name}": function
        for value, point in points.items()
        for name, function in point.functions().items()
    }
    measured = alternate(functions, repeats, clock)
    rows: dict[str, dict[str, float]] = {}
    for value, point in points.items():
        row = {"events per image": round(point.events, 1), "share firing": round(point.firing, 2)}
        for part in PARTS:
            fire, dense = (measured[f"{value:g} {side} {part}"] for side in ("fire", "dense"))
            row[f"{part}: fire, ms"] = _table.significant(statistics.median(fire))
            row[f"{part}: dense, ms"] = _table.significant(statistics.median(dense))
            row[f"{part}: ratio"] = _table.significant(median_ratio(fire, dense))
        rows[f"{value:g}"] = row
    return rows


def _add_memory(axis: str, rows: dict[str, dict[str, float]]) -> None:
    """Megabytes of a training step, each side in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    for value, row in zip(AXES[axis], rows.values(), strict=True):
        for side in ("fire", "dense"):
            with spawn.Pool(1) as pool:
                row[f"{side}, MB"] = pool.apply(_megabytes, (axis, value, side))


def _megabytes(axis: str, value: Any, side: str) -> float:
    """By how much a training step raises the largest memory of this process (Linux)."""
    Point(Setting(batch=CHECKED)).functions()[f"{side} with backward"]()  # compiles
    step = Point(dataclasses.replace(Setting(), **{axis: value})).functions()
    Path("/proc/self/clear_refs").write_text("5")  # the largest is that of now
    before = _held("VmRSS")
    step[f"{side} with backward"]()
    return round((_held("VmHWM") - before) / 1024, 1)


def _held(name: str) -> int:
    """Kilobytes of this process by one of the names that the system has for them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def _draw(curves: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Small pictures of all curves beside each other, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(curves), 3.2), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for panel, (axis, rows) in zip(panels, curves.items(), strict=True):
        values = [float(value) for value in rows]
        for part, style in zip(PARTS, ("--", "-"), strict=True):
            for side, color in (("fire", "tab:red"), ("dense", "tab:gray")):
                heights = [row[f"{part}: {side}, ms"] for row in rows.values()]
                panel.loglog(
                    values, heights, style, marker=".", color=color, label=f"{side} {part}"
                )
        panel.set_xlabel({"t_max": "time steps", "density": "lit pixels"}.get(axis, axis))
        panel.grid(alpha=0.3)
        if axis == "threads":
            panel.set_xscale("linear")
            panel.set_xticks(values)
    panels[0].set_ylabel("milliseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
