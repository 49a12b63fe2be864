"""Training of a classifier: it learns, it is recorded, and it can be resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from processes import Kill

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import RunDirectory
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import AnnClassifierConfig, ClassifierConfig
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.trainer import Progress

SMALL = {"hidden": 30, "batch": 20, "epochs": 3}
CONFIGS = {
    "classifier": ClassifierConfig(**SMALL, lr=5e-3),
    "ann-classifier": AnnClassifierConfig(**SMALL, lr=5e-3),
    "temporal": ClassifierConfig(**SMALL, gradient="temporal", lr=3e-4),
    "online": ClassifierConfig(
        **SMALL | {"hidden": 100}, gradient="online", lr=0.3, shift=0, jitter=0.0
    ),
    "s4nn": ClassifierConfig(**SMALL, loss="s4nn", gradient="temporal", lr=3e-4),
}


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    chosen = slice(0, 400), slice(400, 500)
    first, second = (ImageSet(mnist.images[c], mnist.labels[c], "few") for c in chosen)
    return Parts(first, second)


def new_run(path: Path, name: str, **changes: object) -> RunDirectory:
    kind = name if name.endswith("classifier") else "classifier"
    config = dataclasses.replace(CONFIGS[name], **changes)
    return RunDirectory.create(path, kind, config.as_dict())


def nothing(progress: Progress) -> None:
    pass


@pytest.mark.parametrize("name", CONFIGS)
def test_it_learns_and_the_run_directory_is_the_record(tmp_path, parts, name):
    run = new_run(tmp_path / "run", name, epochs=6)
    summary = train(run, build_trainer(run), parts, nothing)
    assert summary == run.read_summary()
    stats = run.read_stats()
    assert [line["epoch"] for line in stats] == [1, 2, 3, 4, 5, 6]
    assert stats[-1]["train_accuracy"] > stats[0]["train_accuracy"] > 0
    assert summary["validation_set_accuracy"] == stats[-1]["validation_set_accuracy"]
    if name != "ann-classifier":
        assert 0 < summary["validation_set_decision_step"] < 256
        assert 0 <= summary["validation_set_hidden_firing"] <= 100


@pytest.mark.parametrize("name", ["classifier", "ann-classifier", "temporal", "online"])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, name):
    whole = new_run(tmp_path / "whole", name)
    train(whole, build_trainer(whole), parts, nothing)

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 5):
            raise Kill

    cut = new_run(tmp_path / "cut", name)
    with pytest.raises(Kill):
        train(cut, build_trainer(cut), parts, kill)
    train(cut, build_trainer(cut), parts, nothing)
    file = "checkpoint/model.safetensors"
    assert (cut.path / file).read_bytes() == (whole.path / file).read_bytes()


def test_load_run_gives_the_trained_network(tmp_path, parts):
    run = new_run(tmp_path / "run", "classifier", epochs=1)
    training = build_trainer(run)
    train(run, training, parts, nothing)
    images = parts[1].images
    trained, loaded = (m.classify(images).classes for m in (training.model, fs.load_run(run.path)))
    assert torch.equal(trained, loaded)


def test_held_out_images_are_the_same_for_every_seed():
    load = SpikingTraining.load_data
    a, b = (load(dataclasses.replace(ClassifierConfig(), seed=seed)) for seed in (0, 1))
    assert len(a[0]) + len(a[1]) == 60_000 and abs(len(a[1]) - 10_000) < 10
    assert torch.equal(a[1].images, b[1].images)
    assert load(dataclasses.replace(ClassifierConfig(), validation=0.0))[1] is None
