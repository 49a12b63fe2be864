"""Translators on the command line: from training to figures, pictures and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from idx import write_digits
from PIL import Image

from firstspike import cli
from firstspike.data import load_mnist
from firstspike.drawing import grids
from firstspike.training.loading import load_run

SMALL = ("--channels", "2", "--batch", "8", "--epochs", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data, and runs of both kinds."""
    folder = tmp_path_factory.mktemp("translate")
    data = write_digits(folder, digits=2, train=20, test=10)
    for kind in ("translate", "ann-translate"):
        options = ["--data", data, "--task", "holes", "--out", str(folder / kind), *SMALL]
        assert cli.main(["train", kind, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Two folders of pictures, and another of one picture less."""
    folder, images = tmp_path_factory.mktemp("pairs"), load_mnist("train").images
    for name in ("whole/inputs", "whole/targets", "lost/inputs", "lost/targets"):
        (folder / name).mkdir(parents=True)
        for number in range(8 if name != "lost/targets" else 7):
            Image.fromarray(images[number].numpy()).save(folder / name / f"{number}.png")
    return folder


def test_training_tells_and_records(firstspike, pairs, tmp_path):
    words = "--task", "pairs", "--data", pairs / "whole", *SMALL
    code, out, err = firstspike("train", "translate", *words)
    assert (code, err) == (0, "")
    run = tmp_path / "runs" / "translate-pairs-seed0"
    assert " dB · 0." in out and "a neuron" in out and "on 8 images of whole-train" in out
    assert f"firstspike evaluate {run.relative_to(tmp_path)}" in out
    assert json.loads((run / "summary.json").read_text())["psnr"] > 0
    shown = grids.read_image_grid(run / "samples" / "epoch-002.png")
    assert (shown[0] == load_mnist("train").images[0].numpy()).all()


def test_evaluate_puts_the_twin_beside(firstspike, place):
    words = "evaluate", place / "translate", "--against", place / "ann-translate"
    code, out, _ = firstspike(*words, "--split", "test", "--out", "quality")
    assert code == 0
    for row in ("peak signal-to-noise ratio, dB", "structural similarity", "spikes a neuron"):
        assert f"| {row} |" in out
    for row in ("Fréchet distance of answers to targets", "sharpness, targets' = 1"):
        assert f"| {row} |" in out
    sides = json.loads(Path("quality/comparison.json").read_text())["sides"]
    assert [side["kind"] for side in sides] == ["translate", "ann-translate"]
    assert "spikes_a_neuron" in sides[0] and "spikes_a_neuron" not in sides[1]
    trainer_record = json.loads((place / "translate/evaluation-test/metrics.json").read_text())
    assert trainer_record["count"] == 20 and len(trainer_record["activity"]) == 8
    assert trainer_record["psnr"] == sides[0]["psnr"]["mean"]
    shown = grids.read_image_grid(place / "translate/evaluation-test/pictures.png")
    assert shown.shape == (36, 28, 28)


def test_a_network_is_exported(firstspike, place):
    network = load_run(place / "translate")
    times = torch.randint(257, (3, 1, 28, 28)).float()
    assert firstspike("export", place / "translate", "a.onnx")[0] == 0
    found = onnxruntime.InferenceSession("a.onnx").run(None, {"times": times.numpy()})
    assert np.abs(found[-1] - network(times).numpy()).max() <= 2  # rounding of potentials
    assert firstspike("export", place / "translate", "a.npz")[0] == 0
    with np.load("a.npz") as arrays:
        assert arrays["neuron"] == "ramp" and arrays["task"] == "holes" and arrays["parts"] == 7


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("train translate --task pairs", "task pairs needs data"),
        ("train translate --task pairs --data LOST", "7.png: has no counterpart in"),
        ("train translate --task pairs --data DIGITS", "inputs: no such folder"),
        ("train translate --neuron step", "step neurons learn in networks of two layers"),
        ("train translate --depth 3", "sides are multiples of 8, got 28x28"),
        ("train translate --data nowhere", "nowhere: no such folder"),
        ("evaluate RUN", "none was held out"),
        ("evaluate RUN --t-max 8", "is for classifiers"),
        ("evaluate RUN TWIN --split test", "an ann-translate run beside"),
        ("export TWIN x.npz", "does not spike"),
        ("generate RUN", "does not draw"),
    ],
)
def test_mistakes_take_one_line(firstspike, place, pairs, tmp_path, words, complaint):
    known = {
        "RUN": place / "translate",
        "TWIN": place / "ann-translate",
        "DIGITS": place,
        "LOST": pairs / "lost",
    }
    code, _, said = firstspike(*(str(known.get(word, word)) for word in words.split()))
    assert code == 2 and said.count("\n") == 1 and complaint in said
    assert not list(tmp_path.iterdir())


def test_runs_of_other_tasks_do_not_stand_side_by_side(firstspike, place, tmp_path):
    words = "--data", place, "--task", "outline", "--out", "other", *SMALL
    assert firstspike("train", "ann-translate", *words)[0] == 0
    words = "evaluate", place / "translate", "--against", "other", "--split", "test"
    code, _, said = firstspike(*words)
    assert code == 2 and "other: another task than" in said


def test_names_are_no_words_of_a_markup(firstspike, place, tmp_path):
    shutil.copytree(place / "translate", tmp_path / "[red]:dog:[b]")
    code, out, _ = firstspike("evaluate", "[red]:dog:[b]", "--split", "test")
    assert code == 0 and out.startswith("[red]:dog:[b]: ")
