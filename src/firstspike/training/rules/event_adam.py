"""Adam for kernels that update weights themselves, with the state of PyTorch's optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


class EventAdam:
    """Moments and rates of an optimiser, which is left as if it had made the steps.

    What belongs to an input stays as it is while its spikes do not arrive, moments included.

    Args:
        optimizer: gives rates and holds the moments, also those of a checkpoint.
        parameters: of one of its groups; weights are stored by input (`firstspike.nn.by_input`).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        self._group = optimizer.param_groups[0]
        self._slots = [_slot(optimizer, parameter) for parameter in parameters]
        self.moments: tuple[Array, ...] = tuple(
            rows(slot[name]) for slot in self._slots for name in ("exp_avg", "exp_avg_sq")
        )

    def next_step(self, batch: int = 1) -> tuple[np.float32, ...]:
        """Factors of the next step, those of `firstspike.ops.cpu.learning.Adam`.

        Args:
            batch: samples over which gradients are sums instead of means; it scales epsilon only.
        """
        for slot in self._slots:
            slot["step"] += 1
        count = float(self._slots[0]["step"])
        beta1, beta2 = self._group["betas"]
        rate = self._group["lr"] / (1 - beta1**count)
        scale = 1 / math.sqrt(1 - beta2**count)
        factors = (rate, scale, self._group["eps"] * batch, beta1, beta2)
        return tuple(map(np.float32, factors))


def rows(tensor: Tensor) -> Array:
    """The memory of a parameter as [in, out] or [out], C-contiguous."""
    array: Array = tensor.detach().t().numpy()
    assert array.flags.c_contiguous
    return array


def _slot(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """The optimiser's state of a parameter, made as Adam itself would on its first step."""
    slot: dict[str, Tensor] = optimizer.state[parameter]
    if not slot:
        slot["step"] = torch.tensor(0.0)
        slot["exp_avg"], slot["exp_avg_sq"] = (torch.zeros_like(parameter) for _ in range(2))
    return slot
