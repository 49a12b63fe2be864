"""firstspike runs and compare: run directories of every state, at a glance."""

from __future__ import annotations

import json
import os
import time

import pytest
import untrained

from firstspike.commands import runs as commands
from firstspike.runs import overview


def measured(path, *epochs, kind="classifier", summary=None, test=None, **options):
    """A run with these statistics of its epochs, a summary and an evaluation on the test set."""
    run = untrained.run(path, kind, len(epochs), **{"epochs": max(1, len(epochs)), **options})
    for number, stats in enumerate(epochs, 1):
        run.append_stats({"epoch": number, "seconds": 2.0 * number, **stats})
    if summary is not None:
        run.write_summary({"kind": kind, "data": "x", "seed": 0, "seconds": 9.0, **summary})
    if test is not None:
        (path / "evaluation-test").mkdir()
        (path / "evaluation-test" / "metrics.json").write_text(test)
    return run


def test_a_finished_run_at_a_glance(tmp_path):
    run = measured(
        tmp_path / "a",
        {"spikes": 50.0, "accuracy": 0.5},
        {"spikes": 40.0, "accuracy": 0.75},
        summary={"spikes": 41.0},
        test='{"strict_accuracy": 0.7, "t_max": 256, "classes": [1], "data": "x"}',
    )
    seen = overview.look(run.path)
    assert (seen.state, seen.problem, seen.kind, seen.epoch) == ("finished", "", "classifier", 2)
    assert seen.options == run.options
    assert seen.figures == {
        "seconds": 9.0,
        "spikes": 41.0,
        "accuracy": 0.75,
        "test strict_accuracy": 0.7,
    }
    assert seen.curves == {"seconds": [2.0, 4.0], "spikes": [50.0, 40.0], "accuracy": [0.5, 0.75]}


def test_a_run_before_its_end_can_be_resumed(tmp_path):
    started = untrained.run(tmp_path / "a", "gan", epoch=None)
    assert (overview.look(started.path).state, overview.look(started.path).epoch) == (
        "resumable",
        0,
    )
    cut = measured(tmp_path / "b", {"spikes": 2.0}, epochs=5)
    cut.append_stats({"epoch": 2, "spikes": 9.0})  # killed between statistics and checkpoint
    seen = overview.look(cut.path)
    assert (seen.state, seen.epoch) == ("resumable", 1)
    assert seen.figures["spikes"] == 2.0 and seen.curves["spikes"] == [2.0]


@pytest.mark.parametrize(
    "file",
    [
        "options.json",
        "stats.jsonl",
        "summary.json",
        "checkpoint/state.json",
        "checkpoint/model.safetensors",
        "checkpoint/model.optimizer.pt",
        "evaluation-test/metrics.json",
    ],
)
def test_damage_is_named(firstspike, tmp_path, file):
    measured(tmp_path / "a", {"spikes": 1.0}, summary={}, test="{}")
    assert overview.look(tmp_path / "a").state == "finished"
    (tmp_path / "a" / file).write_bytes(b"rubbish\n")
    seen = overview.look(tmp_path / "a")
    assert seen.state == "damaged" and file in seen.problem
    assert seen.kind == ("?" if file == "options.json" else "classifier")
    code, out, err = firstspike("runs", ".")
    assert (code, err) == (0, "") and out.splitlines()[-1] == seen.problem.replace(
        str(tmp_path) + os.sep, ""
    )
    code, _, err = firstspike("compare", "a", "a")
    assert code == 2 and file in err and err.count("\n") == 1


def test_runs_are_listed(firstspike, tmp_path):
    test = '{"strict_accuracy": 0.98765, "frechet_distance": 321.04}'
    measured(tmp_path / "runs" / "[b]", {"validation_set_accuracy": 0.9}, summary={}, test=test)
    measured(tmp_path / "runs" / "x" / "a", {"generator_spikes": 99.6}, kind="gan", epochs=7)
    old = time.time() - 3 * 86400 - 60
    for file in (tmp_path / "runs" / "[b]").glob("*.json*"):
        os.utime(file, (old, old))
    code, out, err = firstspike("runs")
    assert (code, err) == (0, "")
    heading, first, second = out.splitlines()
    assert heading.split() == ["run", "kind", "data", "what", "epochs", "figures", "age", "state"]
    assert " ".join(first.split()) == (
        "[b] classifier mnist aggressive, 8 hidden, seed 0 1/1 test 98.77%, held out 90.00%, "
        "Fréchet 321.0 3 d finished"
    )
    *words, age, unit, state = second.split()
    assert age.isdecimal() and unit in ("s", "min") and state == "resumable"
    assert " ".join(words) == "x/a gan mnist digit 3, ramp, 8 hidden, seed 0 1/7 G spikes 100"


