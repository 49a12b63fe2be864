"""Spiking-GAN of ramp neurons and its dense twin: what learns is what draws with spikes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from killed import trained_twice, weights

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import epoch_generator
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.gan import STEP_STATS
from firstspike.training.paired import MARK, PairedAnnGan, RampGan
from firstspike.training.rules.relativistic import draw, score

KINDS = "gan", "ann-gan"


def config_of(kind: str, **options: object):
    small = {"hidden": 12, "batch": 8, "epochs": 3}
    return dataclasses.replace(kinds.find(kind).defaults(options), **small | options)


def build(kind: str, **options: object) -> RampGan | PairedAnnGan:
    return kinds.load(kinds.find(kind).trainer)(config_of(kind, **options))


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:60], mnist.labels[:60], "sixty"), None)


def test_the_options_choose_the_trainer():
    assert isinstance(build("gan"), RampGan) and isinstance(build("ann-gan"), PairedAnnGan)


@pytest.mark.parametrize("conditional", [False, True])
def test_what_draws_with_spikes_is_what_learns(conditional):
    options = {"digit": "all", "conditional": True} if conditional else {}
    gan = build("gan", **options)
    latents = gan.latents(50, epoch_generator(0, 0))
    assert latents.min() >= 0 and latents.max() <= 256 and torch.equal(latents, latents.round())
    told = latents.clone()
    told[:, 100:] = (1 - latents[:, 100:] / 256) * MARK  # as marks, not as times
    learned = (draw(gan.game, gan.centred(told)) + 1) / 2
    spiked = gan.sample(latents, averaged=False).flatten(1)
    difference = (learned - spiked).abs()
    assert (difference > 1e-6).double().mean() < 1e-3  # a sum within rounding error of a step
    assert difference.max() <= 1.01 / 256
    levels = spiked * 256
    assert torch.equal(levels, levels.round())
    assert (spiked > 0).any() and (spiked == 0).any()


def test_spikes_are_counted_layer_by_layer(parts):
    gan = build("gan")
    images = parts.training.images
    found = gan.further(images, parts.training.labels, images)
    shares = [*found["generator_activity"], *found["discriminator_activity"]]
    sizes = [100, 12, 784, 784, 12, 2]
    fired = sum(share * size for share, size in zip(shares, sizes, strict=True))
    assert found["spikes_a_neuron"] == pytest.approx(fired / sum(sizes))
    assert shares[2] == shares[3]  # pixels that are drawn are pixels that are seen
    assert all(0 < share <= 1 for share in shares)


def test_the_verdict_of_spikes_is_that_of_the_score(parts):
    gan = build("gan")
    gan.watch(parts)
    times = fs.encode(parts.training.images.flatten(1))
    judge = gan.judge_network()
    potentials = judge.potentials(times)
    scores = score(gan.game, gan.prepare(parts.training))
    clear = scores.abs() > 0.02
    assert clear.any()
    assert torch.equal((potentials[:, 1] > potentials[:, 0])[clear], (scores > 0)[clear])


@pytest.mark.parametrize(
    ("kind", "conditional", "options"),
    [
        ("gan", False, {}),
        ("gan", True, {}),
        ("gan", True, {"neuron": "step"}),
        ("ann-gan", True, {}),
    ],
)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind, conditional, options):
    config = config_of(kind, digit="all", conditional=conditional, **options)
    whole, _, summary = trained_twice(tmp_path, kind, config, parts)
    assert set(weights(whole)) == {
        f"{name}.safetensors" for name in ("generator", "discriminator", "average", "best")
    }
    last = whole.read_stats()[-1]
    rounding = 1 + 1e-6  # the best distance is kept in float32
    best, newest = (last[f"{of}training_frechet_distance"] for of in ("best_", ""))
    assert best <= newest * rounding
    assert set(STEP_STATS) <= set(last)
    if kind == "gan":
        assert 0 < summary["generator_spikes"] <= 100 + 10 * conditional + 12 + 784


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gan", {}),
        ("gan", {"neuron": "step"}),
        ("gan", {"neuron": "step", "loss": "potential"}),
        ("ann-gan", {"loss": "cross-entropy"}),
    ],
)
def test_the_best_snapshot_draws(parts, kind, options):
    gan = build(kind, digit="all", average=0.5, **options)
    gan.watch(parts)
    gan.start_epoch(3)
    before = gan.sample(gan.preview)
    for step in range(4):
        gan.step(gan.prepare(parts.training)[:8], epoch_generator(0, step))
    told = gan.finish_epoch(epoch_generator(0, 9))
    assert gan.best_distance == pytest.approx(told["training_frechet_distance"])
    assert gan.best_distance < 1e9
    after = gan.sample(gan.preview)
    assert not torch.equal(before, after)
    with torch.no_grad():
        for parameter in gan.average.parameters():
            parameter.zero_()
    assert torch.equal(gan.sample(gan.preview), after)


def test_without_snapshots_the_last_average_draws(parts):
    for kind, options in (("gan", {"recipe": "paper"}), ("ann-gan", {"snapshots": 0})):
        gan = build(kind, **options)
        gan.watch(parts)
        gan.start_epoch(3)
        assert gan.finish_epoch(epoch_generator(0, 9)) == {} and "best" not in gan.networks
        assert gan.artist(averaged=True) is not gan.generator
        drawn = gan.draw_average(gan.preview)
        assert torch.equal(gan.sample(gan.preview), drawn)


def test_snapshots_are_looked_at_in_the_last_two_thirds():
    gan = build("gan", epochs=50)
    looks = [epoch for epoch in range(1, 51) if gan.is_looked_at(epoch)]
    assert looks == list(range(17, 51, 3))
    assert [e for e in range(1, 4) if build("gan", snapshots=1).is_looked_at(e)] == [1, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_latents_lie_nearer_to_the_middle_and_tell_the_same_class(kind):
    gan = build(kind, digit="all", conditional=True)
    latents = gan.latents(30, epoch_generator(0, 0))
    assert torch.equal(gan.truncated(latents, 1.0), latents)
    middle, near = gan.truncated(latents, 0.0), gan.truncated(latents, 0.3)
    for pulled in (middle, near):
        assert torch.equal(pulled[:, 100:], latents[:, 100:])
    assert middle[:, :100].unique().tolist() == [gan.middle]
    expected = gan.middle + 0.3 * (latents - gan.middle)
    assert (near - expected)[:, :100].abs().max() <= (0.5 if kind == "gan" else 1e-6)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"share must lie in 0\.\.1"):
            gan.truncated(latents, share)


def test_images_of_any_size_and_colour():
    shape = Shape(3, 4, 5, ("cat", "dog"))
    for kind in KINDS:
        made = kinds.load(kinds.find(kind).trainer)
        gan = made(config_of(kind, digit="all", conditional=True), shape)
        assert gan.sample(gan.latents(3)).shape == (3, 3, 4, 5)
