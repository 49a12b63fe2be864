"""Training told to a logger."""

from __future__ import annotations

import csv
import errno
import json
import shutil
import sys
from pathlib import Path

import pytest
from idx import SMALL, write_noise
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from firstspike.runs import loggers
from firstspike.runs.directory import RunDirectory

INTO_RUN = (*SMALL, "--out", "run")


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Six pictures of noise, of one class."""
    return write_noise(tmp_path / "pictures", "0")


def train(firstspike, pictures, *options):
    code, _, err = firstspike(
        "train", "gan", "--data", pictures, "--digit", "all", *INTO_RUN, *options
    )
    assert (code, err) == (0, "")
    lines = Path("run/stats.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_tensorboard_gets_statistics_and_samples(firstspike, pictures):
    stats = train(firstspike, pictures, "--log", "tensorboard")
    events = EventAccumulator("run/tensorboard", {"images": 0, "scalars": 0})
    events.Reload()
    for name in ("generator_loss", "generator_spikes", "real_wins"):
        told = [(event.step, event.value) for event in events.Scalars(name)]
        assert told == [(line["epoch"], pytest.approx(line[name])) for line in stats]
    assert [event.step for event in events.Images("samples")] == [1, 2]
    with Image.open("run/samples/epoch-002.png") as image:
        seen = events.Images("samples")[-1]
        assert (seen.width, seen.height) == image.size


def test_csv_gets_statistics(firstspike, pictures):
    stats = train(firstspike, pictures, "--log", "csv")
    with Path("run/csv/version_0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert [float(row["generator_loss"]) for row in rows] == [s["generator_loss"] for s in stats]


class Recorder:
    """A logger of one's own."""

    def __init__(self, folder: Path) -> None:
        self.calls: list[tuple] = [("folder", folder)]

    def log_hyperparams(self, params):
        self.calls.append(("params", params))

    def log_metrics(self, metrics, step=None):
        self.calls.append(("metrics", step, metrics))

    def save(self):
        self.calls.append(("save",))

    def finalize(self, status):
        self.calls.append(("end", status))


def test_any_logger_follows_a_run(tmp_path):
    run = RunDirectory.create(tmp_path / "run", "gan", {"seed": 1})
    recorder = Recorder(run.path)
    with loggers.following(run, lambda folder: recorder) as log:
        log(3, {"loss": 0.5})
    assert recorder.calls == [
        ("folder", run.path),
        ("params", {"kind": "gan", "seed": 1}),
        ("metrics", 3, {"loss": 0.5}),
        ("save",),
        ("end", "success"),
    ]
    with pytest.raises(KeyboardInterrupt), loggers.following(run, lambda folder: recorder):
        raise KeyboardInterrupt
    assert recorder.calls[-1] == ("end", "failed")


@pytest.mark.parametrize("fails", ["log_hyperparams", "log_metrics", "save", "finalize"])
def test_a_logger_that_fails_is_told_in_a_line(tmp_path, monkeypatch, fails):
    run = RunDirectory.create(tmp_path / "run", "gan", {"seed": 1})

    def fail(*_, **__):
        raise KeyError("somewhere\nelse")

    monkeypatch.setattr(Recorder, fails, fail)
    with (
        pytest.raises(ValueError, match=r"^log: the logger failed: KeyError: .*leave the logger"),
        loggers.following(run, Recorder) as log,
    ):
        log(1, {"loss": 0.5})


def test_a_training_that_fails_leaves_nothing_of_its_logger(firstspike, pictures, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunDirectory, "append_stats", full)
    options = "--data", pictures, "--digit", "all", *INTO_RUN
    for name in ("tensorboard", "csv"):
        code, _, err = firstspike("train", "gan", *options, "--log", name)
        assert (code, err.count("\n")) == (2, 1) and not Path("run").exists()


def test_no_logger_writes_to_a_full_disk(firstspike, pictures, monkeypatch):
    """That of TensorBoard has a thread of its own, which dies with a traceback."""
    real, free = shutil.disk_usage, iter([loggers.ROOM, loggers.ROOM - 1])

    def usage(folder):
        return real(folder)._replace(free=next(free))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    options = "--data", pictures, "--digit", "all", *INTO_RUN
    code, _, err = firstspike("train", "gan", *options, "--log", "tensorboard")
    assert code == 2 and err == (
        "firstspike: run: log: no space left on device; make room there, or leave the logger out\n"
    )
    monkeypatch.setattr(shutil, "disk_usage", real)
    assert firstspike("train", "gan", "--resume", "run")[0] == 0


def test_a_logger_is_found_by_its_dotted_path(monkeypatch, firstspike, pictures, tmp_path):
    made = []
    (tmp_path / "mine.py").write_text("def logger(folder): raise AssertionError('replaced')")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    def logger(folder: Path) -> Recorder:
        made.append(Recorder(folder))
        return made[-1]

    monkeypatch.setattr(mine, "logger", logger)
    train(firstspike, pictures, "--log", "mine.logger")
    assert [call[0] for call in made[0].calls] == (
        ["folder", "params", "metrics", "save", "metrics", "save", "end"]
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nothing", "log nothing: "),
        ("no_such_module.logger", "No module named 'no_such_module'"),
        ("json.no_such_logger", "has no attribute 'no_such_logger'"),
    ],
)
def test_where_no_logger_is(firstspike, pictures, tmp_path, name, wanted):
    code, _, err = firstspike("train", "gan", "--data", pictures, "--log", name, *INTO_RUN)
    assert code == 2 and wanted in err and "give tensorboard, csv or" in err
    assert err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_missing_extra_is_named(firstspike, pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    code, _, err = firstspike("train", "gan", "--data", pictures, "--log", "csv", *INTO_RUN)
    assert (code, err) == (
        2,
        "firstspike: the logger csv needs the package lightning_fabric: "
        "pip install 'firstspike[log]'\n",
    )
    assert not (tmp_path / "run").exists()
