"""``firstspike train KIND``: a new run, one that goes on, or one for each of several classes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, Union, get_type_hints

import tyro

from firstspike.commands.terminal import Stopped
from firstspike.runs import files, locks, loggers
from firstspike.runs.directory import RunDirectory, unused_path
from firstspike.shape import in_short
from firstspike.training import config_file, kinds
from firstspike.training.kinds import Kind
from firstspike.training.options import MOST, Options, absolute
from firstspike.words import counted

if TYPE_CHECKING:  # the command line starts without PyTorch
    from firstspike.data import Parts
    from firstspike.training.trainer import Trainer

RUNS = Path("runs")
SET_INDEX = "set.json"


@dataclass(frozen=True)
class Place:
    """Where a run goes."""

    config: Path | None = None
    """File with options in TOML, as --dry-run --toml writes it; options given beside it win."""
    out: Path | None = None
    """New folder for the run; a name of its own below runs/ if not given."""
    resume: Path | None = None
    """Continue the run in this folder, with its own options, instead of a new one."""
    more_epochs: int | None = None
    """With --resume: train so many epochs more than the run has; rates follow the new number."""
    until: int | None = None
    """Stop after the epoch of this number, with rates as for all epochs; --resume goes on."""
    log: str | None = None
    """Also tell each epoch to a logger: tensorboard, csv, or the dotted path of a function that
    takes the run's folder and gives a logger as of Lightning Fabric."""
    device: str = "cpu"
    """Where ramp networks and dense twins train: cpu, cuda, mps or the like, or auto, which is an
    accelerator if there is one. Step networks train on the CPU."""
    devices: int = 1
    """Processes that train one network of ramp neurons, or a dense twin in their loop, together,
    on each machine, a core or a GPU each: a power of two (docs/scale.md)."""
    nodes: int = 1
    """Machines that do so: start the same command on each, with NODE_RANK, MASTER_ADDR and
    MASTER_PORT in the environment, or use torchrun."""
    dry_run: bool = False
    """Print the resolved options as JSON and stop."""
    toml: bool = False
    """With --dry-run: print them as a file for --config."""


@dataclass(frozen=True)
class SetPlace(Place):
    """Where a run goes, or one of each of several digits."""

    digits: str | None = None
    """Train a network for each of these digits, such as 0-9 or 1,3,5-7, on all cores."""


@dataclass(frozen=True)
class TrainKind:
    """Train one kind of network. `command_of` makes a class of each kind."""

    kind: ClassVar[Kind]
    if TYPE_CHECKING:  # fields of the derived classes
        config: Any
        place: Any

    def __call__(self) -> None:
        if self.place.toml and not self.place.dry_run:
            raise ValueError("--toml goes with --dry-run, which prints options and trains nothing")
        if _is_set(self.place):
            from firstspike.commands import train_set

            train_set.run(self.kind, self.config, self.place)
        else:
            _train(self.kind, self.config, self.place)


@dataclass(frozen=True)
class Train:
    """Train a network on the bundled MNIST or on your own images."""

    network: Any

    def __call__(self) -> None:
        self.network()


