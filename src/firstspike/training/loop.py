"""What the training loops share: epochs that can be resumed, and their progress."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from firstspike.runs.directory import RunDirectory
from firstspike.runs.loggers import EpochLog

Stats = dict[str, float]


@dataclass(frozen=True)
class Progress:
    """Where training is, after each step."""

    epoch: int
    step: int
    steps: int  # of this epoch
    images: int  # of this step
    stats: Stats  # means over the epoch so far, and what was measured after the last epoch


Report = Callable[[Progress], None]


def run_epochs(
    run: RunDirectory,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    epochs: int,
    train_epoch: Callable[[int], Stats],
    log: EpochLog | None = None,
) -> float:
    """Train up to the last epoch, from the run's checkpoint on if it has one.

    A run that is killed and resumed ends with the same bytes in its weights as one that was not, if
    all randomness of ``train_epoch`` comes from `firstspike.runs.directory.epoch_generator`.

    Args:
        run: where statistics and checkpoints go.
        networks: as initialised; a checkpoint replaces their weights.
        optimizers: of the networks; a checkpoint replaces their states.
        epochs: number of the last one.
        train_epoch: trains the epoch of this number, from 1, and returns its statistics.
        log: told the number and the statistics of each epoch that is saved.

    Returns:
        Seconds of training, those before the last resumption included.
    """
    state: dict[str, Any] = {"epoch": 0, "seconds": 0.0}
    if run.has_checkpoint():
        state = run.load_checkpoint(networks, optimizers)
    run.truncate_stats(state["epoch"])
    started = time.monotonic() - state["seconds"]
    for epoch in range(state["epoch"] + 1, epochs + 1):
        stats = train_epoch(epoch)
        state = {"epoch": epoch, "seconds": time.monotonic() - started}
        run.append_stats(state | stats)
        run.save_checkpoint(networks, optimizers, state)
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
        Means of what the steps returned.
    """
    batches = torch.randperm(count, generator=rng).split(batch)
    totals: Counter[str] = Counter()
    for number, chosen in enumerate(batches, start=1):
        totals.update(step(chosen))
        means = {name: total / number for name, total in totals.items()}
        report(number, len(batches), len(chosen), means)
    return means
