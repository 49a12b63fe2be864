"""Segmenters of ramp neurons and their dense twins: the first output spike of a pixel."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from killed import weights
from processes import Kill

import firstspike as fs
from firstspike.data import Parts, load_mnist
from firstspike.data.masks import masked
from firstspike.data.pairs import PairSet
from firstspike.nn import SpikingNetwork
from firstspike.runs.directory import RunDirectory, epoch_generator
from firstspike.training import kinds
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.segmentation import Segmentation

KINDS = "segment", "ann-segment"


def config_of(kind: str, **options: object) -> Any:
    small = {"batch": 8, "epochs": 3, "channels": 2, "depth": 2}
    return dataclasses.replace(kinds.find(kind).defaults(), **small | options)


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Digits on black, which are a class, whichever they are."""
    images = load_mnist("train").images[:32]
    labels = torch.zeros(32, dtype=torch.int64)
    mask = (images > 127).byte()
    return Parts(PairSet(images, labels, "ink", ("ground", "ink"), targets=mask), None)


def build(kind: str, parts: Parts, **options: object) -> Segmentation:
    return Segmentation(config_of(kind, **options), parts.training.shape)


def taught(trainer: Segmentation, parts: Parts) -> Segmentation:
    trainer.watch(parts)
    pairs = zip(*(one.split(8) for one in trainer.tensors(parts.training)), strict=True)
    batches = list(pairs)
    for epoch in range(1, trainer.config.epochs + 1):
        trainer.start_epoch(epoch)
        for batch in batches:
            trainer.step(*batch, epoch_generator(0, epoch))
    trainer.finish_epoch(epoch_generator(0, 0))
    return trainer


@pytest.mark.parametrize("kind", KINDS)
def test_ink_is_told_from_ground(parts, kind):
    trainer = taught(build(kind, parts, epochs=30, lr=0.02), parts)
    assert trainer.measure(parts.training)["mean_iou"] > 0.9
    said = trainer.segment(parts.training.images)
    found = trainer.further(said, parts.training)
    assert found["pixel_accuracy"] > 0.97 and set(found["iou"]) == {"ground", "ink"}
    pictures = trainer.pictures(parts.training)
    assert pictures.shape == (36, 3, 28, 28) and (pictures[2] > 0).any()
    assert ((pictures[2].amax(dim=0) > 0) == (parts.training.targets[0] > 0)).all()


def test_the_first_spike_of_a_pixel_names_its_class(parts):
    trainer = taught(build("segment", parts, epochs=6), parts)
    images, network = parts.training.images, trainer.result()
    assert isinstance(network, SpikingNetwork)
    times = network(trainer.times_of(images))
    said, spikes = trainer.answers(images)
    first = times.amin(dim=1)
    alone = (times == first[:, None]).sum(dim=1) == 1
    spoke = (first < 256) & alone
    assert spoke.double().mean() > 0.97  # its window leaves few pixels silent or undecided
    assert torch.equal(times.argmin(dim=1)[spoke].byte(), said[spoke])
    learned = trainer.potentials(images).argmax(dim=1).byte()
    assert (learned == said).double().mean() > 0.995
    assert len(spikes["activity"]) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind):
    config = config_of(kind, data="ink")
    whole, cut = (
        RunDirectory.create(tmp_path / name, kind, config.as_dict(), parts.training.shape)
        for name in ("whole", "cut")
    )
    summary = train(whole, build_trainer(whole), parts, lambda progress: None)

    def kill(progress):
        if (progress.epoch, progress.step) == (2, 3):
            raise Kill

    with pytest.raises(Kill):
        train(cut, build_trainer(cut), parts, kill)
    train(cut, build_trainer(cut), parts, lambda progress: None)
    assert weights(cut) == weights(whole) and set(weights(cut)) == {"model.safetensors"}
    assert 0 < summary["mean_iou"] < 1 and ("spikes_a_neuron" in summary) == (kind == "segment")
    times = torch.randint(257, (2, 1, 28, 28)).float()
    one, other = (fs.load_run(run.path) for run in (whole, cut))
    assert torch.equal(one(times), other(times))
    fs.save(one, tmp_path / "a.safetensors") if kind == "segment" else None


def test_classes_of_canvases(monkeypatch):
    from firstspike.data import canvases

    data = masked(canvases(8))
    network = fs.fit("segment", data, epochs=1, batch=4, channels=2, progress=False)
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 11, 64, 64)
    with pytest.raises(ValueError, match="data must be a folder of images and masks"):
        fs.fit("segment", load_mnist("test"), epochs=1, progress=False)


def test_test_canvases_have_test_digits():
    config = config_of("segment", canvases=4)
    trained, unseen = Segmentation.load_data(config), Segmentation.load_unseen(config, "test")
    assert len(trained.training) == 4 and trained.held_out is None
    assert unseen.name == "canvases of mnist-test" and len(unseen) == 1000


@pytest.mark.parametrize(
    ("targets", "names", "told"),
    [
        (torch.full((4, 8, 8), 2, dtype=torch.uint8), ("ground", "a"), "masks .* up to 2"),
        (torch.ones(4, 3, 8, 8, dtype=torch.uint8), ("ground", "a"), "masks .*4, 3, 8, 8"),
        (torch.zeros(4, 8, 8, dtype=torch.uint8), ("ground",), "one class, the ground"),
    ],
)
def test_masks_that_do_not_fit_are_told_before_training(targets, names, told):
    images, labels = torch.zeros(4, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    given = PairSet(images, labels, "some", names, targets=targets)
    with pytest.raises(ValueError, match=told):
        fs.fit("segment", given, channels=2, depth=1, epochs=1)
