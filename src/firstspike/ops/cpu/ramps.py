"""Ramp neurons neuron by neuron, in one pass over memory (CPU, Numba).

PyTorch takes a pass, and new memory, for each product, comparison and choice, of which one neuron
needs a dozen. These loops become vector instructions as they are. They are serial: so little is to
be done that waking a thread would cost more.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from firstspike.ops.cpu.events import njit


def values(
    potential: Tensor, threshold: float, t_max: int, low: float, high: float, *, spent: bool = False
) -> tuple[Tensor, Tensor]:
    """`firstspike.ops.ramps.values` of contiguous float32 or float64."""
    potential = potential.detach()
    says = potential if spent else torch.empty_like(potential)
    slope = torch.empty_like(potential)
    _values(potential.numpy(), says.numpy(), slope.numpy(), threshold, t_max, low, high)
    return says, slope


def by_potential_(
    grad: Tensor, potential: Tensor, threshold: float, leak: float, margin: float, slope: float
) -> Tensor:
    """`firstspike.ops.ramps.by_potential_` of contiguous float32 or float64."""
    _by_potential(grad.detach().numpy(), potential.detach().numpy(), threshold, leak, margin, slope)
    return grad


@njit
def _values(potential, says, slope, threshold, t_max, low, high):
    """See `firstspike.ops.ramps.values`; comparisons let through what is no number."""
    typed = potential.dtype.type  # numbers are rounded to it before anything is computed
    scale, step, inside = t_max / threshold, (high - low) / t_max, (high - low) / threshold
    scale, step, inside = typed(scale), typed(step), typed(inside)
    zero, last, low, end = typed(0), typed(t_max), typed(low), typed(threshold)
    potential, says, slope = potential.ravel(), says.ravel(), slope.ravel()
    for i in range(potential.size):
        here = potential[i]  # before the value may take its place
        level = np.floor(here * scale)
        level = zero if level < zero else level
        level = last if level > last else level
        says[i] = level * step + low
        is_outside = (here <= zero) | (here >= end)
        slope[i] = zero if is_outside else inside


@njit
def _by_potential(grad, potential, threshold, leak, margin, slope):
    """See `firstspike.ops.ramps.by_potential_`; what is no number counts as inside."""
    typed = grad.dtype.type
    zero, end, leak, slope = typed(0), typed(threshold), typed(leak), typed(slope)
    middle, reach = typed(threshold / 2), typed((0.5 + margin) * threshold)
    grad, potential = grad.ravel(), potential.ravel()
    for i in range(grad.size):
        whole, weak, here = grad[i], grad[i] * leak, potential[i]
        beyond = here - middle
        leaks = (abs(beyond) < reach) | (whole * beyond > zero)
        is_outside = (here <= zero) | (here >= end)
        outside = weak if leaks else zero
        grad[i] = (outside if is_outside else whole) * slope
