"""``firstspike sweep``: many trainings that differ in some options, compared on held-out images."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from firstspike.commands.terminal import Stopped
from firstspike.commands.train import RUNS
from firstspike.runs import files, jobs
from firstspike.runs.directory import unused_path
from firstspike.words import counted

if TYPE_CHECKING:  # the command line starts without PyTorch
    from firstspike.sweeps.directory import SweepDirectory
    from firstspike.sweeps.results import Result, Setting
    from firstspike.sweeps.running import Way

MOST_ROWS = 20  # of a table, unless all are asked for
PIPED = 160  # columns where there is no terminal to fit


@dataclass(frozen=True)
class Sweep:
    """Train a network for each point of a space of options; goes on after a kill.

    `firstspike sweep show FOLDER` tells what has come of it.
    """

    what: Positional[Path]
    """File with the space in TOML (docs/scale.md), or the folder of a sweep that is to go on."""
    out: Path | None = None
    """New folder for the sweep; a name of its own below runs/ if not given."""
    on: str | None = None
    """Train on a Ray cluster, in place of this machine's cores: ray://HOST:PORT, or auto for the
    one that this machine belongs to."""
    at_once: int | None = None
    """Trials at a time; one a core if not given."""
    device: str = "cpu"
    """Of every trial, as --device of train."""
    dry_run: bool = False
    """Print the trials and stop."""

    def __call__(self) -> None:
        if self.at_once is not None and self.at_once < 1:
            raise ValueError(f"--at-once must be at least 1, got {self.at_once}")
        sweep, is_new = self._sweep()
        if self.dry_run:
            _print_trials(sweep)
            return
        begun = not is_new
        try:
            with self._way(sweep) as way:
                if is_new:
                    sweep.begin()
                    begun = True
                _train(sweep, way)
        except KeyboardInterrupt as stop:
            if not begun:
                raise
            raise Stopped(self._again(sweep.path)) from stop

    @contextlib.contextmanager
    def _way(self, sweep: SweepDirectory) -> Iterator[Way]:
        """Where trials are trained, once that is known to be possible."""
        from firstspike.sweeps.running import Way

        extra = "--device", self.device
        if self.on is None:
            yield Way(self.at_once or jobs.cores(), None, extra)
            return
        from firstspike.sweeps import on_ray

        data, gpus = sweep.options.get("data"), float(self.device.startswith("cuda"))
        with on_ray.connected(self.on, data, gpus) as cluster:
            yield Way(self.at_once or cluster.cores, cluster.launch, extra)

    def _sweep(self) -> tuple[SweepDirectory, bool]:
        """The sweep, and whether it is a new one; nothing is written."""
        from firstspike.sweeps import space
        from firstspike.sweeps.directory import SweepDirectory
        from firstspike.sweeps.rehearsal import rehearse

        if self.what.is_dir():
            if self.out is not None:
                raise ValueError("--out goes with a new sweep; this one goes on where it is")
            return SweepDirectory.open(self.what), False
        wanted = space.read(self.what)
        out = self.out or unused_path(RUNS, self.what.stem)
        files.check_folder(out)
        here = self.device if self.on is None else "cpu"  # nodes may have what this machine lacks
        return SweepDirectory.planned(out, wanted, rehearse(wanted, here)), True

    def _again(self, path: Path) -> str:
        """The command that goes on."""
        given = ("--on", self.on), ("--at-once", self.at_once), ("--device", self.device)
        words = [word for name, it in given if it not in (None, "cpu") for word in (name, str(it))]
        return shlex.join(["firstspike", "sweep", str(path), *words])


@dataclass(frozen=True)
class Show:
    """What has come of a sweep: a table, the best trial's command, and a page with figures."""

    folder: Positional[Path]
    """Of the sweep."""
    all: bool = False
    """Every trial in the table, not only the best ones."""

    def __call__(self) -> None:
        from firstspike.extras import require
        from firstspike.sweeps import results
        from firstspike.sweeps.directory import SweepDirectory

        sweep = SweepDirectory.open(self.folder)
        found = results.results(sweep)
        _print_results(sweep, found, len(found) if self.all else MOST_ROWS)
        try:
            require("sweep", "matplotlib", "jinja2", purpose="page: it")
        except ValueError as error:  # the table is worth something without it
            print(error)
            return
        from firstspike.sweeps import page

        print(f"page: {page.write(sweep, found)}")


def _train(sweep: SweepDirectory, way: Way) -> None:
    """Train what is not yet trained of a sweep. ValueError if trials failed."""
    from firstspike.sweeps import results, running

    console = Console(highlight=False, markup=False, emoji=False)
    trials, plan = counted(len(sweep.trials), "trial"), sweep.plan
    told = f"{sweep.path}: {sweep.kind}, {trials}, {way.workers} at a time"
    console.print(told, soft_wrap=True, markup=False)
    with jobs.locked(sweep.path):
        runs, lost = running.begun(sweep.trials, sweep.run_of)
        outcomes = [*lost, *running.train(sweep.path, runs, console, way, plan=plan)]
    found = results.results(sweep)
    _print_results(sweep, found, MOST_ROWS)
    console.print(f"more: firstspike sweep show {shlex.quote(str(sweep.path))}", soft_wrap=True)
    running.check(outcomes, "trial", "the same folder tries them again")


def _print_trials(sweep: SweepDirectory) -> None:
    from firstspike.sweeps.space import in_words

    for name, trial in sweep.trials.items():
        print(f"{name}: {in_words(trial)}")


def _print_results(sweep: SweepDirectory, found: list[Result], most: int) -> None:
    """The table, and the command of the best."""
    from firstspike.sweeps import results

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED
    console.print(_table(sweep, found[:most]))
    if len(found) > most:
        console.print(f"and {counted(len(found) - most, 'trial')} more (--all)")
    groups = results.settings(found, sweep.plan)
    if any(len(one.figures) > 1 for one in groups):
        console.print(_settings_table(groups[:most]))
    if groups:
        best, metric = groups[0], sweep.plan.metric
        seeds = f" (mean of {len(best.figures)} seeds)" if len(best.figures) > 1 else ""
        console.print(f"best: {metric} {best.mean:.5g}{seeds}, trial {best.best.name}")
        console.print(results.command(sweep, best.best), soft_wrap=True, markup=False)


def _table(sweep: SweepDirectory, found: list[Result]) -> Table:
    from firstspike.sweeps.space import in_words

    table = Table(box=None, pad_edge=False)
    for heading in ("trial", "options", "epochs", sweep.plan.metric, "state"):
        table.add_column(heading, overflow="fold")
    for one in found:
        figure = "" if one.figure is None else f"{one.figure:.5g}"
        table.add_row(one.name, in_words(one.trial), str(one.epochs), figure, one.state)
    return table


def _settings_table(groups: list[Setting]) -> Table:
    from firstspike.sweeps.space import in_words

    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "mean", "sd", "seeds"):
        table.add_column(heading, overflow="fold")
    for one in groups:
        figures = f"{one.mean:.5g}", f"{one.spread:.2g}", str(len(one.figures))
        table.add_row(in_words(one.options), *figures)
    return table
