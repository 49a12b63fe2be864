"""Figures with axes, drawn from arrays only: each function returns one, `save` writes it.

Matplotlib's objects are used without pyplot, so there is no global state and no window.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstspike.drawing import grids as plots
from firstspike.runs import files
from firstspike.times import T_MAX, check_t_max

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_REMEDY = "make room there or choose another place"
_STEPS = "time steps"
_LAYER_COLORS = {"input": "tab:blue", "hidden": "tab:green", "output": "tab:red"}
_MOST_CELLS = 20  # classes up to which a confusion matrix shows its counts


def save(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure to a file, whose suffix tells the format; makes the folder.

    Raises:
        ValueError: no figure format has the suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"{path}: no figure format has this suffix; use .png or .svg")
    with files.explained(path, _REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            figure.savefig(temporary, dpi=150)


def learning_curves(
    stats: Sequence[Mapping[str, Any]], series: Mapping[str, Sequence[str]]
) -> Figure:
    """What a run wrote into ``stats.jsonl`` against the epoch, one panel above the other.

    Args:
        stats: records with ``"epoch"``, as `RunDirectory.read_stats` gives them.
        series: the fields to draw in each panel, by its title.

    Raises:
        ValueError: there is nothing to draw, or no record has a field.
    """
    _check_series(stats, series)
    figure = new_figure(6.4, 2.4 * len(series))
    panels = figure.subplots(len(series), sharex=True, squeeze=False)[:, 0]
    for axes, (title, fields) in zip(panels, series.items(), strict=True):
        for field in fields:
            points = [(record["epoch"], record[field]) for record in stats if _has(record, field)]
            epochs, values = zip(*points, strict=True)
            axes.plot(epochs, values, linewidth=1.2, marker="o", markersize=2, label=field)
        axes.set_title(title, loc="left", fontsize="medium")
        plain(axes)
        _whole_numbers(axes.xaxis)
        if len(fields) > 1:
            axes.legend(frameon=False, fontsize="small")
    panels[-1].set_xlabel("epoch")
    return figure


def class_bars(
    panels: Mapping[str, Mapping[str, Sequence[float | None]]], xlabel: str = "class"
) -> Figure:
    """Means of each class as bars, those of several runs side by side (Spiking-GAN, fig. 6).

    Args:
        panels: for each panel, by the label of its vertical axis with the unit, the values of each
            run by its name: one for each class, None or NaN for a class without samples.
        xlabel: what the classes are.

    Raises:
        ValueError: there is no panel or run, or the runs differ in their number of classes.
    """
    sizes = {len(values) for runs in panels.values() for values in runs.values()}
    if len(sizes) != 1 or not all(panels.values()):
        raise ValueError("panels must hold runs with one and the same number of classes")
    [classes] = sizes
    figure = new_figure(5.2 * len(panels), 3.4)
    for axes, (ylabel, runs) in zip(_row(figure, len(panels)), panels.items(), strict=True):
        width = 0.8 / len(runs)
        for number, (name, values) in enumerate(runs.items()):
            places = np.arange(classes) + (number - (len(runs) - 1) / 2) * width
            axes.bar(places, np.asarray(values, np.float64), width, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel, xticks=range(classes))
        plain(axes)
        axes.grid(visible=False, axis="x")
        if len(runs) > 1:
            legend = axes.legend(ncols=len(runs), loc="lower left", bbox_to_anchor=(0, 1))
            legend.set_frame_on(False)
    return figure


def filters(
    weights: Mapping[str, ArrayLike], count: int = 15, seed: int = 0, columns: int = 5
) -> Figure:
    """Weights of randomly chosen neurons as images, each network beside the other (fig. 7).

    Red raises a potential and blue lowers it. Each network has a scale of its own, symmetric about
    0, that leaves out the outermost half percent of the weights shown.

    Args:
        weights: [neurons, side * side] of each network, by its name.
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
    rows = math.ceil(count / columns)
    figure = new_figure((0.8 * columns + 1) * len(weights), 0.8 * rows + 0.5)
    for axes, (name, matrix) in zip(_row(figure, len(weights)), weights.items(), strict=True):
        images = _as_images(matrix, name)
        chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
        mosaic = _mosaic(images[chosen], columns)
        limit = float(np.nanquantile(np.abs(mosaic), 0.995)) or 1.0  # all 0: any scale will do
        picture = axes.imshow(mosaic, "RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize="medium")
        axes.set_axis_off()
        figure.colorbar(picture, ax=axes, label="weight", shrink=0.8)
    return figure


def deadline(
    right: Mapping[str, ArrayLike], decided: Mapping[str, ArrayLike] | None = None
) -> Figure:
    """Accuracy against latency: the share decided right if the decision is forced at a step.

    Args:
        right: shares [steps] in 0..1 of each run, by its name, as `DeadlineCurve.right`.
        decided: shares decided at all, likewise, drawn dashed in the same colour.

    Raises:
        ValueError: there is no run, or ``decided`` has one that ``right`` has not.
    """
    decided = decided or {}
    if not right or decided.keys() - right.keys():
        raise ValueError("right must hold at least one run, and all those of decided")
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    for number, (name, shares) in enumerate(right.items()):
        color = f"C{number}"
        axes.plot(_percent(shares), color=color, label=f"{name}: decided right")
        if name in decided:
            at_all = _percent(decided[name])
            axes.plot(at_all, color=color, ls="--", lw=1, label=f"{name}: decided at all")
    axes.set(xlabel=f"deadline of the decision ({_STEPS})", ylabel="images (%)", ylim=(0, 102))
    axes.margins(x=0)
    figure.legend(frameon=False, fontsize="small", loc="outside upper center", ncols=2)
    plain(axes)
    _whole_numbers(axes.xaxis)
    return figure


def raster(
    image: ArrayLike,
    layer_times: Sequence[ArrayLike],
    t_max: int = T_MAX,
    label: int | None = None,
) -> Figure:
    """One image racing through a network: every spike up to the decision, layer above layer.

    Args:
        image: [height, width], 0 is black.
        layer_times: spike times [features] of the input and of every layer, in order.
        t_max: number of time steps; silence.
        label: the true class, for the title.

    Raises:
        ValueError: ``image`` or ``layer_times`` does not fit.
    """
    times = [np.asarray(layer) for layer in layer_times]
    _check_race(image, times, t_max)
    decision = float(times[-1].min())
    figure = new_figure(8.6, 5.4)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 3.2))[0]
    _draw_image(left.subplots(), image, label)
    panels = right.subplots(len(times), sharex=True, height_ratios=[3] * (len(times) - 1) + [2])
    names = ["input", *["hidden"] * (len(times) - 2), "output"]
    for axes, name, layer in zip(panels, names, times, strict=True):
        _draw_spikes(axes, name, np.where(layer < t_max, layer, np.inf), decision)
    end = max(decision, 1)
    panels[-1].set(xlabel="time step", ylabel="class", xlim=(-0.03 * end, 1.03 * end))
    _whole_numbers(panels[-1].xaxis)
    _whole_numbers(panels[-1].yaxis)
    right.suptitle(_outcome(times[-1], t_max), fontsize="medium")
    return figure


