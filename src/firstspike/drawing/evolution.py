"""How a run went: one latent's image after each epoch, and how near samples came to the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from firstspike.drawing.figures import new_figure, plain, whole_numbers
from firstspike.drawing.grids import read_image_grid
from firstspike.runs.directory import RunDirectory

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure

SHOWN = 10  # epochs
DISTANCE = "training_frechet_distance"  # in the statistics of some epochs


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


def distances(stats: Sequence[Mapping[str, float]]) -> Figure | None:
    """Fréchet distance of samples to the training images after some epochs, and what was kept.

    Args:
        stats: of each epoch, as ``stats.jsonl`` has them.

    Returns:
        None if the distance was never measured.
    """
    looks = [line for line in stats if DISTANCE in line]
    if not looks:
        return None
    epochs, measured = ([line[name] for line in looks] for name in ("epoch", DISTANCE))
    kept = int(np.argmin(measured))
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    axes.plot(epochs, measured, ".-", linewidth=1.2)
    axes.plot(epochs[kept], measured[kept], "o", color="C3", label="snapshot that draws")
    axes.set(xlabel="epoch", ylabel="Fréchet distance to training images")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize="small")
    whole_numbers(axes.xaxis)
    plain(axes)
    return figure
