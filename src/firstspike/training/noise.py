"""Noise on images in training: moved in space and in time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from firstspike.coding import encode, jittered


@dataclass(frozen=True)
class InputNoise:
    """How much images vary, for rules that derive their settings from it."""

    shift: int = 0
    """Pixels by which images move at random."""
    whole: bool = False
    """Whether only images that stay whole move."""
    jitter: float = 0.0
    """Standard deviation, in steps, of the noise on input spikes."""

    def times(self, images: Tensor, t_max: int, rng: torch.Generator) -> Tensor:
        """Spike times [B, pixels] of uint8 images [B, ...], moved."""
        times = encode(images, t_max).float()
        if self.shift:
            times = shifted(times, self.shift, t_max, rng, whole=self.whole)
        if self.jitter:
            times = jittered(times, self.jitter, t_max, rng)
        return times.flatten(1)


def shifted(
    times: Tensor, pixels: int, t_max: int, rng: torch.Generator, *, whole: bool = False
) -> Tensor:
    """Images moved by up to ``pixels`` in either direction; what comes in is black.

    All channels of an image move alike.

    Args:
        times: spike times of images, [B, height, width] or [B, channels, height, width].
        pixels: the largest shift.
        t_max: the time of a black pixel.
        rng: gives the shifts.
        whole: move only images that stay whole: those that are black for ``pixels`` from each edge.
            A picture that fills its frame has been placed by it.
    """
    count, (height, width) = len(times), times.shape[-2:]
    padded = nn.functional.pad(times.reshape(count, -1, height, width), (pixels,) * 4, value=t_max)
    moves = torch.randint(2 * pixels + 1, (2, count, 1), generator=rng)  # on the CPU, as indices
    if whole:
        moves[:, ~_has_margin(times, pixels, t_max).cpu()] = pixels
    rows, columns = moves[0] + torch.arange(height), moves[1] + torch.arange(width)
    image, channel = torch.arange(count)[:, None, None, None], torch.arange(padded.shape[1])
    chosen = image, channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    return padded[chosen].reshape(times.shape)


def _has_margin(times: Tensor, margin: int, t_max: int) -> Tensor:
    """Which images are black, that is ``t_max``, for so many pixels from each edge: bool [B]."""
    edge = torch.ones(times.shape[-2:], dtype=torch.bool)
    edge[margin : times.shape[-2] - margin, margin : times.shape[-1] - margin] = False
    return (times[..., edge] == t_max).flatten(1).all(dim=1)
