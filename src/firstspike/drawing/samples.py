"""Figures of sets of images: their rows side by side, and how a measure of them is spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from firstspike.drawing.figures import DPI, new_figure, plain
from firstspike.drawing.grids import ImageLike, image_grid

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure

# Of `image_rows`, in pixels of a picture.
_ENLARGED = 3  # a pixel of an image
_SPACE = 12  # between groups, and at the right and the bottom
_NAME = 36  # for a name at the left, or a label above
_LETTER = 14  # of an upright label


def histogram(samples: Mapping[str, ArrayLike], xlabel: str, bins: int = 40) -> Figure:
    """How often each value occurs in some sets, one curve above the other.

    Args:
        samples: values of each set, by its name.
        xlabel: what is counted, with the unit.
        bins: intervals between the smallest and the largest value of all sets.

    Raises:
        ValueError: there is no set, or one is empty or holds NaN.
    """
    sets = {name: np.asarray(values, np.float64) for name, values in samples.items()}
    if not sets or any(not values.size or np.isnan(values).any() for values in sets.values()):
        raise ValueError("samples must hold at least one set, and none that is empty or has NaN")
    edges = np.histogram_bin_edges(np.concatenate([*sets.values()]), bins)
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    for name, values in sets.items():
        axes.hist(values, [*edges], density=True, histtype="step", linewidth=1.2, label=name)
    axes.set(xlabel=xlabel, ylabel="density")
    axes.legend(frameon=False, fontsize="small")
    plain(axes)
    return figure


def image_rows(groups: Mapping[str, ImageLike], columns: int, labels: Sequence[str] = ()) -> Figure:
    """Images in rows, each group with its name at the left (Spiking-GAN, fig. 8).

    In a picture that `firstspike.drawing.figures.save` writes, each pixel of an image is a square
    of three by three, and none is blurred.

    Args:
        groups: images of each group, [rows * columns, height, width] or, in colour,
            [rows * columns, 3, height, width], as `image_grid` takes them.
        columns: images in a row, the same for all groups.
        labels: of the columns, above them.

    Raises:
        ValueError: there is no group, or one has no whole number of rows.
    """
    if not groups or any(not len(images) or len(images) % columns for images in groups.values()):
        raise ValueError(f"groups must hold at least one, each with rows of {columns} images")
    grids = [np.asarray(image_grid(images, columns, scale=1)) for images in groups.values()]
    longest = max(map(len, labels), default=0)
    upright = longest > 2
    top = _NAME if not upright else _NAME + _LETTER * longest
    width = _NAME + max(_ENLARGED * grid.shape[1] for grid in grids) + _SPACE
    height = top + sum(_ENLARGED * grid.shape[0] + _SPACE for grid in grids)
    figure = new_figure(width / DPI, height / DPI)
    figure.set_layout_engine("none")  # each pixel has its place
    for name, grid in zip(groups, grids, strict=True):
        rows, across = (_ENLARGED * side for side in grid.shape[:2])
        place = _NAME / width, 1 - (top + rows) / height, across / width, rows / height
        axes = figure.add_axes(place)
        axes.imshow(grid, "gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
        axes.set(xticks=(), yticks=())
        axes.set_ylabel(name, parse_math=False)
        axes.spines[:].set_visible(False)
        top += rows + _SPACE
    first = figure.axes[0]
    middles = (np.arange(len(labels)) + 0.5) * grids[0].shape[1] / columns
    first.set_xticks(middles, labels, rotation=90 if upright else 0, parse_math=False)
    first.tick_params(labeltop=True, labelbottom=False, length=0)
    return figure
