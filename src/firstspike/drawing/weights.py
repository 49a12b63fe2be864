"""What neurons look for: their weights as images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstspike.drawing.figures import new_figure, row
from firstspike.drawing.grids import tile

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure

_KEPT = 0.995  # share of the weights that the scale of colours spans


def filters(
    weights: Mapping[str, ArrayLike], count: int = 15, seed: int = 0, columns: int = 5
) -> Figure:
    """Weights of randomly chosen neurons as images, each network beside the other (fig. 7).

    Red raises a potential and blue lowers it. Each network has a scale of its own, symmetric about
    0, that leaves out the outermost half percent of the weights shown.

    Args:
        weights: [neurons, height, width] or [neurons, channels, height, width] of each network, by
            its name. The channels of a neuron stand one below the other.
        count: neurons of each network; all, if it has fewer.
        seed: of the choice; networks with as many neurons show the same ones.
        columns: images in a row.

    Raises:
        ValueError: an argument does not fit.
    """
    if not weights:
        raise ValueError("weights must hold at least one network")
    for name, value in (("count", count), ("columns", columns)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    tiles = {name: _as_tiles(values, name) for name, values in weights.items()}
    rows = math.ceil(count / columns)
    tallest = max(images.shape[1] / images.shape[2] for images in tiles.values())
    figure = new_figure((0.8 * columns + 1) * len(tiles), 0.8 * rows * tallest + 0.5)
    for axes, (name, images) in zip(row(figure, len(tiles)), tiles.items(), strict=True):
        chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
        mosaic = tile(images[chosen], columns, gap=1, ground=np.nan)  # NaN stays blank
        limit = float(np.nanquantile(np.abs(mosaic), _KEPT)) or 1.0  # all 0: any scale will do
        picture = axes.imshow(mosaic, "RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize="medium")
        axes.set_axis_off()
        figure.colorbar(picture, ax=axes, label="weight", shrink=0.8)
    return figure


def _as_tiles(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """One image a neuron, [neurons, channels * height, width]."""
    weight = np.asarray(values, np.float64)
    if weight.ndim not in (3, 4) or not weight.size:
        raise ValueError(
            f"weights of {name} must be [neurons, height, width] or [neurons, channels, height, "
            f"width], not empty, got {list(weight.shape)}"
        )
    return weight.reshape(len(weight), -1, weight.shape[-1])
