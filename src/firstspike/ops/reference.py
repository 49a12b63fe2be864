"""`fire` in plain PyTorch: the definition, on any device.

There is no loop over time steps, but one over events: the inputs of a sample are sorted by time,
each adds its weights to the potentials, and a neuron fires at the first event, the last of its time
step, after which its potential is above the threshold. Equations are those of Spiking-GAN
(arXiv 2106.15420): 1-2 for the forward pass, 11-15 for the backward pass.

Order of summation, the same in every implementation: the bias, then the events by ascending time
and, within a step, by ascending input index, one after the other in the dtype of the weights, to
which the threshold is rounded as well. IEEE arithmetic then leaves no freedom, and two
implementations agree on every spike time, even where rounding decides about it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from firstspike.times import check_times

_CHUNK = 1 << 24  # contributions held at once in the backward pass; bounds the memory, 128 MB


def forward(
    times: Tensor, weight: Tensor, bias: Tensor | None, threshold: float, t_max: int, delay: int
) -> Tensor:
    """Spike times [B, out] of inputs ``times`` [B, in] through ``weight`` [out, in] (eq. 1-2).

    Raises:
        ValueError: ``times`` are not spike times.
    """
    check_times(times, t_max)
    batch, inputs = times.shape
    rows = weight.t()
    arrival, order = (times + delay).sort(dim=1, stable=True)
    arrives = arrival < t_max  # an event at t_max or later cannot cause a spike
    # V is tested after all events of a step.
    last_of_step = torch.nn.functional.pad(arrival[:, 1:] != arrival[:, :-1], (0, 1), value=True)
    tested = last_of_step & arrives
    start = weight.new_zeros(len(weight)) if bias is None else bias
    potential = start.expand(batch, -1)
    bar = weight.new_tensor(threshold)
    alone = torch.nn.functional.pad(arrival, (0, 1), value=t_max)[:, :1] > 0  # the bias at step 0
    fired = torch.where((potential > bar) & alone, 0, times.new_tensor(t_max))
    for k in range(inputs):
        here = slice(k, k + 1)
        row = rows[order[:, k]]
        potential = torch.where(arrives[:, here], potential + row, potential)
        crossed = (potential > bar) & tested[:, here]
        fired = torch.where(crossed, torch.minimum(fired, arrival[:, here]), fired)
    return fired


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
            times[part, None] <= fired[part, :, None] - delay  # exact; a sum might be rounded
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
