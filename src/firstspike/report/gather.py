"""Run directories on disk, sorted by the part that they play in the paper or beyond it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from firstspike.evaluation.classifiers import DecisionReport
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

METRICS = Path("evaluation-test", "metrics.json")
COMPARISON = Path("evaluation-test", "comparison.json")  # of a run with an auxiliary classifier
CODING = Path("figures", "metrics.json")
_AMOUNTS = {"epochs": "epoch", "canvases": "canvas"}  # options of which less is a short run
STEP, RAMP = "step-gan", "ramp-gan"  # roles of Spiking-GAN with the paper's neurons, and ours


@dataclass(frozen=True)
class Measured:
    """A run that has ended.

    Args:
        run: the directory.
        place: its path below the folder that was searched.
        metrics: what ``firstspike evaluate --split test`` wrote; empty before that.
    """

    run: RunDirectory
    place: str
    metrics: dict[str, Any]

    @property
    def seed(self) -> int:
        return int(self.run.options["seed"])

    @property
    def digit(self) -> str:
        """The class that a GAN draws."""
        return str(self.run.options["digit"])


@dataclass(frozen=True)
class Results:
    """All that was found.

    Args:
        groups: runs by role, such as ``"aggressive-400"``, in the order of digit and seed.
        coding: mean spikes of each coding, as ``firstspike figures`` counted them, or None.
        left_out: what could not be used, and why, one line each.
    """

    groups: dict[str, list[Measured]] = field(default_factory=dict)
    coding: dict[str, Any] | None = None
    left_out: list[str] = field(default_factory=list)

    def evaluated(self, role: str) -> list[Measured]:
        """The runs of a role that have been measured on the test set."""
        return [run for run in self.groups.get(role, []) if run.metrics]

    @cached_property
    def digits(self) -> list[str]:
        """Classes that a Spiking-GAN, of either neuron, was trained to draw."""
        runs = [run for role in (STEP, RAMP) for run in self.groups.get(role, [])]
        return sorted({run.digit for run in runs if run.digit.isdecimal()})

    def drawing(self, role: str, digit: str) -> Measured | None:
        """The first run of a GAN of this class."""
        return next((run for run in self.groups.get(role, []) if run.digit == digit), None)


def gather(folders: Iterable[Path]) -> Results:
    """Read every run below the folders.

    Raises:
        ValueError: a folder is not there.
    """
    found: dict[str, list[Measured]] = defaultdict(list)
    left_out: list[str] = []
    coding = None
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder; give one that holds run directories")
        for file in files.find(folder, "options.json"):
            place = file.parent.relative_to(folder).as_posix()
            try:
                run = _read(file.parent, place)
            except ValueError as error:
                left_out.append(str(error))
                continue
            if run is None:
                left_out.append(f"{place}: has not ended")
            elif role := role_of(run.run):
                found[role].append(run)
            else:
                left_out.append(f"{place}: of other images or layers than the paper's")
        if (folder / CODING).is_file():
            coding = files.from_json(files.read(folder / CODING), folder / CODING)
    groups = {role: _largest_group(role, runs, left_out) for role, runs in sorted(found.items())}
    return Results(groups, coding, left_out)


def role_of(run: RunDirectory) -> str | None:
    """The part that a run plays in the paper or beyond it; None if it plays none."""
    kind = kinds.find(run.kind, run.path)
    if kind.role is None or run.options.get("data") is not None:
        return None
    return kind.role_of(kind.read(run.options, run.path))


def command_of(run: RunDirectory, without: Sequence[str] = ()) -> str:
    """The ``firstspike train`` command that makes such a run: options that are not defaults.

    Args:
        run: its kind and options tell the command.
        without: options that are not wanted.
    """
    given = []
    options = _options(run)
    for name, default in _defaults(run.kind, options).items():
        value, flag = options[name], name.replace("_", "-")
        if value == default or name in without:
            continue
        if isinstance(value, bool):
            given.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            given.append(f"--{flag} {value}")
    return " ".join(["firstspike train", run.kind, *given])


def shortness(run: RunDirectory) -> str:
    """How much less a run was trained than its command has by default; empty if not less."""
    options = _options(run)
    usual = _defaults(run.kind, options)
    less = [
        f"{options[name]} {one if options[name] == 1 else name} in place of {usual[name]}"
        for name, one in _AMOUNTS.items()
        if options.get(name, 0) < usual.get(name, 0)
    ]
    return ", ".join(less)


def _options(run: RunDirectory) -> dict[str, Any]:
    """Every option of a run; those that an older version did not have as they were in force."""
    return kinds.find(run.kind, run.path).read(run.options, run.path).as_dict()


def _defaults(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that need not be given beside the choices, such as the recipe, of these options."""
    entry = kinds.find(kind)
    usual: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for name in entry.choices:  # one may decide what is usual for the next
        usual[name] = getattr(entry.defaults(chosen), name)
        chosen[name] = options.get(name, usual[name])
    return entry.defaults(options).as_dict() | usual


def _read(path: Path, place: str) -> Measured | None:
    """A run; None if it has not ended. ValueError if something in it is damaged."""
    run = RunDirectory.open(path)
    kind = kinds.find(run.kind, path)
    if kind.role is None:
        raise ValueError(f"{path}: {run.noun}, which the paper has not")
    kind.read(run.options, run.path)
    if not (path / "summary.json").is_file():
        return None
    metrics = _metrics(run)
    if metrics and kind is kinds.CLASSIFIER:
        DecisionReport.from_dict(metrics)
    return Measured(run, place, metrics)


def _metrics(run: RunDirectory) -> dict[str, Any]:
    """What was measured of a run on the test set, of one that names classes their means."""
    file, compared = run.path / METRICS, run.path / COMPARISON
    if file.is_file():
        return files.from_json(files.read(file), file)
    if not (run.options.get("auxiliary") and compared.is_file()):
        return {}
    record, seed = files.from_json(files.read(compared), compared), run.options["seed"]
    try:
        side = record["runs"]
        if seed not in side["seeds"]:
            return {}
        place = side["seeds"].index(seed)
        return {name: float(figure["by_seed"][place]) for name, figure in side["mean"].items()}
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise files.damaged(compared, f"no comparison of runs ({error})") from None


def _largest_group(role: str, runs: list[Measured], left_out: list[str]) -> list[Measured]:
    """The most runs that differ in nothing but the seed (and the digit); the rest is left out."""
    free = kinds.find(runs[0].run.kind).differ_in
    groups: dict[str, list[Measured]] = defaultdict(list)
    for run in runs:
        fixed = {name: value for name, value in _options(run.run).items() if name not in free}
        groups[repr(sorted(fixed.items()))].append(run)
    best = max(groups.values(), key=lambda group: (_measured(group), len(group)))
    for other in (run for group in groups.values() if group is not best for run in group):
        left_out.append(f"{other.place}: other options than most {role} runs")
    order = {run.place: (run.run.options.get("digit", ""), run.seed) for run in best}
    unique = {order[run.place]: run for run in sorted(best, key=lambda run: order[run.place])}
    return list(unique.values())


def _measured(group: list[Measured]) -> int:
    return sum(bool(run.metrics) for run in group)
