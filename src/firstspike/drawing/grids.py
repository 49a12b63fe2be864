"""Grids of pixels: images side by side in one picture. Files are whole or absent.

Images are [N, height, width] in gray or [N, 3, height, width] in colour, float in 0..1 or uint8; 0
is black. A grid that was saved as PNG says in the file how it is laid out, so that it can be read
again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from torch import Tensor

from firstspike.runs import files

ImageLike = Tensor | NDArray[Any]

_WALKING, _RESTING = 80, 2000  # milliseconds of a frame, and of the last one
_FRAMES = 48  # in which spikes come, at most
_MOST_MOVING = 1 << 29  # pixels of all frames of an animation, which Pillow holds at once
_AT_ONCE = 1000  # images that are rounded
_GROUND = 96  # gray between the images of a grid, 0..255
_NOTE = "firstspike-grid"  # the PNG text that tells the layout
_REMEDY = "make room there or choose another place"


class Layout(NamedTuple):
    """How the images of a grid stand: so many, each in its size, enlarged, with gaps between."""

    images: int
    columns: int
    height: int
    width: int
    scale: int
    gap: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        rows = math.ceil(self.images / self.columns)
        pairs = ((self.columns, self.width), (rows, self.height))
        width, height = (n * (side * self.scale + self.gap) - self.gap for n, side in pairs)
        return width, height


# Grids of older versions carry no note. All of them showed images of this size in this way.
_UNNOTED = Layout(images=1, columns=1, height=28, width=28, scale=2, gap=2)


def image_grid(
    images: ImageLike, columns: int | None = None, scale: int = 2, gap: int = 2
) -> Image.Image:
    """Images side by side in rows, on gray.

    Args:
        images: [N, height, width] or [N, 3, height, width], N at least 1.
        columns: images in a row; by default as many as make the grid square.
        scale: each pixel becomes a square of so many.
        gap: pixels between images, not scaled.

    Returns:
        8-bit gray or RGB, ``columns * (width * scale + gap) - gap`` wide.

    Raises:
        ValueError: an argument does not fit.
    """
    pixels = as_pixels(images)
    return _draw(pixels, _lay_out(pixels, columns, scale, gap))


def save_image_grid(
    path: str | os.PathLike[str],
    images: ImageLike,
    columns: int | None = None,
    scale: int = 2,
    gap: int = 2,
) -> None:
    """Write `image_grid` to a file, whose suffix tells the format; makes the folder.

    Raises:
        ValueError: as for `image_grid`, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"{path}: no picture format has this suffix; use .png")
    pixels = as_pixels(images)
    layout = _lay_out(pixels, columns, scale, gap)
    grid, note = _draw(pixels, layout), PngImagePlugin.PngInfo()
    note.add_text(_NOTE, json.dumps(layout._asdict()))
    with files.saving(path) as temporary:
        grid.save(temporary, pnginfo=note)  # other formats pass over it


