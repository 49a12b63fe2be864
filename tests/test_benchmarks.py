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

import firstspike as fs
import firstspike.counts

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
    sides = {f"{side} {part}" for side in ("fire", "as made", "dense") for part in parts}
    assert result["ratio as made/dense"].keys() == parts
    assert result["ms"].keys() == {*sides, "fire forward, more steps"}
    assert min(result["ms"].values()) > 0 and result["limit"]["distance"] > 0


@pytest.mark.parametrize("game", ["step", "ramp, conditional", "ramp, convolutional"])
def test_gan(run, game):
    printed = run("gan", "--batch", 4, "--warm-up", 1, "--games", game)
    assert f"{game}: GAN, batch 4" in printed
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


def test_layers(run, tmp_path):
    """Ours are checked against the dense layers before anything is timed."""
    printed = run("layers", "--threads", 1, "--batch", 4, "--json", tmp_path / "figures.json")
    assert printed.count("linear 784-400") == 2
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert len(found["alone"]) == len(found["in a network"]) == 8
    for place in ("alone", "in a network"):
        for ratios in found[place].values():
            assert min(ratios.values()) > 0


def test_counters(monkeypatch, capsys):
    """In an environment of the peers it fails where a count differs; here they may be missing."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", ["counters.py", "--images", "1"])
    threads = torch.get_num_threads()
    runpy.run_path(str(FOLDER / "counters.py"), run_name="__main__")
    torch.set_num_threads(threads)
    lines = [line for line in capsys.readouterr().out.splitlines() if " neurons, " in line]
    assert len(lines) >= 8
    assert all("left out: " in line or "equal on 1 of 1" in line for line in lines)


def test_stepping_as_the_peers_do_gives_our_spikes(monkeypatch):
    """With neurons of our own in the place of the peers'."""
    monkeypatch.syspath_prepend(FOLDER)
    script = runpy.run_path(str(FOLDER / "counters.py"))

    def plain(threshold, strict):
        state = {"potential": 0.0, "fired": 0.0}

        def step(current):
            state["potential"] = potential = state["potential"] + current
            above = (potential > threshold if strict else potential >= threshold).float()
            spikes = above * (1 - state["fired"])
            state["fired"] = torch.maximum(above, torch.as_tensor(state["fired"]))
            return spikes

        return step

    image = fs.load_mnist("test").images[:1]
    for network in script["networks"]().values():
        t_max, times = network.t_max, fs.encode(image, network.t_max).unsqueeze(1)
        traces = network.traces(times)
        layers = [script["Layer"](module, plain) for module in network.layers]
        for layer in layers:
            layer.start()
        raster = (times == torch.arange(t_max).view(-1, 1, 1, 1, 1)).float()
        size = [torch.zeros_like(trace.times) for trace in traces[1:]]
        run = script["run_windows" if network.windowed else "run_steps"]
        with torch.no_grad():
            found = [run(layers, raster, size), *(layer.spikes for layer in layers)]
        assert found == fs.counts.count(network, traces).spikes[0].tolist()


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


def test_scale(run):
    small = ("--parts", "plan", "--batch", 4, "--networks", "cnn on MNIST", "VGG on ImageNet")
    found = json.loads(run("scale", *small))["plan"]
    cnn, large = found["cnn on MNIST"], found["VGG on ImageNet"]
    assert cnn["CPU ms an image"] > 0 and cnn["parcel MB"] > 2 * cnn["gradient MB"] > 0
    assert "CPU ms an image" not in large and large["MACs an image"] > 1e10


def test_time_to_accuracy(monkeypatch, capsys, tmp_path):
    """On a few images none is right so often; figures of an earlier call stay."""
    data, figures = write_digits(tmp_path, digits=2, train=12, test=1), tmp_path / "figures.json"
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(FOLDER)
    script, own = str(FOLDER / "time_to_accuracy.py"), "firstspike, step"
    options = ["--data", str(data), "--epochs", "1", "--levels", "200", "--json", str(figures)]
    for more in (["--only", own], ["--only", "dense twin", "--add", str(figures)]):
        monkeypatch.setattr(sys, "argv", [script, *options, *more])
        runpy.run_path(script, run_name="__main__")
    torch.set_num_threads(threads)
    assert f"0 {own} {{'200 %': None}}" in capsys.readouterr().out
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found.keys() == {own, "dense twin"}
    for runs in found.values():
        seconds, images, right = runs[0]["curve"][-1]
        assert seconds > 0 and images == 20 and 0 <= right <= 100
