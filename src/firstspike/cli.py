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

from firstspike import files, plots, train_gan
from firstspike._version import __version__
from firstspike.config import GAN_RECIPES, AnnGanConfig, GanConfig, GanOptions, Recipe
from firstspike.gan import build_gan
from firstspike.loading import load_run
from firstspike.progress import TrainingBar
from firstspike.run import RunDirectory, unused_path

USAGE_ERROR = 2  # exit code for a user's mistake, as of tyro
INTERRUPTED = 130
RUNS = Path("runs")

NetworkT = TypeVar("NetworkT", bound="Command")


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
    dry_run: bool = False
    """Print the resolved options as JSON and stop."""


@dataclass(frozen=True)
class TrainGan:
    """Train Spiking-GAN: a spiking generator and a spiking discriminator that learn to draw."""

    config: GanConfig
    place: Place = field(default_factory=Place)

    def __call__(self) -> None:
        _train_gan("gan", self.config, GAN_RECIPES[self.config.recipe], self.place)


@dataclass(frozen=True)
class TrainAnnGan:
    """Train the dense twin of Spiking-GAN: the same sizes, ReLU and tanh."""

    config: AnnGanConfig
    place: Place = field(default_factory=Place)

    def __call__(self) -> None:
        _train_gan("ann-gan", self.config, AnnGanConfig(), self.place)


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
        print("\nfirstspike: stopped; a run goes on with --resume RUN", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parse(arguments: list[str]) -> Command:
    """The command that the arguments describe; tyro prints help and mistakes, and exits."""
    if arguments == ["--version"]:
        return lambda: print(__version__)
    gan = TrainGan(GAN_RECIPES[_recipe(arguments)])
    network = (
        Annotated[TrainGan, subcommand("gan", default=gan)]
        | Annotated[TrainAnnGan, subcommand("ann-gan", default=TrainAnnGan(AnnGanConfig()))]
    )
    command: Any = (
        Annotated[Train[network], subcommand("train")] | Annotated[Generate, subcommand("generate")]
    )
    parsed: Command = tyro.cli(
        command,
        prog="firstspike",
        description="Networks in which every neuron spikes at most once.",
        args=arguments,
        config=(OmitArgPrefixes, OmitSubcommandPrefixes),
    )
    return parsed


def _recipe(arguments: list[str]) -> Recipe:
    """The recipe that is asked for: it decides the defaults of the other options."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--recipe", choices=get_args(Recipe), default="best")
    try:
        recipe: Recipe = parser.parse_known_args(arguments)[0].recipe
    except argparse.ArgumentError:
        return "best"  # tyro will say what is wrong
    return recipe


def _train_gan(kind: str, config: GanOptions, defaults: GanOptions, place: Place) -> None:
    """Train a new run, or go on with one, and say what came of it."""
    if place.resume is None:
        config.check()
        run = None
    else:
        if config != defaults or place.out is not None:
            raise ValueError("--resume takes its options from the run; leave the others out")
        run = RunDirectory.open(place.resume)
        if run.kind != kind:
            raise ValueError(f"--resume {run.path}: a {run.kind} run; use `train {run.kind}`")
        config = build_gan(run).config
    if place.dry_run:
        print(json.dumps(config.as_dict(), indent=2))
        return
    images = train_gan.load_classes(config)
    run = run or _new_run(kind, config, place.out)
    print(f"{run.path}: {kind} on {len(images)} images of {images.name}")
    with TrainingBar(config.epochs) as bar:
        summary = train_gan.train(run, build_gan(run), images, bar)
    print(json.dumps(summary, indent=2))
    print(f"pictures: {run.sample_path(config.epochs)}\nmore: firstspike generate {run.path}")


def _new_run(kind: str, config: GanOptions, out: Path | None) -> RunDirectory:
    """A new run at ``out``, or at a name of its own below ``runs``."""
    path = out or unused_path(RUNS, f"{kind}-{config.digit}-seed{config.seed}")
    return RunDirectory.create(path, kind, config.as_dict())


def _generate(request: Generate) -> None:
    """Draw images, save them and tell their cost in spikes."""
    for name, value in (("count", request.count), ("interpolate", request.interpolate)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    gan = load_run(request.run)
    rng = torch.Generator().manual_seed(request.seed)
    if request.interpolate is None:
        latents = gan.latents(request.count, rng)
    else:
        latents = gan.walk(request.interpolate, -(-request.count // request.interpolate), rng)
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
