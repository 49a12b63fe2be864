"""Spiking-GAN's event-driven step beside its reference in plain PyTorch."""

from __future__ import annotations

import pytest
import torch

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.ops.cpu.adversarial import last_look
from firstspike.runs.directory import epoch_generator
from firstspike.training.config import GanConfig
from firstspike.training.gan import SpikingGan
from firstspike.training.rules.adversarial import AdversarialLearner


def first_images(count: int) -> ImageSet:
    mnist = fs.load_mnist("train")
    return ImageSet(mnist.images[:count], mnist.labels[:count], "few")


def build(impl: str, **options: object) -> SpikingGan:
    gan = SpikingGan(GanConfig(hidden=70, impl=impl, **options))
    gan.start_epoch(1)
    return gan


class KernelLooks:
    """How long the kernels let the discriminator look: in its own turn first, then in the other."""

    def __init__(self, learner: AdversarialLearner, seed: int) -> None:
        self.rule, self.seeds = learner._rule, [2 * seed, 2 * seed + 1]

    def __call__(self, count: int, rng: torch.Generator) -> torch.Tensor:
        seed = self.seeds.pop(0)
        steps = [last_look(seed, b, self.rule) for b in range(count)]
        low, high = self.rule.look_from * self.rule.t_max, self.rule.look_to * self.rule.t_max
        assert all(int(low) <= step <= high for step in steps)
        assert len(set(steps)) > 1
        return torch.tensor(steps)[:, None]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delay": 0, "window": 0.3, "seed": 3},
        {"t_max": 20, "latent_last": None, "look_from": 0.0},
        {"digit": "all", "conditional": True},
    ],
)
def test_first_step_is_that_of_the_reference(options, monkeypatch):
    fast, plain = build("auto", **options), build("reference", **options)
    images = fast.prepare(first_images(8))
    rng = epoch_generator(0, 1)
    state = rng.get_state()
    fast.noise(8, rng), fast.noise(8, rng)
    seed = int(torch.randint(2**31, (), generator=rng))
    stats = {}
    rng.set_state(state)
    stats["fast"] = fast.step(images, rng)
    rng.set_state(state)
    monkeypatch.setattr(plain, "last_looks", KernelLooks(fast._learner, seed))
    stats["plain"] = plain.step(images, rng)
    assert stats["fast"] == pytest.approx(stats["plain"], rel=1e-4)
    for name in ("discriminator", "generator"):
        moments = [
            torch.cat([state["exp_avg"].flatten() for state in gan.optimizers[name].state.values()])
            for gan in (fast, plain)
        ]
        assert moments[1].abs().max() > 1e-4
        torch.testing.assert_close(*moments, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_is_the_same_bytes_with_any_number_of_threads(threads):
    before = torch.get_num_threads()
    weights = []
    for count in (1, threads):
        torch.set_num_threads(count)
        gan = SpikingGan(GanConfig(seed=2))
        gan.start_epoch(1)
        images = gan.prepare(first_images(32))
        for epoch in (1, 2):
            gan.step(images, epoch_generator(0, epoch))
        weights.append(gan.average[1].weight)
    torch.set_num_threads(before)
    assert torch.equal(*weights)
