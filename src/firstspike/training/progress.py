"""Training as seen on a terminal: a live bar, or one line an epoch where there is no terminal."""

from __future__ import annotations

import time
from typing import Self

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

from firstspike.training.trainer import Progress


class _Figures(rich_progress.TextColumn):
    """What is cut off where a terminal is narrow; the other columns stay."""

    def render(self, task: rich_progress.Task) -> Text:
        text = super().render(task)
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def get_table_column(self) -> Column:
        return Column(ratio=1)


_COLUMNS = (
    rich_progress.TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
    rich_progress.BarColumn(bar_width=20),
    rich_progress.TimeRemainingColumn(compact=True),
    _Figures("{task.fields[figures]}"),
)


class TrainingBar:
    """Shows `firstspike.training.loop.Progress`; a context manager that is called at each step.

    Args:
        epochs: how many there will be.
        console: where to; the standard output if None.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False)
        self._live = self._console.is_terminal
        self._bar = rich_progress.Progress(*_COLUMNS, console=self._console, disable=not self._live)
        self._task = self._bar.add_task("", total=epochs, epoch=0, figures="")
        self._images, self._started, self._speed = 0, time.monotonic(), 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        if progress.step == 1 and not progress.ended:
            self._images, self._started = 0, time.monotonic()
        if not progress.ended:
            self._images += progress.images
            self._speed = self._images / (time.monotonic() - self._started)
        figures = f"{self._speed:,.0f} samples/s · {figures_of(progress.stats)}"
        done = progress.epoch - 1 + progress.step / progress.steps
        self._bar.update(self._task, completed=done, epoch=progress.epoch, figures=figures)
        if progress.ended:
            self._console.print(f"epoch {progress.epoch}: {figures}", soft_wrap=True)


def figures_of(stats: dict[str, float]) -> str:
    """What there is to see in statistics of training, in a line."""
    parts = []
    if "real_wins" in stats:
        parts.append(f"D right on real {stats['real_wins']:.0%} fake {stats['fake_wins']:.0%}")
    if "real_named" in stats:
        parts.append(f"names real {stats['real_named']:.0%} fake {stats['fake_named']:.0%}")
    if "box_loss" in stats:
        parts.append(f"loss {stats['class_loss']:.2f} of classes, {stats['box_loss']:.2f} of boxes")
    if "validation_set_loss" in stats:
        parts.append(f"held out {stats['validation_set_loss']:.2f}")
    if "train_accuracy" in stats:
        parts.append(f"right in training {stats['train_accuracy']:.1%}")
    if "validation_set_accuracy" in stats:
        parts.append(f"held out {stats['validation_set_accuracy']:.1%}")
    if "validation_set_spikes" in stats:
        step, spikes = stats["validation_set_decision_step"], stats["validation_set_spikes"]
        parts.append(f"step {step:.0f} · spikes {spikes:.0f}")
    if "validation_set_hidden_firing" in stats:
        firing, dead = stats["validation_set_hidden_firing"], stats["validation_set_dead_hidden"]
        parts.append(f"hidden {firing:.0f} dead {dead:.0f}")
    if "validation_set_spikes_a_neuron" in stats:
        parts.append(f"{stats['validation_set_spikes_a_neuron']:.2f} a neuron")
    if "train_loss" in stats and "psnr" in stats:
        parts.append(f"loss {stats['train_loss']:.4f} · {stats['psnr']:.2f} dB")
    if "told_apart" in stats:
        parts.append(f"{stats['told_apart']:.0%} told apart")
    if "train_loss" in stats and "mean_iou" in stats:
        parts.append(f"loss {stats['train_loss']:.4f} · mean IoU {stats['mean_iou']:.3f}")
    if "spikes_a_neuron" in stats:
        parts.append(f"{stats['spikes_a_neuron']:.2f} a neuron")
    if "divergence" in stats:
        parts.append(f"error {stats['train_error']:.4f} · {stats['divergence']:.1f} nats told")
    if "reconstruction_error" in stats:
        parts.append(f"reconstructions {stats['reconstruction_error']:.4f}")
    if "decoder_spikes" in stats:
        parts.append(f"spikes/image {stats['decoder_spikes']:.0f}")
    if "generator_spikes" in stats:
        generator, discriminator = stats["generator_spikes"], stats["discriminator_spikes"]
        parts.append(f"spikes/image G {generator:.0f} D {discriminator:.0f}")
    return " · ".join(parts)
