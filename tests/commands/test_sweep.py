"""``firstspike sweep``: what a user types, sees and gets wrong; real trainings, killed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from idx import write_digits

from firstspike import cli
from firstspike.runs import jobs
from firstspike.runs.directory import RunDirectory
from firstspike.shape import MNIST
from firstspike.sweeps.directory import SweepDirectory
from firstspike.sweeps.space import Plan

SPACE = """
kind = "ann-classifier"
[options]
data = {data}
hidden = 8
epochs = 2
batch = 8
validation = 0.3
[space]
seed = {{ low = 3, high = 4 }}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return write_digits(tmp_path_factory.mktemp("data"), digits=2, train=20, test=1)


@pytest.fixture
def file(data, tmp_path) -> Path:
    made = tmp_path / "space.toml"
    made.write_text(SPACE.format(data=f'"{data}"'))
    return made


@pytest.fixture
def ended(tmp_path) -> SweepDirectory:
    """A sweep of two rates and two seeds, as if it had been trained."""
    trials = {
        f"{rate}{seed}": {"lr": 10.0**-rate, "seed": seed} for rate in (2, 3) for seed in (0, 1)
    }
    options = {"hidden": 8, "epochs": 2}
    sweep = SweepDirectory(tmp_path / "sweep", "ann-classifier", Plan(), options, trials, MNIST)
    sweep.begin()
    for name in trials:
        run = sweep.run_of(name)
        for epoch in (1, 2):
            told = {"epoch": epoch, "validation_set_accuracy": epoch / 10 + int(name) / 1000}
            run.append_stats(told)
        run.write_summary({})
    return sweep


def weights(run: Path) -> bytes:
    return (run / "checkpoint" / "model.safetensors").read_bytes()


def test_a_sweep_survives_kills_and_a_damaged_trial(firstspike, file, tmp_path):
    """SIGKILL all of its processes; then the folder goes on, and loses nothing."""
    sweep = tmp_path / "sweep"
    command = [sys.executable, "-m", "firstspike", "sweep", file, "--out", sweep, "--at-once", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(command, **quiet) as process:
        while process.poll() is None and not (sweep / "000" / "checkpoint").exists():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    SweepDirectory.open(sweep).run_of("001")
    (sweep / "001" / "stats.jsonl").write_text("rubbish\n")
    code, out, err = firstspike("sweep", sweep)
    assert code == cli.USAGE_ERROR and err.count("\n") == 1
    assert "1 of 2 trials failed, 001 first: firstspike: 001/stats.jsonl, line 1: damaged" in err
    assert "trial 000: trained" in out
    shutil.rmtree(sweep / "001")
    code, out, err = firstspike("sweep", sweep)
    assert (code, err) == (0, "") and "trial 000: trained before" in out
    best = next(line for line in out.splitlines() if line.startswith("firstspike train"))
    assert firstspike(*shlex.split(best)[1:], "--out", "alone")[0] == 0
    options = RunDirectory.open("alone").options
    assert options == RunDirectory.open(sweep / f"{options['seed'] - 3:03}").options
    assert weights(Path("alone")) == weights(sweep / f"{options['seed'] - 3:03}")


def test_a_dry_run_tells_the_trials_and_leaves_nothing(firstspike, file, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = firstspike("sweep", file, "--dry-run")
    assert (code, err) == (0, "") and out == "000: seed 3\n001: seed 4\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_table_names_the_best_setting_over_seeds(firstspike, ended):
    code, out, err = firstspike("sweep", "show", ended.path)
    assert (code, err) == (0, "")
    assert "best: validation_set_accuracy 0.2305 (mean of 2 seeds), trial 31" in out
    assert "firstspike train ann-classifier --seed 1 --hidden 8 --epochs 2" in out
    lines = [line.split()[0] for line in out.splitlines() if "ended" in line]
    assert lines == ["31", "30", "21", "20"]


def test_the_page_shows_curves_importance_and_coordinates(firstspike, ended):
    pytest.importorskip("optuna", reason="importance needs the extra sweep")
    out = firstspike("sweep", "show", ended.path)[1]
    assert f"page: {ended.path}/sweep.html" in out
    page = (ended.path / "sweep.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 3 and "data:image/svg+xml" in page
    assert "PED-ANOVA" in page and "http" not in page.replace("http://www.w3.org", "")
    assert "Settings over seeds" in page and "--seed 1 --hidden 8" in page


def test_a_sweep_that_has_not_begun_has_a_page_too(firstspike, tmp_path):
    sweep = SweepDirectory(
        tmp_path / "new", "ann-classifier", Plan(), {}, {"0": {"seed": 0}}, MNIST
    )
    sweep.begin()
    code, out, err = firstspike("sweep", "show", "new")
    assert (code, err) == (0, "") and "not begun" in out
    assert "No trial has told this figure yet" in Path("new/sweep.html").read_text()


def test_the_second_process_at_a_sweep_is_told(firstspike, ended):
    with jobs.locked(ended.path):
        code, _, said = firstspike("sweep", ended.path)
    assert code == cli.USAGE_ERROR and "another process is writing there" in said


def test_what_cannot_be_swept_is_told_before_anything_is_written(firstspike, file, ended):
    text = file.read_text()
    for name, old, new in (
        ("data.toml", "data = ", 'data = "nowhere" # '),
        ("metric.toml", "[options]", '[sweep]\nmetric = "validation_set_spikes"\n[options]'),
        ("line.toml", "seed = {", 'network = ["9-x"]\nseed = {'),
    ):
        Path(name).write_text(text.replace(old, new))
    folder = ended.path.parent
    (folder / "broken").mkdir()
    (folder / "broken" / "sweep.json").write_text("{}")
    before = sorted(folder.rglob("*"))
    for arguments, wanted in (
        (("nowhere.toml",), "nowhere.toml: cannot be read"),
        (("data.toml",), "nowhere"),
        (
            ("metric.toml",),
            "metric validation_set_spikes: not measured in training; there is: "
            "validation_set_accuracy",
        ),
        (("line.toml",), "trial network 9-x, seed 3: "),
        ((file, "--out", ended.path), "is not an empty folder"),
        ((file, "--out", file / "below"), "cannot be a folder"),
        ((file, "--at-once", "0"), "--at-once must be at least 1"),
        ((file, "--device", "tpu"), "device must be"),
        ((ended.path, "--out", "x"), "--out goes with a new sweep"),
        ((folder,), "no sweep here"),
        (("broken",), "'kind' is missing"),
        (("show", folder), "no sweep here"),
    ):
        code, _, err = firstspike("sweep", *arguments)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1, (wanted, err)
    assert sorted(folder.rglob("*")) == before
