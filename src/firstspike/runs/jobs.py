"""Jobs as subprocesses, one a core, that survive kills: what is finished is kept.

A job is finished when the file that it leaves at its end is there, or when its run has reached the
epoch that it goes to. Its output goes to a log of its own; a job that fails takes those that need
it with it and no others. Where a job runs is the launcher's business: here, or on a cluster.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from firstspike.runs import locks
from firstspike.runs.directory import RunDirectory

State = Literal["done", "kept", "failed", "skipped"]

# -P: modules come from where they are installed, not from the folder that a job runs in.
FIRSTSPIKE = (sys.executable, "-P", "-m", "firstspike")
_POLL = 0.1  # seconds between two looks at what runs
_PAGE = 1 << 12  # bytes without which a file cannot grow


@dataclass(frozen=True)
class Job:
    """One firstspike command, run in the folder of a reproduction.

    Args:
        name: of the job and of its log.
        arguments: of firstspike.
        done: the file that it leaves at its end, relative to the folder.
        needs: names of the jobs that must be finished before.
        run: the run directory of a training, which is resumed if it has begun; else None.
        until: epoch of the run that ``done`` lies in at which the job is finished; None: its end.
    """

    name: str
    arguments: tuple[str, ...]
    done: str
    needs: tuple[str, ...] = ()
    run: str | None = None
    until: int | None = None

    def arguments_in(self, folder: Path) -> tuple[str, ...]:
        """The arguments now: those of a resumption if the training has begun."""
        if self.run is not None and (folder / self.run / "options.json").exists():
            return (*self.arguments[:2], "--resume", self.run)
        return self.arguments

    def is_finished(self, folder: Path) -> bool:
        """Whether nothing is left to do."""
        if (folder / self.done).is_file():
            return True
        return self.until is not None and len(told((folder / self.done).parent)) >= self.until


def told(run: Path) -> list[dict[str, Any]]:
    """Statistics of the epochs of a run so far; none if they cannot be read just now."""
    try:
        return RunDirectory.open(run).read_stats()
    except ValueError:
        return []


@dataclass(frozen=True)
class Outcome:
    """What became of a job; ``reason`` says why it failed or was skipped."""

    name: str
    command: str
    state: State
    seconds: float = 0.0
    reason: str = ""


class Process(Protocol):
    """What is asked of a job that runs, as of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """The exit code, or None as long as it runs."""
        ...

    def terminate(self) -> None: ...

    def wait(self) -> int: ...


@dataclass(frozen=True)
class _Running:
    job: Job
    process: Process
    started: float


Watch = Callable[[list[str], list[Outcome]], None]
Launcher = Callable[[Job, Path], Process]  # starts a job of a folder; its output goes to its log


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def locked(
    folder: Path, wait: Callable[[], None] | None = None
) -> contextlib.AbstractContextManager[None]:
    """Keep a second process out of the folder as long as this one or one of its jobs lives.

    Jobs inherit the lock: those of a process that was killed end before the next one starts.
    ``wait`` is called if that takes time; without it, the second one raises ValueError.
    """
    return locks.held(folder, wait, inherit=True)


