"""Training of Spiking-GAN and of its dense twin, in a run directory that can be resumed.

All randomness of an epoch comes from one generator seeded by the run's seed and the epoch, so that
a resumed run needs no more than the weights and the optimisers' states to end with the same bytes.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from firstspike import plots
from firstspike._version import __version__
from firstspike.config import GanOptions
from firstspike.data import ImageSet, load_images
from firstspike.gan import Gan
from firstspike.run import RunDirectory, epoch_generator

PREVIEW = 64  # samples in the grid of each epoch
MEASURED = 1000  # samples behind the figures of the summary


@dataclass(frozen=True)
class Progress:
    """Where training is, after each step."""

    epoch: int
    step: int
    steps: int  # of this epoch
    images: int  # of this step
    stats: dict[str, float]  # means over the epoch so far; spikes as of the last epoch


Report = Callable[[Progress], None]


def load_classes(config: GanOptions) -> ImageSet:
    """The training images of the class to draw. ValueError if there is no such class."""
    images = load_images(config.data, "train")
    if config.digit == "all":
        return images
    if not config.digit.isdecimal():
        raise ValueError(f"digit must be 'all' or one of {images.classes}, got {config.digit!r}")
    return images.select(int(config.digit))


def train(run: RunDirectory, gan: Gan, images: ImageSet, report: Report) -> dict[str, Any]:
    """Train until the last epoch, from the run's checkpoint on if it has one.

    Args:
        run: where statistics, sample grids, checkpoints and the summary go.
        gan: networks as initialised; the checkpoint, if any, replaces their weights.
        images: what to draw.
        report: called after each step.

    Returns:
        The summary, as in ``summary.json``.
    """
    state: dict[str, Any] = {"epoch": 0, "seconds": 0.0}
    if run.has_checkpoint():
        state = run.load_checkpoint(gan.networks, gan.optimizers)
    run.truncate_stats(state["epoch"])
    started = time.monotonic() - state["seconds"]
    data = gan.prepare(images.images)
    preview = gan.latents(PREVIEW, epoch_generator(gan.config.seed, 0, "preview"))
    spikes = gan.spikes(preview)
    for epoch in range(state["epoch"] + 1, gan.config.epochs + 1):
        stats = _train_epoch(gan, data, epoch, spikes, report)
        spikes = gan.spikes(preview)
        stats |= spikes
        _warn_of_silence(stats, epoch)
        state = {"epoch": epoch, "seconds": time.monotonic() - started}
        run.append_stats(state | stats)
        plots.save_image_grid(run.sample_path(epoch), gan.sample(preview))
        run.save_checkpoint(gan.networks, gan.optimizers, state)
    summary = _summarize(gan, images, run.kind, state["seconds"])
    run.write_summary(summary)
    return summary


def _train_epoch(
    gan: Gan, data: Tensor, epoch: int, spikes: dict[str, float], report: Report
) -> dict[str, float]:
    """One pass over the data in random order; mean statistics of its steps."""
    rng = epoch_generator(gan.config.seed, epoch)
    batches = torch.randperm(len(data), generator=rng).split(gan.config.batch)
    totals: Counter[str] = Counter()
    for step, chosen in enumerate(batches, start=1):
        totals.update(gan.step(data[chosen], rng))
        means = {name: total / step for name, total in totals.items()}
        report(Progress(epoch, step, len(batches), len(chosen), means | spikes))
    return means


def _warn_of_silence(stats: dict[str, float], epoch: int) -> None:
    if stats.get("generator_output_silent") == 1.0:
        warnings.warn(
            f"epoch {epoch}: the generator has fallen silent, no image has a spike. A silent image "
            "silences the discriminator, so neither learns any more; try --recipe best",
            RuntimeWarning,
            stacklevel=3,
        )


def _summarize(gan: Gan, images: ImageSet, kind: str, seconds: float) -> dict[str, Any]:
    rng = epoch_generator(gan.config.seed, gan.config.epochs, "summary")
    return {
        "kind": kind,
        "version": __version__,
        "data": images.name,
        "seed": gan.config.seed,
        "epochs": gan.config.epochs,
        "seconds": seconds,
        **gan.spikes(gan.latents(MEASURED, rng)),
    }
