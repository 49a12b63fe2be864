"""Layers: training, conversion, copies, normalisation, potentials and errors."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from firstspike import T_MAX, fire, losses
from firstspike import nn as nn_layers
from firstspike.nn import (
    FirstSpikeLinear,
    FirstSpikeSequential,
    by_input,
    by_output,
    normalize_error,
    weight_range,
)


def filled(weight, **options):
    """A layer with these weights."""
    weight = torch.tensor(weight)
    layer = FirstSpikeLinear(weight.shape[1], weight.shape[0], **options)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def test_layer_is_fire_with_its_options():
    options = {"threshold": 0.5, "t_max": 20, "delay": 2}
    layer = FirstSpikeLinear(6, 4, **options)
    with torch.no_grad():
        layer.bias.uniform_(-1, 1)
    times = torch.randint(21, (5, 6)).float()
    expected = fire(times, layer.weight, bias=layer.bias, **options)
    assert torch.equal(layer(times), expected)


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam])
def test_sequential_trains(optimiser):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        FirstSpikeLinear(12, 30), FirstSpikeLinear(30, 2, silent="pull", normalize="l1")
    )
    target = torch.arange(64) % 2
    times = torch.where(
        (torch.arange(12) < 6) == (target[:, None] == 0),
        torch.randint(0, 60, (64, 12)),
        torch.randint(120, 200, (64, 12)),
    ).float()
    optimiser = optimiser(network.parameters(), lr=0.003)
    history = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = losses.relative_target(network(times), target, gamma=20).mean()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.5 * history[0]
    assert (network(times).argmin(dim=1) == target).float().mean() > 0.9


def test_conversion_to_float64():
    layer = FirstSpikeLinear(5, 3).to(torch.float64)
    times = torch.randint(T_MAX + 1, (4, 5))
    fired = layer(times.double())
    assert fired.dtype == torch.float64
    fired.sum().backward()
    assert layer.weight.grad.dtype == torch.float64
    with pytest.raises(ValueError, match=r"weight must be torch\.float32"):
        layer(times.float())


@pytest.mark.parametrize("bias", [True, False])
def test_state_dict_round_trip(bias):
    torch.manual_seed(0)
    layer, other = (FirstSpikeLinear(5, 3, bias=bias) for _ in range(2))
    assert set(layer.state_dict()) == ({"weight", "bias"} if bias else {"weight"})
    assert not torch.equal(layer.weight, other.weight)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer.weight, other.weight)
    by_input(other).load_state_dict(layer.state_dict())
    assert torch.equal(layer.weight, other.weight)
    assert other.weight.t().is_contiguous()


def test_weights_stay_contiguous_by_input():
    layer = FirstSpikeLinear(5, 3)
    before = layer.weight.tolist()
    assert layer.weight.is_contiguous()
    assert by_input(layer) is layer
    assert layer.weight.t().is_contiguous() and layer.weight.tolist() == before
    assert by_input(FirstSpikeLinear(5, 3, neuron="ramp")).weight.is_contiguous()
    by_output(layer)
    assert layer.weight.is_contiguous() and layer.weight.tolist() == before
    by_input(layer)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.zeros(2, 5)).sum().backward()
    optimiser.step()
    for version in (layer, copy.deepcopy(layer), copy.deepcopy(layer).double()):
        assert version.weight.shape == (3, 5)
        assert version.weight.t().is_contiguous()
    assert layer.weight.grad.t().is_contiguous()


@pytest.mark.parametrize(
    ("norm", "expected"),
    [("l1", [[0.3, -0.4, 0.3], [0, 0, 0], [1, 0, 0]]),
     ("l2", [[3 / math.sqrt(34), -4 / math.sqrt(34), 3 / math.sqrt(34)], [0, 0, 0], [1, 0, 0]])],
)  # fmt: skip
def test_normalised_errors(norm, expected):
    times = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], requires_grad=True)
    same = normalize_error(times, norm)
    assert torch.equal(same, times)
    same.backward(torch.tensor([[3.0, -4, 3], [0, 0, 0], [0.5, 0, 0]]))
    torch.testing.assert_close(times.grad, torch.tensor(expected))


def test_layer_normalises_its_error():
    # Both neurons fire at 1, input 0 contributed: dL/dw = -error / norm, by sample.
    for norm, expected in ((None, [-4.0, 3.0]), ("l1", [-4 / 7, 3 / 7]), ("l2", [-0.8, 0.6])):
        layer = filled([[2.0], [2.0]], normalize=norm, t_max=9)
        layer(torch.zeros(1, 1)).backward(torch.tensor([[4.0, -3.0]]))
        assert layer.weight.grad.flatten().tolist() == pytest.approx(expected)


def test_final_potential():
    # t_max 4, delay 1: steps 0..3, so that inputs at 0..2 arrive and 3 and 4 do not.
    layer = filled([[1.0, 2, 4, 8, 16], [0.5, 0, 0, 0, 0]], t_max=4, threshold=0.25)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([-100.0, 0.0]))
    times = torch.tensor([[0.0, 1, 2, 3, 4], [4, 4, 4, 4, 4]])
    assert layer.final_potential(times).tolist() == [[-93, 0.5], [-100, 0]]
    layer.delay = 0
    assert layer.final_potential(times).tolist() == [[-85, 0.5], [-100, 0]]
    layer.delay = 9
    assert layer.final_potential(times).tolist() == [[-100, 0], [-100, 0]]


def test_final_gradient_reaches_silent_neurons_and_silent_inputs():
    # Potentials in the last step: 2, 0.5 and -1.5, for a threshold of 1.
    layer = filled([[2.0, 1], [0.5, 3], [-1.5, 1]], gradient="final", window=1.0)
    times = torch.tensor([[0.0, T_MAX]], requires_grad=True)
    fired = layer(times)
    assert fired.tolist() == [[1, T_MAX, T_MAX]]
    error = torch.tensor([[1.0, 10.0, 100.0]])
    fired.backward(error)
    slopes = [-((1 - (1 / 2) ** 2) ** 4), -((1 - (0.5 / 2) ** 2) ** 4), 0]  # dt/dV
    signal = [slope * e for slope, e in zip(slopes, error[0].tolist(), strict=True)]
    assert layer.bias.grad.tolist() == pytest.approx(signal)
    assert layer.weight.grad[:, 0].tolist() == pytest.approx(signal)
    assert layer.weight.grad[:, 1].tolist() == [0, 0, 0]
    # dV/dt_i = -w_ji, also for the input that stayed away.
    expected = [-(signal[0] * 2 + signal[1] * 0.5), -(signal[0] * 1 + signal[1] * 3)]
    assert times.grad[0].tolist() == pytest.approx(expected)


def test_final_gradient_leaves_the_spikes_as_they_are():
    torch.manual_seed(0)
    layer = FirstSpikeLinear(20, 10, gradient="final")
    times = torch.randint(T_MAX + 1, (8, 20)).float()
    with torch.no_grad():
        plain = layer(times)
    assert torch.equal(layer(times), plain)


@pytest.mark.parametrize("options", [{"gradient": "exact"}, {"window": 0.0}])
def test_gradient_options_are_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FirstSpikeLinear(2, 2, **options)


def test_layer_times():
    network = FirstSpikeSequential(filled([[2.0]]), filled([[2.0], [0.5]]))
    times = torch.tensor([[7.0]])
    assert [t.tolist() for t in network.layer_times(times)] == [[[7]], [[8]], [[9, T_MAX]]]
    assert torch.equal(network.layer_times(times)[-1], network(times))
    assert network.layers == list(network)


def test_default_weights():
    torch.manual_seed(0)
    low, high = weight_range(400, 3.0, 4.0)
    assert (low + high) / 2 == pytest.approx(1.5 * 2.0 / 400)
    assert (high - low) / math.sqrt(12) == pytest.approx(2 * 2.0 / math.sqrt(400))
    layer = FirstSpikeLinear(400, 300, threshold=2.0)
    assert low <= layer.weight.min() < 0.99 * low
    assert 0.99 * high < layer.weight.max() <= high
    assert torch.equal(layer.bias, torch.zeros(300))
    assert FirstSpikeLinear(2, 2, init=(3.0, 3.0)).weight.tolist() == [[3, 3], [3, 3]]


def test_repr_shows_the_options():
    assert "5, 3, bias=False, threshold=1.0, t_max=256" in repr(FirstSpikeLinear(5, 3, bias=False))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in_features", {"in_features": 0}),
        ("out_features", {"out_features": -1}),
        ("t_max", {"t_max": 0}),
        ("normalize", {"normalize": "l3"}),
        ("in_features", {"in_features": 2.0}),
        ("delay", {"delay": -1}),
        ("delay", {"delay": 0.5}),
        ("silent", {"silent": "push"}),
        ("impl", {"impl": "cuda"}),
        ("threshold", {"threshold": math.nan}),
        ("threshold", {"threshold": math.inf}),
        ("init", {"init": (1.0, -1.0)}),
        ("init", {"init": (0.0, math.nan)}),
        ("window", {"window": math.nan}),
        ("window", {"window": "wide"}),
        ("window", {"window": 0}),
        ("threshold", {"threshold": "1"}),
        ("threshold", {"threshold": None}),
        ("init", {"init": 1.0}),
        ("init", {"init": ("a", "b")}),
    ],
)
def test_errors_name_the_argument(name, options):
    with pytest.raises(ValueError, match=f"^{name} must"):
        FirstSpikeLinear(**{"in_features": 2, "out_features": 2, **options})


def test_whole_numbers_of_numpy_are_whole_numbers():
    sizes = np.array([4, 3, 20, 2])
    layer = FirstSpikeLinear(*sizes[:2], t_max=sizes[2], delay=sizes[3])
    assert layer(torch.zeros(1, 4)).shape == (1, 3)
    assert [type(it) for it in (layer.in_features, layer.t_max, layer.delay)] == [int] * 3


def test_a_negative_threshold_is_exceeded_at_once():
    assert FirstSpikeLinear(4, 3, threshold=-1.0)(torch.full((1, 4), 256.0)).tolist() == [[0] * 3]


def test_normalisation_refuses_other_norms():
    with pytest.raises(ValueError, match=r"^norm must be 'l1' or 'l2', got 'max'"):
        normalize_error(torch.zeros(1, 2), "max")


@pytest.mark.parametrize("times", [[[0.0] * 4], np.zeros((1, 4), np.float32), None])
def test_times_that_are_no_tensor_are_named(times):
    layers = [FirstSpikeLinear(4, 3, neuron=neuron) for neuron in ("step", "ramp")]
    layers += [nn_layers.FirstSpikeConv2d(1, 2, 2, neuron=neuron) for neuron in ("step", "ramp")]
    layers += [nn_layers.SpikingNetwork(layer) for layer in layers]
    for layer in [*layers, nn_layers.MeanPool2d(2), nn_layers.EarliestPool2d(2)]:
        with pytest.raises(ValueError, match="times must be a tensor, got "):
            layer(times)
