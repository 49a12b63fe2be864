"""The space of a sweep: what a file may say, and the trials that come of it."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from firstspike.sweeps import space
from firstspike.sweeps.space import Range, Values

GRID = """
kind = "classifier"
[options]
epochs = 3
[space]
lr = { low = 1e-4, high = 1e-2, log = true, points = 3 }
seed = { low = 0, high = 1 }
"""
DRAWS = """
kind = "classifier"
[sweep]
search = "random"
trials = 5
seed = 7
[space]
lr = { low = 1e-4, high = 1e-2, log = true }
hidden = [10, 20]
shift = { low = 0, high = 3 }
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "space.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_grid_has_every_combination_in_order(tmp_path):
    found = space.read(written(tmp_path, GRID))
    trials = found.trials()
    assert [trial["seed"] for trial in trials] == [0, 1] * 3
    assert [trial["lr"] for trial in trials[::2]] == pytest.approx([1e-4, 1e-3, 1e-2])
    config = found.config(trials[-1])
    assert (config.epochs, config.lr, config.seed) == (3, 1e-2, 1)


def test_draws_lie_in_the_space_and_are_the_same_again(tmp_path):
    trials = space.read(written(tmp_path, DRAWS)).trials()
    assert len(trials) == 5 and trials == space.read(written(tmp_path, DRAWS)).trials()
    for trial in trials:
        assert 1e-4 <= trial["lr"] <= 1e-2
        assert trial["hidden"] in (10, 20) and trial["shift"] in (0, 1, 2, 3)
    other = space.read(written(tmp_path, DRAWS.replace("seed = 7", "seed = 8"))).trials()
    assert other != trials


def test_draws_of_a_ratio_are_even_in_ratios():
    rng = random.Random(0)
    drawn = [Range(1e-4, 1.0, log=True).draw(rng) for _ in range(4000)]
    assert sum(value < 1e-2 for value in drawn) / 4000 == pytest.approx(0.5, abs=0.03)
    assert math.isclose(max(drawn), 1.0, rel_tol=0.01)
    assert {Range(1, 3, whole=True).draw(rng) for _ in range(100)} == {1, 2, 3}
    assert {Values(("a", "b")).draw(rng) for _ in range(100)} == {"a", "b"}


def test_choices_decide_the_defaults_of_a_trial(tmp_path):
    text = 'kind = "classifier"\n[space]\nneuron = ["ramp", "step"]\n'
    found = space.read(written(tmp_path, text))
    ramp, step = map(found.config, found.trials())
    assert (ramp.gradient, step.gradient) == ("exact", "decision")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("hidden = [", "hiden = [", "unknown option hiden; did you mean hidden?"),
        ("[10, 20]", "[]", "space.hidden is empty"),
        ("[10, 20]", '["x"]', "hidden must be a whole number, got 'x'"),
        ("[10, 20]", "[10, 0]", "hidden must be between 1 and 131072, got 0"),
        ("[10, 20]", "10", "space.hidden must be a list or a range, got 10"),
        ("low = 0", "low = 4", "space.shift: is empty: low = 4 is above high = 3"),
        ("low = 0", "low = 0.5", "space.shift: low and high must be whole numbers"),
        ("low = 1e-4", "low = 0", "space.lr: low must be above 0 with log"),
        ("low = 1e-4", "lo = 1e-4", "space.lr: lo = 0.0001; a range has low, high, log, points"),
        ("low = 1e-4, ", "", "space.lr: a range needs low and high"),
        ("high = 1e-2", "high = inf", "space.lr: low and high must be finite"),
        ('"classifier"', '"clasifier"', "kind must be one of gan, ann-gan"),
        ('kind = "classifier"', "", "kind is missing"),
        ("trials = 5", "trial = 5", "unknown key sweep.trial; did you mean trials?"),
        ("trials = 5", "trials = 0", "trials must be at least 1"),
        ("trials = 5", "", "trials: say how many, with search random"),
        ("trials = 5", "trials = 5\nkeep = 4", "keep does nothing with search random"),
        ('"random"', '"bayes"', "sweep.search must be one of grid, random, asha"),
        ("seed = 7", 'metric = "train_loss"', "metric must be measured on held-out images"),
        ("[space]", "[spaces]", "unknown key spaces; did you mean space?"),
        ("[space]", "[options]\nhidden = 3\n[space]", "hidden is in [options] and in [space]"),
        ("[space]", "[options]\nvalidation = 0\n[space]", "validation must be above 0"),
        ("hidden = [", "size = [", "space.size: must be the same for all trials"),
        ('"random"', '"asha"\nfirst = 99', "sweep.first must be at most epochs = 60, got 99"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_that_names_it(tmp_path, old, new, wanted):
    assert old in DRAWS
    file = written(tmp_path, DRAWS.replace(old, new, 1))
    with pytest.raises(ValueError) as told:
        space.read(file)
    said = str(told.value)
    assert said.startswith(f"{file}: ") and wanted in said and "\n" not in said


def test_a_grid_says_how_many_values_a_range_has(tmp_path):
    with pytest.raises(ValueError, match=r"space\.lr: a range of a grid needs points"):
        space.read(written(tmp_path, GRID.replace(", points = 3", "")))
    with pytest.raises(ValueError, match="space: makes 300000 trials"):
        space.read(written(tmp_path, GRID.replace("high = 1 }", "high = 99999 }")))
