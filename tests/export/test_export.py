"""Trained networks as files for other programs: the command, .npz and ONNX; NIR: test_nir_io.py."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
import torch
import untrained

import firstspike as fs
from firstspike import cli
from firstspike.export import nir as nir_io
from firstspike.export import npz as npz_io
from firstspike.export import onnx as onnx_io
from firstspike.models import classifier, spiking_network
from firstspike.training import kinds
from firstspike.training.loading import load_classifier, load_gan


def times(features: int, t_max: int = 256) -> torch.Tensor:
    return torch.randint(0, t_max + 1, (20, features), generator=torch.manual_seed(0)).float()


def test_a_classifier_is_exported_in_every_format(firstspike, tmp_path):
    run = untrained.run(tmp_path / "run", "classifier", seed=3)
    model = load_classifier(run)
    for name, options in (("a.nir", ()), ("a.npz", ()), ("a.onnx", ()), ("b", ("--format", "nir"))):
        code, out, err = firstspike("export", "run", name, *options)
        assert (code, err) == (0, "") and out.startswith(f"Classifier 784-8-10: {name}\n")
        assert ("--portable" in out) == (name not in ("a.npz", "a.onnx"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nir", "a.npz", "a.onnx", "b", "run"]
    for name in ("a.nir", "b"):
        assert torch.equal(nir_io.load(name)(times(784)), model(times(784)))
    with np.load("a.npz") as arrays:
        assert (arrays["weight_2"] == model.layers[1].weight.detach().numpy()).all()
    given = onnx_outputs("a.onnx", times(784))
    assert (given["times_2"] == model(times(784)).detach().numpy()).all()


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_the_networks_of_a_gan_are_exported(firstspike, tmp_path, part):
    run = untrained.run(tmp_path / "run", "gan", neuron="step")
    with torch.no_grad():
        gan = load_gan(run)
        gan.average[0].bias += 0.25  # the average is what draws
        run.save_checkpoint(gan.networks, gan.optimizers, {"epoch": 2})
    code, out, _ = firstspike("export", "run", "a.nir", "--part", part, "--portable")
    sizes = {"generator": "100-8-784", "discriminator": "784-8-2"}[part]
    assert (code, out) == (0, f"FirstSpikeSequential {sizes}: a.nir\n")
    network = {"generator": gan.average, "discriminator": gan.discriminator}[part]
    given = times(network.layers[0].in_features)
    assert torch.equal(nir_io.load("a.nir")(given), network(given))


@pytest.mark.parametrize("network", ["dense", "4c3p2-4c3r-8"])
def test_a_classifier_of_ramp_neurons_is_exported(firstspike, tmp_path, network):
    run = untrained.run(tmp_path / "run", "classifier", neuron="ramp", network=network)
    model, images = load_classifier(run), fs.load_mnist("test").images[:4]
    given = model.times_of(images)
    told = {"dense": "784-8-10", "4c3p2-4c3r-8": "1-4c3-4c3-8-10"}[network]
    for name in ("a.npz", "a.onnx"):
        code, out, err = firstspike("export", "run", name)
        assert (code, out, err) == (0, f"NetworkClassifier {told}: {name}\n", "")
    with np.load("a.npz") as arrays:
        assert arrays["classes"].tolist() == list("0123456789")
        last = int(arrays["parts"])
        assert (arrays[f"weight_{last}"] == model[-1].weight.numpy()).all(), "the output's window"
    got = onnx_outputs("a.onnx", given.flatten(1) if network == "dense" else given)
    assert (got["class"] == model.classify(images).classes.numpy()).all()
    code, _, err = firstspike("export", "run", "a.nir")
    assert code == cli.USAGE_ERROR and "neither a clock nor windows" in err


RAMP_GANS = {
    "dense": ({"digit": "3"}, "100-8-784", "784-8-2", 1),
    "told": ({"digit": "all", "conditional": True}, "110-8-784", "784-8-20", 10),
    "conv": ({"digit": "3", "network": "conv", "channels": 4}, "100-196-2c4-1c4", "1-2c4-4c4-2", 1),
}


@pytest.mark.parametrize("name", RAMP_GANS)
def test_the_networks_of_a_gan_of_ramp_neurons_are_exported(firstspike, tmp_path, name):
    options, generator, discriminator, pairs = RAMP_GANS[name]
    gan = load_gan(untrained.run(tmp_path / "run", "gan", neuron="ramp", **options))
    for part, sizes in (("generator", generator), ("discriminator", discriminator)):
        code, out, err = firstspike("export", "run", f"{part}.onnx", "--part", part)
        assert (code, out, err) == (0, f"SpikingNetwork {sizes}: {part}.onnx\n", "")
    firstspike("export", "run", "a.npz", "--part", "discriminator")
    with np.load("a.npz") as arrays:
        assert (arrays["pairs"], arrays["labels"]) == (pairs, 0)
    latents, t_max = gan.latents(5, torch.Generator().manual_seed(0)), gan.config.t_max
    drawn = onnx_outputs("generator.onnx", latents)
    pixels = drawn[max(output for output in drawn if output.startswith("times_"))]
    np.testing.assert_allclose(  # a rounding may move a spike by a step
        1 - pixels.reshape(5, 28, 28) / t_max, gan.sample(latents), atol=1.01 / t_max
    )
    judged = onnx_outputs("discriminator.onnx", torch.from_numpy(pixels).reshape(5, 784))
    assert judged["potentials"].shape == (5, 2 * pairs) and judged["class"].max() < 2 * pairs
    assert ((judged["potentials"] > 0) & (judged["potentials"] < 1)).all(), "all in the window"


def test_what_cannot_be_exported(firstspike, tmp_path):
    for kind in kinds.KINDS:
        untrained.run(tmp_path / kind, kind)
    before = sorted(tmp_path.rglob("*"))
    for arguments, wanted in (
        (("nowhere", "a.nir"), "nowhere: no run here"),
        (("gan", "a.nir"), "give --part generator or discriminator"),
        (("classifier", "a.nir", "--part", "generator"), "leave --part out"),
        (("ann-classifier", "a.npz"), "does not spike"),
        (("ann-gan", "a.npz", "--part", "generator"), "does not spike"),
        (("classifier", "a.txt"), "a.txt: no format has this suffix"),
        (("classifier", "a.npz", "--portable"), "--portable is for --format nir"),
        (("classifier", "no/a.nir"), "no/a.nir: cannot be written"),
        (("classifier", "no/a.npz"), "no/a.npz: cannot be written"),
        (("classifier", "no/a.onnx"), "no/a.onnx: cannot be written"),
        (("classifier", "gan", "--format", "nir"), "gan: is a folder; choose another name"),
    ):
        code, _, err = firstspike("export", *arguments)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1, arguments
    assert sorted(tmp_path.rglob("*")) == before


def test_npz_holds_all_that_a_layer_is(tmp_path):
    model = spiking_network((6, 5, 4), threshold=0.5, t_max=32, delay=2)
    model.layers[1].bias = None
    npz_io.save(tmp_path / "a.npz", model)
    with np.load(tmp_path / "a.npz") as arrays:
        found = dict(arrays)
    for number, layer in enumerate(model.layers, 1):
        assert (found.pop(f"weight_{number}") == layer.weight.detach().numpy()).all()
        bias = found.pop(f"bias_{number}")
        assert (bias == (0 if layer.bias is None else layer.bias.detach().numpy())).all()
        facts = [found.pop(f"{name}_{number}") for name in ("threshold", "t_max", "delay")]
        assert facts == [0.5, 32, 2]
    assert not found


def onnx_outputs(path, given):
    """What onnxruntime computes of spike times, by the names of the outputs."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"times": given.numpy()}), strict=True))


