"""Step neurons whose inputs come all at once, in one pass over memory (CPU, Numba).

As `firstspike.ops.cpu.ramps`: PyTorch takes nine passes, and new memory for three of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from firstspike.ops.cpu.events import lean, njit
from firstspike.ops.cpu.ramps import flat


def values(
    potential: Tensor, window: float, *, slopes: bool = True
) -> tuple[Tensor, Tensor | None]:
    """`firstspike.ops.steps.values` of float32 or float64 without gaps in memory."""
    potential = potential.detach()
    fired = torch.empty_like(potential)
    slope = torch.empty_like(potential) if slopes else None
    into = None if slope is None else flat(slope)
    _values(flat(potential), flat(fired), into, 0.5 / window)
    return fired, slope


def by_potential_(grad: Tensor, potential: Tensor, window: float) -> Tensor:
    """`firstspike.ops.steps.by_potential_` of float32 or float64 in one order without gaps."""
    _by_potential(flat(grad), flat(potential.detach()), 0.5 / window)
    return grad


@njit
def _values(potential, fired, slope, scale):
    """See `firstspike.ops.steps.values`."""
    typed = potential.dtype.type
    zero, one, scale = typed(0), typed(1), typed(scale)
    for i in range(potential.size):
        fired[i] = one if potential[i] > one else zero
        if slope is not None:
            slope[i] = _surrogate(potential[i], zero, one, scale)


@njit
def _by_potential(grad, potential, scale):
    """See `firstspike.ops.steps.by_potential_`."""
    typed = grad.dtype.type
    zero, one, scale = typed(0), typed(1), typed(scale)
    for i in range(grad.size):
        grad[i] *= _surrogate(potential[i], zero, one, scale)


@lean
def _surrogate(potential, zero, one, scale):
    """What is no number stays so."""
    margin = (potential - one) * scale
    near = one - margin * margin
    near = zero if near < zero else near
    near *= near
    return near * near