def read_image_grid(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The images of a grid that `save_image_grid` wrote as PNG.

    Returns:
        uint8 [N, height, width], or [N, 3, height, width] of a grid in colour.

    Raises:
        ValueError: the file cannot be read or holds no such grid.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            grid = np.asarray(picture.convert("RGB" if picture.mode == "RGB" else "L"))
            size, note = picture.size, picture.info.get(_NOTE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise files.damaged(path, str(error)) from None
    layout = _unnoted_layout(size, path) if note is None else _noted_layout(note, size, path)
    images = _untile(grid, layout)
    return images if images.ndim == 3 else np.moveaxis(images, -1, 1)


def rows_beside(above: Tensor, below: Tensor) -> tuple[Tensor, int]:
    """Rows of images, each with the row of their counterparts below, for `image_grid`.

    Args:
        above: [N, ...].
        below: [N, ...], of the same shape.

    Returns:
        Images in the order of the grid, black where the last row is not full, and its columns.
    """
    columns = min(len(above), max(1, math.isqrt(2 * len(above))))
    missing = -len(above) % columns
    rows = [
        torch.cat([of, of.new_zeros(missing, *of.shape[1:])]).unflatten(0, (-1, columns))
        for of in (above, below)
    ]
    return torch.stack(rows, dim=1).flatten(0, 2), columns


def save_walks(path: str | os.PathLike[str], images: ImageLike, steps: int) -> None:
    """Write walks as an animation that goes there and back: the walks side by side, a step a frame.

    Args:
        path: of a GIF file; its folder is made.
        images: [walks * steps, ...], walk by walk, as for `image_grid`.
        steps: images of each walk.

    Raises:
        ValueError: as for `image_grid`, or the file cannot be written.
    """
    path = Path(path)
    pixels = torch.as_tensor(as_pixels(images)).unflatten(0, (-1, steps)).numpy()
    forth = [*pixels.swapaxes(0, 1)]
    frames = [*forth, *forth[-2:0:-1]]
    _save_frames(path, frames, [_WALKING] * len(frames))


def save_spikes(path: str | os.PathLike[str], images: ImageLike) -> None:
    """Write images as an animation in which pixels appear as their spikes come, white ones first.

    An intensity is a spike time, (t_max - t) / t_max, so that the images alone tell the order; a
    frame stands for as many time steps as another.

    Args:
        path: of a GIF file; its folder is made.
        images: as for `image_grid`.

    Raises:
        ValueError: as for `image_grid`, there are too many, or the file cannot be written.
    """
    pixels = as_pixels(images)
    levels = np.unique(pixels[pixels > 0])[::-1]
    if len(levels) > _FRAMES:
        levels = np.linspace(levels[0], levels[-1], _FRAMES)
    seen = [np.where(pixels >= level, pixels, 0).astype(np.uint8) for level in levels]
    frames = [np.zeros_like(pixels), *seen]
    _save_frames(Path(path), frames, [*[_WALKING] * len(seen), _RESTING])


def _save_frames(path: Path, frames: list[NDArray[np.uint8]], milliseconds: list[int]) -> None:
    """Write grids of pixels as a GIF that goes round; how long each is shown."""
    layout = _lay_out(frames[0], None, 3, 2)
    needed = math.prod(layout.size) * len(frames)
    if needed > _MOST_MOVING:
        raise ValueError(
            f"images must be fewer for an animation: {len(frames)} frames of "
            f"{layout.size[0]}x{layout.size[1]} pixels, more than {_MOST_MOVING} in all"
        )
    drawn = (_draw(frame, layout) for frame in frames)
    first = next(drawn)
    with files.saving(path) as temporary:
        first.save(temporary, save_all=True, append_images=drawn, duration=milliseconds, loop=0)


def save_images(folder: str | os.PathLike[str], images: ImageLike) -> None:
    """Write each image as ``0000.png``, ``0001.png``, ... into a new or empty folder.

    Args:
        folder: it appears with all images, or not at all.
        images: [N, height, width] or [N, 3, height, width], N at least 1.

    Raises:
        ValueError: ``images`` do not fit, or the folder holds something or cannot be written.
    """
    pixels = as_pixels(images)
    save_parts(folder, [pixels if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)], len(pixels))


def save_parts(folder: str | os.PathLike[str], parts: Iterable[ImageLike], count: int) -> None:
    """`save_images` of images that come in parts; there are ``count`` in all."""
    digits = max(4, len(str(count - 1)))  # names sort as their numbers
    with files.saving_folder(Path(folder)) as temporary:
        pixels = (image for part in parts for image in as_pixels(part))
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(temporary / f"{number:0{digits}}.png")


def gathered(parts: Iterable[ImageLike], count: int) -> NDArray[np.uint8]:
    """Images that come in parts, ``count`` in all, in 8 bits: [N, height, width] or with colours.

    Returns:
        uint8 [N, height, width] or [N, 3, height, width].
    """
    found, start = np.empty(0, np.uint8), 0
    for part in parts:
        pixels = as_pixels(part)
        if not start:
            found = np.empty((count, *pixels.shape[1:]), np.uint8)
        found[start : start + len(pixels)] = pixels
        start += len(pixels)
    return found if found.ndim == 3 else np.moveaxis(found, -1, 1)


def as_pixels(images: ImageLike) -> NDArray[np.uint8]:
    """Images as pictures hold them: uint8 [N, height, width] in gray, [N, height, width, 3] in RGB.

    Args:
        images: [N, height, width], [N, 1, height, width] or [N, 3, height, width]; float in 0..1
            or uint8.

    Raises:
        ValueError: ``images`` do not fit.
    """
    array = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else images
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[1] in (1, 3))) or 0 in array.shape:
        raise ValueError(
            "images must be [N, height, width] or [N, 3, height, width], not empty, "
            f"got {list(array.shape)}"
        )
    if array.ndim == 4:
        array = array[:, 0] if array.shape[1] == 1 else np.moveaxis(array, 1, -1)
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"images must be uint8 or floating point in 0..1, got {array.dtype}")
    pixels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _AT_ONCE):  # float64 is exact, and eight times as large
        part = array[start : start + _AT_ONCE]
        if not ((part >= 0) & (part <= 1)).all():
            raise ValueError("images must lie in 0..1, but some are NaN or outside; scale them")
        pixels[start : start + _AT_ONCE] = np.rint(part.astype(np.float64) * 255)
    return pixels


