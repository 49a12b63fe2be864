"""`fire`: what it means, and the check of its arguments."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import Tensor

from firstspike.ops import backends, dispatch
from firstspike.times import T_MAX, check_t_max, check_tensor, check_whole

Silent = Literal["zero", "pull"]
_SILENT = get_args(Silent)
Impl = Literal["auto", "reference", "numba"]  # the package's own, for options


def fire(
    times: Tensor,
    weight: Tensor,
    *,
    threshold: float = 1.0,
    t_max: int = T_MAX,
    bias: Tensor | None = None,
    delay: int = 1,
    silent: Silent = "zero",
    impl: str = "auto",
) -> Tensor:
    """First spike times of a layer of integrate-and-fire neurons (arXiv 2106.15420, eq. 1-2).

    Neuron j's potential at step t is ``bias[j]`` plus the sum of ``weight[j, i]`` over the inputs
    with ``times[b, i] + delay <= t``; it spikes at the first step in 0..t_max-1 at which that is
    strictly above ``threshold``, and never again. Step synapses: a weight counts in full from the
    arrival of its spike on. Sums are taken in the dtype of the weights, one after the other.

    The gradient is the paper's approximation (eq. 11-15): dt/dV = -1 where the neuron fired,
    dV/dw_ji = 1 and dV/dt_i = -w_ji where input i contributed, that is, arrived by the time of the
    spike. It has no second derivative.

    Args:
        times: input spike times in steps, [B, in], whole values in 0..t_max; t_max is silence and
            contributes nothing.
        weight: [out, in], of the dtype of ``times``. Fastest on a CPU if ``weight.t()`` is
            contiguous (`firstspike.nn.by_input`). Its values are not looked at, which would take a
            tenth of the time: a potential that is NaN is above no threshold, so that the neuron is
            silent from there on. What is read from files is checked.
        threshold: potential that must be exceeded.
        t_max: number of time steps, which the dtype must hold: 256 in bfloat16, 2048 in float16,
            2 ** 24 in float32.
        bias: potential from step 0 on, [out], or None.
        delay: steps from an input spike to its effect, 0 or more. 1 makes "contributed" and
            "came before" the same set, as in S4NN's code; 0 is the paper to the letter.
        silent: what a neuron that did not fire passes back: ``"zero"``, nothing; ``"pull"``, only
            gradients that ask it to fire earlier, as if it had fired at t_max.
        impl: ``"reference"`` (plain PyTorch, any device), ``"numba"`` (event-driven, CPU, float32
            or float64), the name of another backend (`firstspike.ops.backends`), or ``"auto"``: the
            fastest that fits. They give the same spike times, and gradients that differ by
            rounding.

    Returns:
        Spike times [B, out] in steps, of the dtype and on the device of ``times``; t_max is
        silence.

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    t_max, delay = check_t_max(t_max), check_whole("delay", delay, 0, " of steps")
    _check(times, weight, bias, t_max, threshold, silent)
    return dispatch.call(
        times, weight, bias, float(threshold), t_max, delay, silent, backends.choose(impl, times)
    )


def _check(
    times: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    t_max: int,
    threshold: float,
    silent: str,
) -> None:
    for name, tensor in (("times", times), ("weight", weight), ("bias", bias)):
        if not isinstance(tensor, Tensor) and not (tensor is None and name == "bias"):
            check_tensor(name, tensor)
    shape, dtype, device = times.shape, times.dtype, times.device
    if len(shape) != 2:
        raise ValueError(f"times must be [B, in], got shape {list(shape)}")
    if not dtype.is_floating_point:
        raise ValueError(f"times must be a floating-point tensor, got {dtype}")
    check_t_max(t_max, dtype)
    if weight.ndim != 2 or weight.shape[1] != shape[1]:
        raise ValueError(
            f"weight must be [out, in] with in = {shape[1]} as in times, "
            f"got shape {list(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be [out] = [{weight.shape[0]}], got {list(bias.shape)}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype != dtype or tensor.device != device):
            raise ValueError(
                f"{name} must be {dtype} on {device} like times, "
                f"got {tensor.dtype} on {tensor.device}"
            )
    if math.isnan(threshold):
        raise ValueError("threshold must be a number, got NaN")
    if silent not in _SILENT:
        raise ValueError(f"silent must be one of {_SILENT}, got {silent!r}")
