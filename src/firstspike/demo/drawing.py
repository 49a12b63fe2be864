"""What a generator does with its latents, spike by spike, as JSON values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from firstspike import models
from firstspike.gan import SpikingGan


def sample(gan: SpikingGan, count: int, seed: int) -> dict[str, Any]:
    """``count`` images of latents that ``seed`` decides; see `draw`."""
    return draw(gan, gan.latents(count, torch.Generator().manual_seed(seed)))


def walk(gan: SpikingGan, ends: Any, steps: int) -> dict[str, Any]:
    """Images of ``steps`` latents from one to another; see `draw`.

    A spike moves in time. Silence is no late spike, so where only one end has a spike, it comes or
    goes at a moment of its own.

    Args:
        gan: the network.
        ends: the latents where the walk starts and ends, 100 spike times each.
        steps: images, with those of the two ends.

    Raises:
        ValueError: ``ends`` are no latents.
    """
    first, last = ends = _latents(ends, gan.config.t_max)
    share = torch.linspace(0, 1, steps)[:, None]
    moved = gan.on_grid(torch.lerp(first, last, share))
    moments = (torch.arange(models.LATENTS) + 0.5) / models.LATENTS
    switched = torch.where(share > moments, last, first)
    one_silent = (ends == gan.config.t_max).sum(dim=0) == 1
    return draw(gan, torch.where(one_silent, switched, moved))


@torch.no_grad()
def draw(gan: SpikingGan, latents: Tensor) -> dict[str, Any]:
    """Spike times of the generator with averaged weights.

    Args:
        gan: the network.
        latents: spike times [count, 100].

    Returns:
        ``images``, for each the spike times of all layers, the latent first and the pixels last,
        t_max for silence; ``t_max``.
    """
    layer_times = [times.int().tolist() for times in gan.artist(averaged=True).layer_times(latents)]
    images = [list(image) for image in zip(*layer_times, strict=True)]
    return {"images": images, "t_max": gan.config.t_max}


def _latents(ends: Any, t_max: int) -> Tensor:
    """Two latents as a tensor [2, 100], checked."""
    fault = f"latents must be two lists of {models.LATENTS} whole numbers in 0..{t_max}"
    try:
        latents = torch.tensor(ends, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(fault) from None
    whole = latents == latents.round()
    if (
        latents.shape != (2, models.LATENTS)
        or not (whole & (latents >= 0) & (latents <= t_max)).all()
    ):
        raise ValueError(fault)
    return latents
