"""``firstspike evaluate`` for runs that differ in their seed: figures of each, and a table of all.

What a run of a family is measured by is a `Family`; the rest is the same for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from firstspike.commands.evaluate import Evaluate, refuse_for_classifiers
from firstspike.extras import require
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices, kinds
from firstspike.training.loading import load_trainer, load_unseen
from firstspike.training.trainer import Trainer

RECORD, TABLE, OF_A_RUN = "comparison.json", "table.md", "metrics.json"
_ALIKE = ("data", "size", "colour", "validation", "task")  # options in which runs may not differ

Record = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Kinds of networks that are measured in one way.

    Args:
        trainer: what the trainers of all these kinds derive from.
        name: what a run of another kind is not, with its article.
        question: of a trainer, something that is equal for those that answer the same question.
        extra: the extra that measuring needs, and a package that it brings.
        measured: (trainer, images, folder) -> figures, and what else ``metrics.json`` is to tell;
            leaves pictures in the folder.
        titles: of figures for which there is a row in the table.
    """

    trainer: type[Trainer]
    name: str
    question: Callable[[type[Trainer]], Any]
    extra: tuple[str, str]
    measured: Callable[[Any, Any, Path], Record]
    titles: Mapping[str, str]


def evaluate(request: Evaluate, family: Family) -> None:
    """Measure runs of a family, which differ in their seed, and others beside them.

    Each run gets ``metrics.json`` and pictures of its own, the first of them, or ``--out``, a
    table of all.

    Raises:
        ValueError: a run cannot be measured as asked.
    """
    require(*family.extra, purpose="evaluate")
    refuse_for_classifiers(request)
    devices.find(request.device)  # complains before work starts
    sides = [[RunDirectory.open(path) for path in of] for of in (request.runs, request.against)]
    _check(sides, family)
    told = Console(highlight=False, markup=False, emoji=False, stderr=request.json)
    records = [[_measured(run, request, family, told) for run in side] for side in sides if side]
    folder = request.out or request.runs[0] / f"evaluation-{request.split}"
    comparison = [_summary(side, family) for side in records]
    files.save_json(folder / RECORD, {"split": request.split, "sides": comparison})
    files.save(folder / TABLE, table_of(comparison, family.titles).encode())
    if request.json:
        print(json.dumps({"folder": str(folder), "sides": comparison}, indent=2))
    else:
        print(f"\n{table_of(comparison, family.titles)}\nall of it, and pictures: {folder}")


def _check(sides: Sequence[Sequence[RunDirectory]], family: Family) -> None:
    """Raise ValueError unless all runs answer the same question, and those of a side are alike."""
    first = sides[0][0]
    wanted = _question(first, family)
    for side in sides:
        for run in side:
            if run.kind != side[0].kind:
                raise ValueError(
                    f"{run.path}: {run.noun} beside {side[0].path}, {side[0].noun}; "
                    "name runs of one kind, the other as the side against"
                )
            if (own := _question(run, family)) != wanted:
                odd = next(name for name in wanted | own if wanted.get(name) != own.get(name))
                raise ValueError(f"{run.path}: another {odd} than {first.path}; leave one out")


def _question(run: RunDirectory, family: Family) -> Record:
    """What runs that stand side by side have in common."""
    kind = kinds.find(run.kind, run.path)
    trainer = kinds.load(kind.trainer)
    if not issubclass(trainer, family.trainer):
        raise ValueError(f"{run.path}: {run.noun}; give the run of {family.name}")
    options = kind.read(run.options, run.path).as_dict()
    asked = {name: options[name] for name in _ALIKE if name in options}
    return {"kind": family.question(trainer), **asked}


def _measured(run: RunDirectory, request: Evaluate, family: Family, console: Console) -> Record:
    """Measure a run and leave with it what was found."""
    trainer = devices.moved(load_trainer(run), request.device)
    images = load_unseen(run, trainer, request.split)
    folder = run.path / f"evaluation-{request.split}"
    record: Record = {
        "kind": run.kind,
        "seed": trainer.config.seed,
        "data": images.name,
        "count": len(images),
        **family.measured(trainer, images, folder),
    }
    if (run.path / "summary.json").is_file():
        record["seconds"] = run.read_summary().get("seconds", 0.0)
    files.save_json(folder / OF_A_RUN, record)
    titles = family.titles
    figures = (f"{titles[name]} {record[name]:.3f}" for name in titles if name in record)
    console.print(f"{run.path}: {' · '.join(figures)}", soft_wrap=True)
    return record


def _summary(records: Sequence[Record], family: Family) -> Record:
    """Figures of one side: their mean over seeds, standard deviation and values."""
    found: Record = {"kind": records[0]["kind"], "seeds": [one["seed"] for one in records]}
    for name in family.titles:
        values = [one[name] for one in records if name in one]
        if values:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            found[name] = {"mean": float(np.mean(values)), "sd": spread, "values": values}
    return found


def table_of(sides: Sequence[Record], titles: Mapping[str, str]) -> str:
    """The figures of sides in Markdown, each mean with its standard deviation over seeds."""
    heads = ["", *(kinds.find(side["kind"]).label for side in sides)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, title in titles.items():
        cells = [_cell(side.get(name)) for side in sides]
        if any(cells):
            lines.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join(lines) + "\n"


def _cell(figure: Record | None) -> str:
    if figure is None:
        return ""
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.3f}"
    return f"{figure['mean']:.3f}{spread}"
