"""One image racing through a network: every spike up to the decision, layer above layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstspike.drawing.figures import STEPS, new_figure, plain, whole_numbers
from firstspike.times import T_MAX, check_t_max

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {"input": "tab:blue", "hidden": "tab:green", "output": "tab:red"}
_FEW, _SMALL, _LARGE = 50, 9, 30  # up to so many neurons, spikes are large; square points
_DEEP = 5  # layers from which on each has less room
_ROW = 1.1  # least height of a layer, in inches
_WINDOW = "0.94"  # shade of a layer's window
_MOST_NAMES = 12  # classes whose names find room beside the output's axis


def raster(
    image: ArrayLike,
    layer_times: Sequence[ArrayLike],
    t_max: int = T_MAX,
    label: int | None = None,
    names: Sequence[str] = (),
    *,
    windowed: bool = False,
) -> Figure:
    """An image, and the spikes of every layer until the first of the output.

    Layers of ramp neurons answer in windows, one after the other: each layer's window is shaded.

    Args:
        image: [height, width] or, in colour, [3, height, width]; 0 is black.
        layer_times: spike times [features] of the input and of every layer, in order.
        t_max: number of time steps; silence.
        label: the true class, for the title.
        names: of the classes, one for each output neuron; their numbers if none are given.
        windowed: whether times are local to a window of ``t_max`` steps of each layer, as those of
            ramp neurons are; the input's comes first.

    Raises:
        ValueError: ``image``, ``layer_times``, ``label`` or ``names`` do not fit.
    """
    times = [np.asarray(layer) for layer in layer_times]
    _check(image, times, t_max)
    outputs = len(times[-1])
    if names and len(names) != outputs:
        raise ValueError(f"names must be {outputs}, one for each output, got {len(names)}")
    if label is not None and not 0 <= label < outputs:
        raise ValueError(f"label must lie in 0..{outputs - 1}, got {label}")
    names = names or [str(number) for number in range(outputs)]
    starts = [number * t_max if windowed else 0 for number in range(len(times))]
    end = starts[-1] + t_max
    decision = starts[-1] + float(times[-1].min())
    figure = new_figure(8.6, max(5.4, _ROW * len(times)))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 3.2))[0]
    _draw_image(left.subplots(), np.asarray(image), None if label is None else names[label])
    heights = [3] * (len(times) - 1) + [2 if len(times) < _DEEP else 5]  # names need some room
    panels = right.subplots(len(times), sharex=True, height_ratios=heights)
    layers = ["input", *["hidden"] * (len(times) - 2), "output"]
    for axes, layer, start, spikes in zip(panels, layers, starts, times, strict=True):
        _draw_spikes(axes, layer, np.where(spikes < t_max, start + spikes, np.inf), decision)
        if windowed:
            axes.axvspan(start, start + t_max, color=_WINDOW, zorder=0)
    reach = max(decision, 1)
    panels[-1].set(xlabel="time step", ylabel="class", xlim=(-0.03 * reach, 1.03 * reach))
    whole_numbers(panels[-1].xaxis)
    _name_outputs(panels[-1], names)
    outcome = _outcome(times[-1], decision, end, names)
    right.suptitle(outcome, fontsize="medium", parse_math=False)
    return figure


def _check(image: ArrayLike, times: Sequence[NDArray[Any]], t_max: int) -> None:
    """Raise ValueError unless `raster` can draw these."""
    check_t_max(t_max)
    shape = np.shape(image)
    if len(shape) != 2 and not (len(shape) == 3 and shape[0] == 3):
        raise ValueError(f"image must be [height, width] or [3, height, width], got {list(shape)}")
    if len(times) < 2 or any(layer.ndim != 1 or not layer.size for layer in times):
        raise ValueError("layer_times must be [features] of one sample's input and every layer")
    if not all(((layer >= 0) & (layer <= t_max)).all() for layer in times):
        raise ValueError(f"layer_times must lie in 0..{t_max}, but some are NaN or outside")


def _draw_image(axes: Axes, image: NDArray[Any], name: str | None) -> None:
    axes.imshow(np.moveaxis(image, 0, -1) if image.ndim == 3 else image, "gray")
    axes.set_axis_off()
    if name is not None:
        axes.set_title(f"true class {name}", fontsize="medium", parse_math=False)


def _draw_spikes(axes: Axes, layer: str, times: NDArray[Any], decision: float) -> None:
    """A layer's spikes up to the decision, and a line that marks it."""
    [neurons] = (times <= decision).nonzero()
    size = _SMALL if len(times) > _FEW else _LARGE
    axes.scatter(times[neurons], neurons, s=size, color=_COLORS[layer], linewidths=0, zorder=3)
    axes.axvline(decision, color="black", linestyle="--", linewidth=1, label="decision")
    title = f"{layer}: {len(neurons)} of {len(times)} neurons have spiked"
    axes.set_title(title, loc="left", fontsize="small")
    axes.set(ylabel="neuron", ylim=(len(times) - 0.5, -0.5))
    axes.tick_params(labelsize="small")
    plain(axes)


def _name_outputs(axes: Axes, names: Sequence[str]) -> None:
    if len(names) <= _MOST_NAMES:
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.tick_params(axis="y", labelsize="x-small")
    else:
        whole_numbers(axes.yaxis)


def _outcome(output: NDArray[Any], decision: float, end: int, names: Sequence[str]) -> str:
    """What came of the race, in words."""
    if decision == end:
        return f"no output spike in {end} {STEPS}: the largest potential decides"
    winners = " and ".join(names[winner] for winner in (output == output.min()).nonzero()[0])
    return f"decision at step {int(decision)} of {end}: class {winners}"
