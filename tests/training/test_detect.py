"""Detectors and their dense twins: what learns is what spikes, and where the digits come from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from killed import trained_twice

import firstspike as fs
from firstspike.data import ImageSet, Parts, Scenes, canvas_scenes
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.detect import AnnDetector, SpikingDetector
from firstspike.training.rules.boxes import SIDES

KINDS = ("detect", "ann-detect")
SHAPE = Shape(height=64, width=64)


def build(kind: str, **options: object) -> Any:
    small = {"network": "4c3s2-6c3s2-8c3s2", "canvases": 24, "batch": 4, "epochs": 2}
    found = kinds.find(kind)
    config = dataclasses.replace(found.defaults(), **small | options)
    return kinds.load(found.trainer)(config, SHAPE)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return canvas_scenes(24, 0, fs.load_mnist("train"))


def test_the_kinds_have_their_trainers():
    assert isinstance(build("detect"), SpikingDetector)
    assert isinstance(build("ann-detect"), AnnDetector)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind, scenes):
    trainer = build(kind, epochs=6, shift=0)
    tensors = trainer.tensors(scenes)
    before = trainer.loss_of(*tensors)
    trainer.watch(Parts(scenes, None))
    for epoch in range(1, 7):
        trainer.start_epoch(epoch)
        for start in range(0, 24, 8):
            trainer.step(*(one[start : start + 8] for one in tensors), torch.Generator())
    assert trainer.loss_of(*tensors) < 0.9 * before


def test_what_spikes_is_what_learns(scenes):
    """The answers are read off spike times, but for ties and cells without a spike."""
    trainer, images = build("detect"), scenes.images
    last, rng = trainer.model[-1], torch.Generator().manual_seed(0)
    with torch.no_grad():
        last.weight.add_(torch.randn(last.weight.shape, generator=rng))
        last.bias.add_(0.3 * torch.randn(15, generator=rng))
    network = trainer.result()
    times = network(fs.encode(images[:, None]).float())
    [(names, scores, values)] = trainer.answers(images)
    told = (256 - times) / 256
    assert times.max() <= 256 and (times < 256).any() and (times == 256).any()
    assert torch.equal(told[:, -SIDES:], values) and times.shape[1:] == (15, 8, 8)
    racing = times[:, :-SIDES].flatten(2)
    first = racing.amin(dim=1)
    alone = ((racing == first[:, None]).sum(dim=1) == 1) & (first < 256)
    assert alone.any() and torch.equal(racing.argmin(dim=1)[alone], names[alone])
    assert torch.allclose(scores, 12 * told[:, :-SIDES])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_is_inside_the_image(kind, scenes):
    trainer = build(kind)
    with torch.no_grad():
        trainer.model[-1].bias[0] = -1.0  # 'nothing' comes late
    found = trainer.detect(scenes.images)
    assert len(found) == 24 and any(len(seen.classes) for seen in found)
    for seen in found:
        assert seen.boxes.shape == (len(seen.classes), 4) and seen.boxes.min() >= 0
        assert (seen.boxes[:, :2] + seen.boxes[:, 2:]).max() <= 64.001
        assert ((seen.scores > 0) & (seen.scores <= 1)).all()


def test_activity_is_that_of_the_layers(scenes):
    told = build("detect").activity(scenes.images)
    assert len(told["activity"]) == 5 and all(0 <= share <= 1 for share in told["activity"])
    sizes = [64 * 64, 4 * 32 * 32, 6 * 16 * 16, 8 * 8 * 8, 15 * 8 * 8]
    counted = sum(share * size for share, size in zip(told["activity"], sizes, strict=True))
    assert told["spikes"] == pytest.approx(counted)
    assert told["spikes_a_neuron"] == pytest.approx(counted / sum(sizes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_ends_with_the_same_bytes(kind, scenes, tmp_path):
    config = build(kind).config
    *_, summary = trained_twice(tmp_path, kind, config, Parts(scenes, scenes), SHAPE)
    assert summary["validation_set_loss"] > 0


def test_test_digits_are_never_in_training_canvases(monkeypatch):
    made = []
    monkeypatch.setattr(
        "firstspike.training.detect.canvas_scenes",
        lambda count, seed, digits: made.append((count, digits)),
    )
    config = dataclasses.replace(build("detect").config, validation=0.1)
    SpikingDetector.load_data(config)
    SpikingDetector.load_unseen(config, "test")
    (_, training), (_, held_out), (_, test) = made
    assert made[0][0] == 24 and test.name == "mnist-test"
    assert len(training) + len(held_out) == 60_000
    assert torch.equal(test.images, fs.load_mnist("test").images)


def test_images_without_boxes_are_told(scenes):
    plain = ImageSet(scenes.images, scenes.labels, "plain", scenes.names)
    with pytest.raises(ValueError, match="data must be Scenes, with boxes, got ImageSet"):
        SpikingDetector.parts_of(build("detect").config, plain)


@pytest.mark.parametrize("line", ["8c3s2-40", "8c3r", "8c3s9-8c3s9-8c3s9x"])
def test_other_layers_are_told(line):
    with pytest.raises(ValueError, match="network "):
        build("detect", network=line)


def test_fit_takes_scenes(scenes):
    how = {"network": "4c3s4", "epochs": 1, "batch": 8, "progress": False}
    network = fs.fit("detect", scenes, held_out=scenes, **how)
    times = torch.randint(257, (2, 1, 64, 64)).float()
    assert network(times).shape == (2, 15, 16, 16)
    with pytest.raises(ValueError, match="data must be Scenes, with boxes, got ImageSet"):
        fs.fit("detect", fs.load_mnist("test"), **how)
