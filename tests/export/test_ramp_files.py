"""Ramp networks as .npz and ONNX files: a NumPy loop and onnxruntime find the same spikes."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnxruntime
import pytest
import torch
from processes import ROOT
from torch import nn

import firstspike as fs
from firstspike.export import nir, npz, onnx
from firstspike.models.networks import NetworkClassifier, spiking
from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    MeanPool2d,
    RampNeuron,
    Residual,
    SpikeDropout,
    SpikingNetwork,
    fold,
)
from firstspike.shape import Shape

T_MAX = 16
HOW = {"t_max": T_MAX, "neuron": "ramp"}
HIGH = {"t_max": T_MAX, "neuron": RampNeuron(1.5)}


def example():
    """examples/numpy_ramp.py as a module."""
    file = ROOT / "examples" / "numpy_ramp.py"
    spec = importlib.util.spec_from_file_location("numpy_ramp", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_a_grid(network: SpikingNetwork) -> SpikingNetwork:
    """Random weights in sixty-fourths: no sum is rounded, in whatever order it is taken."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 16
            parameter.normal_(0.0, (3 / fan) ** 0.5).mul_(64).round_().div_(64)
    return network.eval().requires_grad_(False)


def dense() -> SpikingNetwork:
    return NetworkClassifier(
        nn.Flatten(), FirstSpikeLinear(24, 12, **HIGH), FirstSpikeLinear(12, 5, **HIGH)
    )


def convolutions() -> SpikingNetwork:
    return NetworkClassifier(
        FirstSpikeConv2d(2, 6, 3, padding=1, pool=2, **HOW),
        SpikeDropout(0.5, T_MAX),
        FirstSpikeConv2d(6, 6, (3, 2), (2, 1), (2, 1), dilation=(1, 2), groups=2, **HIGH),
        MeanPool2d(2, 1, t_max=T_MAX),
        EarliestPool2d(2, t_max=T_MAX),
        nn.Flatten(),
        nn.Identity(),
        FirstSpikeLinear(6, 5, **HOW),
    )


def branches() -> SpikingNetwork:
    return NetworkClassifier(
        Residual(FirstSpikeConv2d(2, 2, 3, padding=1, **HOW)),
        Residual(
            FirstSpikeConv2d(2, 3, 1, bias=False, **HOW),
            FirstSpikeConv2d(3, 4, 3, padding=1, **HOW),
            shortcut=nn.Conv2d(2, 4, 1, bias=False),
        ),
        nn.Flatten(),
        Residual(FirstSpikeLinear(192, 5, **HOW), shortcut=nn.Linear(192, 5, bias=False)),
    )


def drawing() -> SpikingNetwork:
    return SpikingNetwork(
        FirstSpikeLinear(24, 24, **HOW),
        nn.Unflatten(1, (6, 2, 2)),
        FirstSpikeConvTranspose2d(6, 4, 3, 2, 1, output_padding=1, **HOW),
        FirstSpikeConvTranspose2d(4, 1, (2, 4), (2, 2), **HIGH),
    )


NETWORKS = {
    "dense": (dense, (24,)),
    "convolutions": (convolutions, (2, 8, 6)),
    "branches": (branches, (2, 8, 6)),
    "drawing": (drawing, (24,)),
}


def given(shape: tuple[int, ...], count: int = 30) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, T_MAX + 1, (count, *shape), generator=rng).float()


def numpy_run(file, times: torch.Tensor):
    """Spike times of the neurons and potentials of the last part, by the example's loop."""
    with np.load(file) as arrays:
        network = dict(arrays)
    t_max = int(network["t_max"])
    levels, potentials = example().run(network, t_max - times.numpy().astype(float))
    spiking = [k for k in range(1, len(levels)) if f"threshold_{k}" in network]
    return [t_max - levels[k] for k in spiking], potentials


def onnx_run(file, times: torch.Tensor):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"times": times.numpy()}), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_both_files_spike_as_the_network_in_every_layer(name, tmp_path):
    make, shape = NETWORKS[name]
    network, times = on_a_grid(make()), given(shape)
    wanted = [layer.numpy() for layer in network.layer_times(times)[1:]]
    assert all(0.02 < (layer < T_MAX).mean() < 1 for layer in wanted), "something to see"
    npz.save(tmp_path / "a.npz", network)
    onnx.save(tmp_path / "a.onnx", network)
    by_loop, _ = numpy_run(tmp_path / "a.npz", times)
    by_graph = onnx_run(tmp_path / "a.onnx", times)
    for number, layer in enumerate(wanted, 1):
        np.testing.assert_array_equal(by_loop[number - 1], layer)
        np.testing.assert_array_equal(by_graph[f"times_{number}"], layer)
    assert len(by_loop) == len(wanted)
    assert set(by_graph) - {"potentials", "class"} == {
        f"times_{n}" for n in range(1, len(wanted) + 1)
    }