def tile(images: NDArray[Any], columns: int, gap: int, ground: float) -> NDArray[Any]:
    """Arrays side by side in rows on one array.

    Args:
        images: [N, height, width, ...] of any type.
        columns: images in a row.
        gap: elements between images.
        ground: value of gaps and of places without an image.

    Returns:
        [rows * (height + gap) - gap, columns * (width + gap) - gap, ...].
    """
    count, height, width, *colour = images.shape
    rows, height, width = math.ceil(count / columns), height + gap, width + gap
    cells = np.full((rows * columns, height, width, *colour), ground, images.dtype)
    cells[:count, : height - gap, : width - gap] = images
    grid = cells.reshape(rows, columns, height, width, *colour).swapaxes(1, 2)
    grid = grid.reshape(rows * height, columns * width, *colour)
    return grid[: rows * height - gap, : columns * width - gap]


def _untile(grid: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """The opposite of `tile` and of the enlargement: [N, height, width, ...]."""
    height, width = layout.height * layout.scale, layout.width * layout.scale
    cells = []
    for number in range(layout.images):
        row, column = divmod(number, layout.columns)
        top, left = row * (height + layout.gap), column * (width + layout.gap)
        cell = grid[top : top + height, left : left + width]
        cells.append(cell[:: layout.scale, :: layout.scale])
    return np.stack(cells)


def _lay_out(pixels: NDArray[np.uint8], columns: int | None, scale: int, gap: int) -> Layout:
    """The layout of these images. ValueError if an argument is too small."""
    count, height, width = pixels.shape[:3]
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    return Layout(count, min(columns, count), height, width, scale, gap)


def _draw(pixels: NDArray[np.uint8], layout: Layout) -> Image.Image:
    """The grid, row by row: enlarged images of all rows at once would be several times as large."""
    width, height = layout.size
    grid = np.full((height, width, *pixels.shape[3:]), _GROUND, np.uint8)
    band = layout.height * layout.scale
    for row, start in enumerate(range(0, layout.images, layout.columns)):
        some = pixels[start : start + layout.columns]
        large = some.repeat(layout.scale, axis=1).repeat(layout.scale, axis=2)
        top = row * (band + layout.gap)
        grid[top : top + band] = tile(large, layout.columns, layout.gap, _GROUND)
    return Image.fromarray(grid)


def _noted_layout(note: object, size: tuple[int, int], path: Path) -> Layout:
    """The layout that a picture of this width and height tells. ValueError if it cannot be so."""
    told = files.from_json(str(note).encode(), path)
    wrong = told.keys() ^ set(Layout._fields) or any(
        type(value) is not int or value < (name != "gap") for name, value in told.items()
    )
    if wrong or (layout := Layout(**told)).size != size:
        raise files.damaged(path, "no grid as its note tells")
    return layout


def _unnoted_layout(size: tuple[int, int], path: Path) -> Layout:
    """The layout of a grid without a note; every place of it counts as an image."""
    old = _UNNOTED
    cells = (old.width * old.scale + old.gap, old.height * old.scale + old.gap)
    sides = [(length + old.gap, cell) for length, cell in zip(size, cells, strict=True)]
    if any(length % cell for length, cell in sides):
        raise files.damaged(path, f"no grid of {old.width}x{old.height} images")
    columns, rows = (length // cell for length, cell in sides)
    return old._replace(images=rows * columns, columns=columns)
