"""Images and noise to spike times and back; spike-count coding for comparison.

Time-to-first-spike coding (Spiking-GAN, arXiv 2106.15420, section 2.2, eq. 3): a pixel of
intensity ``I`` in ``0..I_max`` spikes once, at step

    t = floor((I_max - I) / I_max * t_max),    0 <= t <= t_max,

so that white spikes at 0, and black at ``t_max``, which means silence (see `firstspike.times`).
Spike-count coding (the same section and fig. 3) spends ``I`` spikes on the same pixel.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.times import T_MAX, check_number, check_t_max, check_times, check_whole
from firstspike.torch_private import is_plain

ImageLike = Tensor | NDArray[Any]

SPREAD = 3**0.5  # numbers uniform in -SPREAD..SPREAD, as times of latents become, have variance 1
_PART = 1 << 20  # pixels that are encoded at a time
_LEVELS = 255  # the largest value of an 8-bit pixel


def encode(images: ImageLike, t_max: int = T_MAX) -> Tensor:
    """Spike times of the pixels of images (paper section 2.2, eq. 3).

    Args:
        images: tensor or array of any shape; uint8 in 0..255, or floating point in 0..1.
        t_max: number of time steps of the simulation; a black pixel gets it, that is, silence.

    Returns:
        Times in steps, of PyTorch's default dtype (float32 if nobody changed it), of the shape and
        on the device of ``images``. Exact for uint8; for floats, a value within rounding error of a
        step counts as that step, so that ``pixels / 255`` gives the times of ``pixels``. No
        gradient flows through.

    Raises:
        ValueError: ``images`` has another type or holds NaN or values outside 0..1.
    """
    dtype = torch.get_default_dtype()
    t_max = check_t_max(t_max, dtype)
    pixels = as_images(images)
    if pixels.dtype == torch.uint8:
        table = torch.from_numpy(shade_times(t_max)).to(pixels.device, dtype)
        if not is_plain(pixels):
            return table[pixels.long()]
        times = torch.empty(pixels.shape, dtype=dtype, device=pixels.device)
        parts = zip(pixels.flatten().split(_PART), times.view(-1).split(_PART), strict=True)
        for part, result in parts:  # as indices, pixels take eight times their memory
            torch.index_select(table, 0, part.int(), out=result)
        return times
    rounding = min(0.5, 2 * torch.finfo(pixels.dtype).eps * t_max)
    exact = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
    return torch.floor((1 - exact) * t_max + rounding).to(dtype)


@functools.cache
def shade_times(t_max: int = T_MAX) -> NDArray[np.int32]:
    """Spike time of each value of an 8-bit pixel, int32 [256]: `encode` as a table for kernels."""
    shades = np.arange(_LEVELS + 1, dtype=np.int64)
    return ((_LEVELS - shades) * check_t_max(t_max) // _LEVELS).astype(np.int32)


def decode(times: Tensor, t_max: int = T_MAX) -> Tensor:
    """Intensities of spike times, ``(t_max - t) / t_max``: the opposite of `encode`.

    Args:
        times: float times in steps, 0..t_max, any shape; ``t_max`` (silence) is black.
        t_max: the value that `encode` was given.

    Returns:
        Intensities in 0..1, of the shape and dtype of ``times``; gradients flow.
        ``encode(decode(times)) == times``, and ``decode(encode(images))`` is at most one step
        (``1 / t_max``) brighter than ``images``.

    Raises:
        ValueError: ``times`` are not spike times for this ``t_max``.
    """
    check_t_max(t_max)
    check_times(times, t_max)
    return (t_max - times) / t_max


def noise_times(
    count: int,
    features: int,
    t_max: int = T_MAX,
    *,
    last: int | None = None,
    silent: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Latent vectors for a generator: random integer spike times (section 2.3).

    Args:
        count: number of latent vectors.
        features: spikes per vector.
        t_max: number of time steps.
        last: times are uniform in 0..last; by default ``t_max``, the paper's U{0..t_max}, where
            t_max is drawn as well and then means silence.
        silent: share of the spikes that are silent on top of that.
        generator: a CPU random generator; PyTorch's default one if None.

    Returns:
        Times in steps, [count, features], of PyTorch's default dtype, on the CPU.

    Raises:
        ValueError: an argument is out of its range.
    """
    dtype = torch.get_default_dtype()
    t_max = check_t_max(t_max, dtype)
    count, features = check_whole("count", count, 0), check_whole("features", features, 0)
    last = t_max if last is None else check_whole("last", last, 0)
    if last > t_max:
        raise ValueError(f"last must lie in 0..{t_max}, got {last}")
    if not 0 <= check_number("silent", silent) <= 1:
        raise ValueError(f"silent must lie in 0..1, got {silent}")
    return draw_times((count, features), t_max, last, silent, generator, dtype)


