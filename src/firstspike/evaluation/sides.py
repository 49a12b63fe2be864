"""Runs of GANs on disk, found and measured: the sides of a comparison.

A *side* is one or more runs of one kind that differ in digit and seed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from firstspike.evaluation.samples import (
    Reference,
    Samples,
    asked_of,
    load_reference,
    measure,
    record_of,
)
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices, kinds
from firstspike.training.gan import Gan, Part
from firstspike.training.loading import load_gan

Side = dict[int, list["Evaluated"]]  # by seed, a run of each digit
Found = dict[int, dict[str, RunDirectory]]  # by seed and digit


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A run, its samples, what they were measured against, the content of metrics.json, and what
    else there is to see; see `firstspike.training.artist.Artist.pictures`."""

    run: RunDirectory
    samples: Samples
    reference: Reference
    record: dict[str, Any]
    pictures: dict[str, tuple[Tensor, int]] = field(default_factory=dict)

    @property
    def digit(self) -> str:
        return str(self.record["digit"])

    @property
    def seed(self) -> int:
        return int(self.record["seed"])


def find_runs(folders: Iterable[str | os.PathLike[str]]) -> Found:
    """The runs of one side; a conditional one is the run of every digit that it can be told.

    Args:
        folders: each a run of a GAN, or a folder of them, however deep; in such a one, runs that
            have not ended do not count.

    Raises:
        ValueError: a folder holds no run, two kinds of runs meet, or two runs of one digit and
            seed.
    """
    runs = [run for folder in map(Path, folders) for run in _runs_in(folder)]
    found: Found = {}
    for run in runs:
        if run.kind != runs[0].kind:
            raise ValueError(
                f"{run.path}: {run.noun} beside {runs[0].path}, {runs[0].noun}; "
                "name folders of one kind, the other as the side against"
            )
        kind = kinds.find(run.kind, run.path)
        if not kind.draws:
            raise ValueError(f"{run.path}: {run.noun}; give the run of a GAN or an autoencoder")
        config = _config(run)
        every = Gan.load_data(config).training.present if config.conditional else [config.digit]
        for digit in map(str, every):
            other = found.setdefault(config.seed, {}).setdefault(digit, run)
            if other.path.resolve() != run.path.resolve():
                raise ValueError(
                    f"{run.path}: digit {digit} and seed {config.seed} as {other.path}; "
                    "name one of them"
                )
    return dict(sorted(found.items()))


def _config(run: RunDirectory) -> Any:
    """The options of a run; what one of an older version lacks as it was in force then."""
    return kinds.find(run.kind, run.path).read(run.options, run.path)


def _runs_in(folder: Path) -> list[RunDirectory]:
    if (folder / "options.json").is_file() or not folder.is_dir():
        return [RunDirectory.open(folder)]  # complains if there is none
    places = [file.parent for file in files.find(folder, "options.json")]
    runs = [RunDirectory.open(place) for place in places if (place / "summary.json").is_file()]
    if found := [run for run in runs if kinds.find(run.kind, run.path).draws]:
        return found
    raise ValueError(f"{folder}: no run of a GAN that has ended; name a folder of runs")


def common_digits(sides: Sequence[Found], part: Part) -> list[str]:
    """The digits that every seed of every side has.

    Raises:
        ValueError: there is none, or the runs cannot be measured on one ``part`` of one data set.
    """
    first, *others = (run for side in sides for seed in side.values() for run in seed.values())
    wanted = _config(first)
    for run in others:
        config = _config(run)
        for name in ("data", "size", "colour", "validation"):
            if getattr(config, name) != getattr(wanted, name):
                raise ValueError(f"{run.path}: another {name} than {first.path}; leave one out")
    if part == "validation" and not wanted.validation:
        raise ValueError(
            f"{first.path}: trained on all images, none held out; measure on the test set"
        )
    digits = set.intersection(*(set(seed) for side in sides for seed in side.values()))
    if not digits:
        raise ValueError(f"{first.path}: no digit that every seed has; name other runs")
    return sorted(digits, key=_by_number)


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sorts numbers by their size and before other names."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def evaluate_run(
    run: RunDirectory, digit: str, part: Part, *, averaged: bool = True, device: str = "cpu"
) -> Evaluated:
    """Measure one run of a GAN in one digit on ``part`` of its data.

    Its networks draw on ``device``, see `firstspike.training.devices`.

    Raises:
        ValueError: as for `load_reference`, the run cannot be loaded, or not on this device.
    """
    gan = devices.moved(load_gan(run), device)
    config = gan.config
    reference = load_reference(asked_of(config, digit), part)
    samples = measure(gan, reference, part, averaged=averaged)
    record: dict[str, Any] = {
        "kind": run.kind,
        "digit": digit,
        "seed": config.seed,
        "averaged": averaged,
        **record_of(samples, reference),
        **gan.further(reference.unseen.images, reference.unseen.labels, samples.images),
    }
    summary = run.read_summary() if (run.path / "summary.json").is_file() else {}
    if "seconds" in summary:
        record["training_seconds"] = summary["seconds"]
    return Evaluated(run, samples, reference, record, gan.pictures(reference.unseen.images))
