"""Random changes of training images, and named sets of them.

A transform is anything that takes a batch and a random generator and gives a batch of the same
shape: images [B, C, H, W] in 0..1, with 0, silence, for what comes in from outside. All work on the
whole batch at once, on its device. Write a function, or a dataclass with a ``__call__`` as below,
and `register` it by a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from firstspike.coding import jittered

Transform = Callable[[Tensor, torch.Generator], Tensor]

_LEVELS = 255  # the largest value of an 8-bit pixel


@dataclass(frozen=True)
class Shift:
    """Moves by whole pixels, which keep images sharp; every move is equally likely.

    Args:
        pixels: the largest move, up, down and to each side.
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        if type(self.pixels) is not int or self.pixels < 0:
            raise ValueError(f"pixels must be a whole number from 0, got {self.pixels!r}")

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        (batch, _, height, width), most = images.shape, self.pixels
        down, right = torch.randint(2 * most + 1, (2, batch), generator=rng).to(images.device)
        padded = functional.pad(images, (most, most, most, most))
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view of all places
        return windows[torch.arange(batch, device=images.device), :, down, right]


@dataclass(frozen=True)
class Affine:
    """Rotates, scales, shears and moves, each by a uniform amount, with bilinear interpolation.

    Args:
        rotate: the largest angle, in degrees, either way.
        scale: the largest change of width and height, which are drawn apart, as a share of them.
        shear: the largest move of a row, as a share of its distance from the middle.
        shift: the largest move, in pixels, up, down and to each side.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotate", "scale", "shear", "shift"):
            size = getattr(self, name)
            if not (math.isfinite(size) and size >= 0):
                raise ValueError(f"{name} must be a number from 0, got {size!r}")
        if self.scale >= 1:
            raise ValueError(f"scale must be below 1, got {self.scale}")

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = images.shape[2:]
        amounts = torch.rand((6, len(images)), generator=rng).to(images.device) * 2 - 1
        angle = amounts[0] * math.radians(self.rotate)
        wide, high = 1 + amounts[1] * self.scale, 1 + amounts[2] * self.scale
        shear, right, down = amounts[3] * self.shear, amounts[4], amounts[5]
        cosine, sine = angle.cos(), angle.sin()
        # Where each pixel comes from, in half-widths and half-heights from the middle.
        across = [cosine * wide, (shear - sine) * high, right * (2 * self.shift / width)]
        along = [sine * wide, cosine * high, down * (2 * self.shift / height)]
        places = torch.stack([torch.stack(across, 1), torch.stack(along, 1)], 1).to(images.dtype)
        grid = functional.affine_grid(places, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, align_corners=False)


@dataclass(frozen=True)
class Flip:
    """Mirrors left and right.

    Args:
        share: of the images that are mirrored.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in 0..1, got {self.share}")

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        chosen = torch.rand((len(images), 1, 1, 1), generator=rng) < self.share
        return torch.where(chosen.to(images.device), images.flip(-1), images)


@dataclass(frozen=True)
class CutOut:
    """Blackens a square around a random pixel (DeVries and Taylor, arXiv 1708.04552).

    Args:
        size: pixels of its sides; near the border less of it lies in the image.
    """

    size: int = 8

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 0:
            raise ValueError(f"size must be a whole number from 0, got {self.size!r}")

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        rows = self._stripe(batch, height, rng).view(batch, 1, height, 1)
        columns = self._stripe(batch, width, rng).view(batch, 1, 1, width)
        return images.masked_fill((rows & columns).to(images.device), 0)

    def _stripe(self, batch: int, length: int, rng: torch.Generator) -> Tensor:
        """bool [batch, length]: the pixels of one direction that the square covers."""
        first = torch.randint(length, (batch, 1), generator=rng) - self.size // 2
        beyond = torch.arange(length) - first
        return (beyond >= 0) & (beyond < self.size)


@dataclass(frozen=True)
class Jitter:
    """Moves spikes in time, see `firstspike.coding.jittered`: for spike times instead of images.

    Args:
        deviation: standard deviation of the move, in steps.
        t_max: number of time steps, which is silence.
    """

    deviation: float
    t_max: int

    def __call__(self, times: Tensor, rng: torch.Generator) -> Tensor:
        return jittered(times, self.deviation, self.t_max, rng)


@dataclass(frozen=True)
class Augmentation:
    """Transforms in a row, from pixels as data sets hold them to pixels as networks take them."""

    transforms: tuple[Transform, ...] = ()

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Changed images.

        Args:
            images: [B, H, W] in gray or [B, C, H, W]; uint8, or floating point in 0..1.
            rng: a CPU generator; the same state gives the same changes on any device.

        Returns:
            float32 [B, C, H, W] in 0..1, in whole steps of 1/255 as the pixels of 8-bit images.

        Raises:
            ValueError: ``images`` have another type or shape.
        """
        pixels = _as_pixels(images)
        for transform in self.transforms:
            pixels = transform(pixels, rng)
        return pixels.mul(_LEVELS).round_().clamp_(0, _LEVELS).div_(_LEVELS)


PRESETS: dict[str, tuple[Transform, ...]] = {
    "none": (),
    "shift": (Shift(1),),
    "affine": (Affine(rotate=10, scale=0.1, shear=0.1, shift=2),),
    "mirror": (Flip(),),
    "flip": (Flip(), Shift(1), CutOut(8)),
}


def compose(*transforms: Transform | str) -> Augmentation:
    """Transforms in a row as one; names are those of presets.

    Raises:
        ValueError: there is no preset of a name, or something cannot be called.
    """
    row: list[Transform] = []
    for transform in transforms:
        if isinstance(transform, str):
            transform = preset(transform)
        if not callable(transform):
            raise ValueError(f"transforms must be functions or names, got {transform!r}")
        row += transform.transforms if isinstance(transform, Augmentation) else [transform]
    return Augmentation(tuple(row))


@dataclass(frozen=True)
class Each:
    """A transform of single images, such as torchvision's, as one of batches.

    Args:
        transform: takes an image [C, H, W] in 0..1 and gives one of the same shape. What it draws
            from PyTorch's own generator follows the batch's.
    """

    transform: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**31, (), generator=rng))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torch.stack([self.transform(image) for image in images])


def register(name: str, *transforms: Transform) -> None:
    """Make transforms known by a name. ValueError if it is taken."""
    if name in PRESETS:
        raise ValueError(f"name: there is an augmentation {name!r} already")
    PRESETS[name] = transforms


def preset(name: str) -> Augmentation:
    """The augmentation of this name. ValueError if there is none."""
    if name not in PRESETS:
        raise ValueError(f"augment must be one of {', '.join(PRESETS)}, got {name!r}")
    return Augmentation(PRESETS[name])


def _as_pixels(images: Any) -> Tensor:
    """float32 [B, C, H, W] in 0..1."""
    shape = list(getattr(images, "shape", ()))
    if not isinstance(images, Tensor) or len(shape) not in (3, 4):
        raise ValueError(f"images must be a tensor [B, H, W] or [B, C, H, W], got {shape}")
    if images.dtype != torch.uint8 and not images.dtype.is_floating_point:
        raise ValueError(f"images must be uint8 or floating point in 0..1, got {images.dtype}")
    pixels = images.unsqueeze(1) if images.ndim == 3 else images
    return pixels.float().div(_LEVELS) if images.dtype == torch.uint8 else pixels.float()
