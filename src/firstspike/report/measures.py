"""Our side of the paper's numbers, out of the files of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from firstspike.report.gather import Measured, Results
from firstspike.training.loading import load_gan


@dataclass(frozen=True)
class Sample:
    """Our side of a number.

    Args:
        values: one of each seed.
        runs: where they come from; empty for counts that need no training.
        note: what else is to be known.
    """

    values: list[float]
    runs: list[Measured]
    note: str = ""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of single runs; None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


Measure = Callable[[Results], Sample | None]


def measured(role: str, name: str, scale: float = 1.0) -> Measure:
    """A field of the metrics of every run of a role."""

    def find(results: Results) -> Sample | None:
        runs = results.evaluated(role)
        return Sample([scale * run.metrics[name] for run in runs], runs) if runs else None

    return find


def saving(role: str, baseline: str, name: str) -> Measure:
    """Percent by which a role needs less than another one, seed by seed."""

    def find(results: Results) -> Sample | None:
        others = {run.seed: run for run in results.evaluated(baseline)}
        runs = [run for run in results.evaluated(role) if run.seed in others]
        values = [100 * (1 - run.metrics[name] / others[run.seed].metrics[name]) for run in runs]
        return Sample(values, runs, "both ours, seed by seed") if runs else None

    return find


def coded(name: str, over: str | None = None) -> Measure:
    """Mean spikes of a coding, or how many times those of another one."""

    def find(results: Results) -> Sample | None:
        if results.coding is None:
            return None
        value = results.coding[name] / (results.coding[over] if over else 1)
        return Sample([value], [], f"mean of {results.coding['images']:,} images")

    return find


def neurons(role: str) -> Measure:
    """Neurons of generator and discriminator, each with its inputs, of the first GAN of a role."""

    def find(results: Results) -> Sample | None:
        runs = results.groups.get(role, [])[:1]
        if not runs:
            return None
        gan = load_gan(runs[0].run)
        layers = [[*network.parameters()] for network in (gan.generator, gan.discriminator)]
        sizes = [
            size
            for weights in ([p for p in part if p.ndim == 2] for part in layers)
            for size in (weights[0].shape[1], *(weight.shape[0] for weight in weights))
        ]
        return Sample([float(sum(sizes))], runs, " + ".join(map(str, sizes)))

    return find


def spikes_of_gan(role: str) -> Measure:
    """Spikes that one image costs generator and discriminator together."""

    def find(results: Results) -> Sample | None:
        runs = results.groups.get(role, [])
        if not runs:
            return None
        summaries = [run.run.read_summary() for run in runs]
        total = [one["generator_spikes"] + one["discriminator_spikes"] for one in summaries]
        return Sample(total, runs)

    return find


def digits_of(value: float) -> int:
    """Decimal places with which a mean is shown beside its standard deviation: two digits of it."""
    return max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
