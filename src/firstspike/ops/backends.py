"""Who computes `fire`: a table of backends by name.

A backend is a module, or anything else, with the two functions of `Kernels`; `register_backend`
adds one. `firstspike.ops.reference` defines the results of all: the same spike times to the last
bit, which its order of summation makes possible, and gradients that differ by rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from firstspike.ops import reference

AUTO = "auto"


class Kernels(Protocol):
    """Both passes of `fire`, with arguments that fit each other, on the device of ``times``."""

    def forward(
        self,
        times: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        threshold: float,
        t_max: int,
        delay: int,
    ) -> Tensor:
        """Spike times [B, out] of inputs ``times`` [B, in] through ``weight`` [out, in] (eq. 1-2).

        Raises:
            ValueError: ``times`` are not spike times, as `firstspike.times.check_times` says.
        """
        ...

    def backward(
        self,
        grad: Tensor,
        times: Tensor,
        weight: Tensor,
        fired: Tensor,
        t_max: int,
        delay: int,
        silent: str,
        need_times: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients for times, weight and bias [out] from ``grad`` [B, out] (eq. 11-15).

        That for times is [B, in], or [0, in] unless ``need_times``; that for the weight is [out,
        in], the transpose of a contiguous tensor. ``silent`` is as for `fire`.
        """
        ...


@dataclass(frozen=True)
class Backend:
    """An entry of the table.

    Args:
        fits: whether it takes tensors of the dtype and on the device of this one.
        needs: the same in words, for an error message.
        load: imports and returns the kernels; called for each pass.
    """

    fits: Callable[[Tensor], bool]
    needs: str
    load: Callable[[], Kernels]


def _fits_numba(times: Tensor) -> bool:
    return times.device.type == "cpu" and times.dtype in (torch.float32, torch.float64)


@functools.cache
def _load_numba() -> Kernels:
    from firstspike.ops.cpu import fire  # Numba takes a second to import: not before

    return fire


_backends = {
    "reference": Backend(lambda times: True, "a floating-point tensor", lambda: reference),
    "numba": Backend(_fits_numba, "float32 or float64 on a CPU", _load_numba),
}


def register_backend(name: str, backend: Backend) -> None:
    """Make ``fire(..., impl=name)`` use ``backend``, and ``impl="auto"`` where it fits.

    Raises:
        ValueError: ``name`` is taken.
    """
    if name in impls():
        raise ValueError(f"name must be new, but {name!r} is one of {impls()}")
    _backends[name] = backend


def impls() -> tuple[str, ...]:
    """What ``impl`` may be."""
    return (AUTO, *_backends)


def choose(impl: str, times: Tensor) -> str:
    """The backend that ``impl`` means for these ``times``; "auto" is the latest in the table.

    Raises:
        ValueError: there is none of this name, or it does not take ``times``.
    """
    if impl == AUTO:
        return next(name for name, entry in reversed(_backends.items()) if entry.fits(times))
    if impl not in _backends:
        raise ValueError(f"impl must be one of {impls()}, got {impl!r}")
    if not _backends[impl].fits(times):
        raise ValueError(
            f"impl {impl!r} needs {_backends[impl].needs}, got {times.dtype} on {times.device}"
        )
    return impl


def load(name: str) -> Kernels:
    """The kernels of the backend that `choose` has named."""
    return _backends[name].load()
