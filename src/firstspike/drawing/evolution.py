"""One latent's image over training, out of the grids that a run leaves after each epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firstspike.drawing.grids import read_image_grid
from firstspike.runs.directory import RunDirectory

SHOWN = 10  # epochs


def epochs_shown(last: int) -> list[int]:
    """Up to `SHOWN` epochs from the first to the last, closer where more changes."""
    return [int(epoch) for epoch in np.unique(np.geomspace(1, last, SHOWN).round())]


def images_of(run: RunDirectory, epochs: Sequence[int], place: int = 0) -> NDArray[np.uint8]:
    """The image at one place of the grids of some epochs: [epochs, height, width] or in colour.

    Raises:
        ValueError: a grid is missing or damaged, or has fewer images.
    """
    grids = [read_image_grid(run.sample_path(epoch)) for epoch in epochs]
    if fewest := [len(grid) for grid in grids if len(grid) <= place]:
        raise ValueError(f"{run.path}: a grid of samples has {fewest[0]} images, none at {place}")
    return np.stack([grid[place] for grid in grids])
