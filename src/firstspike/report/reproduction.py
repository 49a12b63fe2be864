"""The whole paper, run and compared on one page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich import progress
from rich.console import Console

from firstspike._version import __version__
from firstspike.report import page
from firstspike.report.gather import gather
from firstspike.report.plan import CODINGS, FULL, QUICK, plan, shortened
from firstspike.runs import files, jobs
from firstspike.runs.jobs import Job, Outcome
from firstspike.words import counted

PAGE, RECORD = "report.html", "plan.json"


def reproduce(out: Path | None, runs: Path | None, *, quick: bool) -> None:
    """Run everything that is not there yet, and write the page.

    Args:
        out: folder for the page, the runs and their logs; None for the usual one.
        runs: train nothing and gather the run directories below this folder; None to train.
        quick: fewer epochs, seeds and digits.

    Raises:
        ValueError: jobs failed, or a folder is of no use.
    """
    if quick and runs is not None:
        raise ValueError("--quick shortens training, --from trains nothing; leave one out")
    if runs is not None:
        gather([runs])  # complains, if it must, before anything is written
    name = "reproduction-quick" if quick else "reproduction"
    out = Path(name) if out is None else out
    scale = QUICK if quick else FULL
    wanted = plan(scale) if runs is None else [CODINGS]
    with files.explained(out, "choose another --out"):
        out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, markup=False, emoji=False)
    with jobs.locked(out, lambda: console.print(f"{out}: waiting for another process there")):
        _check_plan(out, wanted)
        with _Bar(len(wanted), console) as bar:
            outcomes = jobs.execute(wanted, out, jobs.cores(), bar)
        folders = [out] if runs is None else [runs, out]
        tally = page.write(
            out / PAGE,
            gather(folders),
            outcomes,
            quick=quick,
            shortened=shortened(scale) if quick else "",
        )
    console.print(", ".join(f"{count} {verdict}" for verdict, count in tally.items()))
    console.print(f"page: {out / PAGE}", soft_wrap=True)
    if lost := [one for one in outcomes if one.state in ("failed", "skipped")]:
        raise ValueError(
            f"{len(lost)} of {len(outcomes)} jobs gave nothing, {lost[0].name} first: "
            f"{lost[0].reason}; the page names them all, the same command tries them again"
        )


def _check_plan(out: Path, wanted: list[Job]) -> None:
    """Record the plan; ValueError if the folder holds runs of another one."""
    file = out / RECORD
    record: dict[str, Any] = {"jobs": {job.name: list(job.arguments) for job in wanted}}
    if file.exists():
        old = files.from_json(files.read(file), file).get("jobs")
        if old != record["jobs"]:
            raise ValueError(f"--out {out}: holds another reproduction; choose another folder")
        return
    with files.explained(file, "choose another --out"):
        files.replace(file, files.to_json({"version": __version__, **record}, file))


class _Bar:
    """What runs now and how many jobs have ended; plain lines where there is no terminal."""

    def __init__(self, count: int, console: Console) -> None:
        self._console, self._seen = console, 0
        columns = (
            progress.TextColumn("{task.completed:.0f}/{task.total:.0f} jobs"),
            progress.BarColumn(bar_width=20),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.description}"),
        )
        self._bar = progress.Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=count)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, running: list[str], outcomes: list[Outcome]) -> None:
        new = outcomes[self._seen :]
        self._seen = len(outcomes)
        if kept := Counter(one.state for one in new)["kept"]:
            self._console.print(f"finished before: {counted(kept, 'job')}")
        for one in (one for one in new if one.state != "kept"):
            seconds = f" in {one.seconds:.0f} s" if one.state == "done" else f": {one.reason}"
            self._console.print(f"{one.name}: {one.state}{seconds}", soft_wrap=True)
        self._bar.update(self._task, completed=len(outcomes), description=", ".join(running))
