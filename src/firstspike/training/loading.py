"""Trained networks out of run directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from firstspike.data import ImageSet
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.trainer import Trainer


def load_run(path: str | os.PathLike[str]) -> Any:
    """The trained networks of a run directory.

    Args:
        path: folder that ``firstspike train`` made.

    Returns:
        For a network that draws, its trainer, such as a `firstspike.training.gan.Gan`, whose
        ``sample`` draws images; for a classifier, a `firstspike.models.Classifier` or its dense
        twin. A kind of another package gives its trainer if that has several networks.

    Raises:
        ValueError: there is no run, no checkpoint, or one of another architecture.
    """
    run = RunDirectory.open(Path(path).expanduser())
    return load_trainer(run).result()


def build_trainer(run: RunDirectory) -> Trainer:
    """Untrained networks for the options of a run, whatever its kind.

    Raises:
        ValueError: the kind is unknown, or an option does not fit.
    """
    kind = kinds.find(run.kind, run.path)
    trainer_class: type[Trainer] = kinds.load(kind.trainer)
    return trainer_class(kind.read(run.options, run.path), run.shape)


def load_trainer(run: RunDirectory, *names: str) -> Any:
    """The networks of a run, with trained weights.

    Args:
        run: the run.
        names: of the networks that are wanted with trained weights; all if none is named.

    Raises:
        ValueError: as for `load_run`.
    """
    return build_trainer(run).restored(run, *names)


def load_unseen(run: RunDirectory, trainer: Trainer, split: str) -> ImageSet:
    """Images that a run was not trained on.

    Args:
        run: the run, which errors name.
        trainer: its networks.
        split: ``"validation"``, what was held out from its training set, or ``"test"``.

    Raises:
        ValueError: there are none, or they do not fit the networks.
    """
    try:
        images = trainer.load_unseen(trainer.config, split)
        trainer.check(images)
    except ValueError as error:
        raise ValueError(f"{run.path}: {error}") from None
    return images


def load_gan(run: RunDirectory) -> Any:
    """The networks of a run that draws. ValueError if it does not, or as for `load_run`."""
    return _build_gan(run).restored(run)


def load_artist(run: RunDirectory) -> tuple[Any, bool]:
    """A GAN that can draw averaged samples, and whether its other networks are there, too.

    Those are in the place of others in a bundled run.

    Raises:
        ValueError: as for `load_gan`.
    """
    gan = _build_gan(run)
    is_whole = gan.networks.keys() <= set(run.saved_networks())
    return gan.restored(run, *(() if is_whole else gan.drawing(run))), is_whole


def _build_gan(run: RunDirectory) -> Any:
    if not kinds.find(run.kind, run.path).draws:
        raise ValueError(
            f"{run.path}: {run.noun}, which does not draw; give one of a GAN or an autoencoder"
        )
    return build_trainer(run)


def load_classifier(run: RunDirectory) -> nn.Sequential:
    """The network of a run of a classifier. ValueError if it is none, or as for `load_run`."""
    if kinds.find(run.kind, run.path).draws:
        raise ValueError(f"{run.path}: {run.noun}; give the run of a classifier")
    model = load_trainer(run).result()
    if not isinstance(model, nn.Sequential):
        raise ValueError(f"{run.path}: {run.noun}; give the run of a classifier")
    return model
