"""Auxiliary-classifier GANs on the command line: from training to pictures, figures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from idx import SMALL, write_digits

import firstspike as fs
from firstspike import cli
from firstspike.training.loading import load_run


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data of two classes, and a run of each kind."""
    folder = tmp_path_factory.mktemp("auxiliary")
    data = write_digits(folder, digits=2, train=20, test=10)
    for kind in ("gan", "ann-gan"):
        options = ["--auxiliary", "--data", data, "--out", str(folder / kind), *SMALL]
        assert cli.main(["train", kind, *options]) == 0
    return folder


def test_a_class_is_asked_for(firstspike, place):
    words = "generate", place / "gan", "--digit", "1", "--count", "4", "--out", "ones.npz"
    assert firstspike(*words)[0] == 0
    told = np.load("ones.npz")["latents"][:, 100:]
    assert (told == [256, 0]).all()  # the input of class 1 spikes at once, the other never
    assert "digit all, auxiliary, ramp, 8 hidden" in firstspike("runs", place)[1]


def test_evaluate_tells_how_often_names_are_right(firstspike, place):
    words = "evaluate", place / "gan", "--against", place / "ann-gan", "--split", "test"
    code, out, _ = firstspike(*words, "--out", "quality")
    assert code == 0 and "names right" in out
    for row in ("unseen images that D names right, %", "samples that D names right, %"):
        assert f"| {row} |" in out
    told = json.loads(Path("quality/comparison.json").read_text())
    gan, unseen = load_run(place / "gan"), fs.load_images(place, "test")
    right = (gan.names_of(unseen.images) == unseen.labels).double().mean()
    assert told["runs"]["mean"]["images_named_right"]["mean"] == pytest.approx(float(right))
    assert 0 <= told["against"]["mean"]["samples_named_right"]["mean"] <= 1
    assert 0 < told["runs"]["mean"]["spikes_a_neuron"]["mean"] < 1


def test_the_exported_discriminator_names(firstspike, place):
    words = "export", place / "gan", "judge.onnx", "--part", "discriminator"
    assert firstspike(*words)[0] == 0
    images = fs.load_images(place, "test").images
    times = fs.encode(images.flatten(1)).float()
    session = onnxruntime.InferenceSession("judge.onnx")
    found = session.run(None, {"times": times.numpy()})[1]
    told = session.get_modelmeta().custom_metadata_map
    assert found.shape == (20, 2 + 2) and (told["pairs"], told["names"]) == ("1", "2")
    gan = load_run(place / "gan")
    judge = gan.judge_network()
    assert np.abs(found - judge(times).numpy()).max() <= 1  # rounding of a potential
