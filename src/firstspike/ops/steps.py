"""Step neurons whose inputs come all at once, as values 0 and 1, and a surrogate gradient.

In plain PyTorch, which any device takes, and which defines what `firstspike.ops.cpu.steps` computes
in one pass, with the same numbers, of tensors in a CPU's memory that nobody differentiates.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor


def values(
    potential: Tensor, window: float, *, slopes: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Which neurons spike, and what stands for the derivative by their potentials.

    Args:
        potential: of any shape, in thresholds.
        window: of the surrogate, see `firstspike.nn.final_gradient`.
        slopes: whether slopes are asked for.

    Returns:
        1 above the threshold, else 0; and the surrogate.
    """
    return (potential > 1).to(potential.dtype), _surrogate(potential, window) if slopes else None


def by_potential_(grad: Tensor, potential: Tensor, window: float) -> Tensor:
    """Gradients by potentials, of those by values, in their memory; arguments as of `values`."""
    return grad.mul_(_surrogate(potential, window))


def _surrogate(potential: Tensor, window: float) -> Tensor:
    margin = potential - 1
    near = (1 - margin.mul_(0.5 / window).square_()).clamp_(min=0)
    return near.square_().square_()


@functools.cache
def kernels(device: str) -> Any:
    """`values` and `by_potential_` for plain tensors on this kind of device, as a module."""
    if device == "cpu":
        from firstspike.ops.cpu import steps  # Numba takes a second to import
    else:
        from firstspike.ops import steps  # type: ignore[no-redef]
    return steps
