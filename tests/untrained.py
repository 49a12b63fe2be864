"""Small untrained networks and run directories of them, without the time that a training takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from firstspike.models import Classifier, spiking_network
from firstspike.runs.directory import RunDirectory
from firstspike.shape import MNIST, Shape
from firstspike.training import kinds
from firstspike.training.loading import build_trainer


def run(
    path: Path, kind: str, epoch: int | None = 1, shape: Shape = MNIST, **options: Any
) -> RunDirectory:
    """A run of networks as initialised, small ones, with a checkpoint after ``epoch`` if any."""
    defaults = kinds.find(kind).defaults(options)
    small = {"hidden": 8} if hasattr(defaults, "hidden") else {"channels": 2, "depth": 2}
    sizes = {name: size for name, size in small.items() if hasattr(defaults, name)}
    config = dataclasses.replace(defaults, **(sizes | {"epochs": 2} | options))
    made = RunDirectory.create(path, kind, config.as_dict(), shape)
    if epoch is not None:
        trainer = build_trainer(made)
        made.save_checkpoint(trainer.networks, trainer.optimizers, {"epoch": epoch, "seconds": 1.5})
    return made


def finished(path: Path, kind: str, shift: float = 0.0, **options: Any) -> RunDirectory:
    """A run of one epoch that has ended, its weights moved by ``shift``."""
    made = run(path, kind, epoch=None, **({"hidden": 12, "epochs": 1} | options))
    save_shifted(made, shift)
    made.write_summary({"epochs": 1})
    return made


def save_shifted(made: RunDirectory, shift: float = 0.0) -> None:
    """A checkpoint of the networks as initialised, their weights moved by ``shift``."""
    networks = build_trainer(made).networks
    for network in networks.values():
        for weight in network.parameters():
            weight.data += shift
    made.save_checkpoint(networks, {}, {"epoch": 1})


def classifier(sizes: tuple[int, ...], shift: float = 0.0, **layer: Any) -> Classifier:
    """Random layers with random biases; ``shift`` moves the weights of the last one."""
    torch.manual_seed(0)
    model = Classifier(*spiking_network(sizes, **layer))
    with torch.no_grad():
        model.layers[-1].weight += shift
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(-0.3, 0.5)
    return model
