"""Pictures of images, from arrays. Files are written beside and renamed: whole or absent."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstspike.runs import files

ImageLike = Tensor | NDArray[Any]

_GROUND = 96  # gray between the images of a grid, 0..255
_REMEDY = "make room there or choose another place"


def image_grid(
    images: ImageLike, columns: int | None = None, scale: int = 2, gap: int = 2
) -> Image.Image:
    """Images side by side in rows, on gray.

    Args:
        images: [N, height, width], N at least 1; float in 0..1 or uint8, 0 is black.
        columns: images in a row; by default as many as make the grid square.
        scale: each pixel becomes a square of so many.
        gap: pixels between images, not scaled.

    Returns:
        8-bit gray, ``columns * (width * scale + gap) - gap`` wide.

    Raises:
        ValueError: an argument does not fit.
    """
    pixels = _as_pixels(images)
    count, height, width = pixels.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    for name, value, least in (("columns", columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    height, width = height * scale + gap, width * scale + gap
    canvas = np.full((rows * height - gap, columns * width - gap), _GROUND, np.uint8)
    for number, image in enumerate(pixels):
        top, left = number // columns * height, number % columns * width
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[top : top + height - gap, left : left + width - gap] = large
    return Image.fromarray(canvas)


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
    grid = image_grid(images, columns, scale, gap)
    with files.explained(path, _REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            grid.save(temporary)


def read_image_grid(
    path: str | os.PathLike[str], side: int = 28, scale: int = 2, gap: int = 2
) -> NDArray[np.uint8]:
    """The images of a grid that `save_image_grid` wrote without loss: uint8 [N, side, side].

    Args:
        path: the picture; places without an image come back gray.
        side: height and width of its images.
        scale: as when it was written, and so is ``gap``.

    Raises:
        ValueError: the file cannot be read or holds no such grid.
    """
    path = Path(path)
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
    except OSError as error:
        raise files.damaged(path, str(error)) from None
    tile = side * scale + gap
    if any((length + gap) % tile for length in pixels.shape):
        raise files.damaged(path, f"no grid of {side}x{side} images")
    rows, columns = ((length + gap) // tile for length in pixels.shape)
    padded = np.pad(pixels, ((0, gap), (0, gap)))
    tiles = padded.reshape(rows, tile, columns, tile).swapaxes(1, 2).reshape(-1, tile, tile)
    return tiles[:, : side * scale : scale, : side * scale : scale]


def save_images(folder: str | os.PathLike[str], images: ImageLike) -> None:
    """Write each image as ``0000.png``, ``0001.png``, ... into a new or empty folder.

    Args:
        folder: it appears with all images, or not at all.
        images: [N, height, width], N at least 1; float in 0..1 or uint8, 0 is black.

    Raises:
        ValueError: ``images`` do not fit, or the folder holds something or cannot be written.
    """
    folder = Path(folder)
    pixels = _as_pixels(images)
    temporary = files.beside(folder)
    with files.explained(folder, _REMEDY):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise ValueError(f"{folder}: is not an empty folder; choose another")
        try:
            shutil.rmtree(temporary, ignore_errors=True)  # what a kill left
            temporary.mkdir(parents=True)
            for number, image in enumerate(pixels):
                Image.fromarray(image).save(temporary / f"{number:04d}.png")
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _as_pixels(images: ImageLike) -> NDArray[np.uint8]:
    """Images [N, height, width] as uint8."""
    array = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else images
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"images must be [N, height, width], not empty, got {list(array.shape)}")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"images must be uint8 or floating point in 0..1, got {array.dtype}")
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError("images must lie in 0..1, but some are NaN or outside; scale them")
    return np.asarray(np.rint(array.astype(np.float64) * 255), np.uint8)
