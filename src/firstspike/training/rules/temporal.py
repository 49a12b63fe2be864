"""Noise on the classifier's input, and the error of its output spikes that goes back in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from firstspike import losses
from firstspike.training.config import ClassifierConfig


def shifted(times: Tensor, pixels: int, t_max: int, rng: torch.Generator) -> Tensor:
    """Images moved by up to ``pixels`` in either direction; what comes in is black.

    All channels of an image move alike.

    Args:
        times: spike times of images, [B, height, width] or [B, channels, height, width].
        pixels: the largest shift.
        t_max: the time of a black pixel.
        rng: gives the shifts.
    """
    count, (height, width) = len(times), times.shape[-2:]
    padded = nn.functional.pad(times.reshape(count, -1, height, width), (pixels,) * 4, value=t_max)
    moves = torch.randint(2 * pixels + 1, (2, count, 1), generator=rng)
    rows, columns = moves[0] + torch.arange(height), moves[1] + torch.arange(width)
    image, channel = torch.arange(count)[:, None, None, None], torch.arange(padded.shape[1])
    chosen = image, channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    return padded[chosen].reshape(times.shape)


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
