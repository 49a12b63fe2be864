"""Segmenters on the command line: from training to figures, pictures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from firstspike import cli
from firstspike.drawing import grids
from firstspike.training.loading import load_run

SMALL = ("--channels", "2", "--depth", "2", "--batch", "4", "--epochs", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Canvases of two splits, and runs of both kinds."""
    folder = tmp_path_factory.mktemp("segment")
    for split, count in (("train", "24"), ("test", "6")):
        made = "data", "canvases", "--count", count, "--out", str(folder / "set" / split)
        assert cli.main([*made, "--split", split]) == 0
    names = ["ground", *"0123456789"]
    (folder / "set" / "classes.txt").write_text("\n".join(names))
    for kind in ("segment", "ann-segment"):
        options = ["--data", str(folder / "set"), "--out", str(folder / kind), *SMALL]
        assert cli.main(["train", kind, *options]) == 0
    return folder


def test_training_tells_and_records(firstspike, tmp_path):
    code, out, err = firstspike("train", "segment", "--canvases", "8", *SMALL)
    assert (code, err) == (0, "")
    run = tmp_path / "runs" / "segment-seed0"
    assert "mean IoU 0." in out and "a neuron" in out and "8 images of canvases of" in out
    assert json.loads((run / "summary.json").read_text())["mean_iou"] >= 0
    assert grids.read_image_grid(run / "samples" / "epoch-002.png").shape == (24, 3, 64, 64)


def test_evaluate_puts_the_twin_beside(firstspike, place):
    words = "evaluate", place / "segment", "--against", place / "ann-segment", "--split", "test"
    code, out, _ = firstspike(*words)
    assert code == 0
    for row in ("mean IoU", "right pixels", "spikes a neuron"):
        assert f"| {row} |" in out
    folder = place / "segment" / "evaluation-test"
    record = json.loads((folder / "metrics.json").read_text())
    assert record["count"] == 6 and len(record["activity"]) == 8
    assert "ground" in record["iou"]
    assert record["mean_iou"] == pytest.approx(np.mean(list(record["iou"].values())))
    assert grids.read_image_grid(folder / "pictures.png").shape == (18, 3, 64, 64)


def test_a_network_is_exported(firstspike, place):
    network = load_run(place / "segment")
    times = torch.randint(257, (2, 1, 64, 64)).float()
    assert firstspike("export", place / "segment", "a.onnx")[0] == 0
    found = onnxruntime.InferenceSession("a.onnx").run(None, {"times": times.numpy()})
    assert (np.abs(found[-1] - network(times).numpy()) > 1).mean() < 1e-3
    assert firstspike("export", place / "segment", "a.npz")[0] == 0
    with np.load("a.npz") as arrays:
        assert list(arrays["classes"]) == ["ground", *"0123456789"]


def test_mistakes_take_one_line(firstspike, place, tmp_path):
    for words, complaint in (
        ("train segment --neuron step", "step neurons learn in networks of two layers"),
        ("train segment --canvases 0", "canvases must be at least 1"),
        ("train segment --data nowhere", "nowhere: no such folder"),
        ("train segment --data set/train", "masks/a.png: has the value 99, but the classes"),
        ("train segment --data set/test", "images/b.png: has no counterpart"),
        ("evaluate RUN", "none was held out"),
        ("export TWIN x.npz", "does not spike"),
    ):
        for name in ("train/images/a", "train/masks/a", "test/images/b", "test/masks/c"):
            file = tmp_path / "set" / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 99).save(file)
        (tmp_path / "set" / "train" / "classes.txt").write_text("ground\nink\n")
        known = {"RUN": place / "segment", "TWIN": place / "ann-segment"}
        code, _, said = firstspike(*(str(known.get(word, word)) for word in words.split()))
        assert code == 2 and said.count("\n") == 1 and complaint in said, words
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
