"""The paper's figures that need no training: computed with the package's own functions, then drawn.

Spiking-GAN (arXiv 2106.15420), figures 1, 2, 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from firstspike import coding, losses
from firstspike.data import ImageSet
from firstspike.drawing.figures import new_figure, plain
from firstspike.report import refractory as neuron
from firstspike.times import T_MAX, to_raster

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.4  # inches, so that a phone shows text that can be read
WINNERS = {"a": (150.0, 90.0), "b": (90.0, 150.0)}  # fig. 5: output spike times of N0 and N1


def refractory_traces() -> Figure:
    """Fig. 1(a): potentials under a constant unit input, one panel a refractory period."""
    potentials, spikes = neuron.constant_input()
    figure = new_figure(WIDTH, 4.6)
    panels = figure.subplots(len(neuron.FIGURE_1), sharex=True, sharey=True)
    for axes, period, trace, fired in zip(panels, neuron.FIGURE_1, potentials, spikes, strict=True):
        axes.plot(trace.numpy(), linewidth=1)
        axes.vlines(fired.nonzero().flatten(), 10, 13, color="C3", linewidth=1.2)
        count = int(fired.sum())
        title = f"refractory period {period}: {count} spike{'s' if count != 1 else ''}"
        axes.set_title(title, loc="left", fontsize="small")
        axes.set(yticks=(0, 10), ylim=(-1, 13.5))
        plain(axes)
    panels[-1].set(xlabel="time step", xlim=(0, T_MAX))
    figure.supylabel("membrane potential", fontsize="medium")
    return figure


def peak_rates() -> Figure:
    """Fig. 1(b): the highest possible spiking rate against the refractory period."""
    periods = range(T_MAX + 1)
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots()
    axes.plot(periods, [neuron.peak_rate(period) for period in periods])
    marked = [neuron.peak_rate(period) for period in neuron.FIGURE_1]
    axes.plot(neuron.FIGURE_1, marked, "o", color="C3", label="as in (a)")
    axes.set(xlabel="refractory period (time steps)", ylabel="spikes per time step", ylim=(0, None))
    axes.legend(frameon=False)
    plain(axes)
    return figure


def encoder(image: Tensor) -> Figure:
    """Fig. 2: an image, its negative, and the time of each pixel's only spike.

    Args:
        image: uint8 [height, width], 0 is black.
    """
    times = coding.encode(image)
    figure = new_figure(WIDTH, 3.4)
    panels = figure.subplot_mosaic(
        [["image", "spikes"], ["inverted", "spikes"]], width_ratios=(1, 2)
    )
    for name, picture in (("image", image), ("inverted", 255 - image)):
        panels[name].imshow(picture.numpy(), "gray", vmin=0, vmax=255)
        panels[name].set_title(name, fontsize="medium")
        panels[name].set_axis_off()
    flat = times.flatten()
    lit = (flat < T_MAX).nonzero().flatten()
    axes = panels["spikes"]
    axes.scatter(flat[lit], lit, s=4, linewidths=0)
    axes.set_title(f"{len(lit)} of {len(flat)} pixels spike, once each", fontsize="medium")
    axes.set(
        xlabel="spike time (time steps)", ylabel="pixel", xlim=(-4, T_MAX), ylim=(len(flat), 0)
    )
    plain(axes)
    return figure


def rate_and_first_spike() -> Figure:
    """Fig. 3: four gray values as a number of spikes and as the time of one."""
    values = torch.tensor([32, 96, 160, 224], dtype=torch.uint8)
    trains = {
        "spike count": coding.spike_train(coding.rate_encode(values)),
        "time to first spike": to_raster(coding.encode(values)),
    }
    figure = new_figure(WIDTH, 3.8)
    panels = figure.subplots(len(trains), sharex=True)
    for axes, (name, raster) in zip(panels, trains.items(), strict=True):
        times = [row.nonzero().flatten().numpy() for row in raster]
        axes.eventplot(times, lineoffsets=range(len(values)), linelengths=0.7, linewidths=0.8)
        axes.set_title(f"{name}: {int(raster.sum())} spikes", loc="left", fontsize="medium")
        axes.set(ylabel="gray value", yticks=range(len(values)), yticklabels=values.tolist())
        plain(axes)
    panels[-1].set(xlabel="time step", xlim=(-3, T_MAX))
    return figure


def loss_vectors() -> Figure:
    """Fig. 5: errors of the two outputs of a discriminator where N0 is the desired neuron."""
    figure = new_figure(WIDTH, 4.0)
    panels = figure.subplots(len(WINNERS), sharex=True)
    for axes, (name, times) in zip(panels, WINNERS.items(), strict=True):
        _draw_errors(axes, name, torch.tensor([times]))
    panels[-1].set(xlabel="time step", xlim=(0, T_MAX + 6))
    return figure


def _draw_errors(axes: Axes, name: str, times: Tensor) -> None:
    """Spike times, targets and the errors between them, one row a neuron."""
    targets = losses.aggressive_targets(times, torch.tensor([0]))
    errors = (times - targets)[0].tolist()
    for row, (time, target) in enumerate(zip(times[0].tolist(), targets[0].tolist(), strict=True)):
        axes.plot(time, row, "|", markersize=22, markeredgewidth=2.5, color="C0")
        axes.plot(target, row, "o", markersize=8, markerfacecolor="none", color="C3")
        if time != target:
            arrow = {"arrowstyle": "->", "color": "C3"}
            axes.annotate("", (target, row), (time, row), arrowprops=arrow)
        label = f"error {errors[row]:+.0f}".replace("+0", "0").replace("-", "−")  # noqa: RUF001
        axes.annotate(label, (time, row), (0, -23), textcoords="offset points", ha="center")
    verdict = "wrong" if times[0, 1] < times[0, 0] else "right"
    axes.set_title(f"({name}) the {verdict} neuron is first", loc="left", fontsize="medium")
    axes.set(ylim=(1.7, -0.5), yticks=(0, 1), yticklabels=("$N_0$, desired", "$N_1$"))
    plain(axes)


def draw(images: ImageSet) -> dict[str, Callable[[], Figure]]:
    """How to draw each figure, by its number in the paper."""
    return {
        "1a": refractory_traces,
        "1b": peak_rates,
        "2": lambda: encoder(images.images[0]),
        "3": rate_and_first_spike,
        "5": loss_vectors,
    }


def count_spikes(sets: list[ImageSet]) -> dict[str, float]:
    """Mean spikes per image of each coding, over all images of the sets (section 3.2).

    Returns:
        ``images``; ``count_inverted`` and ``count``, one spike for each gray level of the negative
        and of the image; ``first_spike``, one for each pixel that is not black; ``pixels``.
    """
    images = torch.cat([part.images for part in sets]).flatten(1)
    levels = np.arange(256, dtype=np.uint8)
    pixels = torch.bincount(images.flatten(), minlength=256).double() / len(images)

    def mean(spikes_of_level: Tensor) -> float:
        return float(pixels @ spikes_of_level.double())

    return {
        "images": len(images),
        "pixels": images.shape[1],
        "count_inverted": mean(coding.rate_encode(levels, inverted=True)),
        "count": mean(coding.rate_encode(levels)),
        "first_spike": mean(coding.encode(levels) < T_MAX),
    }
