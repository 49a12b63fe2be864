"""A sweep tried out before anything of it is written: data, networks, and the figure to compare."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from firstspike.data import ImageSet, Parts
from firstspike.runs.nowhere import Nowhere
from firstspike.shape import Shape
from firstspike.sweeps.space import HELD_OUT, Space, Trial, in_words
from firstspike.training import devices, kinds, loop
from firstspike.training.trainer import Trainer

FEW = 64  # images


def rehearse(space: Space, device: str = "cpu") -> Shape:
    """Build every network that is to be trained, and train the first for one epoch on few images.

    Args:
        space: whose trials are checked.
        device: on which they are to be trained.

    Returns:
        Size and classes of the images.

    Raises:
        ValueError: data or a network cannot be, or no such figure is measured.
    """
    trainer_class: type[Trainer] = kinds.load(space.kind.trainer)
    trials = space.trials()
    first: Any = space.config(trials[0])
    parts = trainer_class.load_data(first)
    shape = parts.training.shape
    seen: set[str] = set()
    for trial in trials:
        if (made := _networks_of(trial)) not in seen:
            seen.add(made)
            try:
                devices.moved(trainer_class(space.config(trial), shape), device)
            except ValueError as error:
                raise ValueError(f"trial {in_words(trial)}: {error}") from None
    told = _figures(trainer_class, dataclasses.replace(first, epochs=1), parts)
    if space.plan.metric not in told:
        there = ", ".join(name for name in told if name.startswith(HELD_OUT)) or "none"
        raise ValueError(f"metric {space.plan.metric}: not measured in training; there is: {there}")
    return shape


def _networks_of(trial: Trial) -> str:
    """What of a trial may change which networks are made: neither seeds nor rates."""
    return str(
        [(name, it) for name, it in trial.items() if type(it) is not float and name != "seed"]
    )


def _figures(trainer_class: Any, config: Any, parts: Parts) -> dict[str, float]:
    """What an epoch on few images tells."""
    few = Parts(*(None if part is None else _few(part) for part in parts))  # type: ignore[arg-type]
    told: dict[str, float] = {}
    trainer = trainer_class(config, parts.training.shape)
    loop.train(
        Nowhere("rehearsal"), trainer, few, lambda _: None, lambda _, stats: told.update(stats)
    )
    return told


def _few(images: ImageSet) -> ImageSet:
    return images.part(torch.arange(len(images)) < FEW, "few")
