"""Training of Spiking-GAN and of its dense twin, in a run directory that can be resumed."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from firstspike import models
from firstspike._version import __version__
from firstspike.data import ImageSet, load_images, load_parts
from firstspike.drawing import grids as plots
from firstspike.runs.directory import RunDirectory, epoch_generator
from firstspike.runs.loggers import EpochLog
from firstspike.training.config import GanOptions
from firstspike.training.gan import Gan
from firstspike.training.loop import Progress, Report, Stats, pass_over, run_epochs

Part = Literal["train", "validation", "test"]

PREVIEW = 64  # samples in the grid of each epoch
MEASURED = 1000  # samples behind the figures of the summary


def load_classes(config: GanOptions, part: Part = "train") -> ImageSet:
    """Images of the class to draw: those to train on, those held out, or the test set's.

    Raises:
        ValueError: there is no such class, nothing was held out, or a conditional network cannot
            be told all classes.
    """
    images = _load_part(config, part)
    if config.conditional and images.classes[-1] >= models.LABELS:
        raise ValueError(
            f"conditional: {images.name} has class {images.classes[-1]}, a network can be told "
            f"0..{models.LABELS - 1}; leave --conditional out"
        )
    if config.digit == "all":
        return images
    if not config.digit.isdecimal():
        raise ValueError(f"digit must be 'all' or one of {images.classes}, got {config.digit!r}")
    return images.select(int(config.digit))


def _load_part(config: GanOptions, part: Part) -> ImageSet:
    if part == "test":
        return load_images(config.data, "test")
    images, held_out = load_parts(config.data, config.validation)
    if part == "train":
        return images
    if held_out is None:
        raise ValueError("trained on all images, none was held out; use --split test")
    return held_out


def train(
    run: RunDirectory,
    gan: Gan,
    images: ImageSet,
    report: Report,
    log: EpochLog | None = None,
) -> dict[str, Any]:
    """Train until the last epoch, from the run's checkpoint on if it has one.

    Args:
        run: where statistics, sample grids, checkpoints and the summary go.
        gan: networks as initialised; the checkpoint, if any, replaces their weights.
        images: what to draw.
        report: called after each step.
        log: called after each epoch, see `firstspike.runs.loggers`.

    Returns:
        The summary, as in ``summary.json``.
    """
    config = gan.config
    data = gan.prepare(images)
    preview = gan.latents(PREVIEW, epoch_generator(config.seed, 0, "preview"))

    def train_epoch(epoch: int) -> Stats:
        spikes = gan.spikes(preview)
        rng = epoch_generator(config.seed, epoch)
        gan.start_epoch(epoch)
        stats = pass_over(
            len(data),
            config.batch,
            rng,
            lambda chosen: gan.step(data[chosen], rng),
            lambda step, steps, count, means: report(
                Progress(epoch, step, steps, count, means | spikes)
            ),
        )
        stats |= gan.spikes(preview)
        if _is_silent(stats) and (epoch == 1 or not _is_silent(spikes)):
            _warn_of_silence(epoch)
        plots.save_image_grid(run.sample_path(epoch), gan.sample(preview))
        return stats

    seconds = run_epochs(run, gan.networks, gan.optimizers, config.epochs, train_epoch, log)
    summary = _summarize(gan, images, run.kind, seconds)
    run.write_summary(summary)
    return summary


def _is_silent(stats: Stats) -> bool:
    return stats.get("generator_output_silent") == 1.0


def _warn_of_silence(epoch: int) -> None:
    warnings.warn(
        f"epoch {epoch}: the generator has fallen silent, no image has a spike. A silent image "
        "silences the discriminator, so neither learns any more; try --recipe best",
        RuntimeWarning,
        stacklevel=2,
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
