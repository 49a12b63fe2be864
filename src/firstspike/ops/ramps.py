"""What ramp neurons say as values, and gradients by their potentials, in plain PyTorch.

Any device takes it, and it defines what `firstspike.ops.cpu.ramps` computes in one pass, with the
same numbers, of tensors in a CPU's memory that nobody differentiates.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def values(
    potential: Tensor,
    threshold: float,
    t_max: int,
    low: float,
    high: float,
    *,
    slopes: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Potentials 0..threshold rounded down to t_max steps, as values low..high, and their slope.

    Args:
        potential: of any shape; those outside of the window are clipped.
        threshold: where the window ends.
        t_max: number of time steps.
        low: value of a silent neuron.
        high: value of a neuron that spikes at once.
        slopes: whether slopes are asked for.

    Returns:
        Values, and their derivative by the potentials but for the rounding: ``(high - low) /
        threshold`` inside the window, 0 elsewhere.
    """
    levels = potential.mul(t_max / threshold).floor_().clamp_(0, t_max)
    says = levels.mul_((high - low) / t_max)
    if low:  # a pass over memory less
        says.add_(low)
    return says, inside(potential, threshold, (high - low) / threshold) if slopes else None


def inside(potential: Tensor, end: float, slope: float = 1.0) -> Tensor:
    """The slope of neurons whose potentials lie between 0 and an end, 0 of others.

    One pass over memory, where two comparisons, their conjunction and its numbers take four.
    """
    slopes = potential.new_full((), slope).expand_as(potential)
    found: Tensor = torch.ops.aten.hardtanh_backward(slopes, potential, 0.0, end)
    return found


def by_potential(
    grad: Tensor, potential: Tensor, threshold: float, leak: float, margin: float
) -> Tensor:
    """Gradients by potentials, of those by values 0..threshold; see `firstspike.nn.RampNeuron`.

    ``hardtanh_backward`` takes one pass over memory, and can be differentiated again, so that
    penalties on gradients work.

    Args:
        grad: by values, of the shape of the potentials.
        potential: of neurons whose window reaches from 0 to ``threshold``.
        threshold: where the window ends.
        leak: share of the gradient that is left outside of the window.
        margin: thresholds from the window to where only what leads back leaks.
    """
    found: Tensor = torch.ops.aten.hardtanh_backward(grad, potential, 0.0, threshold)
    if leak:
        found = found + leak * _leaking(grad - found, potential, threshold, margin)
    return found


def by_potential_(
    grad: Tensor, potential: Tensor, threshold: float, leak: float, margin: float, slope: float
) -> Tensor:
    """`by_potential` times the slope of values by potentials, in the memory of ``grad``."""
    return grad.copy_(by_potential(grad, potential, threshold, leak, margin) * slope)


def _leaking(grad: Tensor, potential: Tensor, threshold: float, margin: float) -> Tensor:
    """The part of gradients, 0 inside the window, that leaks."""
    beyond = potential - threshold / 2
    is_near = beyond.abs() < (0.5 + margin) * threshold
    return torch.where(is_near | (grad * beyond > 0), grad, 0)


@functools.cache
def kernels(device: str) -> Any:
    """`values` and `by_potential_` for plain tensors on this kind of device, as a module."""
    if device == "cpu":
        from firstspike.ops.cpu import ramps  # Numba takes a second to import
    else:
        from firstspike.ops import ramps  # type: ignore[no-redef]
    return ramps
