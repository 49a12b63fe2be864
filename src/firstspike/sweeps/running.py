"""Trainings of several runs of a folder side by side, and the board that shows them.

Each is a process of its own that resumes its run directory, so that one that fails or is killed
takes no other with it, and whoever starts them again goes on where they were. Sweeps and
``train --digits`` both run here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from firstspike.runs import jobs
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import Job, Launcher, Outcome
from firstspike.sweeps.directory import figures_of
from firstspike.sweeps.halving import following, planned, rungs
from firstspike.sweeps.space import Plan
from firstspike.training.progress import figures_of as in_words

_MOST_ROWS = 20  # of the board; of more runs, those that run are shown
_TO = "-to-"  # in names of jobs, between that of a run and an epoch


@dataclass(frozen=True)
class Way:
    """Where and how runs are trained.

    Args:
        workers: how many at a time.
        launch: what starts a job; None for processes of this machine.
        extra: arguments of each training more.
    """

    workers: int = field(default_factory=jobs.cores)
    launch: Launcher | None = None
    extra: tuple[str, ...] = ()


def begun(
    names: Iterable[str], run_of: Callable[[str], RunDirectory]
) -> tuple[list[RunDirectory], list[Outcome]]:
    """The runs of these names, and as failed trainings those that can be neither made nor read."""
    runs, lost = [], []
    for name in names:
        try:
            runs.append(run_of(name))
        except ValueError as error:
            lost.append(Outcome(name, "", "failed", reason=str(error)))
    return runs, lost


def train(
    folder: Path,
    runs: Sequence[RunDirectory],
    console: Console,
    way: Way,
    noun: str = "trial",
    plan: Plan | None = None,
) -> list[Outcome]:
    """Train runs to their end, or as far as successive halving wants them.

    Args:
        folder: that holds the runs, and the logs.
        runs: begun, of one kind, named as their folders are.
        console: tells how far they are.
        way: where and how.
        noun: what a run is called.
        plan: of a sweep; None to train all to their end.

    Returns:
        What became of each training; with successive halving, several of a run.
    """
    if plan is None or plan.search != "asha" or not runs:
        wanted = [job_of(run, way.extra) for run in runs]
        with Board(runs, console, noun) as board:
            return jobs.execute(wanted, folder, way.workers, board, launch=way.launch)
    halving = Halving(runs, plan, way.extra)
    with Board(runs, console, noun, halving.total) as board:

        def watch(running: list[str], outcomes: list[Outcome]) -> None:
            halving.told(running, outcomes)
            board(running, outcomes)

        return jobs.execute([], folder, way.workers, watch, launch=way.launch, more=halving)


def job_of(run: RunDirectory, extra: Sequence[str], until: int | None = None) -> Job:
    """The training of a run in its folder, from where it is on."""
    name = run.path.name
    arguments = ("train", run.kind, "--resume", name, *extra)
    if until is None:
        return Job(name, arguments, f"{name}/summary.json")
    arguments = (*arguments, "--until", str(until))
    return Job(f"{name}{_TO}{until}", arguments, f"{name}/summary.json", until=until)


def run_of(job: str) -> str:
    """The run that a job of this name trains."""
    name, _, epoch = job.rpartition(_TO)
    return name if epoch.isdecimal() and name else job


class Halving:
    """Asks `firstspike.sweeps.halving` for the next job, by what the runs have told so far."""

    def __init__(self, runs: Sequence[RunDirectory], plan: Plan, extra: Sequence[str]) -> None:
        self._runs = {run.path.name: run for run in runs}
        self._plan, self._extra = plan, extra
        self._epochs = int(runs[0].options["epochs"])
        self._steps = rungs(plan.first, plan.keep, self._epochs)
        self._told = {name: self._read(name) for name in self._runs}
        self._busy: set[str] = set()
        self.total = planned(len(runs), plan.first, plan.keep, self._epochs)

    def __call__(self) -> Job | None:
        waiting = [name for name, told in self._told.items() if not told and name not in self._busy]
        known = {name: told for name, told in self._told.items() if told}
        chosen = following(known, self._steps, self._plan.keep, [*self._busy], waiting)
        if chosen is None:
            return None
        name, epoch = chosen
        self._busy.add(name)
        return job_of(self._runs[name], self._extra, None if epoch == self._epochs else epoch)

    def told(self, running: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        """What runs, and what has become of the others; those that failed are left out."""
        ended = self._busy - set(map(run_of, running))
        failed = {run_of(one.name) for one in outcomes if one.state == "failed"}
        for name in ended:
            if name in failed:
                del self._told[name]
            else:
                self._told[name] = self._read(name)
        self._busy -= ended

    def _read(self, name: str) -> dict[int, float]:
        """The figure at each step that a run has reached, as it was told last; more is better."""
        run = self._runs[name]
        stats = jobs.told(run.path)
        figures, reached = figures_of(stats, self._plan.metric), len(stats)
        found = {}
        for step in self._steps:
            if step > reached or (step == self._epochs and not _has_ended(run)):
                break
            last = max((epoch for epoch in figures if epoch <= step), default=0)
            found[step] = self._plan.better(figures[last]) if last else float("-inf")
        return found


def _has_ended(run: RunDirectory) -> bool:
    return (run.path / "summary.json").is_file()


class Board:
    """All runs at a glance, read from their folders; plain lines where there is no terminal.

    Args:
        runs: that are trained.
        console: shows them.
        noun: what a run is called.
        total: epochs that are to be trained; all of all runs if None.
    """

    def __init__(
        self,
        runs: Sequence[RunDirectory],
        console: Console,
        noun: str = "trial",
        total: int | None = None,
    ) -> None:
        self._runs, self._console, self._noun = runs, console, noun
        self._total = total or sum(int(run.options["epochs"]) for run in runs)
        self._running: set[str] = set()
        self._ended: dict[str, Outcome] = {}
        self._done = {run.path.name: len(jobs.told(run.path)) for run in runs}
        self._started, self._before = time.monotonic(), self._epochs_done()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, running: list[str], outcomes: list[Outcome]) -> None:
        before, self._running = self._running, set(map(run_of, running))
        self._look(before | self._running)
        for one in outcomes:
            if one.name in self._ended:
                continue
            self._ended[one.name] = one
            if one.state == "failed":
                self._say(one, f"failed: {one.reason}")
            elif not self._console.is_terminal:
                said = f"in {one.seconds:.0f} s" if one.state == "done" else "before"
                left = self._time_left()
                self._say(one, f"trained {said}{left and f'; {left}'}")

    def _say(self, one: Outcome, what: str) -> None:
        name = run_of(one.name)
        told = name if name == one.name else f"{name}, epoch {one.name.removeprefix(name + _TO)}"
        self._console.print(f"{self._noun} {told}: {what}", soft_wrap=True)

    def _table(self) -> Table:
        """A row for each run, or for those that run, and the time that is left."""
        self._look(self._running)
        table = Table.grid(padding=(0, 2))
        is_short = len(self._runs) <= _MOST_ROWS
        failed = {run_of(one.name) for one in self._ended.values() if one.state == "failed"}
        for run in self._runs:
            name = run.path.name
            if not is_short and name not in self._running:
                continue
            stats, epochs = jobs.told(run.path), int(run.options["epochs"])
            epoch = len(stats)
            bar = ProgressBar(epochs, epoch, width=20, pulse=not epoch and name in self._running)
            said = "failed" if name in failed else in_words(stats[-1] if stats else {})
            table.add_row(f"{self._noun} {name}", bar, f"{epoch}/{epochs}", said)
        told = f"{self._epochs_done()}/{self._total}" if not is_short else ""
        table.add_row("", "", told, self._time_left())
        return table

    def _time_left(self) -> str:
        done = self._epochs_done()
        new, seconds = done - self._before, time.monotonic() - self._started
        if not new or done >= self._total:
            return ""
        minutes = (self._total - done) * seconds / new / 60
        return f"about {minutes:.0f} minutes left" if minutes > 1.5 else "about a minute left"

    def _look(self, names: set[str]) -> None:
        """Count the epochs of these runs again."""
        for run in self._runs:
            if run.path.name in names:
                self._done[run.path.name] = len(jobs.told(run.path))

    def _epochs_done(self) -> int:
        return sum(self._done.values())


def check(outcomes: Sequence[Outcome], noun: str, remedy: str) -> None:
    """Raise ValueError if trainings failed: how many, and why the first did."""
    if lost := [one for one in outcomes if one.state == "failed"]:
        raise ValueError(
            f"{len(lost)} of {len(outcomes)} {noun}s failed, {lost[0].name} first: "
            f"{lost[0].reason}; the rest is safe, {remedy}"
        )