@pytest.mark.parametrize("name", ["dense", "convolutions", "branches"])
@pytest.mark.parametrize("lowered", [0.0, 9.0])
def test_both_files_decide_as_the_network_also_without_an_output_spike(name, lowered, tmp_path):
    make, shape = NETWORKS[name]
    network, times = on_a_grid(make()), given(shape, 80)
    last = getattr(network[-1], "last", network[-1])
    with torch.no_grad():
        last.bias -= lowered
    output, potentials = network(times), network.potentials(times)
    wanted = fs.decide(output, potentials, T_MAX)
    silent = (output == T_MAX).all(dim=1)
    assert (silent.double().mean() > 0.5) == bool(lowered)
    npz.save(tmp_path / "a.npz", network)
    onnx.save(tmp_path / "a.onnx", network)
    found = onnx_run(tmp_path / "a.onnx", times)
    assert found["class"].dtype == np.int64
    np.testing.assert_array_equal(found["class"], wanted)
    np.testing.assert_allclose(found["potentials"], potentials.detach(), atol=1e-6)
    layers, own = numpy_run(tmp_path / "a.npz", times)
    decided = np.where(
        (layers[-1] < T_MAX).any(axis=1), layers[-1].argmin(axis=1), own.argmax(axis=1)
    )
    np.testing.assert_array_equal(decided, wanted)


def test_normalisation_is_folded_and_the_network_stays_as_it_is(tmp_path):
    shape = Shape(1, 8, 8, tuple("abc"))
    torch.manual_seed(1)
    network = spiking("4c3p2-4c3r-8", shape, t_max=T_MAX).double()
    network(given((1, 8, 8), 200).double())  # statistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    npz.save(tmp_path / "a.npz", network)
    assert all((before[name] == value).all() for name, value in network.state_dict().items())
    times = given((1, 8, 8))
    layers, _ = numpy_run(tmp_path / "a.npz", times)
    wanted = fold(network).layer_times(times.double())[1:]
    for one, other in zip(layers, wanted, strict=True):
        np.testing.assert_array_equal(one, other.detach())


def test_files_tell_of_the_images(tmp_path):
    import onnx as format_

    network = on_a_grid(convolutions())
    facts = {"channels": 2, "height": 8, "width": 6, "classes": list("abcde")}
    onnx.save(tmp_path / "a.onnx", network, facts=facts)
    model = format_.load(tmp_path / "a.onnx")
    sizes = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes[1:] == [2, 8, 6]
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert (told["neuron"], told["t_max"], told["height"]) == ("ramp", "16", "8")
    npz.save(tmp_path / "a.npz", network, facts=facts)
    with np.load(tmp_path / "a.npz") as arrays:
        assert (str(arrays["neuron"]), int(arrays["t_max"])) == ("ramp", T_MAX)
        assert arrays["classes"].tolist() == list("abcde")


class Own(nn.Module):
    t_max = T_MAX

    def forward(self, times):
        return times


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: SpikingNetwork(FirstSpikeLinear(3, 2)), "network must have ramp neurons"),
        (lambda: SpikingNetwork(Own(), FirstSpikeLinear(3, 2, **HOW)), "module 0 is a Own"),
        (lambda: SpikingNetwork(FirstSpikeLinear(3, 2, **HOW), nn.Flatten(2)), "module 1 is a Fla"),
        (
            lambda: SpikingNetwork(
                Residual(FirstSpikeLinear(3, 3, **HOW), shortcut=nn.Sequential())
            ),
            "module 0.shortcut is a Sequential",
        ),
    ],
)
def test_what_no_file_can_say_is_named(network, message, tmp_path):
    for save, name in ((npz.save, "a.npz"), (onnx.save, "a.onnx")):
        with pytest.raises(ValueError, match=message):
            save(tmp_path / name, network())
    assert not list(tmp_path.iterdir())


def test_nir_has_no_windows(tmp_path):
    with pytest.raises(ValueError, match="neither a clock nor windows"):
        nir.save(tmp_path / "a.nir", dense())
