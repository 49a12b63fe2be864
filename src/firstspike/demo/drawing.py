"""What a generator does with its latents, spike by spike, as JSON values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from firstspike.models import LATENTS


def sample(gan: Any, count: int, seed: int, digit: str | None = None) -> dict[str, Any]:
    """``count`` images of latents that ``seed`` decides; see `draw`.

    Args:
        gan: the network.
        count: of the images.
        seed: of the latents.
        digit: the class to draw, by name, of a conditional network; all in turn if None.

    Raises:
        ValueError: there is no such class, or the network cannot be asked for one.
    """
    wanted = None if digit is None else torch.full((count,), gan.shape.label(digit))
    return draw(gan, gan.latents(count, torch.Generator().manual_seed(seed), wanted))


def walk(gan: Any, ends: Any, steps: int) -> dict[str, Any]:
    """Images of ``steps`` latents from one to another; see `draw`.

    A spike moves in time. Silence is no late spike, so where only one end has a spike, it comes or
    goes at a moment of its own.

    Args:
        gan: the network.
        ends: the latents where the walk starts and ends, as lists of spike times.
        steps: images, with those of the two ends.

    Raises:
        ValueError: ``ends`` are no latents.
    """
    inputs = gan.artist(averaged=True).layers[0].in_features
    first, last = ends = _latents(ends, inputs, gan.config.t_max)
    share = torch.linspace(0, 1, steps)[:, None]
    moved = gan.on_grid(torch.lerp(first, last, share))
    moments = ((torch.arange(LATENTS) + 0.5) / LATENTS).roll(LATENTS // 2)
    # The last inputs, which tell a conditional network the class, switch together halfway.
    moments = torch.cat([moments, torch.full((inputs - LATENTS,), 0.5)])
    switched = torch.where(share > moments, last, first)
    one_silent = (ends == gan.config.t_max).sum(dim=0) == 1
    return draw(gan, torch.where(one_silent, switched, moved))


@torch.no_grad()
def draw(gan: Any, latents: Tensor) -> dict[str, Any]:
    """Spike times of the generator with averaged weights.

    Args:
        gan: the network.
        latents: spike times [count, inputs].

    Returns:
        ``images``, for each the spike times of all layers, the latent first and the pixels last,
        t_max for silence; ``t_max``.
    """
    drawn = gan.artist(averaged=True).layer_times(latents)
    layer_times = [times.flatten(1).int().tolist() for times in drawn]
    images = [list(image) for image in zip(*layer_times, strict=True)]
    return {"images": images, "t_max": gan.config.t_max}


def _latents(ends: Any, inputs: int, t_max: int) -> Tensor:
    """Two latents as a tensor [2, inputs], checked."""
    fault = f"latents must be two lists of {inputs} whole numbers in 0..{t_max}"
    try:
        latents = torch.tensor(ends, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(fault) from None
    fits = (latents == latents.round()) & (latents >= 0) & (latents <= t_max)
    if latents.shape != (2, inputs) or not fits.all():
        raise ValueError(fault)
    return latents
