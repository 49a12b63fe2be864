"""Spiking-GAN's event-driven step beside its reference in plain PyTorch."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.runs.directory import epoch_generator
from firstspike.training.config import POTENTIAL_GAN
from firstspike.training.gan import SpikingGan
from firstspike.training.rules.adversarial import take_turns

SEED = 7  # of how long the discriminator looks


def first_images(count: int) -> ImageSet:
    mnist = fs.load_mnist("train")
    return ImageSet(mnist.images[:count], mnist.labels[:count], "few")


def build(impl: str, **options: object) -> SpikingGan:
    gan = SpikingGan(dataclasses.replace(POTENTIAL_GAN, hidden=70, impl=impl, **options))
    gan.start_epoch(1)
    return gan


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delay": 0, "window": 0.3, "seed": 3},
        {"t_max": 20, "latent_last": None, "look_from": 0.0},
        {"digit": "all", "conditional": True},
        # Hidden spikes of the last steps arrive too late for the verdict.
        {"t_max": 5, "delay": 2, "latent_last": 1, "look_from": 0.5, "look_to": 1.0},
    ],
)
def test_first_step_is_that_of_the_reference(options, monkeypatch):
    fast, plain = build("auto", **options), build("reference", **options)
    images, rng = fast.prepare(first_images(8)), epoch_generator(0, 1)
    latents = fast.latents_for(images, rng), fast.latents_for(images, rng)
    looks = [fast.learner.looks(SEED, turn, count) for turn, count in ((0, 16), (1, 8))]
    config = fast.config
    low, high = config.look_from * config.t_max, config.look_to * config.t_max
    assert all(int(low) <= look.min() < look.max() <= high for look in looks)
    monkeypatch.setattr(plain, "last_looks", lambda count, rng: looks.pop(0))
    expected = take_turns(plain, images, latents, rng)
    assert fast.learner.step(images, latents, SEED) == pytest.approx(expected, rel=1e-4)
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
        gan = SpikingGan(dataclasses.replace(POTENTIAL_GAN, seed=2))
        gan.start_epoch(1)
        images = gan.prepare(first_images(32))
        for epoch in (1, 2):
            gan.step(images, epoch_generator(0, epoch))
        weights.append(gan.average[1].weight)
    torch.set_num_threads(before)
    assert torch.equal(*weights)
