"""Autoencoders of step neurons: all at once or never, and a clock that tells shades."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from killed import trained_twice, weights
from torch import nn

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import epoch_generator
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.vae import SpikingVae
from firstspike.training.vae_steps import StepVae, spiking_steps

SMALL = {"hidden": 12, "batch": 8, "epochs": 3, "latent": 6}


def config_of(**options: object) -> Any:
    return dataclasses.replace(kinds.find("vae").defaults({"neuron": "step"}), **SMALL | options)


def build(shape: Shape | None = None, **options: object) -> StepVae:
    made = SpikingVae(config_of(**options), *(() if shape is None else (shape,)))
    assert isinstance(made, StepVae)
    return made


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:40], mnist.labels[:40], "forty"), None)


def trained(parts: Parts, epochs: int = 12, **options: object) -> tuple[StepVae, dict[str, float]]:
    vae = build(epochs=epochs, **options)
    vae.watch(parts)
    for epoch in range(1, epochs + 1):
        vae.start_epoch(epoch)
        for batch in parts.training.images.split(8):
            told = vae.step(batch, epoch_generator(0, epoch))
    return vae, told


@pytest.mark.parametrize("t_max", [3, 17])
def test_what_speaks_in_spikes_is_what_learns(parts, t_max):
    vae, _ = trained(parts, t_max=t_max, hidden=30)
    images, pulses = parts.training.images, t_max - 2
    with torch.no_grad():
        spikes = (vae.encoder((images.flatten(1) > 127).float()) > 0).float()
        drawn = vae.drawn(vae.decoder(2 * spikes - 1))
    latents = vae.means(images)
    assert torch.equal(latents, t_max * (1 - spikes)) and 0 < spikes.mean() < 1
    samples = vae.sample(latents).flatten(1)
    assert (samples != drawn).double().mean() < 1e-3  # a sum within rounding error of a shade
    shades = set((samples * pulses).unique().tolist())
    assert {0.0} < shades <= set(map(float, range(pulses + 1)))
    assert len(shades) > (2 if pulses > 1 else 1)


def test_all_comes_at_once_but_for_the_clock():
    vae = build()
    for network, fed, beside in (
        (vae.spiking_encoder(), vae.seen(fs.load_mnist("test").images[:9]), 1),
        (vae.spiking_decoder(), vae.fed(vae.latents(9)), 15),
    ):
        inputs, hidden, _ = network.layer_times(fed)
        assert all(layer.bias is None for layer in network.layers)
        for times, step in ((inputs, 0), (hidden, 1)):
            assert set(times[:, :-beside].unique().tolist()) == {step, 17}
            assert (times[:, -beside:] == step + torch.arange(beside)).all()


def test_a_clock_tells_potentials_in_equal_steps_of_the_sigmoid():
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 200))
    potentials = torch.linspace(-6, 6, 200)
    with torch.no_grad():
        for layer, value in ((network[0], 2.0), (network[2], 0.0)):
            nn.init.constant_(layer.weight, value)
            nn.init.zeros_(layer.bias)
        network[2].bias += potentials
    bars = torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1]).logit()
    fired = spiking_steps(network, bars, 7)(torch.tensor([[0.0, 0, 1, 2, 3, 4]]))
    wanted = 7 - (potentials.sigmoid() * 5).round()
    assert torch.equal(fired[0], wanted)
    assert fired.min() == 2 and fired.max() == 7


def test_latents_are_fair_coins():
    latents = build().latents(2000, epoch_generator(0, 0))
    assert set(latents.unique().tolist()) == {0, 17}
    assert (latents == 0).double().mean() == pytest.approx(0.5, abs=0.02)


def test_reconstructions_become_better_than_the_mean_image(parts):
    options: Any = {"hidden": 60, "latent": 24, "beta": 0.1, "contrast": 1.0}
    vae, told = trained(parts, epochs=50, **options)
    images = parts.training.images
    error = vae.error_of(images)
    of_mean = float((images / 255).var(dim=0, correction=0).mean())
    assert error < 0.9 * of_mean < of_mean < build(**options).error_of(images)
    assert error == pytest.approx(float((vae.reconstruct(images) - images / 255).square().mean()))
    assert told["train_error"] < of_mean and 0 < told["divergence"] < 24 * np.log(2)


def test_latents_that_should_fit_together_do(parts):
    spread = {}
    for together in (0.0, 30.0):
        vae, _ = trained(parts, together=together, lr=8e-3)
        with torch.no_grad():
            told = vae.encoder((vae.pixels(parts.training.images) > 0.5).float())
        spread[together] = float((told.sigmoid().mean(dim=0) - 0.5).abs().mean())
    assert spread[30.0] < 0.7 * spread[0.0]


def test_a_killed_run_ends_with_the_same_bytes(tmp_path, parts):
    whole, cut, summary = trained_twice(tmp_path, "vae", config_of(), parts)
    assert set(weights(whole)) == {"encoder.safetensors", "decoder.safetensors"}
    neurons = 6 + 15 + 12 + 15 + 784
    assert 0 < summary["decoder_spikes"] <= neurons
    assert summary["decoder_spikes"] == pytest.approx(neurons * summary["decoder_spikes_a_neuron"])
    loaded = fs.load_run(whole.path)
    latents = loaded.latents(5, epoch_generator(0, 1))
    assert torch.equal(loaded.sample(latents), fs.load(cut.path).sample(latents))


def test_what_is_exported_says_how_it_is_fed(tmp_path, parts):
    whole, *_ = trained_twice(tmp_path, "vae", config_of(), parts)
    vae = fs.load_run(whole.path)
    latents, facts = vae.latents(5), vae.facts("decoder")
    assert (facts["latents"], facts["latent_last"], facts["latent_silent"]) == (6, 0, 0.5)
    pulses = torch.arange(float(facts["pulses"])).expand(5, -1)
    times = vae.exported(whole, "decoder")(torch.cat([latents, pulses], dim=1))
    shades = (vae.config.t_max - times) / facts["pulses"]
    assert torch.equal(shades.view(5, 28, 28), vae.sample(latents))
    assert vae.facts("encoder")["pulses"] == 1
    assert vae.exported(whole, "encoder").sizes == (785, 13, 6)


def test_spikes_of_all_layers_are_counted(parts):
    vae, unseen = build(), parts.training.images
    found = vae.further(unseen, parts.training.labels, unseen)
    assert found["reconstruction_error"] == vae.error_of(unseen)
    layers = [(785, 13, 6), (21, 27, 784)]
    shares = found["encoder_activity"], found["decoder_activity"]
    spikes = [
        sum(map(float.__mul__, s, map(float, n))) for s, n in zip(shares, layers, strict=True)
    ]
    assert found["encoder_spikes"] == pytest.approx(spikes[0], rel=1e-3)
    assert found["spikes_a_neuron"] == pytest.approx(sum(spikes) / 1636, rel=1e-3)


def test_images_of_any_size_and_colour():
    vae = build(Shape(3, 8, 4, ("cat", "dog")))
    assert vae.sample(vae.latents(2)).shape == (2, 3, 8, 4)
    images = torch.randint(256, (5, 3, 8, 4), dtype=torch.uint8)
    assert vae.reconstruct(images).shape == images.shape
    vae.step(images, torch.Generator())


def test_walks_change_latents_one_by_one_and_there_is_nothing_to_truncate():
    vae = build(latent=40)
    walk = vae.walk(5, 3, epoch_generator(0, 0)).unflatten(0, (3, 5))
    assert set(walk.unique().tolist()) == {0, 17}
    changed = (walk[:, 1:] != walk[:, :-1]).sum(dim=2)
    assert (changed > 0).all() and (changed < 12).all()
    with pytest.raises(ValueError, match="share of truncation must be 1"):
        vae.truncated(walk[0], 0.5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"network": "conv", "hidden": 400}, "network conv needs ramp neurons"),
        ({"t_max": 2}, "t_max must be above 2 with neuron step"),
        ({"precision": 5.0}, "precision does nothing with neuron step"),
        ({"window": 0.0}, "window must be above 0"),
    ],
)
def test_options_that_cannot_be(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        SpikingVae(config_of(**options))
    with pytest.raises(ValueError, match="window does nothing with neuron ramp"):
        SpikingVae(dataclasses.replace(kinds.find("vae").defaults(), window=2.0))


def test_no_device_but_the_cpu_and_no_place_in_the_demo():
    with pytest.raises(ValueError, match="kernels of step neurons run on the CPU only"):
        build().on(torch.device("meta"))
    vae = kinds.find("vae")
    assert vae.demo_of({"neuron": "step"}) is None
    assert vae.demo_of({}) == vae.demo_of({"neuron": "ramp"}) == "map"