@pytest.mark.parametrize("options", [{}, {"bias": False, "threshold": 2.0}, {"delay": 0}], ids=str)
def test_onnx_gives_the_same_spike_times_in_every_layer(tmp_path, options):
    torch.manual_seed(1)
    model = spiking_network((20, 12, 5), t_max=32, **options)
    for layer in model.layers:
        if layer.bias is not None:
            torch.nn.init.uniform_(layer.bias, -0.5, 1.2)  # some fire by it alone
    given = times(20, 32)
    onnx_io.save(tmp_path / "a.onnx", model)
    wanted = [layer.detach().numpy() for layer in model.layer_times(given)[1:]]
    got = onnx_outputs(tmp_path / "a.onnx", given)
    assert list(got) == ["times_1", "times_2", "potentials", "class"]
    for one, other in zip(("times_1", "times_2"), wanted, strict=True):
        np.testing.assert_array_equal(got[one], other)
    assert 0 < (wanted[-1] < 32).mean() < 1


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_onnx_decides_as_we_do_where_no_output_spikes(tmp_path, delay):
    model = untrained.classifier((20, 12, 5), shift=-0.4, t_max=32, delay=delay)
    images = torch.randint(0, 256, (60, 20), generator=torch.manual_seed(0), dtype=torch.uint8)
    onnx_io.save(tmp_path / "a.onnx", model)
    given = fs.encode(images, 32)
    got = onnx_outputs(tmp_path / "a.onnx", given)
    decided = model.classify(images)
    assert (got["class"] == decided.classes.numpy()).all() and got["class"].dtype == np.int64
    silent = decided.decisions == 32
    assert silent.double().mean() > 0.2 and len(decided.classes[silent].unique()) > 1
    hidden = model.layer_times(given)[-2]
    potential = model.layers[-1].final_potential(hidden).detach().numpy()
    np.testing.assert_allclose(got["potentials"], potential, atol=1e-5)


def test_the_package_onnx_is_optional(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"pip install 'firstspike\[onnx\]'"):
        onnx_io.save(tmp_path / "a.onnx", classifier(8))
