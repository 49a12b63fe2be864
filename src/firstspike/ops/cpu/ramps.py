"""Ramp neurons neuron by neuron, in one pass over memory (CPU, Numba).

PyTorch takes a pass, and new memory, for each product, comparison and choice, of which one neuron
needs a dozen. These loops become vector instructions as they are, and are shared out to threads
from so many neurons on as PyTorch's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstspike.ops.cpu.events import Array, njit
from firstspike.ops.cpu.threads import in_parts, share_out

_COST = 8  # of a neuron, in additions of a layer


def values(
    potential: Tensor,
    threshold: float,
    t_max: int,
    low: float,
    high: float,
    *,
    slopes: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """`firstspike.ops.ramps.values` of float32 or float64 without gaps in memory."""
    potential = potential.detach()
    says = torch.empty_like(potential)
    slope = torch.empty_like(potential) if slopes else None
    into = None if slope is None else flat(slope)
    window = threshold, t_max, low, high
    share(_values, _values_shared, (flat(potential), flat(says), into, *window))
    return says, slope


def by_potential_(
    grad: Tensor, potential: Tensor, threshold: float, leak: float, margin: float, slope: float
) -> Tensor:
    """`firstspike.ops.ramps.by_potential_` of float32 or float64 in one order without gaps."""
    arguments = flat(grad), flat(potential.detach()), threshold, leak, margin, slope
    share(_by_potential, _by_potential_shared, arguments)
    return grad


def flat(tensor: Tensor) -> Array:
    """The numbers of a tensor in the order of memory, as a view if there are no gaps."""
    flat: Array = tensor.numpy().ravel(order="K")
    return flat


def share(kernel: Any, shared: Any, arguments: tuple[Any, ...]) -> None:
    """`firstspike.ops.cpu.threads.in_parts` of the neurons in the first argument."""
    count = arguments[0].size
    in_parts(kernel, shared, arguments, count, _COST * count)


@njit
def _values_shared(arguments, count, threads, team):
    share_out(_values, arguments, count, threads, team)


@njit
def _by_potential_shared(arguments, count, threads, team):
    share_out(_by_potential, arguments, count, threads, team)


@njit
def _values(potential, says, slope, threshold, t_max, least, most, start, stop):
    """See `firstspike.ops.ramps.values`; what is no number stays so."""
    typed = potential.dtype.type  # numbers are rounded to it before anything is computed
    scale, step, inside = t_max / threshold, (most - least) / t_max, (most - least) / threshold
    scale, step, inside = typed(scale), typed(step), typed(inside)
    zero, last, low, end = typed(0), typed(t_max), typed(least), typed(threshold)
    for i in range(np.uint64(start), np.uint64(stop)):
        here = potential[i]
        level = np.floor(here * scale)
        level = zero if level < zero else level
        level = last if level > last else level
        says[i] = level * step + low
        if slope is not None:
            slope[i] = inside if (here > zero) & (here < end) else zero


@njit
def _by_potential(grad, potential, threshold, leak, margin, slope, start, stop):
    """See `firstspike.ops.ramps.by_potential_`."""
    typed = grad.dtype.type
    zero, end, leak, slope = typed(0), typed(threshold), typed(leak), typed(slope)
    middle, reach = typed(threshold / 2), typed((0.5 + margin) * threshold)
    for i in range(np.uint64(start), np.uint64(stop)):
        whole, weak, here = grad[i], grad[i] * leak, potential[i]
        beyond = here - middle
        leaks = (abs(beyond) < reach) | (whole * beyond > zero)
        outside = weak if leaks else zero
        grad[i] = (whole if (here > zero) & (here < end) else outside) * slope
