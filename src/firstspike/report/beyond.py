"""The families that the paper leaves to others, each beside its dense twin.

The paper says that its framework could be adapted to them (section 4), and has no figures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from firstspike.report.claims import SPREAD, Verdict
from firstspike.report.gather import Measured, Results, shortness

SPIKES = "spikes_a_neuron"


@dataclass(frozen=True)
class Figure:
    """What is measured of a family.

    Args:
        title: in words.
        field: of the metrics of its runs.
        digits: decimal places.
        unit: follows the number; of ``"%"`` the field is a share.
        is_less_better: as of errors and distances.
    """

    title: str
    field: str
    digits: int
    unit: str = ""
    is_less_better: bool = False

    def told(self, values: list[float]) -> str:
        """Mean ± standard deviation over seeds."""
        scale = 100 if self.unit == "%" else 1
        parts = [statistics.fmean(values)]
        if len(values) > 1:
            parts.append(statistics.stdev(values))
        return " ± ".join(f"{scale * part:.{self.digits}f}" for part in parts)


@dataclass(frozen=True)
class Family:
    """A family of networks.

    Args:
        title: what they do.
        role: of the runs of ramp neurons, see `firstspike.report.gather.role_of`.
        twin: of those of their dense twins.
        kind: of the first, see `firstspike.training.kinds`; ``ann-KIND`` is that of the twins.
        options: of ``firstspike train KIND``, which make them what they are.
        figures: what is measured, the verdict one by one.
        epochs: of a training, if the options say less than is usual.
    """

    title: str
    role: str
    twin: str
    kind: str
    options: tuple[str, ...]
    figures: tuple[Figure, ...]
    epochs: int | None = None


PSNR = Figure("peak signal-to-noise ratio", "psnr", 2, "dB")
_TASKS = {
    "noisy": "noisy to clean",
    "holes": "holes to whole",
    "outline": "outline to digit",
    "colour": "gray to colour",
}
FAMILIES = (
    Family(
        "Autoencoder",
        "vae-dense",
        "ann-vae-dense",
        "vae",
        (),
        (
            Figure("Fréchet distance of samples", "frechet_distance", 1, "", True),
            Figure("squared error of reconstructions", "reconstruction_error", 5, "", True),
        ),
    ),
    Family(
        "GAN with an auxiliary classifier",
        "auxiliary-gan",
        "auxiliary-ann-gan",
        "gan",
        ("--auxiliary",),
        (
            Figure("Fréchet distance, all digits", "joint_frechet_distance", 1, "", True),
            Figure("samples read as their digit", "right_digit", 1, "%"),
        ),
    ),
    *(
        Family(
            f"Translation, {words}",
            f"translate-{task}",
            f"ann-translate-{task}",
            "translate",
            ("--task", task, "--epochs", "1"),
            (PSNR,),
            epochs=1,
        )
        for task, words in _TASKS.items()
    ),
    Family(
        "Segmentation",
        "segment",
        "ann-segment",
        "segment",
        (),
        (Figure("mean IoU", "mean_iou", 3),),
    ),
    Family(
        "Detection",
        "detect",
        "ann-detect",
        "detect",
        (),
        (Figure("mAP at an IoU of .5", "map_50", 3),),
    ),
)


@dataclass(frozen=True)
class Row:
    """A figure of a family: ramp neurons, their dense twin, and what to think of it."""

    family: Family
    figure: Figure
    ours: str
    twins: str
    spikes: str
    verdict: Verdict
    origin: str
    runs: list[Measured]

    @property
    def lacking(self) -> list[str]:
        """Roles whose runs have not been measured."""
        sides = (self.family.role, self.ours), (self.family.twin, self.twins)
        return [role for role, text in sides if not text]


def rows(results: Results) -> list[Row]:
    """All figures of all families; what was not measured is empty."""
    return [_row(family, figure, results) for family in FAMILIES for figure in family.figures]


def _row(family: Family, figure: Figure, results: Results) -> Row:
    runs, twins = (results.evaluated(role) for role in (family.role, family.twin))
    own, other = (_values(side, figure.field) for side in (runs, twins))
    spikes = list(_values(runs, SPIKES).values())
    cut = list(dict.fromkeys(filter(None, (_cut(family, run) for run in (*runs, *twins)))))
    return Row(
        family,
        figure,
        figure.told(list(own.values())) if own else "",
        figure.told(list(other.values())) if other else "",
        f"{statistics.fmean(spikes):.3f}" if spikes else "",
        judge(own, other, figure.is_less_better, is_short=bool(cut)),
        "; ".join(filter(None, (_seeds(own, other), f"short: {', '.join(cut)}" if cut else ""))),
        [*runs, *twins],
    )


def _cut(family: Family, run: Measured) -> str:
    """How much less than usual a run was trained, see `shortness`."""
    enough = family.epochs is not None and run.run.options["epochs"] >= family.epochs
    return "" if enough else shortness(run.run)


def _seeds(own: Mapping[int, float], twin: Mapping[int, float]) -> str:
    """Which seeds each side has, if there are any."""
    told = [", ".join(map(str, sorted(side))) for side in (own, twin) if side]
    if not told:
        return ""
    noun = "seeds" if "," in told[0] else "seed"
    return f"{noun} {told[0]}" + (f"; the twin {told[1]}" if len(set(told)) > 1 else "")


def _values(runs: list[Measured], field: str) -> dict[int, float]:
    """A field of the metrics, by seed."""
    return {run.seed: float(run.metrics[field]) for run in runs if field in run.metrics}


def judge(
    own: Mapping[int, float], twin: Mapping[int, float], is_less_better: bool, *, is_short: bool
) -> Verdict:
    """Level within two standard errors of the difference, seed by seed.

    No verdict on less than two seeds of both, nor on trainings that were cut short.
    """
    if not own or not twin:
        return "open"
    gains = [(twin[seed] - own[seed]) * (1 if is_less_better else -1) for seed in own.keys() & twin]
    if is_short or len(gains) < 2:
        return "withheld"
    gain = statistics.fmean(gains)
    if abs(gain) <= SPREAD * statistics.stdev(gains) / math.sqrt(len(gains)):
        return "level"
    return "ahead" if gain > 0 else "behind"
