"""Timing on a noisy machine: alternate what is compared and keep the medians."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping


def alternate(
    functions: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    turn: float = 5.0,
) -> dict[str, list[float]]:
    """Milliseconds per call of each function, ``repeats`` times in turn.

    Each turn is preceded by one call that is not in the figures, so that every function finds its
    caches and its thread pool as its own last call left them. That call also tells how many more
    fill the ``turn``, in milliseconds: at least one.
    """

    def milliseconds(function: Callable[[], object], calls: int) -> float:
        start = clock()
        for _ in range(calls):
            function()
        return (clock() - start) / calls * 1e3

    measured: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            calls = math.ceil(turn / milliseconds(function, 1)) or 1
            measured[name].append(milliseconds(function, calls))
    return measured


def median_ratio(numerator: list[float], denominator: list[float]) -> float:
    """Median of the ratios of neighbouring turns, which see the same state of the machine."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))
