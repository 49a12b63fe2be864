"""``firstspike evaluate`` for networks that answer with a map: figures, a table and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from firstspike.commands.evaluate import Evaluate, refuse_for_classifiers
from firstspike.drawing import grids
from firstspike.extras import require
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices, kinds
from firstspike.training.loading import load_trainer
from firstspike.training.pixels import COLUMNS, PixelTraining

RECORD, TABLE, PICTURE = "comparison.json", "table.md", "pictures.png"
_TITLES = {
    "psnr": "peak signal-to-noise ratio, dB",
    "ssim": "structural similarity",
    "mean_iou": "mean IoU",
    "pixel_accuracy": "right pixels",
    "spikes_a_neuron": "spikes a neuron",
    "seconds": "seconds of training",
}

Record = dict[str, Any]


def evaluate(request: Evaluate) -> None:
    """Measure runs, which differ in their seed, and others beside them.

    Each run gets ``metrics.json`` and pictures of its own, the first of them, or ``--out``, a
    table of all.

    Raises:
        ValueError: a run cannot be measured as asked.
    """
    require("report", "torchmetrics", purpose="evaluate")
    refuse_for_classifiers(request)
    devices.find(request.device)  # complains before work starts
    sides = [[RunDirectory.open(path) for path in of] for of in (request.runs, request.against)]
    _check(sides)
    told = Console(highlight=False, stderr=request.json)
    records = [[_measured(run, request, told) for run in side] for side in sides if side]
    folder = request.out or request.runs[0] / f"evaluation-{request.split}"
    comparison = [_summary(side) for side in records]
    files.save_json(folder / RECORD, {"split": request.split, "sides": comparison})
    files.save(folder / TABLE, table_of(comparison).encode())
    if request.json:
        print(json.dumps({"folder": str(folder), "sides": comparison}, indent=2))
    else:
        print(f"\n{table_of(comparison)}\nall of it, and pictures: {folder}")


def _check(sides: Sequence[Sequence[RunDirectory]]) -> None:
    """Raise ValueError unless all runs answer the same question, and those of a side are alike."""
    first = sides[0][0]
    wanted = _question(first)
    for side in sides:
        for run in side:
            if run.kind != side[0].kind:
                raise ValueError(
                    f"{run.path}: a {run.kind} run beside {side[0].path}, a {side[0].kind} run; "
                    "name runs of one kind, the other as the side against"
                )
            if (own := _question(run)) != wanted:
                odd = next(name for name in wanted | own if wanted.get(name) != own.get(name))
                raise ValueError(f"{run.path}: another {odd} than {first.path}; leave one out")


def _question(run: RunDirectory) -> Record:
    """What runs that stand side by side have in common."""
    kind = kinds.find(run.kind, run.path)
    if not issubclass(kinds.load(kind.trainer), PixelTraining):
        raise ValueError(f"{run.path}: a {run.kind} run, which answers with no map")
    options = kind.read(run.options, run.path).as_dict()
    names = ("data", "size", "colour", "validation", "task")
    return {"kind": kind.trainer} | {name: options[name] for name in names if name in options}


def _measured(run: RunDirectory, request: Evaluate, console: Console) -> Record:
    """Measure a run and leave with it what was found."""
    trainer: PixelTraining = devices.moved(load_trainer(run), request.device)
    try:
        images = trainer.load_unseen(trainer.config, request.split)
        trainer.check(images)
    except ValueError as error:
        raise ValueError(f"{run.path}: {error}") from None
    said, spikes = trainer.answers(images.images)
    record: Record = {
        "kind": run.kind,
        "seed": trainer.config.seed,
        "data": images.name,
        "count": len(images),
        **trainer.judged(said, images),
        **trainer.further(said, images),
        **spikes,
    }
    if (run.path / "summary.json").is_file():
        record["seconds"] = run.read_summary().get("seconds", 0.0)
    folder = run.path / f"evaluation-{request.split}"
    files.save_json(folder / "metrics.json", record)
    grids.save_image_grid(folder / PICTURE, trainer.pictures(images), COLUMNS)
    figures = (f"{_TITLES[name]} {record[name]:.3f}" for name in _TITLES if name in record)
    console.print(f"{run.path}: {' · '.join(figures)}", soft_wrap=True)
    return record


def _summary(records: Sequence[Record]) -> Record:
    """Figures of one side: their mean over seeds, standard deviation and values."""
    found: Record = {"kind": records[0]["kind"], "seeds": [one["seed"] for one in records]}
    for name in _TITLES:
        values = [one[name] for one in records if name in one]
        if values:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            found[name] = {"mean": float(np.mean(values)), "sd": spread, "values": values}
    return found


def table_of(sides: Sequence[Record]) -> str:
    """The figures of sides in Markdown, each mean with its standard deviation over seeds."""
    heads = ["", *(kinds.find(side["kind"]).label for side in sides)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, title in _TITLES.items():
        cells = [_cell(side.get(name)) for side in sides]
        if any(cells):
            lines.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join(lines) + "\n"


def _cell(figure: Record | None) -> str:
    if figure is None:
        return ""
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.3f}"
    return f"{figure['mean']:.3f}{spread}"
