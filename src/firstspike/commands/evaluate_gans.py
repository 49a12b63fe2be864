"""``firstspike evaluate`` for GANs: from folders of runs to numbers, a table and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from firstspike.commands.evaluate import Evaluate, refuse_for_classifiers
from firstspike.commands.evaluate_figures import (
    save_comparison_figures,
    save_sample_figures,
    save_training_figure,
)
from firstspike.drawing import grids
from firstspike.evaluation.comparison import compare, side_names
from firstspike.evaluation.sides import (
    Evaluated,
    Found,
    Side,
    common_digits,
    evaluate_run,
    find_runs,
)
from firstspike.extras import require
from firstspike.runs import files
from firstspike.training import devices
from firstspike.training.gan import Part
from firstspike.words import counted

RECORD, TABLE = "comparison.json", "table.md"


class _Row(NamedTuple):
    """A line of the table: which figure, its title, and how its numbers are written."""

    field: str
    title: str
    decimals: int
    percent: bool = False


_ROWS = (
    _Row("frechet_distance", "Fréchet distance", 1),
    _Row("joint_frechet_distance", "Fréchet distance, all digits together", 1),
    _Row("kernel_distance", "kernel distance", 1),
    _Row("precision", "precision", 3),
    _Row("recall", "recall", 3),
    _Row("density", "density", 3),
    _Row("coverage", "coverage", 3),
    _Row("right_digit", "right digit, %", 1, percent=True),
    _Row("confidence", "confidence", 3),
    _Row("images_named_right", "unseen images that D names right, %", 1, percent=True),
    _Row("samples_named_right", "samples that D names right, %", 1, percent=True),
    _Row(
        "classification_accuracy",
        "accuracy of a classifier trained on samples, %",
        1,
        percent=True,
    ),
    _Row("nearest_training", "distance to the nearest training image", 2),
    _Row("copies", "nearer than 99 % of unseen images, %", 1, percent=True),
    _Row("relative_diversity", "diversity, data's = 1", 3),
    _Row("ink", "pixels with ink", 1),
    _Row("reconstruction_error", "squared error of reconstructions", 5),
    _Row("generator_spikes", "spikes of the generator", 0),
    _Row("encoder_spikes", "spikes of the encoder", 0),
    _Row("decoder_spikes", "spikes of the decoder", 0),
    _Row("spikes_a_neuron", "spikes a neuron", 3),
    _Row("training_seconds", "seconds of training", 0),
)
_OF_DIGITS = ("frechet_distance", "right_digit", "coverage", "relative_diversity")


def evaluate(request: Evaluate) -> None:
    """Measure runs of GANs as the command line asks. ValueError if that is not possible."""
    require("report", "matplotlib", "torchmetrics", purpose="evaluate")
    refuse_for_classifiers(request)
    folders, against = list(request.runs), list(request.against)
    devices.find(request.device)  # complains before work starts
    how: dict[str, Any] = {"averaged": request.averaged, "device": request.device}
    told = Console(highlight=False, markup=False, emoji=False, stderr=request.json)
    folder, comparison = evaluate_gans(folders, against, request.split, request.out, told, **how)
    if request.json:
        print(json.dumps({"folder": str(folder), **comparison}, indent=2))
    else:
        print(f"\n{table_of(comparison)}\nall of it, and figures: {folder}")


def evaluate_gans(
    folders: Sequence[Path],
    against: Sequence[Path],
    part: Part,
    out: Path | None,
    console: Console,
    *,
    averaged: bool,
    device: str = "cpu",
) -> tuple[Path, dict[str, Any]]:
    """Measure runs of GANs one by one, which ``console`` tells, then all together.

    Each run gets ``metrics.json`` and figures of its own; ``comparison.json``, ``table.md`` and the
    figures of several runs go to ``out``. Returns this folder and what the first of these holds.
    """
    found = [find_runs(side) for side in (folders, against) if side]
    digits = common_digits(found, part)
    place = f"evaluation-{part}{'' if averaged else '-raw'}"
    how = {"averaged": averaged, "device": device}
    sides = [_measured(side, digits, part, place, console, how) for side in found]
    other = sides[1] if against else None
    folder = out or folders[0] / place
    comparison = compare(sides[0], other, part)
    files.save_json(folder / RECORD, comparison)
    files.save(folder / TABLE, table_of(comparison).encode())
    if sum(len(side) for side in sides) * len(digits) > 1:
        save_comparison_figures(folder, sides[0], other)
    return folder, comparison


def _measured(
    side: Found,
    digits: Sequence[str],
    part: Part,
    place: str,
    console: Console,
    how: dict[str, Any],
) -> Side:
    """Measure the runs of one side and leave with each what was found."""
    measured: Side = {}
    for seed, of_seed in side.items():
        measured[seed] = []
        for digit in digits:
            run = of_seed[digit]
            one = evaluate_run(run, digit, part, **how)
            folder = run.path / place / (digit if run.options.get("conditional") else "")
            save_sample_figures(folder, one.samples, one.reference)
            for name, (images, columns) in one.pictures.items():
                grids.save_image_grid(folder / f"{name}.png", images, columns)
            files.save_json(folder / "metrics.json", one.record)
            measured[seed].append(one)
            console.print(f"{run.path}, {digit}: {_in_short(one)}", soft_wrap=True)
        for folder, run in {run.path: run for run in of_seed.values()}.items():
            save_training_figure(folder / place, run.read_stats())
    return measured


def _in_short(one: Evaluated) -> str:
    quality = one.samples.quality
    right = "" if quality.right_digit is None else f" · right digit {quality.right_digit:.1%}"
    error = one.record.get("reconstruction_error")
    named = one.record.get("images_named_right"), one.record.get("samples_named_right")
    return (
        f"Fréchet distance {quality.frechet_distance:.1f}{right} · coverage {quality.coverage:.2f}"
        f" · diversity {quality.relative_diversity:.2f}"
        + ("" if error is None else f" · error of reconstructions {error:.4f}")
        + ("" if None in named else " · names right {:.1%}, of samples {:.1%}".format(*named))
    )


def table_of(comparison: dict[str, Any]) -> str:
    """The figures of `compare` in Markdown: means over digits, then single digits."""
    sides = [comparison[name] for name in ("runs", "against") if comparison[name] is not None]
    names = side_names(*(side["kind"] for side in sides))
    heads = [
        f"{name}, {counted(len(side['seeds']), 'seed')}"
        for name, side in zip(names, sides, strict=True)
    ]
    columns = [*sides, comparison["floor"]]
    lines = _head(f"mean over {counted(len(comparison['digits']), 'digit')}", [*heads, "data"])
    for row in _ROWS:
        cells = [_cell(side["mean"].get(row.field), row) for side in columns]
        if any(cells):
            lines.append(_line([row.title, *cells]))
    rows = {row.field: row for row in _ROWS}
    shown = [rows[field] for field in _OF_DIGITS if field in sides[0]["mean"]]
    lines += ["", *_head("digit", [f"{row.title}: {n}" for row in shown for n in [*names, "data"]])]
    for digit in comparison["digits"]:
        cells = [
            _cell(side["digits"][digit].get(row.field), row) for row in shown for side in columns
        ]
        lines.append(_line([digit, *cells]))
    return "\n".join(lines) + "\n"


def _head(corner: str, names: Sequence[str]) -> list[str]:
    return [_line([corner, *names]), "|---" * (len(names) + 1) + "|"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(figure: dict[str, Any] | None, row: _Row) -> str:
    """A mean, with its standard deviation over seeds if there are several; '' without a figure."""
    if figure is None:
        return ""
    scale = 100 if row.percent else 1
    mean = f"{scale * figure['mean']:.{row.decimals}f}"
    if figure["sd"] is None:
        return mean
    return f"{mean} ± {scale * figure['sd']:.{row.decimals}f}"
