"""``firstspike runs``: what lies in a folder of run directories."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional

from firstspike.runs import overview
from firstspike.runs.overview import Overview
from firstspike.training import kinds
from firstspike.words import in_a_line

WIDE = 120  # columns from which each run takes a line
PIPED = 160  # columns where there is no terminal to fit
# The figures that a run is known by, where it has them: name, words, format.
HEADLINES = (
    ("test strict_accuracy", "test", ".2%"),
    ("validation_set_accuracy", "held out", ".2%"),
    ("train_set_accuracy", "in training", ".2%"),
    ("validation_set_spikes", "spikes", ".0f"),
    ("test frechet_distance", "Fréchet", ".1f"),
    ("test reconstruction_error", "error", ".4f"),
    ("generator_spikes", "G spikes", ".0f"),
    ("discriminator_spikes", "D spikes", ".0f"),
)
COLORS = {"finished": "green", "resumable": "yellow", "damaged": "red"}
UNITS = (("d", 86400), ("h", 3600), ("min", 60))


@dataclass(frozen=True)
class Runs:
    """List run directories: what they are, how far they are, what they have measured."""

    folder: Positional[Path] = Path("runs")
    """Where to look, at any depth."""
    json: bool = False
    """Print a JSON list for scripts, an object for each run."""

    def __call__(self) -> None:
        found = overview.find(self.folder)
        if self.json:
            print(json.dumps([run.as_dict() for run in found], indent=2))
            return
        console = Console(highlight=False, markup=False, emoji=False)
        if not (console.is_terminal or "COLUMNS" in os.environ):
            console.width = PIPED
        table = _table if console.width >= WIDE else _narrow_table
        console.print(table(found, self.folder))
        for run in found:
            if run.problem:
                console.print(in_a_line(run.problem), soft_wrap=True, markup=False)


def _narrow_table(found: list[Overview], folder: Path) -> Table:
    """What fits everywhere: below the name of each run, what it is and what it has measured."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold", ratio=1)
    for heading in ("epochs", "age", "state"):
        table.add_column(heading, no_wrap=True)
    now = time.time()
    for run in found:
        name = _name(run, folder)
        about = f"{run.kind} on {_data(run)}: {_what(run)}"
        lines = [name, *(f"  {line}" for line in (about, _headline(run)) if line)]
        done = f"{run.epoch}/{run.options.get('epochs', '?')}"
        cells = (Text("\n".join(lines)), done, _age(now - run.changed))
        table.add_row(*cells, Text(run.state, COLORS[run.state]))
    return table


def _name(run: Overview, folder: Path) -> str:
    return in_a_line(str(run.path if run.path == folder else run.path.relative_to(folder)))


def _data(run: Overview) -> str:
    return Path(run.options.get("data") or "mnist").name


def _table(found: list[Overview], folder: Path) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "kind", "data", "what", "epochs", "figures", "age", "state"):
        table.add_column(heading, overflow="fold")
    now = time.time()
    for run in found:
        cells = (
            _name(run, folder),
            run.kind,
            _data(run),
            _what(run),
            f"{run.epoch}/{run.options.get('epochs', '?')}",
            _headline(run),
            _age(now - run.changed),
        )
        table.add_row(*map(Text, cells), Text(run.state, COLORS[run.state]))
    return table


def _what(run: Overview) -> str:
    """The options that tell runs apart at first sight."""
    try:
        kind = kinds.find(run.kind)
    except ValueError:
        return "of an unknown kind"
    usual = {f.name: f.metadata.get("before") for f in dataclasses.fields(kind.config)}
    told = [
        words.format(run.options[name])
        for name, words in kind.known_by.items()
        if name in run.options and run.options[name] != usual.get(name)
    ]
    if run.options.get("conditional"):
        told.insert(1, "auxiliary" if run.options.get("auxiliary") else "conditional")
    return ", ".join(told)


def _headline(run: Overview) -> str:
    shown = (
        (words, run.figures[name], form) for name, words, form in HEADLINES if name in run.figures
    )
    return ", ".join(f"{words} {value:{form}}" for words, value, form in shown)


def _age(seconds: float) -> str:
    """Time since the last change, in its largest unit."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
