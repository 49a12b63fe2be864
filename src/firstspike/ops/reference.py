"""`fire` in plain PyTorch: the definition, on any device.

There is no loop over time steps. The inputs of a sample are sorted by time; the potential after
each of them is a cumulative sum; and the neuron fires at the first event, the last of its time
step, after which the potential is above the threshold. Equations are those of Spiking-GAN
(arXiv 2106.15420): 1-2 for the forward pass, 11-15 for the backward pass.

Order of summation, the same in every implementation: the bias, then the events by ascending time
and, within a step, by ascending input index, accumulated in float64. Two implementations therefore
agree on every spike time, even where a float32 sum would land on either side of the threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 1 << 24  # potentials held at once; bounds the memory, 128 MB


def forward(
    times: Tensor, weight: Tensor, bias: Tensor | None, threshold: float, t_max: int, delay: int
) -> Tensor:
    """Spike times [B, out] of inputs ``times`` [B, in] through ``weight`` [out, in]."""
    outputs, inputs = weight.shape
    start = weight.new_zeros(outputs) if bias is None else bias
    rows = torch.cat([start[None], weight.t()]).double()  # row 0 is the bias, row 1 + i input i
    step = max(1, _CHUNK // max(1, (inputs + 1) * outputs))
    chunks = [_fire(part, rows, threshold, t_max, delay) for part in times.split(step)]
    return torch.cat(chunks).to(times.dtype)


def _fire(times: Tensor, rows: Tensor, threshold: float, t_max: int, delay: int) -> Tensor:
    arrival, order = (times + delay).sort(dim=1, stable=True)
    arrival = torch.nn.functional.pad(arrival, (1, 0))  # the bias arrives at step 0
    order = torch.nn.functional.pad(order + 1, (1, 0))
    potential = rows[order].cumsum(dim=1)  # [B, 1 + in, out]
    # V is tested after all events of a step, and an event at t_max or later cannot cause a spike.
    last_of_step = torch.nn.functional.pad(arrival[:, 1:] != arrival[:, :-1], (0, 1), value=True)
    tested = last_of_step & (arrival < t_max)
    crossed = (potential > threshold) & tested[:, :, None]
    first = crossed.to(torch.uint8).argmax(dim=1)
    return torch.where(crossed.any(dim=1), arrival.gather(1, first), t_max)


def backward(
    grad: Tensor,
    times: Tensor,
    weight: Tensor,
    fired: Tensor,
    t_max: int,
    delay: int,
    silent: str,
    need_times: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for times [B, in], weight [out, in] and bias [out] (eq. 11-15).

    dt/dV = -1, dV/dw_ji = 1 and dV/dt_i = -w_ji where input i contributed to neuron j. ``grad`` and
    ``fired`` are [B, out]; the gradient for times is empty unless ``need_times``.
    """
    error = effective_error(grad, fired, t_max, silent)
    outputs, inputs = weight.shape
    grad_times = times.new_zeros(times.shape if need_times else (0, inputs))
    grad_weight = weight.new_zeros(inputs, outputs).t()  # the layout that is fast in `fire`
    step = max(1, _CHUNK // max(1, weight.numel()))
    for low in range(0, len(times), step):
        part = slice(low, low + step)
        arrives = (times[part] < t_max)[:, None] & (
            times[part, None] + delay <= fired[part, :, None]
        )
        signal = error[part, :, None] * arrives  # [B, out, in]
        grad_weight -= signal.sum(dim=0)
        if need_times:
            grad_times[part] = (signal * weight).sum(dim=1)
    return grad_times, grad_weight, -error.sum(dim=0)


def effective_error(grad: Tensor, fired: Tensor, t_max: int, silent: str) -> Tensor:
    """The part of ``grad`` = dL/dt that reaches a neuron's potential.

    A silent neuron has no gradient (``silent="zero"``, eq. 11), or passes only what asks it to fire
    earlier, dL/dt > 0 (``silent="pull"``).
    """
    of_silent = grad.clamp(min=0) if silent == "pull" else torch.zeros_like(grad)
    return torch.where(fired < t_max, grad, of_silent)
