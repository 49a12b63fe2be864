"""``train gan --digits``: a set of runs that survives the failure of single ones."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from idx import SMALL, write_digits
from PIL import Image
from rich.console import Console

from firstspike import cli
from firstspike.commands import train_set
from firstspike.commands.train_set import DigitSet, parse_digits
from firstspike.data import load_mnist
from firstspike.runs import jobs
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import Outcome
from firstspike.sweeps.running import Board
from firstspike.training.config import AnnGanConfig, GanConfig

CONFIG = GanConfig(hidden=8, batch=8, epochs=2)
ANN_CONFIG = AnnGanConfig(hidden=8, batch=8, epochs=2)  # starts sooner


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return write_digits(tmp_path_factory.mktemp("data"), digits=2, train=20, test=1)


@pytest.fixture
def firstspike(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


def generator(run: Path) -> bytes:
    return (run / "checkpoint" / "generator.safetensors").read_bytes()


def test_a_digit_that_fails_takes_no_other_with_it(firstspike, data, tmp_path):
    of = DigitSet(tmp_path / "set", "ann-gan", ["0", "1"], ANN_CONFIG.as_dict() | {"data": data})
    of.begin()
    (of.run_of("1").path / "stats.jsonl").write_text("rubbish\n")
    code, out, err = firstspike("train", "ann-gan", "--resume", "set")
    assert code == cli.USAGE_ERROR and err.count("\n") == 1
    assert "1 of 2 digits failed, 1 first: firstspike: 1/stats.jsonl, line 1: damaged" in err
    assert "digit 0: trained in" in out and "digit 1: failed" in out
    with Image.open("set/samples.png") as picture:
        assert picture.size == (56, 4 * 58 - 2)
    trained = generator(Path("set/0"))
    Path("set/1/options.json").write_text("rubbish")
    code, out, err = firstspike("train", "ann-gan", "--resume", "set")
    assert code == 2 and "1 of 2 digits failed, 1 first" in err and "options.json: damaged" in err
    assert "digit 0: trained before" in out
    shutil.rmtree("set/1")
    code, out, err = firstspike("train", "ann-gan", "--resume", "set")
    assert (code, err) == (0, "")
    assert "digit 0: trained before" in out and "digit 1: trained in" in out
    assert generator(Path("set/0")) == trained
    assert (
        firstspike("train", "ann-gan", "--digit", "1", "--data", data, "--out", "1", *SMALL)[0] == 0
    )
    assert generator(Path("set/1")) == generator(Path("1"))
    with Image.open("set/samples.png") as picture:
        assert picture.size == (2 * 58 - 2, 4 * 58 - 2)


def test_a_set_is_begun_with_its_options(firstspike, data, monkeypatch, tmp_path):
    begun = []
    monkeypatch.setattr(train_set, "train_set", lambda of, log, device: begun.append(of))
    Path("near").symlink_to(data)
    options = ("--digits", "1,0", "--data", "near", "--seed", 5, *SMALL)
    assert firstspike("train", "ann-gan", *options)[0] == 0
    record = json.loads(Path("runs/ann-gan-digits-seed5/set.json").read_text())
    assert record["kind"] == "ann-gan" and record["digits"] == ["1", "0"]
    assert record["options"]["data"] == str(Path(data).resolve())
    assert firstspike("train", "ann-gan", "--resume", "runs/ann-gan-digits-seed5")[0] == 0
    resumed = begun[1]
    assert resumed.digits == begun[0].digits and resumed.options == begun[0].options
    run = resumed.run_of("0")
    assert run.kind == "ann-gan" and run.options["digit"] == "0" and run.options["seed"] == 5
    assert RunDirectory.open(run.path) == resumed.run_of("0")


def test_the_second_process_at_a_set_is_told(firstspike, data, tmp_path):
    of = DigitSet(tmp_path / "set", "ann-gan", ["0"], ANN_CONFIG.as_dict() | {"data": data})
    of.begin()
    with jobs.locked(of.path):
        code, _, said = firstspike("train", "ann-gan", "--resume", "set")
    assert code == cli.USAGE_ERROR
    assert said == ("firstspike: set: another process is writing there; wait until it has ended\n")
    assert sorted(it.name for it in of.path.iterdir()) == ["set.json"]


def test_a_dry_run_begins_nothing(firstspike, data, tmp_path):
    code, out, _ = firstspike("train", "gan", "--digits", "0-1", "--data", data, "--dry-run")
    assert code == 0 and json.loads(out)["digits"] == ["0", "1"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "digits"),
    [("0-9", "0123456789"), ("3", "3"), ("1, 3,5-7", "13567"), ("7,2,7", "72"), ("4-4", "4")],
)
def test_digits_and_ranges(text, digits):
    assert parse_digits(text, load_mnist()) == list(digits)


@pytest.mark.parametrize("text", ["", "x", "9-0", "-3", "1,,2", "0-10", "12"])
def test_what_says_no_digits(text):
    with pytest.raises(ValueError, match=f"--digits {text}: "):
        parse_digits(text, load_mnist())


def test_what_cannot_be_trained(firstspike, data, tmp_path):
    of = DigitSet(tmp_path / "set", "gan", ["0", "1"], CONFIG.as_dict() | {"data": data})
    of.begin()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "set.json").write_text("{}")
    (tmp_path / "odd").mkdir()
    odd = {"kind": True, "digits": ["0"], "options": {"a": 1}}
    (tmp_path / "odd" / "set.json").write_text(json.dumps(odd))
    before = sorted(tmp_path.rglob("*"))
    new = ("train", "gan", "--data", data, "--digits")
    for arguments, wanted in (
        ((*new, "0-2"), "--digits 0-2: 0-2 is not in"),
        ((*new, "0", "--digit", "1"), "leave --digit out"),
        ((*new, "0-1", "--auxiliary"), "conditional draws all classes: digit must be all, not 0"),
        ((*new, "0", "--out", "set"), "holds another set"),
        ((*new, "0", "--out", tmp_path), "is not an empty folder"),
        ((*new, "0", "--epochs", "0"), "epochs must be at least 1"),
        (("train", "gan", "--resume", "set", "--seed", "3"), "leave the others out"),
        (("train", "gan", "--resume", "set", "--digits", "0"), "leave the others out"),
        (("train", "ann-gan", "--resume", "set"), "use `train gan`"),
        (("train", "gan", "--resume", "broken"), "'kind' is missing"),
        (("train", "gan", "--resume", "odd"), "'kind' must be the name of one"),
    ):
        code, _, err = firstspike(*arguments)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1, (wanted, err)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_board_shows_every_digit(data, tmp_path):
    of = DigitSet(tmp_path, "gan", ["0", "1"], CONFIG.as_dict())
    runs = [of.run_of(digit) for digit in of.digits]
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    board = Board(runs, console, "digit")
    stats = {"epoch": 1, "real_wins": 0.75, "fake_wins": 0.5}
    runs[0].append_stats(stats)
    (runs[1].path / "stats.jsonl").write_text("rubbish\n")  # is shown as not begun
    with board:
        board(["0"], [Outcome("1", "", "failed", 1.0, "no room")])
        console.print(board._table())
    shown = console.file.getvalue()
    assert "digit 0" in shown and "1/2" in shown and "D right on real 75% fake 50%" in shown
    assert "digit 1: failed: no room" in shown and "0/2" in shown and "minute left" in shown
