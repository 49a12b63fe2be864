"""What the machine allows: additions of float32 that lie in the L1 or L2 cache, on one thread.

A layer's forward pass cannot be faster than its additions, one for each input spike and neuron, at
the rate at which this machine adds rows of weights of that size and does nothing else.
"""

from __future__ import annotations

import time

import torch

from firstspike.ops.cpu.events import njit
from firstspike.ops.cpu.vectors import add, load, spread, store

LANES = 128
REPEATS = 50


def seconds_per_addition(bytes_of_weights: int) -> float:
    """Of all values of an array of that size, row by row; the median of some runs."""
    rows = max(1, bytes_of_weights // (4 * LANES))
    weights = torch.ones(rows * LANES).numpy()
    total = torch.zeros(LANES).numpy()
    passes = max(1, 2_000_000 // len(weights))
    durations = []
    for _ in range(REPEATS):
        start = time.thread_time()
        _add_rows(weights, total, passes)
        durations.append(time.thread_time() - start)
    return sorted(durations[1:])[REPEATS // 2] / (passes * len(weights))


@njit
def _add_rows(weights, total, passes):
    for _ in range(passes):
        held = spread(total[0], LANES)
        for at in range(0, weights.shape[0], LANES):
            held = add(held, load(weights, at, LANES))
        store(total, 0, held)
