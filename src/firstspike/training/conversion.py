"""The run of a dense classifier as the run of a classifier of ramp neurons, without training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from firstspike.data import ImageSet
from firstspike.models.conversion import agreement, convert
from firstspike.nn import Residual, SpikingNetwork
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.loading import load_trainer
from firstspike.training.trainer import Trainer

# What the spiking network has of the dense one's options.
_KEPT = ("data", "size", "colour", "validation", "seed", "epochs", "batch", "network", "hidden")


@dataclass(frozen=True)
class Converted:
    """A run that was made of another one.

    Args:
        run: the new one.
        images: name of the images that were compared.
        count: how many.
        agreement: share of them, 0..1, that both networks decide alike.
    """

    run: RunDirectory
    images: str
    count: int
    agreement: float


def convert_run(
    source: RunDirectory, out: str | os.PathLike[str], t_max: int = 64, images: int = 1000
) -> Converted:
    """Make ramp neurons of a dense classifier, see `firstspike.convert`.

    The new run is one of ``train classifier --neuron ramp`` with the same layers, so that whatever
    takes such a run takes this one. Its summary says where it comes from.

    Args:
        source: run of a dense classifier.
        out: new folder.
        t_max: number of time steps of a window.
        images: training images, at most, that decide the thresholds.

    Raises:
        ValueError: ``source`` is another kind of run, or something else does not fit.
    """
    if images < 1:
        raise ValueError(f"images must be at least 1, got {images}")
    if source.kind != kinds.ANN_CLASSIFIER.name:
        raise ValueError(f"{source.path}: {source.noun}; give one of {kinds.ANN_CLASSIFIER.name}")
    dense: Any = load_trainer(source)
    training, unseen = _images(dense)
    dense.check(unseen)
    some = training.images[torch.linspace(0, len(training) - 1, min(images, len(training))).long()]
    trainer = _trainer(dense, t_max)
    options, epochs = trainer.config.as_dict(), trainer.config.epochs
    made = files.missing(Path(out))
    run = RunDirectory.create(out, kinds.CLASSIFIER.name, options, dense.shape)
    with run.beginning(made, BaseException):  # it cannot be gone on with
        model = dense.result()
        network = convert(model, some, t_max)
        share = agreement(model, network, unseen.images)
        _take(trainer.model, network)
        run.save_checkpoint(trainer.networks, {}, {"epoch": epochs, "seconds": 0.0})
    record = {"converted_from": str(source.path), "images": len(some), "agreement": share}
    run.write_summary({"epochs": epochs} | record)
    return Converted(run, unseen.name, len(unseen), share)


def _images(dense: Trainer) -> tuple[ImageSet, ImageSet]:
    """The training images, and those held out or, where there are none, the test images."""
    training, held_out = dense.load_data(dense.config)
    return training, held_out or dense.load_unseen(dense.config, "test")


def _trainer(dense: Trainer, t_max: int) -> Any:
    """An untrained classifier of ramp neurons with the layers of a dense one."""
    options = {name: getattr(dense.config, name) for name in _KEPT}
    chosen = {"neuron": "ramp", "network": dense.config.network}
    config = kinds.CLASSIFIER.defaults(chosen).as_dict() | options | {"t_max": t_max}
    trainer_class: type[Trainer] = kinds.load(kinds.CLASSIFIER.trainer)
    return trainer_class(kinds.CLASSIFIER.read(config, "options"), dense.shape)


@torch.no_grad()
def _take(model: SpikingNetwork, network: SpikingNetwork) -> None:
    """Weights of a converted network for one that is trained, whose normalisation does nothing."""
    for found, made in zip(_layers(model), _layers(network), strict=True):
        own = getattr(found, "last", found)
        own.weight.copy_(made.weight)
        if isinstance(found, Residual):  # which adds its inputs itself
            own.weight.diagonal().sub_(1.0)
        if own.norm is None:
            own.bias.copy_(made.bias)
        else:
            _neutralise(own.norm, made.bias)
    model.output_window.copy_(torch.tensor([0.0, 1.0]))  # type: ignore[operator]


def _layers(network: SpikingNetwork) -> Sequence[Any]:
    return network.layers


def _neutralise(norm: Any, bias: Tensor) -> None:
    """Normalisation that only adds a bias."""
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(bias)
