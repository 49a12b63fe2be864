"""Ramp neurons neuron by neuron, in one pass over memory (CPU, Numba).

PyTorch takes a pass, and new memory, for each product, comparison and choice, of which one neuron
needs a dozen. These loops become vector instructions as they are. They are serial: so little is to
be done that waking a thread would cost more.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from firstspike.ops.cpu.events import Array, njit


def values(
    potential: Tensor,
    threshold: float,
    t_max: int,
    low: float,
    high: float,
    *,
    slopes: bool = True,
    into: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """`firstspike.ops.ramps.values` of float32 or float64 without gaps in memory."""
    potential = potential.detach()
    says = torch.empty_like(potential) if into is None else into
    slope = torch.empty_like(potential) if slopes else None
    slope_of = None if slope is None else flat(slope)
    _values(flat(potential), flat(says), slope_of, threshold, t_max, low, high)
    return says, slope


def by_potential_(
    grad: Tensor, potential: Tensor, threshold: float, leak: float, margin: float, slope: float
) -> Tensor:
    """`firstspike.ops.ramps.by_potential_` of float32 or float64 in one order without gaps."""
    _by_potential(flat(grad), flat(potential.detach()), threshold, leak, margin, slope)
    return grad


def flat(tensor: Tensor) -> Array:
    """The numbers of a tensor in the order of memory, as a view if there are no gaps."""
    flat: Array = tensor.numpy().ravel(order="K")
    return flat


@njit
def _values(potential, says, slope, threshold, t_max, low, high):
    """See `firstspike.ops.ramps.values`; what is no number stays so."""
    typed = potential.dtype.type  # numbers are rounded to it before anything is computed
    scale, step, inside = t_max / threshold, (high - low) / t_max, (high - low) / threshold
    scale, step, inside = typed(scale), typed(step), typed(inside)
    zero, last, low, end = typed(0), typed(t_max), typed(low), typed(threshold)
    for i in range(potential.size):
        here = potential[i]
        level = np.floor(here * scale)
        level = zero if level < zero else level
        level = last if level > last else level
        says[i] = level * step + low
        if slope is not None:
            slope[i] = inside if (here > zero) & (here < end) else zero


@njit
def _by_potential(grad, potential, threshold, leak, margin, slope):
    """See `firstspike.ops.ramps.by_potential_`."""
    typed = grad.dtype.type
    zero, end, leak, slope = typed(0), typed(threshold), typed(leak), typed(slope)
    middle, reach = typed(threshold / 2), typed((0.5 + margin) * threshold)
    for i in range(grad.size):
        whole, weak, here = grad[i], grad[i] * leak, potential[i]
        beyond = here - middle
        leaks = (abs(beyond) < reach) | (whole * beyond > zero)
        outside = weak if leaks else zero
        grad[i] = (whole if (here > zero) & (here < end) else outside) * slope