def confusion(matrix: ArrayLike) -> Figure:
    """A confusion matrix: counts, coloured by their share of the true class.

    Colours grow with the cube root of the share, so that rare mistakes show.

    Args:
        matrix: counts [classes, classes]; rows are the true classes.

    Raises:
        ValueError: ``matrix`` is not square, is empty or holds a negative number.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"matrix must be [classes, classes], got {list(counts.shape)}")
    if (counts < 0).any():
        raise ValueError("matrix must hold counts, but some are negative")
    shades = np.cbrt(counts / counts.sum(axis=1, keepdims=True).clip(min=1))
    figure = new_figure(5.2, 5.2)
    axes = figure.subplots()
    axes.imshow(shades, "Blues", vmin=0, vmax=1)
    if len(counts) <= _MOST_CELLS:
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if shades[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), color=ink, ha="center", va="center", fontsize=8)
        axes.set(xticks=range(len(counts)), yticks=range(len(counts)))
    axes.set(xlabel="decided class", ylabel="true class")
    return figure


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


def image_rows(groups: Mapping[str, ArrayLike], columns: int, labels: Sequence[str] = ()) -> Figure:
    """Images in rows, each group with its name at the left (Spiking-GAN, fig. 8).

    Args:
        groups: [rows * columns, height, width] of each group, as `plots.image_grid` takes them.
        columns: images in a row, the same for all groups.
        labels: of the columns, above them.

    Raises:
        ValueError: there is no group, or one has no whole number of rows.
    """
    rows = [len(np.asarray(images)) // columns for images in groups.values()]
    if not groups or any(
        len(np.asarray(images)) != columns * count or not count
        for images, count in zip(groups.values(), rows, strict=True)
    ):
        raise ValueError(f"groups must hold at least one, each with rows of {columns} images")
    figure = new_figure(0.5 * columns + 0.4, 0.5 * sum(rows) + 0.4)
    panels = figure.subplots(len(groups), height_ratios=rows, squeeze=False)[:, 0]
    for axes, (name, images) in zip(panels, groups.items(), strict=True):
        grid = np.asarray(plots.image_grid(np.asarray(images), columns, scale=1))
        axes.imshow(grid, "gray", vmin=0, vmax=255)
        axes.set(ylabel=name, xticks=(), yticks=())
        axes.spines[:].set_visible(False)
    middles = (np.arange(len(labels)) + 0.5) * grid.shape[1] / columns
    panels[0].set_xticks(middles, labels)
    panels[0].tick_params(labeltop=True, labelbottom=False, length=0)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _row(figure: Figure, count: int) -> list[Axes]:
    """Panels side by side."""
    return list(figure.subplots(1, count, squeeze=False)[0])


def plain(axes: Axes) -> None:
    """A light grid and no frame."""
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def _check_race(image: ArrayLike, times: Sequence[NDArray[Any]], t_max: int) -> None:
    """Raise ValueError unless `raster` can draw these."""
    check_t_max(t_max)
    if np.ndim(image) != 2:
        raise ValueError(f"image must be [height, width], got {list(np.shape(image))}")
    if len(times) < 2 or any(layer.ndim != 1 or not layer.size for layer in times):
        raise ValueError("layer_times must be [features] of one sample's input and every layer")
    if not all(((layer >= 0) & (layer <= t_max)).all() for layer in times):
        raise ValueError(f"layer_times must lie in 0..{t_max}, but some are NaN or outside")


def _draw_spikes(axes: Axes, name: str, times: NDArray[Any], decision: float) -> None:
    """A layer's spikes up to the decision, and a line that marks it."""
    [neurons] = (times <= decision).nonzero()
    size = 9 if len(times) > 50 else 30  # square points
    color = _LAYER_COLORS[name]
    axes.scatter(times[neurons], neurons, s=size, color=color, linewidths=0, zorder=3)
    axes.axvline(decision, color="black", linestyle="--", linewidth=1, label="decision")
    title = f"{name}: {len(neurons)} of {len(times)} neurons have spiked"
    axes.set_title(title, loc="left", fontsize="small")
    axes.set(ylabel="neuron", ylim=(len(times) - 0.5, -0.5))
    axes.tick_params(labelsize="small")
    plain(axes)


