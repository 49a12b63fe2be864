"""Figures of a sweep: curves, importance, and parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from firstspike.drawing.figures import new_figure, plain, whole_numbers
from firstspike.sweeps.results import Result
from firstspike.sweeps.space import Plan

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "viridis"
_MOST_TICKS = 6  # beyond them an axis shows its ends
_THIN, _BOLD = 0.9, 2.2


def curves(found: Sequence[Result], plan: Plan) -> Figure:
    """The figure that decides by epoch, a line a trial; that of the first result is bold."""
    figure = new_figure(7, 3.6)
    axes = figure.subplots()
    for one in reversed(found):
        if one.curve:
            is_best = one is found[0]
            style: Any = {"linewidth": _BOLD if is_best else _THIN, "alpha": 1 if is_best else 0.5}
            marker = "o" if len(one.curve) == 1 else None
            label = f"trial {one.name}" if is_best else None
            axes.plot([*one.curve], [*one.curve.values()], marker=marker, label=label, **style)
    axes.set(xlabel="epoch", ylabel=plan.metric)
    axes.legend(frameon=False)
    whole_numbers(axes.xaxis)
    plain(axes)
    return figure


def bars(shares: Mapping[str, float]) -> Figure:
    """The importance of each option."""
    figure = new_figure(7, 0.8 + 0.35 * len(shares))
    axes = figure.subplots()
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names])
    axes.set(xlabel="share of importance", xlim=(0, 1))
    plain(axes)
    return figure


def parallel(found: Sequence[Result], plan: Plan) -> Figure:
    """A line a trial through its values, coloured by its figure, which is the last axis."""
    told = [one for one in found if one.figure is not None]
    names = list(told[0].trial)
    columns: dict[str, list[Any]] = {name: [one.trial[name] for one in told] for name in names}
    columns[plan.metric] = [one.figure for one in told]
    scales = {name: _Scale(column) for name, column in columns.items()}
    places = list(range(len(columns)))
    figure = new_figure(max(7.0, 1.5 * len(columns)), 3.8)
    axes = figure.subplots()
    worth = [plan.better(one.figure or 0.0) for one in told]
    for number in sorted(range(len(told)), key=worth.__getitem__):
        heights = [scale.height(columns[name][number]) for name, scale in scales.items()]
        shade = _share(worth[number], min(worth), max(worth))
        axes.plot(places, heights, color=_colour(shade), linewidth=_THIN + shade, alpha=0.8)
    for place, (name, scale) in enumerate(scales.items()):
        _axis(axes, place, scale)
        axes.text(place, 1.08, name, ha="center", fontsize="small")
    axes.set(ylim=(-0.06, 1.06), xlim=(-0.3, len(places) - 0.5))
    axes.set_axis_off()
    return figure


def _colour(share: float) -> Any:
    import matplotlib

    return matplotlib.colormaps[_COLOURS](0.15 + 0.75 * share)


def _axis(axes: Axes, place: int, scale: _Scale) -> None:
    axes.axvline(place, 0.05, 0.95, color="gray", linewidth=0.8)
    for height, text in scale.ticks():
        axes.text(place + 0.04, height, text, fontsize="x-small", va="center")


class _Scale:
    """Where values stand on an axis of 0..1: numbers by size or ratio, others side by side."""

    def __init__(self, column: Sequence[Any]) -> None:
        self.are_numbers = all(type(value) in (int, float) for value in column)
        if self.are_numbers:
            self.values = sorted(set(column))
            self.low, self.high = self.values[0], self.values[-1]
            self.log = self.low > 0 and self.high / self.low > 20
        else:
            self.words = list(dict.fromkeys(map(str, column)))

    def height(self, value: Any) -> float:
        if not self.are_numbers:
            return _share(self.words.index(str(value)), 0, len(self.words) - 1)
        if self.log:
            return _share(math.log(value), math.log(self.low), math.log(self.high))
        return _share(value, self.low, self.high)

    def ticks(self) -> list[tuple[float, str]]:
        if not self.are_numbers:
            return [(self.height(word), word) for word in self.words]
        few = len(self.values) <= _MOST_TICKS
        shown = self.values if few else [self.low, self.high]
        return [(self.height(value), f"{value:.4g}") for value in shown]


def _share(value: float, low: float, high: float) -> float:
    """Of the way from low to high; the middle where there is none."""
    return (value - low) / (high - low) if high > low else 0.5
