"""A sweep on disk, whoever has written it."""

from __future__ import annotations

import json

import pytest

from firstspike.shape import MNIST
from firstspike.sweeps.directory import INDEX, SweepDirectory
from firstspike.sweeps.space import Plan, read


def begun(path, **parts) -> SweepDirectory:
    trials = {"000": {"seed": 0}, "001": {"seed": 1}}
    given = {"options": {"hidden": 8}, "trials": trials} | parts
    sweep = SweepDirectory(path, "ann-classifier", Plan(), shape=MNIST, **given)
    sweep.begin()
    return sweep


def test_a_sweep_is_opened_as_it_was_begun(tmp_path):
    asha = Plan("asha", trials=2, keep=2, goal="min")
    for plan in (Plan(), asha):
        path = tmp_path / plan.search
        sweep = SweepDirectory(path, "ann-classifier", plan, {}, {"0": {"seed": 3}}, MNIST)
        sweep.begin()
        assert SweepDirectory.open(path) == sweep
    run = sweep.run_of("0")
    assert run.options["seed"] == 3 and sweep.run_of("0") == run


def test_names_sort_as_their_numbers(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text('kind = "classifier"\n[space]\nseed = { low = 0, high = 1000 }\n')
    sweep = SweepDirectory.planned(tmp_path / "sweep", read(file), MNIST)
    assert [*sweep.trials] == sorted(sweep.trials) and len(sweep.trials) == 1001
    assert not sweep.path.exists()


def test_what_a_kill_has_left_of_an_index_is_no_obstacle(tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / ".sweep.1-2.tmp.json").write_text("{")
    begun(tmp_path / "sweep")
    with pytest.raises(ValueError, match="is not an empty folder"):
        begun(tmp_path / "sweep")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"trials": {"../x": {}}}, "'trials' must have names of folders"),
        ({"trials": {"0": 3}}, "'trials' must have options"),
        ({"trials": {}}, "'trials' must have names"),
        ({"plan": {"metric": 3}}, "sweep.metric must be a string"),
        ({"plan": {"search": "x"}}, "sweep.search must be one of"),
        ({"plan": {"x": 1}}, "unknown key sweep.x"),
        ({"shape": {"channels": 9}}, "damaged"),
        ({"kind": "other"}, "not known here"),
        ({"options": []}, "'options' is missing"),
    ],
)
def test_a_broken_index_is_told(tmp_path, changes, wanted):
    file = begun(tmp_path / "sweep").path / INDEX
    record = json.loads(file.read_text()) | changes
    del record["checksum"]
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=wanted):
        SweepDirectory.open(tmp_path / "sweep")


def test_options_that_there_are_not_are_told(tmp_path):
    for number, options in enumerate(({"x": 1}, {"epochs": "many"})):
        sweep = begun(tmp_path / str(number), options=options)
        with pytest.raises(ValueError, match="damaged: trial 000"):
            sweep.run_of("000")
