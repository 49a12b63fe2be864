"""Autoencoders of ramp neurons and their dense twins: what learns is what speaks in spikes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from killed import trained_twice, weights

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import epoch_generator
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.vae import MEAN_REACH, AnnVae, SpikingVae

KINDS, NETWORKS = ("vae", "ann-vae"), ("dense", "conv")


def config_of(kind: str, network: str = "dense", **options: object) -> Any:
    size = {"hidden": 12} if network == "dense" else {"channels": 4}
    small = {"batch": 8, "epochs": 3, "latent": 3} | size
    return dataclasses.replace(kinds.find(kind).defaults({"network": network}), **small | options)


def build(kind: str, network: str = "dense", shape: Shape | None = None, **options: object) -> Any:
    sizes = () if shape is None else (shape,)
    return kinds.load(kinds.find(kind).trainer)(config_of(kind, network, **options), *sizes)


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:40], mnist.labels[:40], "forty"), None)


def test_the_kinds_have_their_trainers():
    assert isinstance(build("vae"), SpikingVae) and isinstance(build("ann-vae"), AnnVae)


@pytest.mark.parametrize("network", NETWORKS)
def test_what_speaks_in_spikes_is_what_learns(parts, network):
    vae, images = build("vae", network), parts.training.images
    with torch.no_grad():
        said = vae.teller(vae.encoder(vae.pixels(images)))
        spiked = 1 - vae.spiking_encoder()(fs.encode(images.flatten(1)).float()) / 256
        z = torch.randn(40, 3)
        latents = vae.on_grid(256 * (1 - (vae.latent_values(z) / 3**0.5 + 1) / 2))
        drawn = vae.drawn(vae.decoder(vae.latent_values(z)))
    assert latents.min() >= 0 and latents.max() <= 256
    samples = vae.sample(latents).flatten(1)
    for learned, spikes in ((said, spiked), (drawn, samples)):
        difference = (learned - spikes).abs()
        assert (difference > 1e-6).double().mean() < 2e-3  # a sum within rounding error of a step
        assert difference.max() <= 1.01 / 256
        assert (spikes > 0).any() and torch.equal(spikes * 256, (spikes * 256).round())


def test_latents_are_uniform_spike_times():
    latents = build("vae", t_max=16).latents(2000, epoch_generator(0, 0))
    assert sorted(latents.unique().tolist()) == list(range(17))
    assert latents.mean() == pytest.approx(8, abs=0.3)


def test_latents_of_the_twin_are_uniform_and_of_variance_1():
    latents = build("ann-vae").latents(20_000, epoch_generator(0, 0))
    assert latents.abs().max() <= 3**0.5
    assert latents.mean() == pytest.approx(0, abs=0.02)
    assert latents.var() == pytest.approx(1, abs=0.02)


def test_a_silent_encoder_says_that_it_knows_nothing(parts):
    vae = build("vae")
    with torch.no_grad():
        vae.encoder[-1].weight.zero_()
        vae.encoder[-1].bias[3:] = -1.0  # no spread spikes
    mean, log_deviation = vae.posterior(vae.pixels(parts.training.images))
    assert mean.abs().max() <= MEAN_REACH / 128  # a spike in the middle of the window
    assert (log_deviation == 0).all()
    spikes = vae.spiking_encoder()(fs.encode(parts.training.images.flatten(1)).float())
    assert (spikes[:, 3:] == 256).all() and (spikes[:, :3] == 128).all()


@pytest.mark.parametrize("kind", KINDS)
def test_reconstructions_become_better_than_the_mean_image(parts, kind):
    vae = build(kind, hidden=40, latent=8, epochs=40, beta=0.1, lr=8e-3, last_rate=1.0)
    images = parts.training.images
    measure = vae.watch(parts)
    before = measure()["reconstruction_error"]
    for epoch in range(1, 41):
        vae.start_epoch(epoch)
        for batch in images.split(8):
            told = vae.step(batch, epoch_generator(0, epoch))
    after = measure()["reconstruction_error"]
    of_mean = float((images / 255).var(dim=0, correction=0).mean())
    assert after < 0.75 * of_mean < before
    assert after == pytest.approx(
        float((vae.reconstruct(images) - images / 255).square().mean()), rel=1e-4
    )
    assert told["train_error"] < of_mean and told["divergence"] > 0


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_last_layers_have_a_rate_of_their_own(parts, share):
    vae = build("vae", last_rate=share, epochs=1)
    vae.watch(parts)
    vae.start_epoch(1)
    before = {name: network[0].weight.clone() for name, network in vae.networks.items()}
    last = {name: network[-1].weight.clone() for name, network in vae.networks.items()}
    vae.step(parts.training.images, epoch_generator(0, 1))
    for name, network in vae.networks.items():  # Adam's first step is the rate, whatever the slope
        first = network[0].weight.detach() - before[name].detach()
        end = network[-1].weight.detach() - last[name].detach()
        most = float(end.abs().max()), float(first.abs().max())
        assert most[0] == pytest.approx(share * most[1], rel=1e-3)


def test_beta_is_the_price_of_what_latents_tell(parts):
    told = {}
    for beta in (0.1, 30.0):
        vae = build("vae", beta=beta, epochs=20)
        vae.watch(parts)
        for epoch in range(1, 21):
            vae.start_epoch(epoch)
            for batch in parts.training.images.split(8):
                last = vae.step(batch, epoch_generator(0, epoch))
        told[beta] = last["divergence"]
    assert told[30.0] < 0.2 * told[0.1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, kind, network):
    whole, cut, summary = trained_twice(tmp_path, kind, config_of(kind, network), parts)
    assert set(weights(whole)) == {"encoder.safetensors", "decoder.safetensors"}
    told = {"train_error", "divergence", "reconstruction_error"}
    assert told <= set(whole.read_stats()[-1])
    if kind == "vae":
        neurons = 3 + 12 + 784 if network == "dense" else 3 + 4 * 49 + 2 * 196 + 784
        assert 0 < summary["decoder_spikes"] <= neurons
        assert summary["decoder_spikes"] == pytest.approx(
            neurons * summary["decoder_spikes_a_neuron"]
        )
    loaded = fs.load_run(whole.path)
    latents = loaded.latents(5, epoch_generator(0, 1))
    assert torch.equal(loaded.sample(latents), fs.load(cut.path).sample(latents))


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_has_equally_likely_fields(kind):
    vae = build(kind, latent=2)
    latents = vae.lattice(4)
    assert latents.shape == (16, 2)
    columns = latents[:4, 1]
    if kind == "vae":
        assert columns.tolist() == [224, 160, 96, 32]
    else:
        torch.testing.assert_close(columns, 3**0.5 * torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.equal(latents[::4, 0], columns)
    with pytest.raises(ValueError, match="latent must be 2 for a map"):
        build(kind).lattice(4)


def test_latents_that_should_fit_together_do(parts):
    spread = {}
    for together in (0.0, 30.0):
        vae = build("vae", together=together, epochs=20, lr=8e-3)
        vae.watch(parts)
        for epoch in range(1, 21):
            vae.start_epoch(epoch)
            for batch in parts.training.images.split(8):
                vae.step(batch, epoch_generator(0, epoch))
        with torch.no_grad():
            mean, log_deviation = vae.posterior(vae.pixels(parts.training.images))
        square = mean.square() + (2 * log_deviation).exp()
        spread[together] = float((square.mean(dim=0) - 1).abs().mean())
    assert spread[30.0] < 0.5 * spread[0.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_images_of_any_size_and_colour(kind, network):
    shape = Shape(3, 8, 4, ("cat", "dog"))
    vae = build(kind, network, shape)
    assert vae.sample(vae.latents(2)).shape == (2, 3, 8, 4)
    images = torch.randint(256, (5, 3, 8, 4), dtype=torch.uint8)
    assert vae.reconstruct(images).shape == images.shape
    vae.step(images, torch.Generator())


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_more_to_measure_and_to_see(parts, kind):
    vae, unseen = build(kind, latent=2), parts.training.images
    found = vae.further(unseen, parts.training.labels, unseen)
    assert found["reconstruction_error"] == vae.error_of(unseen)
    if kind == "vae":
        layers = [(784, 12, 4), (2, 12, 784)]
        shares = found["encoder_activity"], found["decoder_activity"]
        spikes = [
            sum(map(float.__mul__, s, map(float, n))) for s, n in zip(shares, layers, strict=True)
        ]
        assert found["encoder_spikes"] == pytest.approx(spikes[0], rel=1e-3)
        assert found["spikes_a_neuron"] == pytest.approx(sum(spikes) / 1598, rel=1e-3)
    pictures = vae.pictures(unseen)
    assert {name: columns for name, (_, columns) in pictures.items()} == {
        "reconstructions": 8,
        "walks": 10,
        "map": 20,
    }
    assert "map" not in build(kind).pictures(unseen)
    assert torch.equal(pictures["reconstructions"][0][0], unseen[0] / 255)


@pytest.mark.parametrize("kind", KINDS)
def test_what_there_is_not_is_told(kind):
    vae = build(kind)
    with pytest.raises(ValueError, match="digits: this network cannot be asked for a class"):
        vae.latents(2, digits=torch.zeros(2).long())
    with pytest.raises(ValueError, match="averaged: this network keeps no average"):
        vae.sample(vae.latents(2), averaged=False)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"latent": 0}, "latent must be between 1 and"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"network": "conv", "hidden": 5}, "hidden does nothing with network conv"),
        ({"t_max": 0}, "t_max must"),
        ({"precision": 0.0}, "precision must be above 0"),
    ],
)
def test_options_that_cannot_be(options, complaint):
    config = dataclasses.replace(kinds.find("vae").defaults(options), **options)
    with pytest.raises(ValueError, match=complaint):
        SpikingVae(config)


@pytest.mark.parametrize(
    ("kind", "network", "settings"),
    [
        ("vae", "dense", (1.2e-2, 64, 10)),
        ("ann-vae", "dense", (6e-3, 64, 10)),
        ("vae", "conv", (1.2e-2, 64, 5)),
        ("ann-vae", "conv", (6e-3, 64, 5)),
    ],
)
def test_defaults_are_what_was_measured(kind, network, settings):
    """On the test set, each side after as many tries: docs/vae.md."""
    config = kinds.find(kind).defaults({"network": network})
    assert (config.lr, config.batch, config.epochs) == settings


def test_convolutions_need_sides_that_can_be_halved_twice():
    with pytest.raises(ValueError, match="sides are multiples of 4, got 6x8"):
        build("vae", "conv", Shape(1, 8, 6))
