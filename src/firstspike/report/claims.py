"""Every number of the paper (arXiv 2106.15420), and how ours is found among the results.

The paper's side is a constant here; ours never is: it is read from files of runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from firstspike.report.gather import RAMP, STEP
from firstspike.report.measures import (
    Measure,
    Sample,
    coded,
    measured,
    neurons,
    saving,
    spikes_of_gan,
)

Better = Literal["higher", "lower", "same"]
Verdict = Literal["ahead", "level", "behind", "open"]
SPREAD = 2.0  # standard deviations within which a single published run is level with ours


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
    ours: Measure
    beside: tuple[tuple[str, Measure], ...] = ()

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


def _accuracy(paper: str, what: str, role: str, first: str, *beside: tuple[str, Measure]) -> Claim:
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
        (("per pixel (paper: 222)", coded("count_inverted", "pixels")),),
    ),
    Claim(
        "Spikes per image, spike-count coding, inverted",
        "3.2",
        "26,175",
        "",
        "same",
        coded("count"),
        (("per pixel (paper: 33)", coded("count", "pixels")),),
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
        neurons(STEP),
        (
            ("spikes that an image does cost, step neurons", spikes_of_gan(STEP)),
            ("ramp neurons", spikes_of_gan(RAMP)),
        ),
    ),
)
