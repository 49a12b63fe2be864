"""The command line: parse, call, print. Every option comes from a dataclass with its default."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args

# Idle threads of PyTorch and Numba sleep instead of spinning: each has a pool of its own, and a
# spinning one takes the cores from the other. Must be set before either is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, subcommand

from firstspike._version import __version__
from firstspike.commands import train_set
from firstspike.commands.compare import Compare
from firstspike.commands.demo import Demo
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.export import Export
from firstspike.commands.figures import Figures
from firstspike.commands.progress import TrainingBar
from firstspike.commands.reproduce import Reproduce
from firstspike.commands.runs import Runs
from firstspike.drawing import grids as plots
from firstspike.runs import files, loggers
from firstspike.runs.directory import RunDirectory, unused_path
from firstspike.training import classifier as train_classifier
from firstspike.training import gan_runs as train_gan
from firstspike.training.config import (
    CLASSIFIER_RECIPES,
    GAN_RECIPES,
    AnnClassifierConfig,
    AnnGanConfig,
    ClassifierConfig,
    ClassifierOptions,
    GanConfig,
    GanOptions,
    Loss,
    Options,
    Recipe,
)
from firstspike.training.gan import build_gan
from firstspike.training.loading import load_gan

USAGE_ERROR = 2  # exit code for a user's mistake, as of tyro
INTERRUPTED = 130
RUNS = Path("runs")

NetworkT = TypeVar("NetworkT", bound="Command")
OptionsT = TypeVar("OptionsT", bound=Options)


class Command(Protocol):
    """A parsed command line, ready to run."""

    def __call__(self) -> None: ...


@dataclass(frozen=True)
class Place:
    """Where a run goes."""

    out: Path | None = None
    """New folder for the run; runs/<kind>-<digit>-seed<seed> if not given."""
    resume: Path | None = None
    """Continue the run in this folder, with its own options, instead of a new one."""
    log: str | None = None
    """Also tell each epoch to a logger: tensorboard, csv, or the dotted path of a function that
    takes the run's folder and gives a logger as of Lightning Fabric."""
    dry_run: bool = False
    """Print the resolved options as JSON and stop."""


@dataclass(frozen=True)
class GanPlace(Place):
    """Where a run goes, or one of each of several digits."""

    digits: str | None = None
    """Train a network for each of these digits, such as 0-9 or 1,3,5-7, on all cores."""


@dataclass(frozen=True)
class TrainGan:
    """Train Spiking-GAN: a spiking generator and a spiking discriminator that learn to draw."""

    config: GanConfig
    place: GanPlace = field(default_factory=GanPlace)

    def __call__(self) -> None:
        _train_gan("gan", self.config, GAN_RECIPES[self.config.recipe], self.place)


@dataclass(frozen=True)
class TrainAnnGan:
    """Train the dense twin of Spiking-GAN: the same sizes, ReLU and tanh."""

    config: AnnGanConfig
    place: GanPlace = field(default_factory=GanPlace)

    def __call__(self) -> None:
        _train_gan("ann-gan", self.config, AnnGanConfig(), self.place)


@dataclass(frozen=True)
class TrainClassifier:
    """Train a classifier whose first output spike tells the class."""

    config: ClassifierConfig
    place: Place = field(default_factory=Place)

    def __call__(self) -> None:
        defaults = CLASSIFIER_RECIPES[self.config.recipe, self.config.loss]
        _train_classifier("classifier", self.config, defaults, self.place)


@dataclass(frozen=True)
class TrainAnnClassifier:
    """Train the dense twin of the classifier: the same sizes, ReLU."""

    config: AnnClassifierConfig
    place: Place = field(default_factory=Place)

    def __call__(self) -> None:
        _train_classifier("ann-classifier", self.config, AnnClassifierConfig(), self.place)


@dataclass(frozen=True)
class Train(Generic[NetworkT]):
    """Train a network on the bundled MNIST or on your own images."""

    network: NetworkT

    def __call__(self) -> None:
        self.network()


