"""Every number of the paper (arXiv 2106.15420), and how ours is found among the results.

The paper's side is a constant here; ours never is: it is read from files of runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from firstspike import models
from firstspike.report.gather import Measured, Results

Better = Literal["higher", "lower", "same"]
Verdict = Literal["ahead", "level", "behind", "open"]
SPREAD = 2.0  # standard deviations within which a single published run is level with ours


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


Getter = Callable[[Results], Sample | None]


@dataclass(frozen=True)
class Claim:
    """One number of the paper.

    Args:
        what: in words.
        section: of the paper.
        paper: as printed, without the unit; its last digit tells its precision.
        unit: follows both numbers.
        better: the direction that is better, or ``"same"`` for a count that is to be met.
        ours: finds our number; None if it has not been measured.
        beside: further measurements that belong to it, by name.
    """

    what: str
    section: str
    paper: str
    unit: str
    better: Better
    ours: Getter
    beside: tuple[tuple[str, Getter], ...] = ()

    @property
    def value(self) -> float:
        """The paper's number."""
        return float(self.paper.replace(",", ""))

    @property
    def digits(self) -> int:
        """Decimal places that the paper prints."""
        return len(self.paper.partition(".")[2])

    def judge(self, sample: Sample | None) -> Verdict:
        """Level within the paper's rounding or `SPREAD` standard deviations of ours.

        A count that is to be met is level or behind.
        """
        if sample is None:
            return "open"
        difference = sample.mean - self.value
        margin = 0.5 * 10.0**-self.digits
        if self.better == "same":
            return "level" if abs(difference) <= margin else "behind"
        margin = max(margin, SPREAD * (sample.deviation or 0.0))
        if abs(difference) <= margin:
            return "level"
        return "ahead" if (difference > 0) == (self.better == "higher") else "behind"


def measured(role: str, name: str, scale: float = 1.0) -> Getter:
    """A field of the metrics of every run of a role."""

    def find(results: Results) -> Sample | None:
        runs = results.evaluated(role)
        return Sample([scale * run.metrics[name] for run in runs], runs) if runs else None  # type: ignore[index]

    return find


def saving(role: str, baseline: str, name: str) -> Getter:
    """Percent by which a role needs less than another one, seed by seed."""

    def find(results: Results) -> Sample | None:
        fields = [_by_seed(results, which, name) for which in (role, baseline)]
        seeds = sorted(fields[0].keys() & fields[1].keys())
        if not seeds:
            return None
        runs = [run for run in results.evaluated(role) if run.seed in seeds]
        values = [100 * (1 - fields[0][seed] / fields[1][seed]) for seed in seeds]
        return Sample(values, runs, "both ours, seed by seed")

    return find


def _by_seed(results: Results, role: str, name: str) -> dict[int, Any]:
    return {run.seed: run.metrics[name] for run in results.evaluated(role) if run.metrics}


def coded(name: str, over: str | None = None) -> Getter:
    """Mean spikes of a coding, or how many times those of another one."""

    def find(results: Results) -> Sample | None:
        if results.coding is None:
            return None
        value = results.coding[name] / (results.coding[over] if over else 1)
        return Sample([value], [], f"mean of {results.coding['images']:,} images")

    return find


def per_pixel(name: str) -> Getter:
    return coded(name, "pixels")


def neurons(results: Results) -> Sample | None:
    """Neurons of generator and discriminator, each with its inputs, of the first Spiking-GAN."""
    runs = results.groups.get("gan", [])[:1]
    if not runs:
        return None
    hidden = runs[0].run.options["hidden"]
    networks = (models.generator(hidden), models.discriminator(hidden))
    sizes = [
        size
        for network in networks
        for size in (
            network.layers[0].in_features,
            *(layer.out_features for layer in network.layers),
        )
    ]
    return Sample([float(sum(sizes))], runs, " + ".join(map(str, sizes)))


