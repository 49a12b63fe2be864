"""The training loop: epochs that can be resumed, and their progress; the same for every kind."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from firstspike._version import __version__
from firstspike.data import Parts
from firstspike.drawing import grids
from firstspike.runs.directory import RunDirectory, epoch_generator
from firstspike.runs.loggers import EpochLog
from firstspike.runs.nowhere import Nowhere
from firstspike.training.kinds import Kind
from firstspike.training.trainer import Progress, Stats, Trainer

Report = Callable[[Progress], None]


def train(
    run: RunDirectory | Nowhere,
    trainer: Trainer,
    parts: Parts,
    report: Report,
    log: EpochLog | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """Train until the last epoch, from the run's checkpoint on if it has one.

    Args:
        run: where statistics, pictures, checkpoints and the summary go.
        trainer: networks as initialised, and their rule; the checkpoint, if any, replaces weights.
        parts: images to train on, and those held out, if any.
        report: called after each step, and once more when an epoch has been measured.
        log: called after each epoch, see `firstspike.runs.loggers`.
        until: number of the epoch after which to stop, with rates as for all; None for the last.

    Returns:
        The summary, as in ``summary.json``, which is written after the last epoch.
    """
    config = trainer.config
    data = tuple(tensor.to(trainer.device) for tensor in trainer.tensors(parts.training))
    measure = trainer.watch(parts)
    if not trainer.team.is_first:  # one process measures for all
        measure = dict
    last: Stats = {}

    def train_epoch(epoch: int) -> Stats:
        nonlocal last
        before = last or measure()
        rng = epoch_generator(config.seed, epoch)
        trainer.start_epoch(epoch)
        with _numbers_kept(trainer, epoch):
            stats = pass_over(
                len(parts.training),
                config.batch,
                rng,
                lambda chosen: trainer.step(*(tensor[chosen] for tensor in data), rng),
                lambda step, steps, count, means: report(
                    Progress(epoch, step, steps, count, before | means)
                ),
            )
            if trainer.team.is_first:
                stats |= trainer.finish_epoch(rng) or {}
        last = measure()
        _check_figures(stats | last, epoch)
        trainer.warn(epoch, before, last)
        steps = -(-len(parts.training) // config.batch)
        report(Progress(epoch, steps, steps, 0, stats | last, ended=True))
        picture = trainer.picture() if run.keeps else None
        if picture is not None:
            grids.save_image_grid(run.sample_path(epoch), picture)
        return stats | last

    seconds = run_epochs(run, trainer, config.epochs, train_epoch, log, until)
    reached = min(config.epochs, until or config.epochs)
    summary = {
        "kind": run.kind,
        "version": __version__,
        "data": parts.training.name,
        "seed": config.seed,
        "epochs": reached,
        "seconds": seconds,
        **(last or measure()),
        **trainer.summarize(),
    }
    if reached == config.epochs:
        run.write_summary(summary)
    return summary


@contextlib.contextmanager
def few_threads(kind: Kind) -> Iterator[None]:
    """One thread of PyTorch's for networks that draw: a step is so small that a second one gains
    nothing on idle cores and, on busy ones, makes every operation wait for both."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if kind.draws else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _numbers_kept(trainer: Trainer, epoch: int) -> Iterator[None]:
    """Raise ValueError if weights are no longer finite after this, also in place of another one."""
    try:
        yield
    except ValueError:
        _check_weights(trainer, epoch)
        raise
    _check_weights(trainer, epoch)


def _check_weights(trainer: Trainer, epoch: int) -> None:
    for name, network in trainer.networks.items():
        for part, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise _lost(epoch, f"{part} of the {name}") from None


def _check_figures(stats: Stats, epoch: int) -> None:
    for name, figure in stats.items():
        if not math.isfinite(figure):
            raise _lost(epoch, name)


def _lost(epoch: int, what: str) -> ValueError:
    return ValueError(
        f"epoch {epoch}: {what} is no longer finite, so that nothing can be learned any more; "
        "train anew with a smaller learning rate"
    )


def run_epochs(
    run: RunDirectory | Nowhere,
    trainer: Trainer,
    epochs: int,
    train_epoch: Callable[[int], Stats],
    log: EpochLog | None = None,
    until: int | None = None,
) -> float:
    """Train up to the last epoch, from the run's checkpoint on if it has one.

    A run that is killed and resumed ends with the same bytes in its weights as one that was not, if
    all randomness of ``train_epoch`` comes from `firstspike.runs.directory.epoch_generator`.

    Args:
        run: where statistics and checkpoints go.
        trainer: its networks and optimisers; a checkpoint replaces their weights and states.
        epochs: number of the last one.
        train_epoch: trains the epoch of this number, from 1, and returns its statistics.
        log: told the number and the statistics of each epoch that is saved.
        until: number of the epoch to stop after, if that is not the last one.

    Returns:
        Seconds of training, those before the last resumption included.
    """
    state: dict[str, Any] = {"epoch": 0, "seconds": 0.0}
    if run.has_checkpoint():
        state = run.load_checkpoint(trainer.networks, trainer.optimizers)
        trainer.loaded()
    if state.get("epoch", epochs + 1) > epochs:
        raise ValueError(
            f"{run.path}: damaged: its checkpoint is of epoch {state.get('epoch')} of {epochs}; "
            "restore it from a copy"
        )
    state.setdefault("seconds", 0.0)
    run.truncate_stats(state["epoch"])
    started = time.monotonic() - state["seconds"]
    for epoch in range(state["epoch"] + 1, min(epochs, until or epochs) + 1):
        stats = train_epoch(epoch)
        state = {"epoch": epoch, "seconds": time.monotonic() - started}
        run.append_stats(state | stats)
        run.save_checkpoint(trainer.networks, trainer.optimizers, state)
        if log is not None:
            log(epoch, stats)
    return float(state["seconds"])


def pass_over(
    count: int,
    batch: int,
    rng: torch.Generator,
    step: Callable[[Tensor], Stats],
    report: Callable[[int, int, int, Stats], None],
) -> Stats:
    """One pass over the data in random order.

    Args:
        count: number of samples.
        batch: samples in a step; the last step may have fewer.
        rng: gives the order.
        step: trains on the samples of these indices [batch].
        report: told the step, the number of steps, the samples and the means so far.

    Returns:
        Means over the samples of what the steps returned; a last step with few counts little, and
        what a step does not tell counts nothing.
    """
    batches = torch.randperm(count, generator=rng).split(batch)
    totals: defaultdict[str, float] = defaultdict(float)
    weights: Counter[str] = Counter()
    for number, chosen in enumerate(batches, start=1):
        for name, figure in step(chosen).items():
            totals[name] += len(chosen) * figure
            weights[name] += len(chosen)
        means = {name: total / weights[name] for name, total in totals.items()}
        report(number, len(batches), len(chosen), means)
    return means
