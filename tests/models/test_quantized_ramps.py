"""int8 networks of ramp neurons: integer arithmetic, and what rounding may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from firstspike.export import npz, onnx
from firstspike.models.networks import NetworkClassifier
from firstspike.models.quantized_ramps import quantize_ramps
from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    RampNeuron,
    Residual,
    SpikingNetwork,
    window_norm,
)

T_MAX = 20  # no power of two
HIGH = {"t_max": T_MAX, "neuron": RampNeuron(1.5)}


def network(*modules: nn.Module) -> NetworkClassifier:
    torch.manual_seed(0)
    made = NetworkClassifier(*modules)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, (3 / parameter[0].numel()) ** 0.5)
        for layer in made.layers:
            if layer.bias is not None:
                layer.bias.normal_(0.0, 0.6)
    return made.eval()


def dense() -> NetworkClassifier:
    return network(FirstSpikeLinear(24, 12, **HIGH), FirstSpikeLinear(12, 5, **HIGH))


def given(*shape: int) -> torch.Tensor:
    return torch.randint(0, T_MAX + 1, shape, generator=torch.manual_seed(1)).float()


def test_it_spikes_as_integer_arithmetic_does():
    model, times = dense(), given(200, 24)
    quantized = quantize_ramps(model)
    levels = (T_MAX - times).long().numpy()
    for layer, original in zip(quantized.layers, model.layers, strict=True):
        weight = original.weight.detach().double().numpy()
        steps = int(127 * 1.5 / abs(weight).max())
        rounded = np.round(weight * steps / 1.5).astype(np.int8)
        bias = np.round(original.bias.detach().double().numpy() * steps / 1.5).astype(np.int32)
        sums = levels @ rounded.T.astype(np.int64) + bias * T_MAX
        levels = (sums // steps).clip(0, T_MAX)
        assert (layer.weight.numpy() == rounded).all() and abs(rounded).max() > 120
        assert layer.neuron.threshold == steps
    np.testing.assert_array_equal(quantized(times), T_MAX - levels)
    assert 0.1 < (levels > 0).mean() < 0.9


def test_it_stays_near_the_network_which_stays_as_it_is():
    model = network(
        FirstSpikeConv2d(1, 6, 3, padding=1, pool=2, norm=window_norm(6, 2), **HIGH),
        FirstSpikeConvTranspose2d(6, 4, 2, 2, **HIGH),
        nn.Flatten(),
        FirstSpikeLinear(256, 5, **HIGH),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    times = given(100, 1, 8, 8)
    quantized = quantize_ramps(model)
    for one, other in zip(model.layer_times(times), quantized.layer_times(times), strict=True):
        assert (one - other).abs().mean() < 0.5
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    assert quantized[0].norm is None and type(quantized) is NetworkClassifier
    assert not (quantized[0].weight % 1).any() and not (quantized[0].bias % 1).any()


def test_files_hold_its_weights_in_a_byte_each(tmp_path):
    import onnx as format_
    import onnxruntime

    quantized, times = quantize_ramps(dense()), given(50, 24)
    npz.save(tmp_path / "a.npz", quantized)
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["weight_1"].dtype == np.int8
        assert (arrays["weight_1"] == quantized[0].weight.numpy()).all()
    onnx.save(tmp_path / "a.onnx", quantized)
    kinds = {c.name: c.data_type for c in format_.load(tmp_path / "a.onnx").graph.initializer}
    assert kinds["weight_1"] == kinds["weight_2"] == format_.TensorProto.INT8
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"))
    [found] = session.run(["times_2"], {"times": times.numpy()})
    np.testing.assert_array_equal(found, quantized(times))


def test_sums_beyond_float32_are_taken_in_float64():
    model = dense()
    with torch.no_grad():
        model[0].bias.fill_(-5e4)
    quantized = quantize_ramps(model)
    assert quantized[0].weight.dtype == torch.float64 and not (quantized[0].weight % 1).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpikingNetwork(FirstSpikeLinear(3, 2)), "network must have ramp neurons"),
        (
            lambda: SpikingNetwork(Residual(FirstSpikeLinear(3, 3, **HIGH))),
            "no branches that join, but module 0",
        ),
    ],
)
def test_networks_that_cannot_be_rounded(make, message):
    with pytest.raises(ValueError, match=message):
        quantize_ramps(make())


@pytest.mark.parametrize(
    ("value", "message"),
    [(float("nan"), "finite weights, but those of module 1"), (1e4, "module 1 has one of 10000")],
)
def test_weights_that_do_not_fit(value, message):
    model = dense()
    with torch.no_grad():
        model[1].weight[0, 0] = value
    with pytest.raises(ValueError, match=message):
        quantize_ramps(model)