def execute(
    jobs: Sequence[Job],
    folder: Path,
    workers: int,
    watch: Watch,
    program: Sequence[str] = FIRSTSPIKE,
    *,
    launch: Launcher | None = None,
    more: Callable[[], Job | None] | None = None,
) -> list[Outcome]:
    """Run jobs, as many at a time as there are workers.

    Args:
        jobs: each after those that it needs.
        folder: where they run; logs go to ``logs``.
        workers: processes at a time, at least 1; each has one thread.
        watch: told the names of those that run, and the outcomes so far, whenever that changes.
        program: takes the arguments of a job.
        launch: starts jobs elsewhere; None for processes of this machine.
        more: asked for a job, which needs no other, whenever a worker would be idle; None if there
            is none now.

    Returns:
        One outcome for each job, in their order; then those of ``more``.
    """
    outcomes: dict[str, Outcome] = {}
    running: list[_Running] = []
    waiting = list(jobs)
    start = launch or (lambda job, folder: _process(job, folder, program))

    def following() -> Job | None:
        if (job := _next(waiting, outcomes)) is not None:
            waiting.remove(job)
        return job or (more() if more else None)

    (folder / "logs").mkdir(exist_ok=True)
    try:
        while True:
            changed = _collect(running, outcomes, folder) | _settle(waiting, outcomes, folder)
            while len(running) < workers and (job := following()):
                running.append(_Running(job, start(job, folder), time.monotonic()))
                changed = True
            if changed:
                watch([one.job.name for one in running], list(outcomes.values()))
            elif running:
                time.sleep(_POLL)
            else:
                break
    finally:
        for one in running:  # after an interruption
            one.process.terminate()
        for one in running:
            one.process.wait()
    order = dict.fromkeys([*(job.name for job in jobs), *outcomes])
    return [outcomes[name] for name in order]


def _settle(waiting: list[Job], outcomes: dict[str, Outcome], folder: Path) -> bool:
    """Take out the jobs that need not or cannot run; whether there were any."""
    before = len(waiting)
    for job in list(waiting):
        lost = [name for name in job.needs if name in outcomes and _failed(outcomes[name])]
        if job.is_finished(folder):
            outcomes[job.name] = Outcome(job.name, _command(job.arguments), "kept")
        elif lost:
            reason = f"needs {lost[0]}, which failed"
            outcomes[job.name] = Outcome(job.name, _command(job.arguments), "skipped", 0.0, reason)
        else:
            continue
        waiting.remove(job)
    return len(waiting) < before


def _failed(outcome: Outcome) -> bool:
    return outcome.state in ("failed", "skipped")


def _next(waiting: list[Job], outcomes: dict[str, Outcome]) -> Job | None:
    """The first job whose needs are met."""

    def is_met(name: str) -> bool:
        return name in outcomes and not _failed(outcomes[name])

    return next((job for job in waiting if all(map(is_met, job.needs))), None)


def environment() -> dict[str, str]:
    """That of a job: one thread, and this process's modules though it runs in another folder."""
    changes = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    if places := os.environ.get("PYTHONPATH"):
        changes["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places.split(os.pathsep)))
    return os.environ | changes


def _process(job: Job, folder: Path, program: Sequence[str]) -> Process:
    command = [*program, *job.arguments_in(folder)]
    with log_of(job, folder).open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,  # they inherit the lock
        )


def _collect(running: list[_Running], outcomes: dict[str, Outcome], folder: Path) -> bool:
    """Take out the jobs that have ended; whether there were any."""
    ended = [one for one in running if one.process.poll() is not None]
    for one in ended:
        running.remove(one)
        job, seconds = one.job, time.monotonic() - one.started
        reason = _fault(job, one.process.wait(), folder)
        state: State = "failed" if reason else "done"
        outcomes[job.name] = Outcome(job.name, _command(job.arguments), state, seconds, reason)
    return bool(ended)


def _fault(job: Job, code: int, folder: Path) -> str:
    """Why a job failed, in a line; empty if it did not."""
    if code == 0 and job.is_finished(folder):
        return ""
    lines = log_of(job, folder).read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), _silence(folder))
    if code < 0:
        return f"killed by signal {-code}"
    return last if code else f"left no {job.done}; its last line: {last}"


def _silence(folder: Path) -> str:
    """Why a log may be empty."""
    is_full = shutil.disk_usage(folder).free < _PAGE
    return "no output: the disk is full; make room there" if is_full else "no output"


def log_of(job: Job, folder: Path) -> Path:
    """Where the output of a job goes."""
    return folder / "logs" / f"{job.name}.log"


def _command(arguments: Sequence[str]) -> str:
    return " ".join(("firstspike", *arguments))
