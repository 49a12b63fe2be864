"""GANs whose discriminator names the class by the first spike of further outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from processes import Kill
from torch import nn

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.gan import NAMED_STATS
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.rules.relativistic import deep_step

KINDS, NETWORKS = ("gan", "ann-gan"), ("dense", "conv")


def config_of(kind: str, network: str = "dense", **options: object) -> Any:
    size = {"hidden": 12} if network == "dense" else {"channels": 4}
    chosen = {"digit": "all", "conditional": True, "auxiliary": True, "batch": 8, "epochs": 3}
    return dataclasses.replace(
        kinds.find(kind).defaults({"network": network, "digit": "all"}), **size | chosen | options
    )


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


@pytest.mark.parametrize("naming", [0.0, 0.3, 2.0])
def test_both_networks_learn_by_the_names(naming):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(5, 7), nn.Tanh()).double()
    discriminator = nn.Sequential(nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 2 + 3)).double()
    networks = generator, discriminator
    real, latents = torch.randn(8, 7).double(), torch.randn(8, 5).double()
    classes = torch.arange(8) % 3
    kept = {"generator": Kept(generator), "discriminator": Kept(discriminator)}
    told = deep_step(networks, kept, real, latents, classes, 2, 0.0, names=3, naming=naming)

    fake = generator(latents)
    of_real, of_fake = discriminator(real), discriminator(fake)
    gap = (of_fake[:, 1] - of_fake[:, 0] - of_real[:, 1] + of_real[:, 0]) / 2
    named = torch.cat([of_real, of_fake])[:, 2:]
    entropy = nn.functional.cross_entropy(of_real[:, 2:], classes)
    losses = {
        "discriminator": nn.functional.softplus(gap).mean() + naming * entropy,
        "generator": nn.functional.softplus(-gap).mean()
        + naming * nn.functional.cross_entropy(of_fake[:, 2:], classes),
    }
    for name, network in (("discriminator", discriminator), ("generator", generator)):
        wanted = torch.autograd.grad(losses[name], list(network.parameters()), retain_graph=True)
        for found, grad in zip(kept[name].grads, wanted, strict=True):
            torch.testing.assert_close(found, grad)
    right = (named.argmax(dim=1) == classes.repeat(2)).double().split(8)
    torch.testing.assert_close(told[4:], torch.stack([of.mean() for of in right]))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_first_spike_names_the_class(parts, network):
    gan = build("gan", network)
    gan.watch(parts)
    images = parts.training
    judge, times = gan.judge_network(), fs.encode(images.images.flatten(1)).float()
    assert judge(times).shape == (40, 20 + 10)
    learned = gan.discriminator(gan.prepare(images)[:, :784])[:, 20:]
    top = learned.topk(2, dim=1)
    reach = 2.2 * judge_reach(gan)
    clear = top.values.diff(dim=1)[:, 0].abs() > 2 * reach / 256  # not in one step
    assert clear.any()
    assert torch.equal(judge(times)[:, 20:].argmin(dim=1)[clear], top.indices[clear, 0])
    named = gan.names_of(images.images)
    assert torch.equal(named[clear], top.indices[clear, 0])


def judge_reach(gan: Any) -> float:
    return float(gan.bare_judge().potentials(gan.artist(averaged=True)(gan.preview)).abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind, network):
    def new(name: str) -> RunDirectory:
        return RunDirectory.create(tmp_path / name, kind, config_of(kind, network).as_dict())

    def weights(run: RunDirectory) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in run.path.glob("checkpoint/*.safetensors")}

    whole = new("whole")
    train(whole, build_trainer(whole), parts, lambda progress: None)

    def kill(progress: Any) -> None:
        if (progress.epoch, progress.step) == (2, 3):
            raise Kill

    cut = new("cut")
    with pytest.raises(Kill):
        train(cut, build_trainer(cut), parts, kill)
    train(cut, build_trainer(cut), parts, lambda progress: None)
    assert weights(cut) == weights(whole)
    last = whole.read_stats()[-1]
    assert all(0 <= last[name] <= 1 for name in NAMED_STATS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_discriminator_learns_to_name(parts, kind):
    gan = build(kind, hidden=60, epochs=30, naming=3.0, discriminator_lr=2e-3)
    gan.watch(parts)
    real = gan.prepare(parts.training)
    for epoch in range(1, 31):
        gan.start_epoch(epoch)
        rng = torch.Generator().manual_seed(epoch)
        told = [gan.step(batch, rng) for batch in real.split(8)]
    assert sum(step["real_named"] for step in told) / len(told) > 0.9
    named = gan.names_of(parts.training.images)
    share = float((named == parts.training.labels).double().mean())
    assert share > 0.9
    found = gan.further(parts.training.images, parts.training.labels)
    assert found == {"named_right": share}


def test_what_the_discriminator_has(parts):
    gan = build("gan")
    facts = gan.facts("discriminator")
    assert (facts["labels"], facts["pairs"], facts["names"]) == (0, 10, 10)
    assert gan.discriminator[-1].out_features == 30
    told = build("gan", auxiliary=False)
    assert told.facts("discriminator")["names"] == 0
    assert told.further(parts.training.images, parts.training.labels) == {}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gan", {"conditional": False}),
        ("gan", {"neuron": "step"}),
        ("ann-gan", {"loss": "cross-entropy"}),
    ],
)
def test_what_does_not_name_classes(kind, options):
    chosen = {"digit": "all", "conditional": True, "auxiliary": True} | options
    config = dataclasses.replace(kinds.find(kind).defaults(chosen), **chosen)
    with pytest.raises(ValueError, match="auxiliary names the classes that a conditional network"):
        config.check()


def test_a_weight_of_nothing():
    with pytest.raises(ValueError, match="naming does nothing with auxiliary False"):
        config_of("gan", auxiliary=False, naming=2.0).check()