@dataclass(frozen=True)
class Generate:
    """Draw images with a trained generator."""

    run: Positional[Path]
    """Folder of the run."""
    out: Path = Path("samples.png")
    """One grid (.png), arrays (.npz), or a folder of single pictures (any other name)."""
    count: int = 64
    """Images to draw."""
    digit: int | None = None
    """Class to draw, of a network that was trained with --conditional; all in turn if not given."""
    seed: int = 0
    """Of the latents."""
    interpolate: int | None = None
    """Walk from one random latent to another in this many images; one walk a row."""
    averaged: bool = True
    """Draw with the average of the generator's weights over training."""

    def __call__(self) -> None:
        _generate(self)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 after one line on stderr if the input was wrong."""
    warnings.showwarning = _show_warning
    try:
        _parse(sys.argv[1:] if arguments is None else arguments)()
    except (ValueError, OSError) as error:
        print(f"firstspike: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nfirstspike: stopped; a training goes on with --resume RUN", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parse(arguments: list[str]) -> Command:
    """The command that the arguments describe; tyro prints help and mistakes, and exits."""
    if arguments == ["--version"]:
        return lambda: print(__version__)
    recipe, loss = _recipe(arguments)
    gan = TrainGan(GAN_RECIPES[recipe])
    classifier = TrainClassifier(CLASSIFIER_RECIPES[recipe, loss])
    ann_classifier = TrainAnnClassifier(AnnClassifierConfig())
    network = (
        Annotated[TrainGan, subcommand("gan", default=gan)]
        | Annotated[TrainAnnGan, subcommand("ann-gan", default=TrainAnnGan(AnnGanConfig()))]
        | Annotated[TrainClassifier, subcommand("classifier", default=classifier)]
        | Annotated[TrainAnnClassifier, subcommand("ann-classifier", default=ann_classifier)]
    )
    command: Any = (
        Annotated[Train[network], subcommand("train")]
        | Annotated[Generate, subcommand("generate")]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Export, subcommand("export")]
        | Annotated[Runs, subcommand("runs")]
        | Annotated[Compare, subcommand("compare")]
        | Annotated[Figures, subcommand("figures")]
        | Annotated[Reproduce, subcommand("reproduce")]
        | Annotated[Demo, subcommand("demo")]
    )
    parsed: Command = tyro.cli(
        command,
        prog="firstspike",
        description="Networks in which every neuron spikes at most once.",
        args=arguments,
        config=(OmitArgPrefixes, OmitSubcommandPrefixes),
    )
    return parsed


def _recipe(arguments: list[str]) -> tuple[Recipe, Loss]:
    """The recipe and loss that are asked for: they decide the defaults of the other options."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--recipe", choices=get_args(Recipe), default="best")
    parser.add_argument("--loss", default="aggressive")
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return "best", "aggressive"  # tyro will say what is wrong
    return known.recipe, known.loss if known.loss in get_args(Loss) else "aggressive"


def _train_gan(kind: str, config: GanOptions, defaults: GanOptions, place: GanPlace) -> None:
    """Train a new run, or go on with one, and say what came of it; or a set of them."""
    if place.digits is not None or train_set.is_set(place.resume):
        _train_set(kind, config, defaults, place)
        return
    run, config = _settle(kind, config, defaults, place)
    logger = None if place.log is None else loggers.find(place.log)
    if place.dry_run:
        return
    # A step is so small that a second thread gains nothing on idle cores and, on busy ones, makes
    # every operation wait for both.
    torch.set_num_threads(1)
    images = train_gan.load_classes(config)
    run = run or _new_run(kind, f"{kind}-{config.digit}-seed{config.seed}", config, place.out)
    print(f"{run.path}: {kind} on {len(images)} images of {images.name}")
    with TrainingBar(config.epochs) as bar, loggers.following(run, logger) as log:
        summary = train_gan.train(run, build_gan(run), images, bar, log)
    print(json.dumps(summary, indent=2))
    print(f"pictures: {run.sample_path(config.epochs)}\nmore: firstspike generate {run.path}")


