"""Detectors on the command line: from canvases to scores, pictures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from firstspike import cli
from firstspike.coding import encode
from firstspike.data import load_scenes
from firstspike.training.loading import load_run

SMALL = ["--network", "4c3s4-6c3s2", "--epochs", "2", "--batch", "8"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data in COCO's form, and runs of both kinds on them."""
    folder = tmp_path_factory.mktemp("detect")
    for split in ("train", "test"):
        words = ["--count", "24", "--split", split, "--out", str(folder / "data" / split)]
        assert cli.main(["data", "canvases", *words]) == 0
    for kind in ("detect", "ann-detect"):
        words = ["--data", str(folder / "data"), "--out", str(folder / kind), *SMALL]
        assert cli.main(["train", kind, *words]) == 0
    return folder


def test_training_tells_and_records(firstspike, tmp_path):
    words = "--canvases", "20", "--validation", "0.1", *SMALL
    code, out, err = firstspike("train", "detect", *words)
    assert (code, err) == (0, "")
    assert (
        "on 20 images of canvases of mnist-train-training" in out and "of boxes · held out" in out
    )
    summary = json.loads((tmp_path / "runs" / "detect-seed0" / "summary.json").read_text())
    assert summary["epochs"] == 2 and summary["validation_set_loss"] > 0


def test_both_are_measured_and_drawn(firstspike, place):
    words = "--against", place / "ann-detect", "--split", "test", "--out", "out", "--json"
    code, out, _ = firstspike("evaluate", place / "detect", *words)
    assert code == 0
    sides = json.loads(Path("out/comparison.json").read_text())["sides"]
    assert json.loads(out) == {"folder": "out", "sides": sides}
    assert [side["kind"] for side in sides] == ["detect", "ann-detect"]
    for side in sides:
        folder = place / side["kind"] / "evaluation-test"
        record = json.loads((folder / "metrics.json").read_text())
        assert record["count"] == 24 and record["data"] == "data-test"
        assert 0 <= record["map_50"] <= 1 and record["map_50"] == side["map_50"]["mean"]
        with Image.open(folder / "detections.png") as picture:
            assert picture.mode == "RGB" and picture.width == 5 * 258 - 2
        if side["kind"] == "detect":
            assert len(record["activity"]) == 4 and 0 < record["spikes_a_neuron"] < 1
        else:
            assert "spikes_a_neuron" not in side


def test_seeds_have_a_mean_and_a_spread(firstspike, place, tmp_path):
    words = "--data", place / "data", "--out", "other", "--seed", "1", *SMALL
    assert firstspike("train", "detect", *words)[0] == 0
    code, out, _ = firstspike("evaluate", place / "detect", "other", "--split", "test")
    assert code == 0 and "| mAP at .5 |" in out and "| spikes a neuron |" in out
    folder = place / "detect" / "evaluation-test"
    [side] = json.loads((folder / "comparison.json").read_text())["sides"]
    figure = side["spikes_a_neuron"]
    one, other = figure["values"]
    assert side["seeds"] == [0, 1] and one != other
    assert figure["mean"] == pytest.approx((one + other) / 2)
    assert figure["sd"] == pytest.approx(abs(one - other) / 2**0.5)
    assert f"{figure['mean']:.3f} ± {figure['sd']:.3f}" in (folder / "table.md").read_text()


def test_runs_on_other_data_do_not_stand_side_by_side(firstspike, place):
    words = "--canvases", "8", "--out", "canvases", *SMALL
    assert firstspike("train", "ann-detect", *words)[0] == 0
    words = "evaluate", place / "detect", "--against", "canvases", "--split", "test"
    code, _, said = firstspike(*words)
    assert code == 2 and "canvases: another data than" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--quantized",), "--quantized"),
        (("--t-max", "8"), "--t-max"),
        (("--split", "validation"), "none was held out"),
        (("--split", "test", "--against", "other"), "other"),
    ],
)
def test_what_cannot_be_measured_is_told(firstspike, place, words, told):
    code, _, err = firstspike("evaluate", place / "detect", *words)
    assert code == 2 and told in err and len(err.splitlines()) == 1


def test_broken_annotations_are_told_before_training(firstspike, place, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "annotations.json").write_text("{")
    code, _, err = firstspike("train", "detect", "--data", folder, *SMALL)
    assert code == 2 and "broken/annotations.json: no JSON" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_files_for_other_programs_spike_alike(firstspike, place):
    for name in ("a.onnx", "a.npz"):
        assert firstspike("export", place / "detect", name)[0] == 0
    images = load_scenes(place / "data", "test").images[:4, None]
    wanted = load_run(place / "detect")(encode(images).float()).numpy()
    session = onnxruntime.InferenceSession("a.onnx")
    outputs = session.run(None, {session.get_inputs()[0].name: encode(images).float().numpy()})
    assert any(one.shape == wanted.shape and np.array_equal(one, wanted) for one in outputs)
    with np.load("a.npz") as arrays:
        assert len(arrays.files) > 3
