"""Runs side by side, with trainings that only say that they have been."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from firstspike.runs import jobs
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import Job
from firstspike.shape import MNIST
from firstspike.sweeps import running
from firstspike.sweeps.directory import SweepDirectory
from firstspike.sweeps.running import Way
from firstspike.sweeps.space import Plan

EPOCHS, EXTRA = 9, ("--device", "cpu")
PLAN = Plan("asha", trials=9)


class Ended:
    """A process that has ended before anybody looks."""

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code

    def terminate(self) -> None:
        """Nothing."""

    def wait(self) -> int:
        return self.code


class Trainings:
    """Writes what a training would: trial 000 is the best."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.epochs: list[tuple[str, int]] = []

    def __call__(self, job: Job, folder: Path) -> Ended:
        asked = job.arguments_in(folder)
        assert asked[:3] == ("train", "ann-classifier", "--resume") and asked[4:6] == EXTRA
        log, name = jobs.log_of(job, folder), asked[3]
        if name == self.failing:
            log.write_text("no luck\n")
            return Ended(2)
        run = RunDirectory.open(folder / name)
        until = int(asked[7]) if "--until" in asked else EPOCHS
        for epoch in range(len(run.read_stats()) + 1, until + 1):
            self.epochs.append((name, epoch))
            run.append_stats({"epoch": epoch, "validation_set_accuracy": 1 - int(name) / 100})
        if until == EPOCHS:
            run.write_summary({})
        return Ended(0)


def begun(folder: Path, plan: Plan = PLAN) -> tuple[SweepDirectory, list[RunDirectory]]:
    trials = {f"{number:03}": {"seed": number} for number in range(9)}
    options = {"epochs": EPOCHS, "hidden": 8}
    sweep = SweepDirectory(folder / "sweep", "ann-classifier", plan, options, trials, MNIST)
    sweep.begin()
    return sweep, [sweep.run_of(name) for name in trials]


def train(sweep, runs, trainings, workers=2):
    console = Console(file=io.StringIO(), width=200)
    way = Way(workers, trainings, EXTRA)
    outcomes = running.train(sweep.path, runs, console, way, plan=sweep.plan)
    return outcomes, console.file.getvalue()


def test_halving_trains_the_best_to_the_end(tmp_path):
    sweep, runs = begun(tmp_path)
    trainings = Trainings()
    outcomes, said = train(sweep, runs, trainings)
    assert {one.state for one in outcomes} == {"done"}
    assert [run.path.name for run in runs if (run.path / "summary.json").exists()] == ["000"]
    assert all(run.read_stats() for run in runs)
    assert len(trainings.epochs) == len(set(trainings.epochs)) < 9 * EPOCHS / 2
    assert "trial 008, epoch 1: trained in 0 s" in said and "trial 000: trained" in said
    assert "minute left" in said


def test_halving_goes_on_where_it_was(tmp_path):
    sweep, runs = begun(tmp_path)
    whole, interrupted = Trainings(), Trainings()
    train(*begun(tmp_path / "other"), whole)

    def cut(job: Job, folder: Path) -> Ended:
        if len(interrupted.epochs) > 7:
            raise KeyboardInterrupt
        return interrupted(job, folder)

    try:
        train(sweep, runs, cut)
    except KeyboardInterrupt:
        train(sweep, runs, interrupted)
    assert sorted(interrupted.epochs) == sorted(whole.epochs)


def test_a_trial_that_fails_takes_no_other_with_it(tmp_path):
    sweep, runs = begun(tmp_path)
    outcomes, said = train(sweep, runs, Trainings(failing="000"))
    assert [(one.name, one.reason) for one in outcomes if one.state == "failed"] == [
        ("000-to-1", "no luck")
    ]
    assert "trial 000, epoch 1: failed: no luck" in said
    assert (runs[1].path / "summary.json").exists()
    outcomes, _ = train(sweep, runs, Trainings())  # tried again, and the best
    assert (runs[0].path / "summary.json").exists()


def test_of_many_runs_the_board_shows_those_that_run(tmp_path):
    _, runs = begun(tmp_path)
    runs[3].append_stats({"epoch": 1, "validation_set_accuracy": 0.25})
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with running.Board(runs * 3, console) as board:
        board(["003"], [])
        console.print(board._table())
    shown = console.file.getvalue()
    assert "trial 003" in shown and "held out 25.0%" in shown and "trial 004" not in shown


def test_a_name_that_looks_like_that_of_a_job_stays():
    names = ("cat-to-dog", "003", "003-to-9", "cat-to-dog-to-27")
    assert [*map(running.run_of, names)] == ["cat-to-dog", "003", "003", "cat-to-dog"]
