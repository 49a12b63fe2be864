"""The convolutional Spiking-GAN and its twin: what learns is what draws and judges with spikes."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from killed import trained_twice
from torch import nn

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.nn import RampNeuron
from firstspike.runs.directory import epoch_generator
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.convolutional import ConvAnnGan, ConvRampGan, Ramp
from firstspike.training.loading import build_trainer
from firstspike.training.paired import MARK
from firstspike.training.rules.relativistic import Game, Neurons, deep_step, paired_step, score

CHOSEN = {
    "gan": {"neuron": "ramp", "network": "conv"},
    "ann-gan": {"loss": "relativistic", "network": "conv"},
}
KINDS = {"gan": ConvRampGan, "ann-gan": ConvAnnGan}


def config_of(kind: str, **options: object) -> Any:
    small = {"channels": 4, "batch": 8, "epochs": 3, "digit": "all"}
    return dataclasses.replace(kinds.find(kind).defaults(CHOSEN[kind]), **small | options)


def build(kind: str, shape: Shape | None = None, **options: object) -> Any:
    sizes = () if shape is None else (shape,)
    return kinds.load(kinds.find(kind).trainer)(config_of(kind, **options), *sizes)


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:40], mnist.labels[:40], "forty"), None)


@pytest.mark.parametrize("conditional", [False, True])
def test_what_draws_with_spikes_is_what_learns(conditional):
    gan = build("gan", conditional=conditional)
    latents = gan.latents(20, epoch_generator(0, 0))
    told = latents.clone()
    told[:, 100:] = (1 - latents[:, 100:] / 256) * MARK  # as marks, not as times
    learned = gan.generator(gan.centred(told))
    spiked = gan.sample(latents, averaged=False).flatten(1)
    assert (learned - spiked).abs().max() <= 1.01 / 256
    assert ((learned - spiked).abs() > 1e-6).double().mean() < 1e-3  # a sum within rounding error
    assert (spiked > 0).any() and (spiked == 0).any()


def test_the_first_spike_of_the_pair_of_the_class_is_the_verdict(parts):
    gan = build("gan", conditional=True)
    gan.watch(parts)
    images = parts.training
    potentials = gan.judge_network().potentials(fs.encode(images.images.flatten(1)))
    pairs = potentials.unflatten(1, (10, 2))[torch.arange(len(images)), images.labels]
    judged = gan.discriminator(gan.prepare(images)[:, :784]).unflatten(1, (10, 2))
    scores = judged[torch.arange(len(images)), images.labels] @ torch.tensor([-0.5, 0.5])
    clear = scores.abs() > 0.01
    assert clear.any()
    assert torch.equal((pairs[:, 1] > pairs[:, 0])[clear], (scores > 0)[clear])


class Descent:
    """An optimiser that remembers the gradients and moves a little."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def step(self) -> None:
        self.grads = [parameter.grad.clone() for parameter in self.network.parameters()]
        for parameter, grad in zip(self.network.parameters(), self.grads, strict=True):
            parameter.sub_(0.1 * grad)


@pytest.mark.parametrize("gamma", [0.0, 0.7])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_deep_step_of_two_layers_is_the_step_by_hand(gamma, classes):
    torch.manual_seed(2)
    layers = [nn.Linear(5 + classes, 9), nn.Linear(9, 12), nn.Linear(12, 11)]
    layers.append(nn.Linear(11, 2 * classes))
    told = nn.functional.one_hot(torch.arange(8) % classes, classes).double()
    pixels = torch.rand(8, 12, dtype=torch.float64) * 2 - 1
    latents = torch.cat([torch.randn(8, 5, dtype=torch.float64), told], dim=1)

    def networks() -> tuple[nn.Sequential, nn.Sequential]:
        own = copy.deepcopy(layers)
        return nn.Sequential(*own[:2]).double(), nn.Sequential(*own[2:]).double()

    by_hand, by_autograd = networks(), networks()
    names = "generator", "discriminator"
    first = {n: Descent(network) for n, network in zip(names, by_hand, strict=True)}
    game = Game(*by_hand, Neurons(256, 0.5, 0.8, 0.1), 12, classes)
    values = paired_step(game, first, torch.cat([pixels, told], dim=1), latents, gamma=gamma)

    class Signed(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return 2 * values - 1

    deep = (
        nn.Sequential(
            by_autograd[0][0],
            Ramp(RampNeuron(0.5), 256),
            by_autograd[0][1],
            Ramp(RampNeuron(1.0, 0.1), 256),
        ),
        nn.Sequential(by_autograd[1][0], Ramp(RampNeuron(0.8), 256), by_autograd[1][1]),
    )
    deep[0].append(Signed())
    second = {n: Descent(network) for n, network in zip(names, deep, strict=True)}
    classes_told = told.argmax(dim=1)
    again = deep_step(deep, second, pixels, latents, classes_told, 2, gamma)
    torch.testing.assert_close(values, again)
    for name in names:
        for one, other in zip(first[name].grads, second[name].grads, strict=True):
            torch.testing.assert_close(one, other)
    assert score(game, torch.cat([pixels, told], dim=1)).abs().max() > 0


@pytest.mark.parametrize(("threshold", "leak", "t_max"), [(1.0, 0.02, 256), (8.0, 0.0, 64)])
def test_values_are_levels_in_units_of_the_threshold(threshold, leak, t_max):
    """With the gradient of the levels, and that of a penalty on it."""

    def levels(potential):
        return RampNeuron(threshold, leak).levels(potential * t_max, t_max) * (threshold / t_max)

    torch.manual_seed(0)
    weight, error = torch.randn(2, 40, 30)
    found = []
    for say in (Ramp(RampNeuron(threshold, leak), t_max), levels):
        inputs = torch.randn(30, 20, generator=torch.Generator().manual_seed(1)).requires_grad_()
        own = (threshold * weight).requires_grad_()
        values = say(own @ inputs / 5 + threshold / 2)
        slopes = torch.autograd.grad(values, inputs, error[:, :20], create_graph=True)[0]
        slopes.square().sum().backward()
        found.append((values, slopes, own.grad))
    assert len(found[0][0].unique()) > 20 and found[0][2].any()
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind):
    whole, _, summary = trained_twice(tmp_path, kind, config_of(kind, conditional=True), parts)
    assert isinstance(build_trainer(whole), KINDS[kind])
    if kind == "gan":
        hidden = 4 * 49 + 2 * 196
        assert 0 < summary["generator_spikes"] <= 110 + hidden + 784


def test_colour_images_are_drawn_in_colour():
    gan = build("gan", Shape(3, 16, 20))
    drawn = gan.sample(gan.latents(2))
    assert drawn.shape == (2, 3, 16, 20)


def test_sides_that_do_not_halve_twice_are_refused():
    with pytest.raises(ValueError, match=r"multiples of 4, got 30x28"):
        build("gan", Shape(1, 28, 30))


@pytest.mark.parametrize(("kind", "chosen"), [("gan", "step"), ("ann-gan", "cross-entropy")])
def test_other_games_refuse_convolutions(kind, chosen):
    name = "neuron" if kind == "gan" else "loss"
    config = kinds.find(kind).defaults({name: chosen, "network": "conv"})
    with pytest.raises(ValueError, match="network conv needs ramp neurons"):
        config.check()


def test_options_of_the_other_network_are_refused():
    with pytest.raises(ValueError, match="hidden does nothing with network conv"):
        config_of("gan", hidden=30).check()
    dense = kinds.find("gan").defaults({"neuron": "ramp"})
    with pytest.raises(ValueError, match="channels does nothing with network dense"):
        dataclasses.replace(dense, channels=8).check()
