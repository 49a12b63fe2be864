"""Figures of sets of images: their rows side by side, and how a measure of them is spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from firstspike.drawing.figures import new_figure, plain
from firstspike.drawing.grids import ImageLike, image_grid

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure


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

    Args:
        groups: images of each group, [rows * columns, height, width] or, in colour,
            [rows * columns, 3, height, width], as `image_grid` takes them.
        columns: images in a row, the same for all groups.
        labels: of the columns, above them.

    Raises:
        ValueError: there is no group, or one has no whole number of rows.
    """
    rows = [len(images) // columns for images in groups.values()]
    if not groups or any(
        len(images) != columns * count or not count
        for images, count in zip(groups.values(), rows, strict=True)
    ):
        raise ValueError(f"groups must hold at least one, each with rows of {columns} images")
    figure = new_figure(0.5 * columns + 0.4, 0.5 * sum(rows) + 0.4)
    panels = figure.subplots(len(groups), height_ratios=rows, squeeze=False)[:, 0]
    for axes, (name, images) in zip(panels, groups.items(), strict=True):
        grid = np.asarray(image_grid(images, columns, scale=1))
        axes.imshow(grid, "gray", vmin=0, vmax=255)
        axes.set(xticks=(), yticks=())
        axes.set_ylabel(name, parse_math=False)
        axes.spines[:].set_visible(False)
    middles = (np.arange(len(labels)) + 0.5) * grid.shape[1] / columns
    upright = any(len(label) > 2 for label in labels)
    rotation = 90 if upright else 0
    panels[0].set_xticks(middles, labels, rotation=rotation, parse_math=False)
    panels[0].tick_params(labeltop=True, labelbottom=False, length=0)
    return figure
