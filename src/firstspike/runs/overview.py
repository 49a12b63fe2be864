"""Run directories at a glance: how far they are, whether they are whole, what they measured."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from firstspike.runs import files
from firstspike.runs.directory import RunDirectory

State = Literal["finished", "resumable", "damaged"]

_NOT_MEASURED = ("epoch", "epochs", "seed", "count", "t_max")


@dataclass(frozen=True)
class Overview:
    """A run at a glance.

    Args:
        path: the folder.
        state: finished; resumable, which a training that runs now is too; or damaged.
        problem: what is damaged, in one line; empty otherwise.
        changed: when the run last wrote something, in seconds since 1970.
        kind: what was trained; "?" if that is damaged.
        options: every option of the run.
        epoch: epochs that are done.
        figures: what was measured last, by name: of training, and of each evaluation, under the
            name of its split, such as ``"test strict_accuracy"``.
        curves: statistics of training, by name, of the epochs that told them.
    """

    path: Path
    state: State
    problem: str
    changed: float
    kind: str = "?"
    options: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values, the folder as it was named."""
        return dataclasses.asdict(self) | {"path": str(self.path)}


def find(folder: Path) -> list[Overview]:
    """Every run below a folder, or the one in it. ValueError if there is none."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that holds run directories")
    places = [file.parent for file in files.find(folder, "options.json")]
    runs = [run for run in map(_look, places) if run is not None]
    if not runs:
        raise ValueError(f"{folder}: no run below; make one with `firstspike train`")
    return runs


def look(path: Path) -> Overview:
    """One run, whatever its state. ValueError if there is none at all."""
    found = _look(path)
    if found is None:
        raise ValueError(f"{path}: no run here, options.json is missing; name a run's folder")
    return found


def _look(path: Path) -> Overview | None:
    """One run; None if there is none, or no longer."""
    written = []
    for name in ("options.json", "stats.jsonl", "summary.json"):
        with contextlib.suppress(OSError):
            written.append((path / name).stat().st_mtime)
    if not (path / "options.json").is_file():
        return None
    changed = max(written, default=0.0)
    try:
        return _read(RunDirectory.open(path), changed)
    except ValueError as error:
        return Overview(path, "damaged", str(error), changed)


def _read(run: RunDirectory, changed: float) -> Overview:
    """A run. If all but its options is damaged, what can be said of it is."""
    known: dict[str, Any] = {"path": run.path, "kind": run.kind, "options": run.options}
    try:
        epoch = run.check_checkpoint().get("epoch", 0) if run.has_checkpoint() else 0
        lines = run.stats_until(epoch)
        summary = run.read_summary() if (run.path / "summary.json").exists() else {}
        figures = _numbers(lines[-1] if lines else {}) | _numbers(summary) | _evaluations(run.path)
    except ValueError as error:
        return Overview(state="damaged", problem=str(error), changed=changed, **known)
    state: State = "finished" if summary else "resumable"
    told = {name: [line[name] for line in lines if name in line] for name in figures}
    curves = {name: values for name, values in told.items() if values}
    return Overview(
        state=state,
        problem="",
        changed=changed,
        epoch=epoch,
        figures=figures,
        curves=curves,
        **known,
    )


def _evaluations(path: Path) -> dict[str, float]:
    """What ``firstspike evaluate`` measured, on any split."""
    found: dict[str, float] = {}
    for file in sorted(path.glob("evaluation-*/metrics.json")):
        split = file.parent.name.removeprefix("evaluation-")
        numbers = _numbers(files.from_json(files.read(file), file))
        found |= {f"{split} {name}": number for name, number in numbers.items()}
    return found


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The entries of a record that measure something."""
    return {
        name: value
        for name, value in record.items()
        if isinstance(value, (int, float)) and type(value) is not bool and name not in _NOT_MEASURED
    }