def spikes_of_gan(results: Results) -> Sample | None:
    """Spikes that one image costs generator and discriminator together."""
    runs = results.groups.get("gan", [])
    if not runs:
        return None
    summaries = [run.run.read_summary() for run in runs]
    total = [one["generator_spikes"] + one["discriminator_spikes"] for one in summaries]
    return Sample(total, runs)


def _accuracy(paper: str, what: str, role: str, first: str, *beside: tuple[str, Getter]) -> Claim:
    """A test accuracy: the tie rule of the verdict first, the other one beside."""
    second = "ties" if first == "strict" else "strict"
    names = {"strict": "first class wins a tie", "ties": "ties count as right"}
    return Claim(
        f"{what}, {names[first]}",
        "3.1",
        paper,
        "%",
        "higher",
        measured(role, f"{first}_accuracy", 100),
        ((names[second], measured(role, f"{second}_accuracy", 100)), *beside),
    )


A, B, S, D = "aggressive-400", "aggressive-1000", "s4nn-400", "ann-400"
PARTS = {"3.1": "Classification", "3.2": "Coding and sparsity"}

CLAIMS = (
    _accuracy(
        "96.7",
        "Test accuracy, aggressive TTFS, 784-400-10",
        A,
        "strict",
        ("dense twin", measured(D, "strict_accuracy", 100)),
    ),
    _accuracy("97.4", "Test accuracy, S4NN, 784-400-10", S, "ties"),
    _accuracy("97.6", "Test accuracy, aggressive TTFS, 784-1000-10", B, "strict"),
    Claim(
        "Time steps to a decision, aggressive TTFS",
        "3.1",
        "59.7",
        "",
        "lower",
        measured(A, "decision_step"),
    ),
    Claim(
        "Time steps to a decision, S4NN", "3.1", "89.7", "", "lower", measured(S, "decision_step")
    ),
    Claim("Time saved against S4NN", "3.1", "33.4", "%", "higher", saving(A, S, "decision_step")),
    Claim(
        "Spikes to a decision, aggressive TTFS",
        "3.1",
        "194",
        "",
        "lower",
        measured(A, "total_spikes"),
    ),
    Claim("Spikes to a decision, S4NN", "3.1", "218.3", "", "lower", measured(S, "total_spikes")),
    Claim("Spikes saved against S4NN", "3.1", "11.1", "%", "higher", saving(A, S, "total_spikes")),
    Claim(
        "Neurons that spike until then, aggressive TTFS",
        "3.1",
        "16.2",
        "%",
        "lower",
        measured(A, "neurons_fired", 100),
    ),
    Claim(
        "Simulated time until then, aggressive TTFS",
        "3.1",
        "23.3",
        "%",
        "lower",
        measured(A, "time_used", 100),
    ),
    Claim(
        "Spikes per image, spike-count coding",
        "3.2",
        "173,745",
        "",
        "same",
        coded("count_inverted"),
        (("per pixel (paper: 222)", per_pixel("count_inverted")),),
    ),
    Claim(
        "Spikes per image, spike-count coding, inverted",
        "3.2",
        "26,175",
        "",
        "same",
        coded("count"),
        (("per pixel (paper: 33)", per_pixel("count")),),
    ),
    Claim(
        "Spikes per image, time-to-first-spike coding",
        "3.2",
        "784",
        "",
        "lower",
        coded("first_spike"),
        (("pixels, each of which spikes once at most", coded("pixels")),),
    ),
    Claim(
        "Fewer spikes than with counts of inverted images",
        "3.2",
        "33",
        "times",
        "higher",
        coded("count", "first_spike"),
    ),
    Claim(
        "Neurons of Spiking-GAN, the most spikes that it can issue",
        "3.2",
        "2,470",
        "",
        "same",
        neurons,
        (("spikes that an image does cost", spikes_of_gan),),
    ),
)


def digits_of(value: float) -> int:
    """Decimal places with which a mean is shown beside its standard deviation: two digits of it."""
    return max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
