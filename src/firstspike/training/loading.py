"""Trained networks out of run directories."""

from __future__ import annotations

import os

from torch import nn

from firstspike.runs.directory import RunDirectory
from firstspike.training.classifier import build_training
from firstspike.training.gan import Gan, build_gan


def load_run(path: str | os.PathLike[str]) -> Gan | nn.Sequential:
    """The trained networks of a run directory.

    Args:
        path: folder that ``firstspike train`` made.

    Returns:
        For a GAN, a `firstspike.training.gan.Gan`, whose ``sample`` draws images; for a classifier,
        a `firstspike.models.Classifier` or its dense twin.

    Raises:
        ValueError: there is no run, no checkpoint, or one of another architecture.
    """
    run = RunDirectory.open(path)
    return load_gan(run) if run.kind.endswith("gan") else load_classifier(run)


def load_gan(run: RunDirectory) -> Gan:
    """The networks of a run of a GAN. ValueError if it is none, or as for `load_run`."""
    gan = build_gan(run)
    run.load_checkpoint(gan.networks)
    return gan


def load_classifier(run: RunDirectory) -> nn.Sequential:
    """The network of a run of a classifier. ValueError if it is none, or as for `load_run`."""
    model = build_training(run).model
    run.load_checkpoint({"model": model})
    return model