def commands(arguments: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """By kind, the type of its command for tyro, and its default: that of the recipe asked for.

    Args:
        arguments: of the command line; those after ``train KIND`` may choose a recipe, and name a
            file of options.

    Raises:
        ValueError: what the file says cannot be.
    """
    asked = arguments[1] if len(arguments) > 1 and arguments[0] == "train" else None
    found: dict[str, tuple[Any, Any]] = {}
    for kind in kinds.every():
        made = _class_of(kind)
        config, place = _defaults(kind, arguments[2:] if kind.name == asked else ())
        found[kind.name] = made, made(config=config, place=place)
    return found


def command(arguments: Sequence[str]) -> Any:
    """The type of the command with all kinds for tyro; arguments as for `commands`."""
    every = [
        Annotated[made, tyro.conf.subcommand(name, default=default)]
        for name, (made, default) in commands(arguments).items()
    ]
    network: Any = Union[tuple(every)]  # noqa: UP007 - known only when this runs
    fields: list[Any] = [("network", network)]
    made = dataclasses.make_dataclass("Train", fields, bases=(Train,), frozen=True)
    made.__doc__ = Train.__doc__
    return Annotated[made, tyro.conf.subcommand("train")]


def _is_set(place: Place) -> bool:
    """Whether a set of runs is asked for."""
    asked = isinstance(place, SetPlace) and place.digits is not None
    return asked or (place.resume is not None and (place.resume / SET_INDEX).is_file())


@functools.cache
def _class_of(kind: Kind) -> Any:
    """The class of ``firstspike train KIND``, its options and its place as fields."""
    place = SetPlace if kind.draws else Place
    fields: list[Any] = [("config", kind.config), ("place", place)]
    made: Any = dataclasses.make_dataclass(
        f"Train{kind.config.__name__}", fields, bases=(TrainKind,), frozen=True
    )
    made.kind = kind
    made.__doc__ = f"Train {_in_a_sentence(kind.help)}"
    return made


def _in_a_sentence(words: str) -> str:
    """A sentence's beginning in the middle of another one."""
    starts_small = words.startswith(("A ", "An ", "The "))
    return words[0].lower() + words[1:] if starts_small else words


def _defaults(kind: Kind, arguments: Sequence[str]) -> tuple[Options, Place]:
    """What holds unless these arguments say otherwise: the recipe that they choose, their file."""
    chosen = _chosen(kind, arguments)
    file = chosen.pop("config", None)
    told = {} if file is None else config_file.read(file, kind)
    place = SetPlace(digits=told.pop("digits", None)) if kind.draws else Place()
    choices = {name: told[name] for name in kind.choices if name in told} | chosen
    return dataclasses.replace(kind.defaults(choices), **told), place


def _chosen(kind: Kind, arguments: Sequence[str]) -> dict[str, Any]:
    """As far as they are given, the options that decide the defaults of others, and the file."""
    types = get_type_hints(kind.config) | {"config": Path}
    names = (*kind.choices, "config")
    fields = [_asked(name, types[name]) for name in names]
    choice = dataclasses.make_dataclass("Choice", fields, frozen=True)
    try:
        found: Any
        found, _ = tyro.cli(
            choice,
            args=[word for word in arguments if word not in ("-h", "--help")],
            return_unknown_args=True,
            add_help=False,
            console_outputs=False,
        )
    except SystemExit:
        return {}  # the command itself will say what is wrong
    return {name: value for name, value in vars(found).items() if value not in (None, False)}


def _asked(name: str, kind: Any) -> tuple[str, Any, Any]:
    """A field of what is chosen: without a value, or a flag that is not set, nothing is."""
    if kind is bool:
        return name, bool, field(default=False)
    return name, kind | None, field(default=None)


def _train(kind: Kind, config: Any, place: Place) -> None:
    """Train a new run, or go on with one, and say what came of it."""
    devices, nodes = processes_of(place)
    if devices * nodes == 1:
        _train_alone(kind, config, place)
    else:
        from firstspike.commands import train_together

        train_together.run(kind, config, place, devices, nodes)


def processes_of(place: Place) -> tuple[int, int]:
    """Processes a machine, and machines, that are to train together. ValueError if odd."""
    if (place.devices, place.nodes) == (1, 1) and "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    from firstspike.training import processes

    return processes.sizes(place.devices, place.nodes)


def _train_alone(kind: Kind, config: Any, place: Place) -> None:
    run, config = settled(kind, config, place)
    if place.dry_run:
        print(told(kind, config, place))
        return
    from firstspike.training import devices

    devices.find(place.device)  # complains before data are read
    work = Work.prepare(kind, config, run)
    devices.moved(work.trainer, place.device)
    work.train(place)


@dataclass
class Work:
    """A training with its data, before anything of it is written.

    Args:
        kind: of the run.
        trainer: with its networks as initialised.
        parts: images to train on, and those held out.
        run: to go on with; None for a new one.
    """

    kind: Kind
    trainer: Trainer
    parts: Parts
    run: RunDirectory | None

    @classmethod
    def prepare(cls, kind: Kind, config: Any, run: RunDirectory | None) -> Self:
        """Load data and make networks. ValueError if they do not fit."""
        trainer_class: type[Trainer] = kinds.load(kind.trainer)
        parts = trainer_class.load_data(config)
        trainer = trainer_class(config, parts.training.shape if run is None else run.shape)
        trainer.check(parts.training)
        return cls(kind, trainer, parts, run)

    def train(self, place: Place, begun: Callable[[RunDirectory], None] | None = None) -> None:
        """Train, and say what came of it.

        Args:
            place: where.
            begun: told the run as soon as nobody else can write to it.
        """
        from firstspike.training import loop
        from firstspike.training.progress import TrainingBar
        from firstspike.training.team import Lost

        kind, trainer, images, run = self.kind, self.trainer, self.parts.training, self.run
        logger = None if place.log is None else loggers.find(place.log)
        is_new = run is None
        beginning: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if run is None:
            config = trainer.config
            out = unused_path(RUNS, kind.name_of_run(config)) if place.out is None else place.out
            made = files.missing(out)
            run = RunDirectory.create(out, kind.name, config.as_dict(), images.shape)
            beginning = run.beginning(made)
        abandoned = not is_new and locks.is_left(run.path)
        with beginning, run.writing():
            if abandoned:
                print(
                    f"{run.path}: the process before ended without a word: killed, or out of memory"
                )
            if place.more_epochs is not None:
                if run.has_checkpoint():  # a run that cannot go on stays as it is
                    run.load_checkpoint(trainer.networks, trainer.optimizers)
                run = run.extended(trainer.config.epochs)
            try:
                print(
                    f"{run.path}: {kind.name} on {counted(len(images), 'image')} of {images.name}"
                )
                print(f"classes: {in_short(images.present)}")
                with (
                    loop.few_threads(kind),
                    TrainingBar(trainer.config.epochs) as bar,
                    loggers.following(run, logger) as log,
                ):
                    if begun is not None:
                        begun(run)
                    summary = loop.train(run, trainer, self.parts, bar, log, place.until)
            except KeyboardInterrupt as stop:
                raise Stopped(resumption(kind, run.path, place)) from stop
            except Lost as lost:
                if not run.has_checkpoint():
                    raise
                raise ValueError(
                    f"{lost}; it goes on with: {resumption(kind, run.path, place)}"
                ) from None
        print(json.dumps(summary, indent=2))
        if place.until is not None and place.until < trainer.config.epochs:
            print(f"more: {resumption(kind, run.path, place)}")
        elif kind.draws:
            print(f"pictures: {run.sample_path(trainer.config.epochs)}")
            print(f"more: firstspike generate {run.path}")
        else:
            print(f"more: firstspike evaluate {run.path}")


def told(kind: Kind, config: Options, place: Place) -> str:
    """The options of a run, as JSON or for a file."""
    if place.toml:
        return config_file.text_of(kind, config)
    return json.dumps(config.as_dict(), indent=2)


def resumption(kind: Kind, path: Path, place: Place) -> str:
    """The command that goes on with a run or a set in the same way: logger, device."""
    words = ["firstspike", "train", kind.name, "--resume", str(path)]
    for name in ("log", "device", "devices", "nodes"):
        value = getattr(place, name)
        if value != getattr(Place, name):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def settled(kind: Kind, config: Any, place: Place) -> tuple[RunDirectory | None, Any]:
    """The run to resume, if any, and the options that hold; the logger is one."""
    if place.log is not None:
        loggers.find(place.log)
    if place.until is not None and place.until < 1:
        raise ValueError(f"--until must be at least 1, got {place.until}")
    if place.resume is None:
        if place.more_epochs is not None:
            raise ValueError("--more-epochs goes with --resume; a new run has --epochs")
        config.check()
        return None, with_absolute_data(config)
    if config != config.recipe_defaults() or (place.out, place.config) != (None, None):
        raise ValueError("--resume takes its options from the run; leave the others out")
    run = RunDirectory.open(place.resume)
    if run.kind != kind.name:
        raise ValueError(f"--resume {run.path}: {run.noun}; use `train {run.kind}`")
    if reason := kind.config.retired(run.options):
        raise ValueError(f"--resume {run.path}: {reason}; use and measure it, or train anew")
    config = kind.read(run.options, run.path)
    if place.more_epochs is not None:
        if not 1 <= place.more_epochs <= MOST:
            bound = "at least 1" if place.more_epochs < 1 else f"at most {MOST}"
            raise ValueError(f"--more-epochs must be {bound}, got {place.more_epochs}")
        config = dataclasses.replace(config, epochs=config.epochs + place.more_epochs)
    return run, config


def with_absolute_data(config: Any) -> Any:
    """Options whose data are found again from any folder."""
    data = getattr(config, "data", None)
    return config if data is None else dataclasses.replace(config, data=absolute(data))
