"""Canvases: a few digits on a texture, partly overlapping, with their masks and boxes.

For networks that say where something is. A canvas follows from the seed, the digits and its own
number alone, so that sets of one seed begin alike, however many they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstspike.data.bundled import load_mnist
from firstspike.data.images import ImageSet
from firstspike.times import check_whole

CANVAS_SIDE = 64  # pixels
MOST = 1_000_000  # canvases of a set
MOST_DIGITS = 4  # of a canvas
MOST_CLASSES = 255  # that fit into an index mask beside the ground
NOTHING = -1  # the label of a place without a digit

_HEIGHTS = 16, 32  # pixels of a digit's ink
_OVERLAP = 0.25  # most that two digits share of the smaller one's box
_TRIES = 20  # to find such a place
_INK = 0.5  # from this opacity on, a pixel belongs to a digit
_BRIGHTNESS = 170, 255  # of ink; textures stay below 140

Floats = NDArray[np.float64]
Place = tuple[slice, slice]  # rows and columns


class Canvas(NamedTuple):
    """One canvas.

    Args:
        image: uint8 [side, side].
        mask: uint8 [side, side], 0 for the ground, and one more than the label of a digit.
        boxes: int64 [n, 4] of what is to be seen of each digit: left, top, width, height, in
            pixels, as COCO has them.
        labels: int64 [n].
        areas: int64 [n], pixels of each digit in the mask.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    labels: NDArray[np.int64]
    areas: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Canvases:
    """Canvases in memory, N of them, with up to `MOST_DIGITS` digits each.

    Args:
        images: uint8 [N, side, side].
        masks: uint8 [N, side, side], see `Canvas`.
        boxes: int64 [N, MOST_DIGITS, 4], see `Canvas`; 0 where there is no digit.
        labels: int64 [N, MOST_DIGITS], places in ``names``, or `NOTHING`.
        name: what reports call the set.
        names: of the classes.
    """

    images: Tensor
    masks: Tensor
    boxes: Tensor
    labels: Tensor
    name: str
    names: tuple[str, ...]

    def __len__(self) -> int:
        return self.labels.shape[0]


def canvases(count: int, seed: int = 0, digits: ImageSet | None = None) -> Canvases:
    """Canvases of 1 to `MOST_DIGITS` digits, the same for the same arguments.

    Args:
        count: how many.
        seed: of all randomness; other digits have other canvases, also with the same seed.
        digits: gray images of bright ink on black; MNIST's training images if None.

    Raises:
        ValueError: an argument does not fit.
    """
    chosen = load_mnist() if digits is None else digits
    made = list(draw_canvases(count, seed, chosen))
    boxes = np.zeros((count, MOST_DIGITS, 4), np.int64)
    labels = np.full((count, MOST_DIGITS), NOTHING)
    for place, canvas in enumerate(made):
        boxes[place, : len(canvas.labels)] = canvas.boxes
        labels[place, : len(canvas.labels)] = canvas.labels
    return Canvases(
        images=torch.from_numpy(np.stack([canvas.image for canvas in made])),
        masks=torch.from_numpy(np.stack([canvas.mask for canvas in made])),
        boxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        name=f"canvases of {chosen.name}",
        names=chosen.names,
    )


def draw_canvases(count: int, seed: int, digits: ImageSet) -> Iterator[Canvas]:
    """One canvas after the other; arguments and errors as of `canvases`."""
    if check_whole("count", count, 1) > MOST:
        raise ValueError(f"count must be at most {MOST}, got {count}")
    check_whole("seed", seed, 0)
    if digits.shape.channels != 1:
        raise ValueError(f"digits must be gray, but {digits.name} has colours")
    if len(digits.names) > MOST_CLASSES:
        raise ValueError(
            f"digits must have at most {MOST_CLASSES} classes, {digits.name} has "
            f"{len(digits.names)}"
        )
    source = zlib.crc32(digits.name.encode())
    return (_canvas(digits, np.random.default_rng([seed, source, n])) for n in range(count))


