"""Translators of ramp neurons and their dense twins: what learns is what answers in spikes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from killed import trained_twice, weights

import firstspike as fs
from firstspike.data import ImageSet, Parts, divide
from firstspike.data.pairs import PairSet, pairs_of
from firstspike.nn import SpikingNetwork
from firstspike.runs.directory import epoch_generator
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.pixels import planes_of
from firstspike.training.rules.exact import scores_and_level
from firstspike.training.translation import Translation

KINDS = "translate", "ann-translate"


def config_of(kind: str, **options: object) -> Any:
    small = {"batch": 8, "epochs": 3, "channels": 2}
    return dataclasses.replace(kinds.find(kind).defaults(), **small | options)


def build(kind: str, shape: Shape | None = None, **options: object) -> Translation:
    sizes = () if shape is None else (shape,)
    return Translation(config_of(kind, **options), *sizes)


def parts_of(task: str) -> Parts:
    mnist = fs.load_mnist("train")
    few = ImageSet(mnist.images[:32], mnist.labels[:32], "few", mnist.names)
    return Parts(pairs_of(few, task), None)


def taught(trainer: Translation, parts: Parts) -> tuple[float, float]:
    """Decibels before and after all epochs."""
    measure = trainer.watch(parts)
    before = measure()["psnr"]
    pairs = zip(*(one.split(8) for one in trainer.tensors(parts.training)), strict=True)
    batches = list(pairs)
    for epoch in range(1, trainer.config.epochs + 1):
        trainer.start_epoch(epoch)
        for batch in batches:
            trainer.step(*batch, epoch_generator(0, epoch))
    return before, measure()["psnr"]


@pytest.mark.parametrize("kind", KINDS)
def test_outlines_become_digits(kind):
    parts = parts_of("outline")
    trainer = build(kind, task="outline", epochs=30, channels=4)
    before, after = taught(trainer, parts)
    targets = parts.training.targets / 255
    nothing = -10 * float((targets - targets.mean(dim=0)).square().mean().log10())
    assert before < nothing + 1 < after  # better than the mean image


def test_what_answers_in_spikes_is_what_learns():
    parts, trainer = parts_of("noisy"), build("translate", epochs=4)
    taught(trainer, parts)
    images = parts.training.images
    assert isinstance(trainer.result(), SpikingNetwork)
    with torch.no_grad():
        trainer.model.eval()
        potential, _ = scores_and_level(trainer.model, trainer.encoded(images), 256)
    learned = (potential * 256).floor().clamp(0, 256) / 256
    said, spikes = trainer.answers(images)
    assert (learned != said).double().mean() < 5e-3  # a sum within rounding error of a step
    times = trainer.times_of(images)
    assert torch.equal(1 - trainer.result()(times) / 256, said)
    assert spikes["activity"] == pytest.approx(trainer.result().activity(times))
    neurons = torch.tensor([784, 2 * 784, 4 * 196, 8 * 49, 8 * 49, 4 * 196, 2 * 784, 784.0])
    share = float((torch.tensor(spikes["activity"]) * neurons).sum() / neurons.sum())
    assert spikes["spikes_a_neuron"] == pytest.approx(share, rel=1e-4)
    mse = (said - planes_of(parts.training.targets) / 255).square().mean()
    assert trainer.measure(parts.training)["psnr"] == pytest.approx(-10 * float(mse.log10()))


def test_spikes_of_hidden_neurons_cost_what_is_asked():
    parts, hidden = parts_of("outline"), {}
    for price in (0.0, 0.3):
        options = {"task": "outline", "epochs": 20, "lr": 0.008}
        trainer = build("translate", sparsity=price, **options)
        taught(trainer, parts)
        _, spikes = trainer.answers(parts.training.images)
        hidden[price] = sum(spikes["activity"][1:-1])
    assert hidden[0.3] < 0.75 * hidden[0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, kind):
    parts = parts_of("holes")
    whole, cut, summary = trained_twice(tmp_path, kind, config_of(kind, task="holes"), parts)
    assert set(weights(whole)) == {"model.safetensors"}
    assert {"train_loss", "psnr"} <= set(whole.read_stats()[-1])
    assert ("spikes_a_neuron" in summary) == (kind == "translate")
    images = parts.training.images[:3]
    one, other = (fs.load_run(run.path) for run in (whole, cut))
    inputs = images[:, None].float()
    assert torch.equal(one(inputs), other(inputs))
    assert whole.sample_path(3).is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_with_a_critic_ends_with_the_same_bytes(tmp_path, kind):
    parts = parts_of("colour")
    config = config_of(kind, task="colour", adversarial=0.01)
    whole, cut, _ = trained_twice(tmp_path, kind, config, parts)
    assert set(weights(whole)) == {"model.safetensors", "critic.safetensors"}
    assert all(0 < line["told_apart"] < 1 for line in whole.read_stats())
    inputs = parts.training.images[:3, None].float()
    assert fs.load_run(cut.path)(inputs).shape == (3, 3, 28, 28)


def test_pixels_of_the_twin_are_clipped_or_sigmoids():
    parts, trainers = parts_of("noisy"), {}
    for pixels in ("clipped", "sigmoid"):
        trainer = trainers[pixels] = build("ann-translate", pixels=pixels, epochs=1)
        potential = trainer.potentials(parts.training.images)
        said = trainer.answers(parts.training.images)[0]
        wanted = potential.sigmoid() if pixels == "sigmoid" else potential.clamp(0, 1)
        assert torch.equal(said, wanted)
        assert torch.allclose(trainer.shown_by(potential), said)
    far, white = torch.full((1, 1, 2, 2), -3.0), torch.full((1, 2, 2), 255).byte()
    assert float(trainers["clipped"].loss(far, white)) == pytest.approx(0.5 + 3)
    assert float(trainers["sigmoid"].loss(far, white)) == pytest.approx(math.log(1 + math.exp(3)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_is_heard(kind):
    parts = parts_of("holes")
    answers = []
    for price in (0.0, 1.0):
        trainer = build(kind, task="holes", adversarial=price)
        assert set(trainer.networks) == ({"model", "critic"} if price else {"model"})
        taught(trainer, parts)
        answers.append(trainer.answers(parts.training.images)[0])
    assert not torch.equal(*answers)


@pytest.mark.parametrize("kind", KINDS)
def test_colours_come_out_of_gray(kind):
    parts, trainer = parts_of("colour"), build(kind, task="colour")
    trainer.check(parts.training)
    assert trainer.translate(parts.training.images).shape == (32, 3, 28, 28)
    found = trainer.further(trainer.translate(parts.training.images), parts.training)
    assert -1 < found["ssim"] < 1
    pictures = trainer.pictures(parts.training)
    assert pictures.shape == (36, 3, 28, 28)
    wanted = parts.training.targets / 255
    assert torch.equal(pictures[2::3], wanted[:12])
    assert torch.equal(pictures[0, 0], parts.training.images[0] / 255)


def test_a_perfect_answer_is_alike():
    parts, trainer = parts_of("holes"), build("translate", task="holes")
    said = planes_of(parts.training.targets) / 255
    assert trainer.judged(said, parts.training) == {"psnr": pytest.approx(100)}
    found = trainer.further(said, parts.training)
    assert found == {"ssim": pytest.approx(1), "sharpness": pytest.approx(1)}


def test_the_network_is_one_file(tmp_path):
    trainer = build("translate")
    fs.save(trainer.result(), tmp_path / "a.safetensors")
    times = torch.randint(257, (2, 1, 28, 28)).float()
    loaded = fs.load(tmp_path / "a.safetensors")
    assert torch.equal(loaded(times), trainer.result()(times))


def test_fit_learns_from_the_pairs_of_the_command():
    """Whose pairs are drawn before some are held out."""
    config, mnist = config_of("translate", task="noisy", validation=0.25), fs.load_mnist("test")
    some = ImageSet(mnist.images[:40], mnist.labels[:40], "some", mnist.names)
    given = Translation.parts_of(config, some)
    wanted = divide(pairs_of(some, "noisy"), 0.25)
    for own, other in zip(given, wanted, strict=True):
        assert torch.equal(own.images, other.images) and torch.equal(own.targets, other.targets)


def test_fit_takes_arrays(monkeypatch):
    mnist = fs.load_mnist("train")
    data = ImageSet(mnist.images[:16], mnist.labels[:16], "few", mnist.names)
    how = {"epochs": 1, "batch": 8, "channels": 2, "progress": False}
    network = fs.fit("translate", data, task="colour", **how)
    assert network(torch.zeros(1, 1, 28, 28)).shape == (1, 3, 28, 28)
    with pytest.raises(ValueError, match="task pairs needs data"):
        fs.fit("translate", data, task="pairs", **how)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"task": "blurred"}, "task must be one of noisy, holes"),
        ({"task": "pairs"}, "task pairs needs data"),
        ({"channels": 0}, "channels must be between 1 and"),
        ({"depth": 3}, "sides are multiples of 8, got 28x28"),
        ({"t_max": 0}, "t_max must"),
        ({"window": 0.0}, "window must be above 0"),
    ],
)
def test_options_that_cannot_be(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        build("translate", **options)


def test_targets_that_a_task_would_pass_over_are_refused():
    images, labels = torch.zeros(4, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    given = PairSet(images, labels, "some", ("0",), targets=images)
    with pytest.raises(ValueError, match="task noisy makes targets of its own"):
        fs.fit("translate", given, channels=2, depth=1, epochs=1)