def _train_set(kind: str, config: GanOptions, defaults: GanOptions, place: GanPlace) -> None:
    """Likewise for a set of digits."""
    if place.log is not None:
        loggers.find(place.log)  # complains before anything is written
    if place.resume is not None:
        if config != defaults or place.out is not None or place.digits is not None:
            raise ValueError("--resume takes its options from the set; leave the others out")
        wanted = train_set.DigitSet.open(place.resume, kind)
    else:
        config.check()
        if config.digit != defaults.digit:
            raise ValueError(f"--digits {place.digits}: says what to draw; leave --digit out")
        out = place.out or unused_path(RUNS, f"{kind}-digits-seed{config.seed}")
        wanted = train_set.DigitSet.plan(out, kind, place.digits or "", config)
    if place.dry_run:
        print(json.dumps({"digits": wanted.digits, **wanted.options}, indent=2))
        return
    if place.resume is None:
        wanted.begin()
    train_set.train_set(wanted, place.log)


def _train_classifier(
    kind: str, config: ClassifierOptions, defaults: ClassifierOptions, place: Place
) -> None:
    """Likewise for a classifier."""
    run, config = _settle(kind, config, defaults, place)
    logger = None if place.log is None else loggers.find(place.log)
    if place.dry_run:
        return
    parts = train_classifier.load_parts(config)
    run = run or _new_run(kind, f"{kind}-{config.hidden}-seed{config.seed}", config, place.out)
    print(f"{run.path}: {kind} on {len(parts[0])} images of {parts[0].name}")
    with TrainingBar(config.epochs) as bar, loggers.following(run, logger) as log:
        training = train_classifier.build_training(run)
        summary = train_classifier.train(run, training, parts, bar, log)
    print(json.dumps(summary, indent=2))
    print(f"more: firstspike evaluate {run.path}")


def _settle(
    kind: str, config: OptionsT, defaults: OptionsT, place: Place
) -> tuple[RunDirectory | None, OptionsT]:
    """The run to resume, if any, and the options that hold, which a dry run prints."""
    run = None
    if place.resume is not None:
        if config != defaults or place.out is not None:
            raise ValueError("--resume takes its options from the run; leave the others out")
        run = RunDirectory.open(place.resume)
        if run.kind != kind:
            raise ValueError(f"--resume {run.path}: a {run.kind} run; use `train {run.kind}`")
        config = type(config).from_dict(run.options, run.path)
    config.check()
    if place.dry_run:
        print(json.dumps(config.as_dict(), indent=2))
    return run, config


def _new_run(kind: str, name: str, config: Options, out: Path | None) -> RunDirectory:
    """A new run at ``out``, or at a name of its own below ``runs``."""
    return RunDirectory.create(out or unused_path(RUNS, name), kind, config.as_dict())


def _generate(request: Generate) -> None:
    """Draw images, save them and tell their cost in spikes."""
    for name, value in (("count", request.count), ("interpolate", request.interpolate)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    gan = load_gan(RunDirectory.open(request.run))
    rng = torch.Generator().manual_seed(request.seed)
    count, steps = request.count, request.interpolate
    if steps is not None:
        count = -(-count // steps)  # walks
    digits = None if request.digit is None else torch.full((count,), request.digit)
    if steps is None:
        latents = gan.latents(count, rng, digits)
    else:
        latents = gan.walk(steps, count, rng, digits)
    images = gan.sample(latents, averaged=request.averaged)
    _save_images(request.out, images, latents, request.interpolate)
    print(f"{len(images)} images: {request.out}")
    for name, figure in gan.spikes(latents, averaged=request.averaged).items():
        print(f"  {name.replace('_', ' ')}: {figure:.4g}")


def _save_images(out: Path, images: torch.Tensor, latents: torch.Tensor, row: int | None) -> None:
    if out.suffix == ".png":
        plots.save_image_grid(out, images, columns=row)
    elif out.suffix == ".npz":
        with files.explained(out, "choose another --out"), files.replacing(out) as temporary:
            np.savez_compressed(temporary, images=images.numpy(), latents=latents.numpy())
    else:
        plots.save_images(out, images)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the place in our source."""
    print(f"firstspike: warning: {message}", file=sys.stderr)
