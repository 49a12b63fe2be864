"""How good samples are, of both neurons and their dense twins; the paper shows pictures only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from firstspike.report.claims import SPREAD, Verdict
from firstspike.report.gather import RAMP, STEP, Measured, Results

TWIN, PAPERS_TWIN = "relativistic-ann-gan", "cross-entropy-ann-gan"
COLUMNS = {  # by role
    STEP: "step neurons",
    RAMP: "ramp neurons",
    TWIN: "dense twin, same loss",
    PAPERS_TWIN: "dense twin, the paper's loss",
}


@dataclass(frozen=True)
class Figure:
    """A figure of samples: how it is called, shown and judged."""

    title: str
    field: str
    digits: int
    unit: str = ""
    is_less_better: bool = False


FIGURES = (
    Figure("Fréchet distance", "frechet_distance", 1, is_less_better=True),
    Figure("the right digit, by an independent classifier", "right_digit", 1, "%"),
    Figure("coverage", "coverage", 2),
)


@dataclass(frozen=True)
class Cell:
    """What one column says of a figure; a verdict on spiking networks beside the twin."""

    text: str
    verdict: Verdict | None = None


def rows(results: Results) -> list[tuple[str, list[Cell]]]:
    """Each figure, mean over digits, and a cell for each of `COLUMNS`; none if nothing was."""
    if not any(results.evaluated(role) for role in COLUMNS):
        return []
    return [
        (
            f"{figure.title}{f', {figure.unit}' if figure.unit else ''}",
            [_cell(figure, role, results) for role in COLUMNS],
        )
        for figure in FIGURES
    ]


def digits(results: Results) -> str:
    """In words, which digits each column has."""
    found = {name: _digits(results.evaluated(role)) for role, name in COLUMNS.items()}
    return "; ".join(f"{name}: {', '.join(of)}" for name, of in found.items() if of)


def _digits(runs: Sequence[Measured]) -> list[str]:
    return sorted({run.digit for run in runs})


def _cell(figure: Figure, role: str, results: Results) -> Cell:
    scale = 100 if figure.unit == "%" else 1
    own = _values(figure, results.evaluated(role))
    if not own:
        return Cell("")
    text = f"{scale * statistics.fmean(own.values()):.{figure.digits}f}"
    if role not in (STEP, RAMP):
        return Cell(text)
    return Cell(text, judge(own, _values(figure, results.evaluated(TWIN)), figure.is_less_better))


def _values(figure: Figure, runs: Sequence[Measured]) -> dict[str, float]:
    """Mean over seeds of each digit."""
    found = {digit: [run for run in runs if run.digit == digit] for digit in _digits(runs)}
    return {
        digit: statistics.fmean(float(run.metrics[figure.field]) for run in group)
        for digit, group in found.items()
        if all(run.metrics.get(figure.field) is not None for run in group)
    }


def judge(own: dict[str, float], twin: dict[str, float], is_less_better: bool) -> Verdict:
    """Level within two standard errors of the difference, digit by digit.

    No verdict on one digit alone; open without any that both were measured on.
    """
    gains = [twin[digit] - own[digit] for digit in own.keys() & twin.keys()]
    if len(gains) < 2:
        return "withheld" if gains else "open"
    gain = statistics.fmean(gains) * (1 if is_less_better else -1)
    if abs(gain) <= SPREAD * statistics.stdev(gains) / math.sqrt(len(gains)):
        return "level"
    return "ahead" if gain > 0 else "behind"