@pytest.mark.parametrize("told", ["by the terminal", "by the environment"])
def test_a_list_fits_80_columns(firstspike, tmp_path, monkeypatch, told):
    measured(tmp_path / "runs" / "a", {"validation_set_accuracy": 0.9}, summary={})
    measured(tmp_path / "runs" / "b", kind="gan", digit="all", conditional=True)
    if told == "by the terminal":
        monkeypatch.setattr(commands, "PIPED", 80)
    else:  # to a pipe as well
        monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(commands, "_age", lambda _: "0 s")  # however long the runs took to write
    code, out, _ = firstspike("runs")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    assert [line.split() for line in lines[:2]] == [
        ["run", "epochs", "age", "state"],
        ["a", "1/1", "0", "s", "finished"],
    ]
    assert lines[2:4] == [
        "  classifier on mnist: aggressive, 8 hidden, seed 0",
        "  held out 90.00%",
    ]
    assert "gan on mnist: digit all, conditional, ramp, 8 hidden," in out


def test_what_only_some_epochs_measure_has_a_curve(tmp_path):
    told = {"spikes": 9.0}, {"spikes": 8.0, "distance": 5.0}, {"spikes": 7.0, "distance": 3.0}
    measured(tmp_path / "a", *told)
    seen = overview.look(tmp_path / "a")
    assert (seen.curves["spikes"], seen.curves["distance"]) == ([9.0, 8.0, 7.0], [5.0, 3.0])


def test_runs_are_compared(firstspike, tmp_path):
    measured(tmp_path / "a", *({"spikes": 10.0 + n} for n in range(3)), lr=0.1)
    measured(tmp_path / "b", {"spikes": 17.0, "more": 1.0}, lr=0.2, hidden=9)
    code, out, err = firstspike("compare", "a", "b")
    assert (code, err) == (0, "")
    options, figures = out.split("\n\n")
    rows = [line.split() for line in options.splitlines()]
    assert rows == [
        ["a", "b"],
        ["kind", "classifier", "classifier"],
        ["state", "resumable", "resumable"],
        ["epochs", "done", "3", "1"],
        ["hidden", "8", "9"],
        ["epochs", "3", "1"],
        ["lr", "0.1", "0.2"],
    ]
    rows = [line.split() for line in figures.splitlines()]
    assert rows[1:] == [
        ["seconds", "6", "2", "-4", "▁▅█", "▁"],
        ["spikes", "12", "17", "+5", "▁▂▃", "█"],
        ["more", "-", "1", "▁"],
    ]


def test_scripts_read_runs_as_json(firstspike, tmp_path):
    measured(tmp_path / "a", {"spikes": 10.0}, lr=0.1, summary={"spikes": 10.5})
    measured(tmp_path / "b", {"spikes": 17.0, "more": 1.0}, lr=0.2)
    (measured(tmp_path / "c", {"spikes": 1.0}).path / "stats.jsonl").write_text("rubbish\n")
    code, out, err = firstspike("runs", tmp_path, "--json")
    listed = json.loads(out)
    assert (code, err) == (0, "")
    assert [run["path"] for run in listed] == [str(tmp_path / name) for name in "abc"]
    assert [run["state"] for run in listed] == ["finished", "resumable", "damaged"]
    assert "stats.jsonl" in listed[2]["problem"] and listed[0]["problem"] == ""
    assert listed[0]["figures"]["spikes"] == 10.5 and listed[1]["options"]["lr"] == 0.2
    assert all(abs(time.time() - run["changed"]) < 600 for run in listed)
    code, out, err = firstspike("compare", "a", "b", "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    runs = [run | {"path": name} for run, name in zip(listed, "ab", strict=False)]
    assert record.keys() == {"runs", "options", "differences"} and record["runs"] == runs
    assert record["options"] == {"lr": [0.1, 0.2]}
    assert record["differences"] == {"spikes": 6.5, "seconds": -7.0}


def test_runs_of_one_name_are_told_apart_by_their_folders(firstspike, tmp_path):
    for folder in ("x", "y"):
        measured(tmp_path / folder / "a", kind="gan")
    out = firstspike("compare", "x/a", "y/a")[1]
    assert out.split()[:2] == ["x/a", "y/a"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("runs", "nowhere"), "nowhere: no such folder"),
        (("runs", "empty"), "empty: no run below"),
        (("compare", "empty", "empty"), "empty: no run here"),
    ],
)
def test_where_no_run_is(firstspike, tmp_path, arguments, wanted):
    (tmp_path / "empty").mkdir()
    code, _, err = firstspike(*arguments)
    assert code == 2 and wanted in err and err.count("\n") == 1
