"""The benchmarks run, on small sizes; what they measure so means nothing."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest
import torch
from idx import write_digits

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = {file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("_")}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a benchmark on one thread with few repeats; returns what it prints."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    threads = torch.get_num_threads()

    def main(name: str, *arguments: object) -> str:
        script = FOLDER / f"{name}.py"
        command = [script, "--repeats", 1, *arguments]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    yield main
    torch.set_num_threads(threads)


def row(text: str, name: str) -> list[float]:
    """The numbers in a row of a printed table."""
    [line] = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
    return [float(cell) for cell in line.split("│")[2:-1]]


def test_every_benchmark_is_tried():
    assert {f"test_{name}" for name in SCRIPTS} <= globals().keys()


def test_op(run):
    result = json.loads(run("op", "--batch", 4, "--neurons", 70, "--threads", 1))
    parts = {"forward", "forward+backward"}
    assert result["ratio fire/dense"].keys() == parts
    sides = {f"{side} {part}" for side in ("fire", "dense") for part in parts}
    assert result["ms"].keys() == {*sides, "fire forward, more steps"}
    assert min(result["ms"].values()) > 0 and result["limit"]["distance"] > 0


def test_gan(run):
    printed = run("gan", "--batch", 4, "--warm-up", 1)
    for name in ("spiking", "dense"):
        milliseconds, ratio = row(printed, name)
        assert milliseconds > 0 and ratio > 0
    assert "spikes per image: generator" in printed


def test_classifier(run):
    small = ("--before", 50, "--images", 1, "--batch", 20, "--epochs", 0)
    result = json.loads(run("classifier", "--threads", 1, *small))
    for start in ("from the start", "after 50 images"):
        assert result["online"][start]["microseconds per image"].keys() == {"event-driven", "numpy"}
    sides = {f"{side}{bare}" for side in ("spiking", "dense") for bare in ("", ", bare")}
    assert result["step"]["ms"].keys() == sides
    for count in (1, 128):
        assert result["classify"][f"batch {count}"]["ms"].keys() == {"race", "dense"}


def test_peers(run, monkeypatch):
    """Other libraries may be there or not; the compiler takes too long."""

    def compile_nothing(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: compile_nothing)
    printed = run("peers", "--threads", 1, "--batches", 2)
    for name in ("firstspike classify", "PyTorch, raster and cumsum", "NumPy, S4NN's way"):
        assert min(row(printed, name)) > 0
    assert "dense compiled: not compiled: RuntimeError: no compiler" in printed
    for name in ("firstspike, default recipe", "firstspike, gradients of the paper"):
        assert min(row(printed, name)) > 0


def test_scaling(run, tmp_path):
    printed = run("scaling", "--axes", "threads", "--picture", tmp_path / "picture.png")
    for threads in range(1, os.cpu_count() + 1):
        events, share, *times = row(printed, str(threads))
        assert events > 0 and 0 < share < 1 and min(times) > 0
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_ramps(run, tmp_path):
    (tmp_path / "data").mkdir()
    data = write_digits(tmp_path / "data", 10, train=6, test=2)
    train = f"--epochs 1 --batch 10 --hidden 8 --data {data}"
    options = ("--runs", tmp_path / "runs", "--train", train, "--steps", 16, 64)
    picture = tmp_path / "curves.png"
    found = tmp_path / "figures.json"
    run("ramps", *options, "--prices", "sparsity", "--picture", picture, "--json", found)
    result = json.loads(found.read_text())
    assert result["trained with"]["64"] == result["moved to"]["64"] == result["sparsity"]["0.0"]
    assert result["trained with"]["16"] != result["moved to"]["16"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "runs").iterdir())) == 2 + 4
