"""Run directories of small untrained networks, for the tests of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstspike.runs.directory import RunDirectory
from firstspike.training.classifier import build_training
from firstspike.training.config import AnnGanConfig, ClassifierConfig, GanConfig
from firstspike.training.gan import build_gan


def classifier_run(path: Path, **options: Any) -> RunDirectory:
    config = ClassifierConfig(**{"hidden": 12, "epochs": 1} | options)
    run = RunDirectory.create(path, "classifier", config.as_dict())
    save_classifier(run)
    run.write_summary({"epochs": config.epochs})
    return run


def save_classifier(run: RunDirectory, shift: float = 0.0) -> None:
    """A checkpoint of the network as initialised, its weights moved by ``shift``."""
    model = build_training(run).model
    for weight in model.parameters():
        weight.data += shift
    run.save_checkpoint({"model": model}, {}, {"epoch": 1})


def gan_run(path: Path, **options: Any) -> RunDirectory:
    config = GanConfig(**{"hidden": 12, "epochs": 1} | options)
    run = RunDirectory.create(path, "gan", config.as_dict())
    run.save_checkpoint(build_gan(run).networks, {}, {"epoch": 1})
    run.write_summary({"epochs": config.epochs})
    return run


def ann_run(path: Path) -> RunDirectory:
    return RunDirectory.create(path, "ann-gan", AnnGanConfig().as_dict())
