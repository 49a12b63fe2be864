"""GANs whose discriminator names the class of an image by the first spike of further outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from killed import trained_twice
from torch import nn

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.training import kinds
from firstspike.training.gan import NAMED_STATS
from firstspike.training.rules.relativistic import Naming, deep_step

KINDS, NETWORKS = ("gan", "ann-gan"), ("dense", "conv")


def config_of(kind: str, network: str = "dense", **options: object) -> Any:
    size = {"hidden": 12} if network == "dense" else {"channels": 4}
    chosen = {"network": network, "auxiliary": True} | options
    small = {"batch": 8, "epochs": 3} | size
    return dataclasses.replace(kinds.find(kind).defaults(chosen), **small | chosen)


def build(kind: str, network: str = "dense", **options: object) -> Any:
    return kinds.load(kinds.find(kind).trainer)(config_of(kind, network, **options))


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:40], mnist.labels[:40], "forty"), None)


class Kept:
    """An optimiser that keeps the gradients and changes nothing."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def step(self) -> None:
        self.grads = [parameter.grad.clone() for parameter in self.network.parameters()]


def test_deep_networks_learn_by_the_names():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(5, 7), nn.Tanh()).double()
    discriminator = nn.Sequential(nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 2 + 3)).double()
    real, latents = torch.randn(8, 7).double(), torch.randn(8, 5).double()
    classes = torch.arange(8) % 3
    kept = {"generator": Kept(generator), "discriminator": Kept(discriminator)}
    networks = generator, discriminator
    told = deep_step(networks, kept, real, latents, classes, 2, 0.0, Naming(3, 0.3))

    of_real, of_fake = discriminator(real), discriminator(generator(latents))
    score_real, score_fake = (
        (of[:, 1] - of[:, 0]) / 2 + of[torch.arange(8), 2 + classes] for of in (of_real, of_fake)
    )
    gap = score_fake - score_real
    error = nn.functional.cross_entropy(of_real[:, 2:], classes)
    losses = {
        "discriminator": nn.functional.softplus(gap).mean() + 0.3 * error,
        "generator": nn.functional.softplus(-gap).mean(),
    }
    for name, network in (("discriminator", discriminator), ("generator", generator)):
        wanted = torch.autograd.grad(losses[name], list(network.parameters()), retain_graph=True)
        for found, grad in zip(kept[name].grads, wanted, strict=True):
            torch.testing.assert_close(found, grad)
    right = [(of[:, 2:].argmax(dim=1) == classes).double().mean() for of in (of_real, of_fake)]
    torch.testing.assert_close(told[4:], torch.stack(right))


def learned_names(gan: Any, images: torch.Tensor) -> torch.Tensor:
    """Potentials [N, 10] of the outputs that name classes, as they learn."""
    seen = gan.pixels(images)
    if gan.config.network == "conv":
        return gan.discriminator(seen)[:, -10:]
    hidden, output = gan.discriminator
    values, _ = gan.neurons.hidden("discriminator", hidden(seen))
    return output(values)[:, -10:]


@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_the_first_spike_is_the_name_that_was_learned(parts, network):
    gan, images = build("gan", network), parts.training.images
    gan.watch(parts)
    top = learned_names(gan, images).topk(2, dim=1)
    judge = gan.judge_network()
    times = judge(fs.encode(images.flatten(1)).float())
    assert times.shape == (40, 2 + 10)
    reach = float(gan.bare_judge()[-1].weight.abs().sum() / judge[-1].weight.abs().sum())
    in_window = top.values[:, 0].abs() < reach / 2
    clear = in_window & (top.values[:, 0] - top.values[:, 1] > 2 * reach / 256)
    assert clear.sum() > 20
    assert torch.equal(times[:, -10:].argmin(dim=1)[clear], top.indices[clear, 0])
    assert torch.equal(gan.names_of(images)[clear], top.indices[clear, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind, network):
    whole, _, _ = trained_twice(tmp_path, kind, config_of(kind, network), parts)
    last = whole.read_stats()[-1]
    assert all(0 <= last[name] <= 1 for name in NAMED_STATS)
    loaded = fs.load_run(whole.path)
    latents = loaded.latents(3, digits=torch.tensor([4, 4, 9]))
    assert loaded.sample(latents).shape == (3, 28, 28)


@pytest.mark.parametrize("kind", KINDS)
def test_the_discriminator_learns_to_name_and_the_generator_to_be_named(parts, kind):
    gan = build(kind, hidden=60, epochs=30, naming=3.0, discriminator_lr=2e-3)
    gan.watch(parts)
    real = gan.prepare(parts.training)
    for epoch in range(1, 31):
        gan.start_epoch(epoch)
        rng = torch.Generator().manual_seed(epoch)
        told = [gan.step(batch, rng) for batch in real.split(8)]
    for name in NAMED_STATS:
        assert sum(step[name] for step in told) / len(told) > 0.9
    images, labels = parts.training.images, parts.training.labels
    drawn = gan.sample(gan.latents(40, torch.Generator(), labels), averaged=False)
    found = gan.further(images, labels, (255 * drawn).round().byte())
    wrong = gan.further(images, (labels + 1) % 10, images)
    for name in ("images_named_right", "samples_named_right"):
        assert found[name] > 0.9 and wrong[name] < 0.1


def test_what_the_discriminator_has(parts):
    gan, without = build("gan"), build("gan", auxiliary=False, digit="all", conditional=True)
    facts = gan.facts("discriminator")
    assert (facts["labels"], facts["pairs"], facts["names"]) == (0, 1, 10)
    assert gan.discriminator[-1].out_features == 12
    assert without.facts("discriminator")["names"] == 0
    images = parts.training.images
    assert "images_named_right" not in without.further(images, parts.training.labels, images)


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("gan", {"conditional": False}, "auxiliary names the classes that conditional tells"),
        ("gan", {"neuron": "step"}, "neuron must be ramp with auxiliary"),
        ("ann-gan", {"loss": "cross-entropy"}, "loss must be relativistic with auxiliary"),
        ("gan", {"digit": "3"}, "digit must be all, not 3"),
        ("gan", {"auxiliary": False, "naming": 2.0}, "naming does nothing with auxiliary False"),
    ],
)
def test_options_that_cannot_be(kind, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        config_of(kind, **options).check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_alone_says_what_it_needs(kind):
    config: Any = kinds.find(kind).defaults({"auxiliary": True})
    assert (config.digit, config.conditional, config.epochs) == ("all", True, 25)
    dataclasses.replace(config, auxiliary=True).check()
    told: Any = kinds.find(kind).defaults({"digit": "all"})
    assert (config.average, config.discriminator_lr) == (told.average, told.discriminator_lr)
