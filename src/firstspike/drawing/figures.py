"""What all figures with axes share: an empty one, its file, and light axes.

Matplotlib's objects are used without pyplot, so there is no global state and no window; it is
imported when something is drawn.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from firstspike.extras import require
from firstspike.runs import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STEPS = "time steps"  # what axes of time count
DPI = 150  # of pictures


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    require("report", "matplotlib", purpose="A figure")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure to a file, whose suffix tells the format; makes the folder.

    Raises:
        ValueError: no figure format has the suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"{path}: no figure format has this suffix; use .png or .svg")
    with files.saving(path) as temporary:
        figure.savefig(temporary, dpi=DPI)


def row(figure: Figure, count: int) -> list[Axes]:
    """Panels side by side."""
    return list(figure.subplots(1, count, squeeze=False)[0])


def plain(axes: Axes) -> None:
    """A light grid and no frame."""
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))
