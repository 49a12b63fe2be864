"""The classifier's rules of one training step: what comes in, what is wrong, what learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from firstspike import losses
from firstspike.config import ClassifierConfig
from firstspike.nn import FirstSpikeSequential


def shifted(times: Tensor, pixels: int, t_max: int, rng: torch.Generator) -> Tensor:
    """Images moved by up to ``pixels`` in either direction; what comes in is black.

    Args:
        times: spike times of images [B, height, width].
        pixels: the largest shift.
        t_max: the time of a black pixel.
        rng: gives the shifts.
    """
    count, height, width = times.shape
    padded = nn.functional.pad(times, (pixels,) * 4, value=t_max)
    moves = torch.randint(2 * pixels + 1, (2, count, 1), generator=rng)
    rows, columns = moves[0] + torch.arange(height), moves[1] + torch.arange(width)
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def decision_gradient(
    model: FirstSpikeSequential, layer_times: list[Tensor], error: Tensor, window: float
) -> None:
    """Set the gradients of all weights as of the decision step: a surrogate for eq. 11-15.

    Temporal backpropagation tells a hidden neuron that fired to come earlier or later, and others
    nothing, so that activity dies out under losses that only ask for less. Here a neuron learns as
    far as its potential at the decision, had it not fired, is near its threshold, with the slope
    ``max(0, 1 - |V - threshold| / window)`` for dV (a surrogate gradient, Neftci et al., arXiv
    1901.09948), and from the spikes that had arrived by then.

    Args:
        model: the network; its parameters' ``grad`` is replaced.
        layer_times: spike times of the input and of every layer, [B, features].
        error: dL/dt of the output layer [B, classes]; a silent neuron takes what asks it to fire.
        window: width of the slope, in units of the potential.
    """
    output = layer_times[-1]
    t_max, delay = model.layers[-1].t_max, model.layers[-1].delay
    decision = output.amin(dim=1, keepdim=True)
    arrived = [((t + delay <= decision) & (t < t_max)).to(t.dtype) for t in layer_times[:-1]]
    # dL/dV = -dL/dt (eq. 11), as of the output layer.
    signal = -torch.where((output < t_max) | (error > 0), error, 0)
    for depth in reversed(range(len(model.layers))):
        layer = model.layers[depth]
        layer.weight.grad = (arrived[depth].t() @ signal).t()
        if layer.bias is not None:
            layer.bias.grad = signal.sum(dim=0)
        if depth:
            before = model.layers[depth - 1]
            potential = nn.functional.linear(arrived[depth - 1], before.weight, before.bias)
            slope = (1 - (potential - before.threshold).abs() / window).clamp(min=0)
            signal = (signal @ layer.weight) * slope


def output_error(times: Tensor, target: Tensor, config: ClassifierConfig) -> Tensor:
    """dL/dt of the output spikes [B, classes], of each sample on its own.

    The sign is that of the loss (eq. 16): the desired neuron earlier unless it is first, others
    later unless they are silent. Its size is how wrong the network is, in the softmax of earliness.
    """
    targets = losses.aggressive_targets(times, target, config.t_max)
    if config.loss == "s4nn":
        targets = losses.relative_targets(times, target, config.t_max, config.gamma)
    share = torch.softmax(-times / config.softness, dim=1)
    desired = nn.functional.one_hot(target, times.shape[1]).to(times.dtype)
    if config.loss == "cross-entropy":
        return desired - share
    wrong = (desired - share).abs() * (times - targets).sign()
    return wrong + desired * config.earliness * times / config.t_max
