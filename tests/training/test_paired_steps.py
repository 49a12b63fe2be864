"""Spiking-GAN of step neurons: what learns, all inputs at once, is what draws with spikes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.runs.directory import epoch_generator
from firstspike.training.config import GAN_RECIPES
from firstspike.training.gan import SpikingGan
from firstspike.training.paired_steps import StepGan
from firstspike.training.rules.relativistic import draw, score


def build(**options: object) -> StepGan:
    config = dataclasses.replace(GAN_RECIPES["best"], **{"hidden": 16, "batch": 8} | options)
    config.check()
    made = SpikingGan(config)
    assert isinstance(made, StepGan)
    return made


def images(count: int = 8) -> ImageSet:
    mnist = fs.load_mnist("train")
    return ImageSet(mnist.images[:count], mnist.labels[:count], "few")


def learned(gan: StepGan, steps: int = 30) -> StepGan:
    real = gan.prepare(images())
    gan.start_epoch(1)
    for number in range(steps):
        gan.step(real, epoch_generator(0, number))
    return gan


TOLD = {"digit": "all", "conditional": True}


@pytest.mark.parametrize("options", [{}, TOLD, {"delay": 0}, {"t_max": 12, "delay": 3}])
def test_what_learns_is_what_draws_and_judges_with_spikes(options):
    gan = learned(build(**options, generator_lr=0.01, discriminator_lr=0.01))
    latents, t_max = gan.latents(40, epoch_generator(0, 0)), gan.config.t_max
    assert set(latents.unique().tolist()) == {0, t_max}
    drawn = draw(gan.game, gan.centred(latents))
    times = gan.generator(latents)
    assert torch.equal(times < t_max, drawn > 0)
    assert set(times[times < t_max].tolist()) == {2 * gan.config.delay}
    seen = gan.seen(gan.prepare(images()), epoch_generator(0, 1))
    hidden, output = gan.discriminator.layers
    at_once = torch.where(seen[:, :784] > 0, 0.0, float(t_max))
    potentials = output.final_potential(hidden(at_once)).unflatten(1, (-1, 2))
    told = images().labels if options is TOLD else torch.zeros(8).long()
    fake, real = potentials[torch.arange(8), told].unbind(dim=1)
    torch.testing.assert_close((real - fake) / 2, score(gan.game, seen))


def test_the_discriminator_sees_what_is_brighter_than_a_level():
    gan = build(look_from=0.2, look_to=1.0)
    real = gan.prepare(images())
    levels = [(rng := epoch_generator(0, 3)), gan.last_looks(8, rng)][1]
    seen = gan.seen(real, epoch_generator(0, 3))
    assert torch.equal(seen > 0, (real <= levels) & (real < 256))
    assert len(levels.unique()) > 1
    assert torch.equal(
        build(look_from=1.0, look_to=1.0).seen(real, epoch_generator(0, 3)) > 0, real < 256
    )


def test_a_step_changes_both_networks_and_the_average():
    gan = build(average=0.5)
    names = ("generator", "discriminator", "average")
    before = {name: [p.clone() for p in gan.networks[name].parameters()] for name in names}
    stats = learned(gan, 1).step(gan.prepare(images()), epoch_generator(0, 1))
    assert set(stats) == {"discriminator_loss", "generator_loss", "real_wins", "fake_wins"}
    for name in names:
        pairs = zip(before[name], gan.networks[name].parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs)


def test_latents_of_a_walk_spike_at_once_or_never_and_change_one_by_one():
    gan = build()
    walk = gan.walk(5, 3, epoch_generator(0, 0)).unflatten(0, (3, 5))
    ends = gan.latents(6, epoch_generator(0, 0))
    assert torch.equal(walk[:, 0], ends[:3]) and torch.equal(walk[:, -1], ends[3:])
    assert set(walk.unique().tolist()) == {0, 256}
    changed = (walk[:, 1:] != walk[:, :-1]).sum(dim=2)
    assert (changed > 0).all() and (changed < 30).all()


def test_there_is_nothing_to_truncate():
    gan = build()
    latents = gan.latents(4)
    assert torch.equal(gan.truncated(latents, 1.0), latents)
    with pytest.raises(ValueError, match="share of truncation must be 1"):
        gan.truncated(latents, 0.5)


def test_spikes_of_all_layers_are_counted():
    gan = build(**TOLD)
    latents = gan.latents(50, epoch_generator(0, 0))
    hidden, drawn = gan.average.layer_times(latents)[1:]
    total = sum((times < 256).float().sum(dim=1) for times in (latents, hidden, drawn))
    figures = gan.spikes(latents)
    assert figures["generator_spikes"] == pytest.approx(total.mean().item())
    assert figures["discriminator_spikes"] > 0


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"latent_last": 7}, "latent_last must be 0 with loss relativistic of step neurons, got 7"),
        ({"network": "conv"}, "network conv needs ramp neurons"),
        ({"bias": False}, "bias must be True"),
        ({"normalize": "l1"}, "normalize must be none"),
        ({"optimizer": "sgd", "beta1": 0.0}, "optimizer must be adam"),
        ({"gradient": "temporal"}, "gradient must be final"),
        ({"gradient": "exact"}, "gradient and loss must be those of step neurons"),
        ({"t_max": 8, "delay": 4}, "delay must be below half of t_max = 8"),
    ],
)
def test_options_under_which_spikes_would_not_come_at_once_are_refused(options, fault):
    with pytest.raises(ValueError, match=fault):
        dataclasses.replace(GAN_RECIPES["best"], **options).check()
