"""Every number of the paper (arXiv 2106.15420), and how ours is found among the results.

The paper's side is a constant here; ours never is: it is read from files of runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from firstspike.report.gather import RAMP, STEP, Results
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
Verdict = Literal["ahead", "level", "behind", "withheld", "open"]
SPREAD = 2.0  # standard deviations within which a single published run is level with ours
NEAR = 1.0  # points below the paper's accuracy from which on what a network costs says nothing


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
        roles: of the runs behind it, see `firstspike.report.gather.role_of`; none if it needs none.
        differs: how the paper counts otherwise than we do; empty if it does not.
        accurate: the accuracies that make it worth comparing: a network that is often wrong is
            easily fast.
    """

    what: str
    section: str
    paper: str
    unit: str
    better: Better
    ours: Measure
    beside: tuple[tuple[str, Measure], ...] = ()
    roles: tuple[str, ...] = ()
    differs: str = ""
    accurate: tuple[Claim, ...] = ()

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

    def withheld(self, results: Results) -> str:
        """Why no verdict can be given on what was measured; empty if one can."""
        if self.differs:
            return self.differs
        for claim in self.accurate:
            sample = claim.ours(results)
            if sample is None or sample.mean < claim.value - NEAR:
                ours = "not measured" if sample is None else f"{sample.mean:.1f} %"
                return f"no verdict: accuracy is {ours}, the paper's {claim.paper} %"
        return ""


_ALONE: Mapping[str, tuple[str, str]] = {}


def _accuracy(
    paper: str, what: str, role: str, first: str, twins: Mapping[str, tuple[str, str]] = _ALONE
) -> Claim:
    """A test accuracy: the tie rule of the verdict first, the other one beside.

    Then those of dense twins: by role, what each is called and the name of its figure.
    """
    second = "ties" if first == "strict" else "strict"
    names = {"strict": "first class wins a tie", "ties": "ties count as right"}
    return Claim(
        f"{what}, {names[first]}",
        "3.1",
        paper,
        "%",
        "higher",
        measured(role, f"{first}_accuracy", 100),
        (
            (names[second], measured(role, f"{second}_accuracy", 100)),
            *((called, measured(twin, name, 100)) for twin, (called, name) in twins.items()),
        ),
        roles=(role, *twins),
    )


def _cost(
    what: str, paper: str, unit: str, ours: Measure, *of: Claim, better: Better = "lower"
) -> Claim:
    """What a decision costs, of networks whose accuracy is that of other claims."""
    roles = tuple(claim.roles[0] for claim in of)
    return Claim(what, "3.1", paper, unit, better, ours, roles=roles, accurate=of)


A, B, S, D = "aggressive-400", "aggressive-1000", "s4nn-400", "ann-400"
R, T = "ramp-400", "ann-784-400-10"  # ramp neurons, and the dense twin in their loop
PARTS = {"3.1": "Classification", "3.2": "Coding and sparsity"}

ACCURACY_A = _accuracy(
    "96.7",
    "Test accuracy, aggressive TTFS, 784-400-10",
    A,
    "strict",
    {D: ("dense twin", "strict_accuracy")},
)
ACCURACY_S = _accuracy("97.4", "Test accuracy, S4NN, 784-400-10", S, "ties")
ACCURACY_R = _accuracy(
    "96.7",
    "Test accuracy, ramp neurons, 784-400-10",
    R,
    "strict",
    {T: ("dense twin in their loop", "accuracy")},
)
STEPS_A = _cost(
    "Time steps to a decision, aggressive TTFS",
    "59.7",
    "",
    measured(A, "decision_step"),
    ACCURACY_A,
)
STEPS_S = _cost(
    "Time steps to a decision, S4NN", "89.7", "", measured(S, "decision_step"), ACCURACY_S
)
STEPS_R = _cost(
    "Time steps to a decision, ramp neurons",
    "59.7",
    "",
    measured(R, "decision_step"),
    ACCURACY_R,
)
SPIKES_A = _cost(
    "Spikes to a decision, aggressive TTFS", "194", "", measured(A, "total_spikes"), ACCURACY_A
)
SPIKES_S = _cost("Spikes to a decision, S4NN", "218.3", "", measured(S, "total_spikes"), ACCURACY_S)
SPIKES_R = _cost(
    "Spikes to a decision, ramp neurons", "194", "", measured(R, "total_spikes"), ACCURACY_R
)
_MOST = "no verdict: the paper's is the most there can be, ours a measured mean"

CLAIMS = (
    ACCURACY_A,
    ACCURACY_S,
    _accuracy("97.6", "Test accuracy, aggressive TTFS, 784-1000-10", B, "strict"),
    ACCURACY_R,
    STEPS_A,
    STEPS_S,
    STEPS_R,
    _cost(
        "Time saved against S4NN",
        "33.4",
        "%",
        saving(A, S, "decision_step"),
        ACCURACY_A,
        ACCURACY_S,
        better="higher",
    ),
    SPIKES_A,
    SPIKES_S,
    SPIKES_R,
    _cost(
        "Spikes saved against S4NN",
        "11.1",
        "%",
        saving(A, S, "total_spikes"),
        ACCURACY_A,
        ACCURACY_S,
        better="higher",
    ),
    _cost(
        "Neurons that spike until then, aggressive TTFS",
        "16.2",
        "%",
        measured(A, "neurons_fired", 100),
        ACCURACY_A,
    ),
    _cost(
        "Simulated time until then, aggressive TTFS",
        "23.3",
        "%",
        measured(A, "time_used", 100),
        ACCURACY_A,
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
        differs=_MOST,
    ),
    Claim(
        "Fewer spikes than with counts of inverted images",
        "3.2",
        "33",
        "times",
        "higher",
        coded("count", "first_spike"),
        (("as the paper counts, every pixel a spike", coded("count", "pixels")),),
        differs=_MOST,
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
        roles=(STEP, RAMP),
    ),
)
