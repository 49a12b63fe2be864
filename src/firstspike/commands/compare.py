"""``firstspike compare``: two runs side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from firstspike.runs import overview
from firstspike.runs.overview import Overview

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 16  # of a curve
NOTHING = "-"


@dataclass(frozen=True)
class Compare:
    """Put two runs side by side: the options that differ, and what was measured."""

    first: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of a run."""
    second: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of another one."""
    json: bool = False
    """Print a JSON object for scripts."""

    def __call__(self) -> None:
        pair = overview.look(self.first), overview.look(self.second)
        for run in pair:
            if run.problem:
                raise ValueError(run.problem)
        if self.json:
            print(json.dumps(_record(*pair), indent=2))
            return
        console = Console(highlight=False, markup=False, emoji=False)
        console.print(_options(*pair))
        console.print()
        console.print(_figures(*pair))


def _record(first: Overview, second: Overview) -> dict[str, Any]:
    """Both runs, the options that differ, and by how much figures of both do; [first, second]."""
    pair = first, second
    names = dict.fromkeys([*first.options, *second.options])
    options = {name: [run.options.get(name) for run in pair] for name in names}
    return {
        "runs": [run.as_dict() for run in pair],
        "options": {name: values for name, values in options.items() if values[0] != values[1]},
        "differences": {
            name: second.figures[name] - value
            for name, value in first.figures.items()
            if name in second.figures
        },
    }


def _table(first: Overview, second: Overview, *more: str) -> Table:
    names = first.path.name, second.path.name
    if names[0] == names[1]:
        names = str(first.path), str(second.path)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in (*names, *more):
        table.add_column(Text(name), overflow="fold")
    return table


def _options(first: Overview, second: Overview) -> Table:
    """Kind, epochs and the options that differ."""
    table = _table(first, second)
    for name in ("kind", "state"):
        table.add_row(name, getattr(first, name), getattr(second, name))
    table.add_row("epochs done", str(first.epoch), str(second.epoch))
    for name in dict.fromkeys([*first.options, *second.options]):
        cells = [_option(run.options, name) for run in (first, second)]
        if cells[0] != cells[1]:
            table.add_row(name, *map(Text, cells))
    return table


def _option(options: Any, name: str) -> str:
    return str(options[name]) if name in options else NOTHING


def _figures(first: Overview, second: Overview) -> Table:
    """What was measured, the difference, and curves over the epochs on one scale."""
    table = _table(first, second, "difference", "over the epochs", "")
    for name in dict.fromkeys([*first.figures, *second.figures]):
        values = [run.figures[name] for run in (first, second) if name in run.figures]
        cells = [
            f"{run.figures[name]:.4g}" if name in run.figures else NOTHING
            for run in (first, second)
        ]
        difference = f"{values[1] - values[0]:+.4g}" if len(values) == 2 else ""
        table.add_row(name, *cells, difference, *_curves(first, second, name))
    return table


def _curves(first: Overview, second: Overview, name: str) -> list[str]:
    """A statistic of both in bars, between the lowest and the highest value of both."""
    pair = [run.curves.get(name, []) for run in (first, second)]
    values = [value for curve in pair for value in curve]
    return [_bars(curve, min(values), max(values)) if curve else "" for curve in pair]


def _bars(curve: list[float], low: float, high: float) -> str:
    count = min(WIDTH, len(curve))
    chosen = [curve[round(i * (len(curve) - 1) / max(1, count - 1))] for i in range(count)]
    scale = (len(BARS) - 1) / (high - low) if high > low else 0
    return "".join(BARS[round((value - low) * scale)] for value in chosen)
