"""Run directories as of a training, without the time that one takes."""

from __future__ import annotations

from pathlib import Path

from firstspike.runs.directory import RunDirectory
from firstspike.training.classifier import build_training
from firstspike.training.config import (
    AnnClassifierConfig,
    AnnGanConfig,
    ClassifierConfig,
    GanConfig,
)
from firstspike.training.gan import build_gan

CONFIGS = {
    "gan": GanConfig,
    "ann-gan": AnnGanConfig,
    "classifier": ClassifierConfig,
    "ann-classifier": AnnClassifierConfig,
}


def run(path: Path, kind: str, epoch: int | None = 1, **options: object) -> RunDirectory:
    """A run of networks as initialised, small ones, with a checkpoint after ``epoch`` if any."""
    config = CONFIGS[kind](**{"hidden": 8, "epochs": 2} | options)
    made = RunDirectory.create(path, kind, config.as_dict())
    if epoch is not None:
        if kind.endswith("gan"):
            gan = build_gan(made)
            networks, optimizers = gan.networks, gan.optimizers
        else:
            training = build_training(made)
            networks, optimizers = {"model": training.model}, {"model": training.optimizer}
        made.save_checkpoint(networks, optimizers, {"epoch": epoch, "seconds": 1.5})
    return made
