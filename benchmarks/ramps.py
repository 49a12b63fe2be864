"""What ramp networks trade: accuracy against steps, spikes and late answers, on held-out images.

    python benchmarks/ramps.py --runs runs/ramps --picture docs/images/ramps.png
    python benchmarks/ramps.py --runs runs/ramps-cnn --train "--network cnn --epochs 1"

Trains ``classifier --neuron ramp`` with windows of 8 to 256 steps; the network that learned with 64
is also measured with each of the other clocks (`firstspike evaluate --t-max`). Then it is trained
with rising prices of spikes and of lateness, at 64 steps. Each training is a run below ``--runs``;
runs that are there already are measured only, so that the script goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
from pathlib import Path
from typing import Any

from firstspike import cli
from firstspike.drawing import figures
from firstspike.evaluation.networks import evaluate_network
from firstspike.models.networks import at_t_max
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_trainer

STEPS = (8, 16, 32, 64, 256)
USUAL = 64
PRICES = {"sparsity": (0.0, 0.3, 1.0, 3.0, 10.0), "earliness": (0.0, 0.3, 1.0, 3.0)}
FIGURES = ("strict_accuracy", "spikes_a_neuron", "decision_step")


def main() -> None:
    options = _options()
    result: dict[str, Any] = {
        "train": options.train,
        "seeds": options.repeats,
        "split": "validation",
    }
    result["trained with"] = {t: _figures(options, {"t-max": t}, t) for t in options.steps}
    usual: dict[str, float] = {"t-max": USUAL}
    result["moved to"] = {t: _figures(options, usual, t) for t in options.steps}
    for name, prices in PRICES.items():
        if name in options.prices:
            result[name] = {p: _figures(options, usual | {name: p}, USUAL) for p in prices}
    print(json.dumps(result, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.picture is not None:
        _draw(result, options.picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/ramps"), help="folder of the runs")
    parser.add_argument("--repeats", type=int, default=1, help="seeds of each setting, from 0 on")
    parser.add_argument("--train", default="--epochs 10", help="options of every training")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="windows")
    parser.add_argument("--prices", nargs="*", default=[*PRICES], choices=[*PRICES])
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--picture", type=Path, help="file for the curves")
    return parser.parse_args()


def _figures(
    options: argparse.Namespace, setting: dict[str, float], t_max: int
) -> dict[str, float]:
    """Means over seeds of a setting's networks, measured with this clock."""
    measured = [_measured(options, setting, seed, t_max) for seed in range(options.repeats)]
    return {name: statistics.mean(one[name] for one in measured) for name in FIGURES}


def _measured(
    options: argparse.Namespace, setting: dict[str, float], seed: int, t_max: int
) -> dict[str, Any]:
    """Figures of one network, which is trained if it is not there."""
    given = [f"{name}={value}" for name, value in setting.items() if value]
    folder = options.runs / "-".join([*given, f"seed{seed}"])
    if not (folder / "summary.json").is_file():
        chosen = [part for name, value in setting.items() for part in (f"--{name}", str(value))]
        resume = ["--resume", str(folder)]
        new = [*chosen, "--seed", str(seed), *shlex.split(options.train), "--out", str(folder)]
        arguments = resume if folder.is_dir() else ["--neuron", "ramp", *new]
        if cli.main(["train", "classifier", *arguments]):
            raise SystemExit(f"{folder}: training failed")
    trainer = load_trainer(RunDirectory.open(folder))
    images = trainer.load_unseen(trainer.config, "validation")
    report = evaluate_network(at_t_max(trainer.result(), t_max), images, t_max)
    record = report.as_dict()
    return record | {"spikes_a_neuron": sum(report.spikes) / sum(report.neurons)}


def _draw(result: dict[str, Any], path: Path) -> None:
    """Accuracy against windows, spikes and steps, a panel each."""
    names = [name for name in PRICES if name in result]
    figure = figures.new_figure(3.2 * (1 + len(names)), 3.0)
    first, *others = figures.row(figure, 1 + len(names))
    for name, sign in (("trained with", "o-"), ("moved to", "s--")):
        label = f"learned with {USUAL}" if name == "moved to" else "learned with as many"
        rows = result[name]
        first.plot(
            [*rows], [100 * row["strict_accuracy"] for row in rows.values()], sign, label=label
        )
    first.set(xscale="log", xlabel="steps of a window", ylabel="right, %")
    first.set_xticks([*result["moved to"]], labels=[str(t) for t in result["moved to"]])
    first.minorticks_off()
    first.legend(fontsize=7)
    labels = {"sparsity": "spikes a neuron", "earliness": "step of the decision"}
    for axes, name in zip(others, names, strict=True):
        key = "spikes_a_neuron" if name == "sparsity" else "decision_step"
        rows = result[name]
        points = [(row[key], 100 * row["strict_accuracy"]) for row in rows.values()]
        axes.plot(*zip(*points, strict=True), "o-")
        for price, point in zip(rows, points, strict=True):
            axes.annotate(
                f"{price:g}", point, fontsize=7, xytext=(3, 3), textcoords="offset points"
            )
        axes.set(xlabel=labels[name], title=f"price: {name}")
    for axes in (first, *others):
        figures.plain(axes)
    figures.save(path, figure)


if __name__ == "__main__":
    main()
