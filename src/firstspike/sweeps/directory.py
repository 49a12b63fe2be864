"""A sweep on disk: a folder of ordinary run directories, and what they have in common.

    sweep.json     version, kind, plan, and by trial the options in which it differs
    000/, 001/     a run directory of each trial
    logs/          what each training printed
    sweep.html     what `firstspike sweep show` draws

All that has to be known to go on is here, and in the statistics and checkpoints of the runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from firstspike._version import __version__
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.shape import Shape
from firstspike.sweeps.space import Plan, Space, Trial, plan_of, settled
from firstspike.training import kinds
from firstspike.training.options import Options

INDEX = "sweep.json"
PAGE = "sweep.html"
_FIELDS = {"kind": str, "plan": dict, "options": dict, "trials": dict, "shape": dict}


@dataclass(frozen=True)
class SweepDirectory:
    """A sweep; made by `plan` or `open`.

    Args:
        path: the folder.
        kind: of the networks.
        plan: how trials are compared.
        options: that all trials share.
        trials: by name, the options in which a trial differs.
        shape: of the images.
    """

    path: Path
    kind: str
    plan: Plan
    options: Mapping[str, Any]
    trials: Mapping[str, Trial]
    shape: Shape

    @classmethod
    def planned(cls, path: Path, space: Space, shape: Shape) -> Self:
        """A new sweep; writes nothing."""
        made = space.trials()
        width = max(3, len(str(len(made) - 1)))
        trials = {f"{number:0{width}}": trial for number, trial in enumerate(made)}
        options = dict(space.options)
        if "data" in options:  # trials are trained from another folder
            options["data"] = space.config(made[0]).as_dict()["data"]
        return cls(path, space.kind.name, space.plan, options, trials, shape)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A sweep that was begun. ValueError if there is none, or its index is damaged."""
        file = path / INDEX
        if not file.is_file():
            raise ValueError(f"{path}: no sweep here, {INDEX} is missing; name a sweep's folder")
        files.check_inside(path)
        record = files.unsealed(files.from_json(files.read(file), file), file)
        for name, wanted in _FIELDS.items():
            if not isinstance(record.get(name), wanted):
                raise files.damaged(file, f"{name!r} is missing or of another type")
        trials = record["trials"]
        if not trials or not all(map(files.is_name, trials)):
            raise files.damaged(file, "'trials' must have names of folders")
        if not all(isinstance(trial, dict) for trial in trials.values()):
            raise files.damaged(file, "'trials' must have options")
        try:
            told = {name: it for name, it in record["plan"].items() if it is not None}
            plan = plan_of(told)
            shape = Shape.from_dict(record["shape"])
        except (TypeError, ValueError) as error:
            raise files.damaged(file, str(error)) from None
        kinds.find(record["kind"], path)
        return cls(path, record["kind"], plan, record["options"], trials, shape)

    def begin(self) -> None:
        """Write the index into a new or empty folder. ValueError if that is not possible."""
        file = self.path / INDEX
        if self.path.exists() and not self._is_unused():
            raise ValueError(f"{self.path}: is not an empty folder; choose another")
        record = {
            "kind": self.kind,
            "plan": dataclasses.asdict(self.plan),
            "options": dict(self.options),
            "trials": {name: dict(trial) for name, trial in self.trials.items()},
            "shape": self.shape.as_dict(),
        }
        content = files.to_json(files.sealed({"version": __version__, **record}), file)
        with files.explained(file, "choose another folder"), files.begun(self.path):
            files.create(file, content)

    def _is_unused(self) -> bool:
        """Whether nothing is in the folder, or only what a kill has left of an index."""
        file = self.path / INDEX
        return self.path.is_dir() and all(files.is_leftover(it, file) for it in self.path.iterdir())

    def config(self, name: str) -> Options:
        """All options of a trial. ValueError if there are no such options."""
        try:
            return settled(kinds.find(self.kind), {**self.options, **self.trials[name]})
        except TypeError as error:
            raise files.damaged(self.path / INDEX, f"trial {name}: {error}") from None

    def run_of(self, name: str) -> RunDirectory:
        """The run of a trial, begun if it is not there."""
        path = self.path / name
        if (path / "options.json").exists():
            return RunDirectory.open(path)
        return RunDirectory.create(path, self.kind, self.config(name).as_dict(), self.shape)


def figures_of(stats: Sequence[Mapping[str, Any]], metric: str) -> dict[int, float]:
    """A figure of a run's statistics by the epoch that told it."""
    return {
        place: float(line[metric]) for place, line in enumerate(stats, start=1) if metric in line
    }
