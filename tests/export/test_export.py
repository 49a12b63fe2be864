"""Trained networks as files for other programs: the command, .npz and ONNX; NIR: test_nir_io.py."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
import torch
import untrained

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
    assert (onnx_times("a.onnx", times(784))[-1] == model(times(784)).detach().numpy()).all()


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
        (("classifier", "gan", "--format", "nir"), "gan: cannot be written"),
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


def onnx_times(path, given):
    """Spike times of every layer, as onnxruntime computes them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"times": given.numpy()})


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
    got = onnx_times(tmp_path / "a.onnx", given)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < (wanted[-1] < 32).mean() < 1


def test_the_package_onnx_is_optional(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"pip install 'firstspike\[onnx\]'"):
        onnx_io.save(tmp_path / "a.onnx", classifier(8))
