"""Where networks are trained and run: names of devices, checked before work starts."""

from __future__ import annotations

from typing import TypeVar

import torch

from firstspike.training.trainer import Trainer

CPU = torch.device("cpu")
TrainerT = TypeVar("TrainerT", bound=Trainer)


def find(name: str) -> torch.device:
    """The device of this name.

    Args:
        name: ``cpu``, an accelerator that PyTorch knows, such as ``cuda``, ``cuda:1`` or ``mps``,
            or ``auto``, the accelerator of this machine if there is one.

    Raises:
        ValueError: there is no such device here.
    """
    here = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return CPU if here is None else here
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be auto, cpu, cuda, mps or the like, got {name!r}") from None
    found = [CPU] if here is None else [CPU, here]
    count = torch.accelerator.device_count()
    beyond = device.type != "cpu" and (device.index or 0) >= count
    if device.type not in [one.type for one in found] or beyond:
        raise ValueError(
            f"device {name}: not here; PyTorch finds {', '.join(map(str, found))}"
            + (f", {count} of the latter" if count > 1 else "")
        )
    return device


def moved(trainer: TrainerT, name: str) -> TrainerT:
    """The trainer with its networks on the device of this name; ``auto`` is one that they take.

    Raises:
        ValueError: as for `find` and `Trainer.on`.
    """
    return trainer.on(find("cpu" if name == "auto" and not trainer.anywhere else name))