def draw_times(
    shape: tuple[int, int],
    t_max: int,
    last: int,
    silent: float,
    generator: torch.Generator | None,
    dtype: torch.dtype,
) -> Tensor:
    """`noise_times` without its checks, which take as long as the drawing: for use in training."""
    how: dict[str, Any] = {"generator": generator, "device": "cpu"}
    times = torch.randint(last + 1, shape, dtype=dtype, **how)
    if not silent:
        return times
    # Truth values would make PyTorch branch at each: ten times as long, where chance decides.
    left_out = torch.rand(shape, dtype=torch.float32, **how)
    torch.lt(left_out, silent, out=left_out)
    return torch.maximum(times, left_out.mul_(t_max).to(dtype))


def jittered(times: Tensor, deviation: float, t_max: int, rng: torch.Generator) -> Tensor:
    """Spikes moved in time by a normal number of steps; silence stays silence.

    Args:
        times: float times in steps, 0..t_max, any shape; gradients pass as if nothing had moved.
        deviation: standard deviation of the move, in steps.
        t_max: number of time steps; a spike that is moved there falls silent.
        rng: gives the moves.
    """
    noise = (torch.randn(times.shape, dtype=times.dtype, generator=rng) * deviation).round()
    noise = noise.to(times.device)  # drawn on the CPU: the same on any device
    place = times.detach()
    moved = times + ((place + noise).clamp(0, t_max) - place)
    return torch.where(times < t_max, moved, times)


def seen_until(times: Tensor, until: Tensor, t_max: int = T_MAX) -> Tensor:
    """What someone sees of the spikes who looks away after a while: later ones are left out.

    Whoever looks at images until random steps cannot tell gray pixels, which come late, from black
    and white ones, only how often they come.

    Args:
        times: float times in steps, 0..t_max, [B, N]; gradients pass as if nothing were left out,
            also to silent neurons, which could be seen if they fired.
        until: the last step seen, [B, 1], or of any shape that fits.
        t_max: number of time steps.
    """
    place = times.detach()
    return times + torch.where(place <= until, 0, t_max - place)


def rate_encode(images: ImageLike, t_max: int = T_MAX, *, inverted: bool = False) -> Tensor:
    """Spikes per pixel when the number of spikes denotes the intensity (section 3.2).

    ``t_max`` steps tell ``t_max`` counts apart, 0..t_max-1, so 256 steps hold an 8-bit pixel
    without loss and its count is its value.

    The paper quotes 26,175 spikes per MNIST image 'inverted' and 173,745 otherwise. These are the
    means over all 70,000 images, training and test, and it calls inverted what MNIST's files hold,
    white ink on black: they are ``inverted=False`` and ``inverted=True`` here, in this order.

    Args:
        images: tensor or array of any shape; uint8 in 0..255, or floating point in 0..1.
        t_max: number of time steps.
        inverted: code the negative of the images, ``I_max - I``.

    Returns:
        int64 counts in 0..t_max-1, rounded to the nearest, of the shape of ``images``.

    Raises:
        ValueError: as for `encode`.
    """
    check_t_max(t_max)
    pixels = as_images(images)
    if pixels.dtype == torch.uint8:
        counts = (2 * pixels.long() * (t_max - 1) + _LEVELS) // (2 * _LEVELS)
    else:
        exact = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
        counts = torch.floor(exact * (t_max - 1) + 0.5).long()
    return t_max - 1 - counts if inverted else counts


def spike_train(counts: Tensor, t_max: int = T_MAX) -> Tensor:
    """Raster that spreads each count of spikes evenly over the simulation (fig. 3).

    Args:
        counts: integer tensor of any shape, 0..t_max spikes per pixel, e.g. from `rate_encode`.
        t_max: number of time steps.

    Returns:
        bool [..., t_max], True where there is a spike; its sum over time is ``counts``.

    Raises:
        ValueError: ``counts`` are not integers in 0..t_max.
    """
    check_t_max(t_max)
    if counts.dtype.is_floating_point or counts.dtype.is_complex or counts.dtype == torch.bool:
        raise ValueError(f"counts must be an integer tensor, got {counts.dtype}")
    if is_plain(counts) and ((counts < 0) | (counts > t_max)).any():
        raise ValueError(f"counts must lie in 0..{t_max}, one spike a step at most")
    steps = torch.arange(t_max + 1, device=counts.device)
    spikes_before = counts.long().unsqueeze(-1) * steps // t_max
    return spikes_before.diff(dim=-1).bool()


def as_images(images: ImageLike) -> Tensor:
    """``images`` as a detached tensor: uint8, or floating point in 0..1. ValueError otherwise."""
    remedy = "must be uint8 in 0..255 or floating point in 0..1"
    if isinstance(images, Tensor):
        pixels = images.detach() if images.requires_grad else images
    else:
        try:
            pixels = torch.from_numpy(np.array(images, order="C"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"images {remedy}: this array is no tensor ({error})") from None
    if pixels.dtype == torch.uint8:
        return pixels
    if not pixels.dtype.is_floating_point:
        raise ValueError(
            f"images {remedy}, got {pixels.dtype}: convert 0..255 with .to(torch.uint8) "
            "in PyTorch or .astype(numpy.uint8) in NumPy"
        )
    if is_plain(pixels) and not ((pixels >= 0) & (pixels <= 1)).all():
        raise ValueError(
            f"images {remedy}, but some are NaN or outside 0..1: divide by the largest value"
        )
    return pixels
