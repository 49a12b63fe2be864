"""Spike times: the one convention that every module shares.

A network runs for ``t_max`` time steps, 0..t_max-1 (256 in Spiking-GAN, arXiv 2106.15420, section
3). A neuron spikes at most once, and its *spike time* is the step at which it does, as an integer
value held in a floating-point tensor so that gradients can flow through it. A neuron that never
spikes is *silent*: its time is the sentinel ``t_max`` ("assumed to be t_max", section 2.4). Silence
is written that way everywhere inside the package and converted at its borders only, as `to_raster`
and `from_raster` do.

- An input at ``t_max`` contributes to nothing: a black pixel costs nothing.
- A neuron fires at the first step at which its potential is strictly above its threshold; what the
  potential does afterwards does not matter (eq. 2).
- Each layer delays its inputs by ``delay`` steps. With ``delay=1`` (S4NN's released code; the
  default) "contributed to the spike" and "came before the spike" are the same set; ``delay=0`` is
  eq. 1-2 to the letter.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # options know of steps, and are read without PyTorch
    import torch
    from torch import Tensor

T_MAX = 256
LARGEST_T_MAX = 1 << 24  # the last whole number up to which float32 holds all


def check_number(name: str, value: Any) -> float:
    """A number of any kind as a float. ValueError, which names it, if it is none or not finite."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return number


def check_whole(name: str, value: object, least: int, unit: str = "") -> int:
    """A whole number of any kind, NumPy's included, as Python's. ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number{unit}, at least {least}, got {value!r}")
    return int(value)


def check_t_max(t_max: int, dtype: torch.dtype | None = None) -> int:
    """``t_max`` as Python's integer.

    Args:
        t_max: number of time steps.
        dtype: of the times that are to be held, if they are.

    Raises:
        ValueError: it is no whole number, not at least 1, or more than ``dtype`` holds exactly.
    """
    steps = check_whole("t_max", t_max, 1, " of time steps")
    if dtype is not None and dtype.is_floating_point and steps > (most := _last_exact(dtype)):
        raise ValueError(
            f"t_max must be at most {most} in {dtype}, which rounds larger times, got {steps}; "
            "use a wider dtype"
        )
    return steps


def _last_exact(dtype: torch.dtype) -> int:
    """The last whole number up to which a floating-point dtype holds all of them."""
    import torch

    return min(int(2 / torch.finfo(dtype).eps), torch.iinfo(torch.int32).max)


def check_tensor(name: str, value: Any) -> None:
    """Raise ValueError that begins with ``name`` unless this is a tensor."""
    from torch import Tensor

    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(value).__name__}")


def check_times(times: Tensor, t_max: int, name: str = "times") -> None:
    """Raise ValueError unless ``times`` are floating-point spike times, whole steps in 0..t_max.

    While somebody only records what is done with them (`firstspike.torch_private.is_plain`), there
    are no values to check.

    Args:
        times: tensor of any shape.
        t_max: number of time steps.
        name: what the message calls the tensor.
    """
    from firstspike.torch_private import is_plain

    check_tensor(name, times)
    if not times.dtype.is_floating_point:
        raise ValueError(f"{name} must be a floating-point tensor, got {times.dtype}")
    check_t_max(t_max, times.dtype)
    if not is_plain(times):
        return
    if times.equal(times.round().clamp_(0, t_max)):  # NaN equals nothing
        return
    fault = "NaN" if times.isnan().any() else "a value outside of it or between two steps"
    raise ValueError(f"{name} must be whole time steps in 0..{t_max}, but hold {fault}")


def to_raster(times: Tensor, t_max: int = T_MAX) -> Tensor:
    """Spikes per time step.

    Args:
        times: spike times [...].
        t_max: number of time steps.

    Returns:
        bool [..., t_max], True at the spike; all False for a silent neuron.

    Raises:
        ValueError: ``times`` are not spike times for this ``t_max``.
    """
    import torch

    check_t_max(t_max)
    check_times(times, t_max)
    return times.unsqueeze(-1) == torch.arange(t_max, device=times.device)


def from_raster(raster: Tensor) -> Tensor:
    """Time of the first spike, the opposite of `to_raster`.

    Args:
        raster: bool [..., t_max].

    Returns:
        float32 times [...]; ``t_max`` where there is no spike.

    Raises:
        ValueError: ``raster`` is not bool.
    """
    import torch

    if raster.dtype != torch.bool or raster.ndim == 0:
        raise ValueError(f"raster must be a bool tensor [..., t_max], got {raster.dtype}")
    check_t_max(raster.shape[-1], torch.float32)
    first = raster.float().argmax(dim=-1)
    return torch.where(raster.any(dim=-1), first, raster.shape[-1]).float()
