"""What the page says of samples, beside the twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstspike.report import samples
from firstspike.report.gather import RAMP, STEP, Measured, Results
from firstspike.runs.directory import RunDirectory


def measured(digit: str, distance: float, right: float | None = 0.5) -> Measured:
    run = RunDirectory(Path("x"), "gan", "", {"digit": digit, "seed": 0})
    metrics = {"frechet_distance": distance, "right_digit": right, "coverage": 0.25}
    return Measured(run, digit, metrics)


def test_both_neurons_stand_beside_their_twins():
    results = Results(
        {
            STEP: [measured("3", 20.0), measured("7", 22.0)],
            RAMP: [measured("3", 8.0), measured("7", 9.0)],
            samples.TWIN: [measured("3", 10.0), measured("7", 11.0)],
        }
    )
    titles, cells = zip(*samples.rows(results), strict=True)
    assert titles[:2] == ("Fréchet distance", "the right digit, by an independent classifier, %")
    assert [(cell.text, cell.verdict) for cell in cells[0]] == [
        ("21.0", "behind"), ("8.5", "ahead"), ("10.5", None), ("", None),
    ]  # fmt: skip
    assert [cell.text for cell in cells[1]] == ["50.0", "50.0", "50.0", ""]
    assert [cell.verdict for cell in cells[2][:2]] == ["level", "level"]
    said = samples.digits(results)
    assert said.startswith("step neurons: 3, 7; ramp neurons: 3, 7") and "paper" not in said


@pytest.mark.parametrize(
    ("own", "twin", "less", "verdict"),
    [
        ({"1": 1.0, "2": 2.0}, {"1": 2.0, "2": 3.0}, True, "ahead"),
        ({"1": 1.0, "2": 2.0}, {"1": 2.0, "2": 3.0}, False, "behind"),
        ({"1": 1.0, "2": 2.0}, {"1": 2.0, "2": 1.5}, True, "level"),
        ({"1": 1.0, "2": 2.0}, {"2": 9.0, "3": 1.0}, True, "withheld"),  # one digit says nothing
        ({"1": 1.0, "2": 2.0}, {"3": 1.0}, True, "open"),
    ],
)
def test_verdicts_compare_the_same_digits(own, twin, less, verdict):
    assert samples.judge(own, twin, less) == verdict


def test_what_was_not_measured_has_no_rows():
    assert samples.rows(Results()) == []
    unmeasured = measured("3", 1.0, right=None)
    rows = dict(samples.rows(Results({STEP: [unmeasured]})))
    assert rows["the right digit, by an independent classifier, %"][0].text == ""