def _draw_image(axes: Axes, image: ArrayLike, label: int | None) -> None:
    axes.imshow(np.asarray(image), "gray")
    axes.set_axis_off()
    if label is not None:
        axes.set_title(f"true class {label}", fontsize="medium")


def _outcome(output: NDArray[Any], t_max: int) -> str:
    """What came of the race, in words."""
    decision = output.min()
    if decision == t_max:
        return f"no output spike in {t_max} {_STEPS}: the largest potential decides"
    winners = " and ".join(str(winner) for winner in (output == decision).nonzero()[0])
    return f"decision at step {int(decision)} of {t_max}: class {winners}"


def _percent(shares: ArrayLike) -> NDArray[np.float64]:
    return 100 * np.asarray(shares, np.float64)


def _as_images(matrix: ArrayLike, name: str) -> NDArray[np.float64]:
    """Weights [neurons, side * side] as images [neurons, side, side]."""
    weight = np.asarray(matrix, np.float64)
    side = math.isqrt(weight.shape[-1]) if weight.ndim == 2 else 0
    if not weight.size or side**2 != weight.shape[-1]:
        raise ValueError(
            f"weights of {name} must be [neurons, side * side] to be seen as images, "
            f"got {list(weight.shape)}"
        )
    return weight.reshape(-1, side, side)


def _mosaic(images: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Images in rows with a gap of NaN, which stays blank: [rows * (side + 1), ...]."""
    rows, side = math.ceil(len(images) / columns), images.shape[1]
    tiles = np.full((rows * columns, side + 1, side + 1), np.nan)
    tiles[: len(images), :side, :side] = images
    grid = tiles.reshape(rows, columns, side + 1, side + 1).swapaxes(1, 2)
    return grid.reshape(rows * (side + 1), columns * (side + 1))[:-1, :-1]


def _has(record: Mapping[str, Any], field: str) -> bool:
    return record.get("epoch") is not None and record.get(field) is not None


def _check_series(stats: Sequence[Mapping[str, Any]], series: Mapping[str, Sequence[str]]) -> None:
    if not series or not all(series.values()):
        raise ValueError("series must name at least one field for each of at least one panel")
    for field in (field for fields in series.values() for field in fields):
        if not any(_has(record, field) for record in stats):
            known = sorted({name for record in stats for name in record})
            raise ValueError(f"series: no record of stats has {field!r}; they have {known}")
