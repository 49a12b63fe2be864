"""Pictures and figures from arrays. Files are written beside and renamed: whole or absent."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstspike import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def learning_curves(
    path: str | os.PathLike[str],
    stats: Sequence[Mapping[str, Any]],
    series: Mapping[str, Sequence[str]],
) -> None:
    """Draw what a run wrote into ``stats.jsonl`` against the epoch, one panel above the other.

    Args:
        path: the file; its suffix tells the format, such as ``.png`` or ``.svg``.
        stats: records with ``"epoch"``, as `RunDirectory.read_stats` gives them.
        series: the fields to draw in each panel, by its title.

    Raises:
        ValueError: there is nothing to draw, no record has a field, or the file cannot be written.
    """
    from matplotlib.figure import Figure  # slow to import

    path = Path(path)
    _check_series(stats, series)
    figure = Figure(figsize=(6.4, 2.4 * len(series)), layout="constrained")
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"{path}: no figure format has this suffix; use .png or .svg")
    panels = figure.subplots(len(series), sharex=True, squeeze=False)[:, 0]
    for axes, (title, fields) in zip(panels, series.items(), strict=True):
        _draw_panel(axes, stats, title, fields)
    panels[-1].set_xlabel("epoch")
    with files.explained(path, _REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            figure.savefig(temporary, dpi=150)


def _draw_panel(
    axes: Axes, stats: Sequence[Mapping[str, Any]], title: str, fields: Sequence[str]
) -> None:
    """One line a field; records without it, or with None, leave it out."""
    from matplotlib.ticker import MaxNLocator

    for field in fields:
        points = [(record["epoch"], record[field]) for record in stats if _has(record, field)]
        epochs, values = zip(*points, strict=True)
        axes.plot(epochs, values, linewidth=1.2, marker="o", markersize=2, label=field)
    axes.set_title(title, loc="left", fontsize="medium")
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(fields) > 1:
        axes.legend(frameon=False, fontsize="small")


def _has(record: Mapping[str, Any], field: str) -> bool:
    return record.get("epoch") is not None and record.get(field) is not None


def _check_series(stats: Sequence[Mapping[str, Any]], series: Mapping[str, Sequence[str]]) -> None:
    if not series or not all(series.values()):
        raise ValueError("series must name at least one field for each of at least one panel")
    for field in (field for fields in series.values() for field in fields):
        if not any(_has(record, field) for record in stats):
            known = sorted({name for record in stats for name in record})
            raise ValueError(f"series: no record of stats has {field!r}; they have {known}")


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