def _canvas(digits: ImageSet, rng: np.random.Generator) -> Canvas:
    picture, owners = _texture(rng), np.zeros((CANVAS_SIDE, CANVAS_SIDE), np.int64)
    labels: list[int] = []
    places: list[Place] = []
    for _ in range(rng.integers(1, MOST_DIGITS + 1)):
        pixels, label = digits[int(rng.integers(len(digits)))]
        ink = _scaled(pixels.numpy(), int(rng.integers(_HEIGHTS[0], _HEIGHTS[1] + 1)))
        place = _place(ink.shape, places, rng)
        brightness = rng.uniform(*_BRIGHTNESS)
        if place is None:
            continue
        picture[place] += ink * (brightness - picture[place])
        labels.append(label)
        places.append(place)
        owners[place][ink >= _INK] = len(labels)
    digit_of = np.array([NOTHING, *labels])
    seen = [number for number in np.unique(owners) if number > 0]
    return Canvas(
        image=picture.round().astype(np.uint8),
        mask=(digit_of[owners] + 1).astype(np.uint8),
        boxes=np.array([_box(owners == number) for number in seen], np.int64).reshape(-1, 4),
        labels=digit_of[seen],
        areas=np.bincount(owners.ravel())[seen],
    )


def _scaled(pixels: NDArray[np.uint8], height: int) -> Floats:
    """The ink of a digit, opacities 0..1, cut out and scaled to this height, or less if wide."""
    left, top, width, own = _box(pixels > 0) if pixels.any() else (0, 0, *pixels.shape[::-1])
    wanted = max(1, round(width * height / own))
    shrink = min(1.0, _HEIGHTS[1] / wanted)
    size = max(1, round(wanted * shrink)), max(1, round(height * shrink))
    cut = Image.fromarray(pixels[top : top + own, left : left + width])
    return np.asarray(cut.resize(size, Image.Resampling.BILINEAR)) / 255


def _place(size: tuple[int, ...], taken: Sequence[Place], rng: np.random.Generator) -> Place | None:
    """Rows and columns for a digit of this height and width; None if no such place is found."""
    for _ in range(_TRIES):
        top, left = (int(rng.integers(CANVAS_SIDE - side + 1)) for side in size)
        place = slice(top, top + size[0]), slice(left, left + size[1])
        if all(_shared(place, other) <= _OVERLAP for other in taken):
            return place
    return None


def _shared(one: Place, other: Place) -> float:
    """Of the smaller of two boxes, the share that the other one covers."""
    common = [
        max(0, min(a.stop, b.stop) - max(a.start, b.start)) for a, b in zip(one, other, strict=True)
    ]
    least = min((rows.stop - rows.start) * (cols.stop - cols.start) for rows, cols in (one, other))
    return float(np.prod(common)) / least


def _box(pixels: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the True pixels; there is at least one."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _texture(rng: np.random.Generator) -> Floats:
    """A ground of gray values below 140."""
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))](rng)
    return rng.uniform(10, 80) + rng.uniform(0, 60) * pattern


def _ramp(rng: np.random.Generator) -> Floats:
    """0..1 along some direction."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-0.5 : 0.5 : CANVAS_SIDE * 1j, -0.5 : 0.5 : CANVAS_SIDE * 1j]
    return np.asarray(0.5 + (np.cos(angle) * columns + np.sin(angle) * rows) / np.sqrt(2))


def _stripes(rng: np.random.Generator) -> Floats:
    waves = CANVAS_SIDE / rng.uniform(5, 30) * np.sqrt(2)
    return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * waves * _ramp(rng)))


def _checks(rng: np.random.Generator) -> Floats:
    side, (top, left) = int(rng.integers(3, 17)), rng.integers(0, 17, 2)
    rows, columns = np.mgrid[:CANVAS_SIDE, :CANVAS_SIDE]
    return np.asarray(((rows + top) // side + (columns + left) // side) % 2, np.float64)


def _clouds(rng: np.random.Generator) -> Floats:
    """A few random values, and what is between them."""
    side = int(rng.integers(3, 17))
    values = Image.fromarray(rng.random((side, side), dtype=np.float32))
    return np.asarray(values.resize((CANVAS_SIDE, CANVAS_SIDE), Image.Resampling.BILINEAR), float)


def _grain(rng: np.random.Generator) -> Floats:
    return rng.random((CANVAS_SIDE, CANVAS_SIDE))


_PATTERNS: tuple[Callable[[np.random.Generator], Floats], ...] = (
    _ramp,
    _stripes,
    _checks,
    _clouds,
    _grain,
)
