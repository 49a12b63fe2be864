"""``firstspike train gan --digits 0-9``: one network a digit, several at a time (section 3.2).

    set.json       version, kind, digits and the options that they share
    0/, 1/, ...    a run directory of each digit
    logs/          what each training printed
    samples.png    the first samples of each digit, a column each

Every digit is a process of its own that resumes its run directory, so that one that fails or is
killed takes no other with it, and the same command goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Console

from firstspike._version import __version__
from firstspike.commands.terminal import Stopped
from firstspike.commands.train import RUNS, SET_INDEX, SetPlace, resumption, with_absolute_data
from firstspike.data import ImageSet, load_images
from firstspike.drawing import grids as plots
from firstspike.runs import files, jobs, loggers
from firstspike.runs.directory import RunDirectory, unused_path
from firstspike.shape import MNIST, Shape, in_short
from firstspike.sweeps import running
from firstspike.training import config_file, kinds
from firstspike.training.config import GanOptions
from firstspike.training.kinds import Kind
from firstspike.words import counted, with_article

PICTURE = "samples.png"
ROWS = 4  # samples of each digit in the picture


@dataclass(frozen=True)
class DigitSet:
    """A folder of runs that differ in their digit, as ``set.json`` describes it.

    Args:
        path: the folder.
        kind: of the runs.
        digits: what they draw; names of their folders.
        options: that they share; the digit in it does not count.
        shape: of the images.
    """

    path: Path
    kind: str
    digits: list[str]
    options: dict[str, Any]
    shape: Shape = MNIST

    @classmethod
    def plan(cls, path: Path, kind: str, text: str, config: GanOptions) -> Self:
        """A new set of the digits that ``text`` names; writes nothing. ValueError as for those."""
        options = with_absolute_data(config).as_dict()  # the runs are trained from another folder
        images = load_images(config.data, "train", size=config.size, colour=config.colour)
        digits = parse_digits(text, images)
        dataclasses.replace(config, digit=digits[0]).check()
        if odd := [digit for digit in digits if not files.is_name(digit)]:
            raise ValueError(f"--digits {text}: {odd[0]!r} cannot name a folder; rename the class")
        return cls(path, kind, digits, options, images.shape)

    @classmethod
    def open(cls, path: Path, kind: str) -> Self:
        """A set that was begun. ValueError if its index is broken or it is of another kind."""
        file = path / SET_INDEX
        record = files.unsealed(files.from_json(files.read(file), file), file)
        found: dict[str, Any] = {name: record.get(name) for name in ("kind", "digits", "options")}
        if missing := [name for name, value in found.items() if not value]:
            raise files.damaged(file, f"{missing[0]!r} is missing")
        digits = found["digits"]
        if not isinstance(digits, list) or not all(map(files.is_name, digits)):
            raise files.damaged(file, "'digits' must be names of classes")
        if len(set(digits)) < len(digits) or not isinstance(found["options"], dict):
            raise files.damaged(file, "'digits' or 'options' are not what this version writes")
        if not files.is_name(found["kind"]):
            raise files.damaged(file, "'kind' must be the name of one")
        if found["kind"] != kind:
            raise ValueError(
                f"--resume {path}: {with_article(found['kind'])} set; use `train {found['kind']}`"
            )
        try:
            shape = Shape.from_dict(record["shape"]) if "shape" in record else MNIST
        except (TypeError, ValueError) as error:
            raise files.damaged(file, str(error)) from None
        files.check_inside(path)
        return cls(path, shape=shape, **found)

    def begin(self) -> None:
        """Write the index into a new or empty folder. ValueError if that is not possible."""
        if is_set(self.path):
            raise ValueError(f"--out {self.path}: holds another set; use --resume or another")
        if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
            raise ValueError(f"--out {self.path}: is not an empty folder; choose another")
        shared = {
            "kind": self.kind,
            "digits": self.digits,
            "options": self.options,
            "shape": self.shape.as_dict(),
        }
        record = files.sealed({"version": __version__, **shared})
        file = self.path / SET_INDEX
        content = files.to_json(record, file)
        with files.explained(file, "choose another --out"), files.begun(self.path):
            try:
                files.create(file, content)
            except FileExistsError:
                raise ValueError(
                    f"--out {self.path}: holds another set; use --resume or another"
                ) from None

    def run_of(self, digit: str) -> RunDirectory:
        """The run of a digit, begun if it is not there."""
        path = self.path / digit
        if (path / "options.json").exists():
            return RunDirectory.open(path)
        return RunDirectory.create(path, self.kind, self.options | {"digit": digit}, self.shape)


def run(kind: Kind, config: Any, place: SetPlace) -> None:
    """Train a new set, or go on with one."""
    if place.log is not None:
        loggers.find(place.log)  # complains before anything is written
    if place.more_epochs is not None:
        raise ValueError("--more-epochs goes with --resume of a single run; name one of the set")
    if (place.devices, place.nodes) != (1, 1):
        raise ValueError("--devices and --nodes go with a single run; a set takes all cores")
    if place.until is not None:
        raise ValueError("--until goes with a single run; a set is trained to its end")
    if place.resume is not None:
        others = place.out, place.digits, place.config
        if config != config.recipe_defaults() or others != (None, None, None):
            raise ValueError("--resume takes its options from the set; leave the others out")
        wanted = DigitSet.open(place.resume, kind.name)
    else:
        config.check()
        if config.digit != config.recipe_defaults().digit:
            raise ValueError(f"--digits {place.digits}: says what to draw; leave --digit out")
        out = place.out or unused_path(RUNS, f"{kind.name}-digits-seed{config.seed}")
        wanted = DigitSet.plan(out, kind.name, place.digits or "", config)
    if place.dry_run:
        print(_told(kind, wanted, place))
        return
    if place.device != "cpu":
        _check_device(kind, wanted, place.device)
    if place.resume is None:
        wanted.begin()
    try:
        train_set(wanted, place.log, place.device)
    except KeyboardInterrupt as stop:
        raise Stopped(resumption(kind, wanted.path, place)) from stop


def _told(kind: Kind, wanted: DigitSet, place: SetPlace) -> str:
    """The digits of a set and their options, as JSON or for a file."""
    if place.toml:
        config = kind.read(wanted.options, wanted.path)
        return config_file.text_of(kind, config, ",".join(wanted.digits))
    return json.dumps({"digits": wanted.digits, **wanted.options}, indent=2)


def _check_device(kind: Kind, wanted: DigitSet, device: str) -> None:
    """Raise ValueError unless networks of this set can be trained on the device of this name."""
    from firstspike.training import devices

    trainer_class: Any = kinds.load(kind.trainer)
    options = wanted.options | {"digit": wanted.digits[0]}
    config = kind.read(options, wanted.path)
    devices.moved(trainer_class(config, wanted.shape), device)


def is_set(path: Path | None) -> bool:
    """Whether a folder holds a set of digits."""
    return path is not None and (path / SET_INDEX).is_file()


def parse_digits(text: str, images: ImageSet) -> list[str]:
    """Names of classes, such as ``0-9``, ``1,3,5-7`` or ``cat,tree``; each once, in this order.

    Raises:
        ValueError: it says none, or one that the data have not.
    """
    chosen: dict[str, None] = {}
    for part in map(str.strip, text.split(",")):
        wanted = [part] if part in images.present else _range(part, images.present)
        if not wanted:
            raise ValueError(
                f"--digits {text}: {part or 'nothing'} is not in {images.name}; give classes and "
                f"ranges, such as 0-9 or 1,3,5-7, out of {in_short(images.present)}"
            )
        chosen |= dict.fromkeys(wanted)
    return list(chosen)


def _range(text: str, names: Sequence[str]) -> list[str]:
    """The numbers first-last, if all of them are names; else none."""
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    first, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if last - first >= len(names):
        return []
    numbers = [str(number) for number in range(first, last + 1)]
    return numbers if set(numbers) <= set(names) else []


def train_set(of: DigitSet, log: str | None = None, device: str = "cpu") -> None:
    """Train what is not yet trained of a set.

    Args:
        of: the set, begun.
        log: logger of each run, as ``--log`` takes it.
        device: of each run, as ``--device`` takes it.

    Raises:
        ValueError: digits failed; the others are trained.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    digits = counted(len(of.digits), "digit")
    console.print(f"{of.path}: {of.kind} of {digits}, {jobs.cores()} at a time")
    with jobs.locked(of.path):
        runs, lost = running.begun(of.digits, of.run_of)
        way = running.Way(extra=("--device", device, *(() if log is None else ("--log", log))))
        outcomes = [*lost, *running.train(of.path, runs, console, way, "digit")]
    if trained := [run for run in runs if (run.path / "summary.json").is_file()]:
        _save_picture(of.path / PICTURE, trained)
        console.print(f"pictures: {of.path / PICTURE}", soft_wrap=True)
        console.print(f"more: firstspike evaluate {of.path} --split test", soft_wrap=True)
    running.check(outcomes, "digit", f"--resume {of.path} tries them again")


def _save_picture(file: Path, runs: Sequence[RunDirectory]) -> None:
    """The first samples of the last epoch, a column for each run."""
    grids = [plots.read_image_grid(run.sample_path(int(run.options["epochs"]))) for run in runs]
    rows = np.stack([grid[:ROWS] for grid in grids], axis=1)
    plots.save_image_grid(file, rows.reshape(-1, *rows.shape[2:]), columns=len(runs))
