"""Figures of what a classifier decides: class by class, by the deadline, and in whose place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstspike.drawing.figures import STEPS, new_figure, plain, row, whole_numbers

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CELLS = 30  # classes up to which a confusion matrix shows its counts
_SHORT = 2  # letters of a name that stand level below an axis
_DARK = 0.6  # shade from which on text is white


def class_bars(
    panels: Mapping[str, Mapping[str, Sequence[float | None]]],
    xlabel: str = "class",
    names: Sequence[str] = (),
    means: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Means of each class as bars, those of several runs side by side (Spiking-GAN, fig. 6).

    Args:
        panels: for each panel, by the label of its vertical axis with the unit, the values of each
            run by its name: one for each class, None or NaN for a class without samples.
        xlabel: what the classes are.
        names: of the classes; their numbers if none are given.
        means: for some panels, published means over all classes by the name of the run that they
            belong to: dashed lines in its colour.

    Raises:
        ValueError: there is no panel or run, or the runs differ in their number of classes, of
            which ``names`` have another one.
    """
    sizes = {len(values) for runs in panels.values() for values in runs.values()}
    if len(sizes) != 1 or not all(panels.values()):
        raise ValueError("panels must hold runs with one and the same number of classes")
    [classes] = sizes
    names = _all_names(names, classes)
    figure = new_figure(max(5.2, 0.25 * classes) * len(panels), 3.4)
    for axes, (ylabel, runs) in zip(row(figure, len(panels)), panels.items(), strict=True):
        width, lines = 0.8 / len(runs), (means or {}).get(ylabel, {})
        for number, (name, values) in enumerate(runs.items()):
            places = np.arange(classes) + (number - (len(runs) - 1) / 2) * width
            axes.bar(places, np.asarray(values, np.float64), width, label=name)
            if name in lines:
                axes.axhline(lines[name], color=f"C{number}", ls="--", lw=1)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        _name_columns(axes, names)
        plain(axes)
        axes.grid(visible=False, axis="x")
        if len(runs) > 1:
            legend = axes.legend(ncols=len(runs), loc="lower left", bbox_to_anchor=(0, 1))
            legend.set_frame_on(False)
    return figure


def deadline(
    right: Mapping[str, ArrayLike],
    decided: Mapping[str, ArrayLike] | None = None,
    strict: Mapping[str, float] | None = None,
) -> Figure:
    """Accuracy against latency: the share decided right if the decision is forced at a step.

    Args:
        right: shares [steps] in 0..1 of each run, by its name, as `DeadlineCurve.right`.
        decided: shares [steps] decided at all, as `DeadlineCurve.decided`, drawn dashed in the
            colour of the run.
        strict: share decided right at the end, when potentials decide where nothing has spiked, as
            in `firstspike.metrics.decide`; drawn as a dot at the last step.

    Raises:
        ValueError: there is no run, or ``decided`` or ``strict`` have one that ``right`` has not.
    """
    decided, strict = decided or {}, strict or {}
    if not right or (decided.keys() | strict.keys()) - right.keys():
        raise ValueError("right must hold at least one run, and all those of decided and strict")
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    for number, (name, shares) in enumerate(right.items()):
        color = f"C{number}"
        axes.plot(_percent(shares), color=color, label=f"{name}: decided right")
        if name in decided:
            at_all = _percent(decided[name])
            axes.plot(at_all, color=color, ls="--", lw=1, label=f"{name}: decided at all")
        if name in strict:
            end, label = len(np.asarray(shares)) - 1, f"{name}: right, silence by potentials"
            axes.scatter(end, 100 * strict[name], color=color, label=label, clip_on=False, zorder=3)
    axes.set(xlabel=f"deadline of the decision ({STEPS})", ylabel="images (%)", ylim=(0, 102))
    axes.margins(x=0)
    figure.legend(frameon=False, fontsize="small", loc="outside upper center", ncols=2)
    plain(axes)
    whole_numbers(axes.xaxis)
    return figure


def confusion(matrix: ArrayLike, names: Sequence[str] = ()) -> Figure:
    """A confusion matrix: counts, coloured by their share of the true class.

    Colours grow with the cube root of the share, so that rare mistakes show.

    Args:
        matrix: counts [classes, classes]; rows are the true classes.
        names: of the classes; their numbers if none are given.

    Raises:
        ValueError: ``matrix`` is not square, is empty or holds a negative number, or ``names`` are
            not as many.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"matrix must be [classes, classes], got {list(counts.shape)}")
    if (counts < 0).any():
        raise ValueError("matrix must hold counts, but some are negative")
    names = _all_names(names, len(counts))
    shades = np.cbrt(counts / counts.sum(axis=1, keepdims=True).clip(min=1))
    side = max(5.2, 0.35 * min(len(counts), _MOST_CELLS))
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(shades, "Blues", vmin=0, vmax=1)
    if len(counts) <= _MOST_CELLS:
        for (line, column), count in np.ndenumerate(counts):
            ink = "white" if shades[line, column] > _DARK else "black"
            axes.text(column, line, str(count), color=ink, ha="center", va="center", fontsize=8)
    _name_columns(axes, names)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set(xlabel="decided class", ylabel="true class")
    if len(counts) > _MOST_CELLS:
        axes.tick_params(labelsize="xx-small")
    return figure


def _all_names(names: Sequence[str], classes: int) -> Sequence[str]:
    """The names of the classes, or their numbers. ValueError unless there is one for each."""
    if names and len(names) != classes:
        raise ValueError(f"names must be {classes}, one for each class, got {len(names)}")
    return names or [str(number) for number in range(classes)]


def _name_columns(axes: Axes, names: Sequence[str]) -> None:
    """A name below each class; long ones stand upright. A $ is a $, not mathematics."""
    upright = len(names) > _MOST_CELLS or max(map(len, names)) > _SHORT
    axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0, parse_math=False)


def _percent(shares: ArrayLike) -> NDArray[np.float64]:
    return 100 * np.asarray(shares, np.float64)
