"""Step neurons in convolutions and pools against a simulation, and what pools pass on."""

from __future__ import annotations

import naive
import pytest
import simulated
import torch
from torch import nn

from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    MeanPool2d,
    RampNeuron,
    SpikeDropout,
    SpikingNetwork,
    StepNeuron,
)


@pytest.mark.parametrize("t_max", [1, 2, 7, 64, 256])
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("make", simulated.EITHER, ids=lambda make: make.__name__)
def test_step_neurons_spike_as_in_the_simulation(make, delay, t_max):
    rng = torch.Generator().manual_seed(t_max + delay)
    network, size = make(neuron=StepNeuron(0.5, delay), t_max=t_max)
    simulated.dyadic(network, rng)
    times = simulated.random_times((3, *size), t_max, rng)
    traces = network.traces(times)
    for number, sample in enumerate(times):
        layers = simulated.simulate(network, sample)
        for found, expected in zip(traces[1:], layers, strict=True):
            assert found.times[number].flatten().tolist() == expected.times
    assert torch.equal(network.double()(times.double()), network.float()(times).double())


@pytest.mark.parametrize(
    "conv",
    [
        FirstSpikeConv2d(2, 3, (2, 3), (2, 1), (1, 2), dilation=(2, 1), t_max=9),
        FirstSpikeConvTranspose2d(2, 3, (2, 3), (2, 1), (1, 2), (1, 0), t_max=9),
    ],
)
def test_patches_are_the_map(conv):
    """What step neurons see, times their weights, is the linear map; outside is silent."""
    times = torch.randint(10, (2, 2, 5, 4)).float()
    patches, weight, restore = conv.patches(times)
    torch.testing.assert_close(
        restore((9 - patches) @ weight.T), conv.linear(9 - times, conv.weight)
    )


@pytest.mark.parametrize("delay", [0, 2])
def test_step_convolutions_learn_as_dense_layers_of_the_same_synapses(delay):
    rng = torch.Generator().manual_seed(0)
    conv = FirstSpikeConv2d(2, 3, 2, t_max=20, threshold=0.5, delay=delay)
    simulated.dyadic(conv, rng)
    times = simulated.random_times((4, 2, 3, 3), 20, rng)
    error = torch.randn(4, 3, 2, 2, generator=rng)
    inputs = times.clone().requires_grad_()
    fired = conv(inputs)
    fired.backward(error)
    matrix, _ = naive.conv(conv.weight.tolist(), (2, 3, 3))
    weight = [[0.0 if value is None else value for value in row] for row in matrix]
    of_times, of_weight, of_bias = naive.fire_backward(
        error.flatten(1).tolist(), times.flatten(1).tolist(), weight,
        fired.flatten(1).tolist(), 20, delay,
    )  # fmt: skip
    torch.testing.assert_close(inputs.grad.flatten(1), torch.tensor(of_times))
    torch.testing.assert_close(conv.bias.grad, torch.tensor(of_bias).view(3, 4).sum(dim=1))
    places, _ = naive.conv(torch.arange(24).view(3, 2, 2, 2).tolist(), (2, 3, 3))
    expected = torch.zeros(24)
    for row, slopes in zip(places, of_weight, strict=True):
        for place, slope in zip(row, slopes, strict=True):
            if place is not None:
                expected[place] += slope
    torch.testing.assert_close(conv.weight.grad.flatten(), expected)


@pytest.mark.parametrize("threshold", [0.5, 20.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda **how: FirstSpikeConv2d(1, 32, 3, padding=1, **how),
        lambda **how: FirstSpikeConv2d(4, 32, 1, **how),
        lambda **how: FirstSpikeConv2d(16, 32, 5, stride=2, bias=False, **how),
        lambda **how: FirstSpikeConv2d(128, 8, 3, **how),
        lambda **how: FirstSpikeConvTranspose2d(16, 16, 4, 2, 1, **how),
        lambda **how: FirstSpikeConvTranspose2d(4, 32, 3, **how),
        lambda **how: FirstSpikeConvTranspose2d(16, 32, 2, 2, bias=False, **how),
        lambda **how: FirstSpikeConvTranspose2d(128, 8, 5, 3, **how),
    ],
)
def test_new_step_neurons_fire_neither_all_at_once_nor_never(make, threshold):
    torch.manual_seed(0)
    conv = make(threshold=threshold, t_max=64)
    with torch.no_grad():
        spikes = conv(torch.randint(65, (16, conv.in_channels, 7, 7)).float())
    fired = spikes[spikes < 64]
    assert 0.3 < len(fired) / spikes.numel() < 0.95
    assert (fired < 16).any() and (fired > 32).any()
    assert conv.bias is None or not conv.bias.any()


@pytest.mark.parametrize(
    ("ours", "plain"),
    [(FirstSpikeConv2d, nn.Conv2d), (FirstSpikeConvTranspose2d, nn.ConvTranspose2d)],
)
def test_new_ramp_neurons_have_the_weights_of_pytorch(ours, plain):
    torch.manual_seed(0)
    made = ours(3, 4, 3, neuron="ramp")
    torch.manual_seed(0)
    expected = plain(3, 4, 3)
    for _ in range(2):
        assert torch.equal(made.weight, expected.weight) and torch.equal(made.bias, expected.bias)
        for layer in (made, expected):
            torch.manual_seed(1)
            layer.reset_parameters()


@pytest.mark.parametrize("make", simulated.EITHER, ids=lambda make: make.__name__)
def test_final_potentials_are_those_of_the_last_step(make):
    rng = torch.Generator().manual_seed(0)
    network, size = make(neuron=StepNeuron(0.5, 2), t_max=16)
    simulated.dyadic(network, rng)
    times = simulated.random_times((2, *size), 16, rng)
    potential = network.potentials(times)
    for number, sample in enumerate(times):
        last = simulated.simulate(network, sample)[-1]
        bias = network[-1].bias
        bias = torch.zeros(potential.shape[1]) if bias is None else bias
        for j, row in enumerate(last.matrix):
            pairs = zip(row, last.inputs, strict=True)
            expected = sum(w for w, t in pairs if w is not None and t + 2 < 16)
            expected += bias[j * len(bias) // len(last.matrix)]
            assert potential[number].flatten()[j] == expected


def test_final_potentials_are_pooled_as_spikes_are():
    for neuron in ("step", "ramp"):
        conv = FirstSpikeConv2d(1, 2, 1, neuron=neuron, pool=2, t_max=8)
        times = torch.randint(9, (1, 1, 4, 4)).float()
        assert conv.final_potential(times).shape == conv(times).shape == (1, 2, 2, 2)


@pytest.mark.parametrize("neuron", ["step", "ramp"])
def test_the_pool_of_a_layer_is_a_pool_behind_it(neuron):
    torch.manual_seed(0)
    pooled = FirstSpikeConv2d(2, 3, 3, neuron=neuron, pool=2, t_max=32)
    plain = FirstSpikeConv2d(2, 3, 3, neuron=neuron, t_max=32)
    plain.load_state_dict(pooled.state_dict())
    times = torch.randint(33, (3, 2, 9, 7)).float()
    assert torch.equal(pooled(times), EarliestPool2d(2, t_max=32)(plain(times)))
    assert torch.equal(pooled.unpooled(times), plain(times))
    assert pooled.pool == 2


def test_gradient_of_a_pool_goes_to_the_earliest():
    times = torch.tensor([[[[3.0, 1], [8, 2]]]], requires_grad=True)
    EarliestPool2d(2, t_max=8)(times).backward()
    assert times.grad.flatten().tolist() == [0, 1, 0, 0]


def test_the_mean_is_of_levels_and_rounded_to_the_later_step():
    times = torch.tensor([[[[3.0, 1], [8, 2]]]])  # levels 5, 7, 0 and 6: 4.5 on the average
    assert MeanPool2d(2, t_max=8)(times).item() == 8 - 4


def test_dropout_leaves_out_spikes_in_training_only():
    torch.manual_seed(0)
    times = torch.randint(8, (100, 100)).float()
    drop = SpikeDropout(0.5, 8)
    left = drop(times)
    assert ((left == times) | (left == 8)).all()
    assert 0.45 < (left == 8).float().mean() < 0.55
    levels = drop.levels(8 - times)
    assert ((levels == 0) | (levels == 2 * (8 - times))).all()
    few = SpikeDropout(0.1, 8, rescale=False).levels(torch.full((10_000,), 8.0))
    assert set(few.tolist()) == {0.0, 8.0}
    assert (few == 0).double().mean().item() == pytest.approx(0.1, abs=0.02)
    plain = SpikeDropout(0.5, 8, rescale=False).levels(8 - times)
    assert ((plain == 0) | (plain == 8 - times)).all()
    drop.eval()
    assert drop(times) is times and drop.levels(times) is times


BOTH = [
    ("in_channels", 0), ("out_channels", 0), ("kernel_size", 0), ("kernel_size", (2, 0)),
    ("stride", 0), ("padding", -1), ("padding", "same"), ("t_max", 0), ("t_max", 1.5),
    ("neuron", "ram"), ("neuron", 3), ("norm", nn.BatchNorm2d(2)), ("leak", 0.1),
]  # fmt: skip
PLAIN = [("pool", 0), ("dilation", 0), ("groups", 0), ("groups", 2)]
TRANSPOSED = [("output_padding", -1), ("output_padding", 1)]


@pytest.mark.parametrize(
    ("conv", "name", "value"),
    [
        *((FirstSpikeConv2d, *bad) for bad in BOTH + PLAIN),
        *((FirstSpikeConvTranspose2d, *bad) for bad in BOTH + TRANSPOSED),
    ],
)
def test_errors_name_the_argument(conv, name, value):
    options = {"in_channels": 2, "out_channels": 2, "kernel_size": 2, name: value}
    with pytest.raises(ValueError, match=f"^{name} "):
        conv(**options)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("kernel_size", lambda: EarliestPool2d(0)),
        ("stride", lambda: MeanPool2d(2, 0)),
        ("t_max", lambda: EarliestPool2d(2, t_max=0)),
        ("t_max", lambda: MeanPool2d(2, t_max=-1)),
        ("p", lambda: SpikeDropout(1.0)),
        ("t_max", lambda: SpikeDropout(0.1, 0)),
        ("kernel_size", lambda: EarliestPool2d((2, 2))),
        ("stride", lambda: MeanPool2d(2, (2, 2))),
        ("pool", lambda: FirstSpikeConv2d(1, 1, 1, pool=(2, 2))),
        ("p", lambda: SpikeDropout("half")),
        ("times", lambda: SpikeDropout(0.5)([1.0])),
        ("norm", lambda: FirstSpikeLinear(2, 2, neuron="ramp", norm=5)),
        ("norm", lambda: FirstSpikeConv2d(2, 2, 1, neuron="ramp", norm="batch")),
        ("threshold", lambda: StepNeuron(float("nan"))),
        ("threshold", lambda: FirstSpikeConv2d(1, 1, 1, threshold="high")),
        ("threshold", lambda: FirstSpikeConvTranspose2d(1, 1, 1, threshold=float("inf"))),
        ("delay", lambda: FirstSpikeConv2d(1, 1, 1, delay=1.5)),
        ("silent", lambda: StepNeuron(silent="loud")),
        ("impl", lambda: FirstSpikeConv2d(1, 1, 1, impl="fast")),
        ("threshold", lambda: RampNeuron(10**400)),
        ("leak", lambda: RampNeuron(leak=None)),
        ("margin", lambda: RampNeuron(margin="wide")),
        ("delay", lambda: FirstSpikeConv2d(1, 1, 1, neuron="ramp", delay=2)),
        ("threshold", lambda: FirstSpikeConv2d(1, 1, 1, neuron="ramp", threshold=0.0)),
        ("threshold", lambda: FirstSpikeConv2d(1, 1, 1, neuron=StepNeuron(), threshold=2.0)),
        ("neuron", lambda: FirstSpikeLinear(2, 2, neuron="lif")),
        ("norm", lambda: FirstSpikeLinear(2, 2, norm=nn.BatchNorm1d(2))),
        ("t_max", lambda: SpikingNetwork(FirstSpikeLinear(2, 2), EarliestPool2d(2, t_max=3))),
        ("delay", lambda: SpikingNetwork(FirstSpikeLinear(2, 2), FirstSpikeLinear(2, 2, delay=0))),
        ("neuron", lambda: SpikingNetwork(FirstSpikeLinear(2, 2), MeanPool2d(2))),
        ("module 0", lambda: SpikingNetwork(nn.ReLU(), FirstSpikeLinear(2, 2))),
        ("modules", lambda: SpikingNetwork(nn.Flatten())),
    ],
)
def test_other_errors_name_the_argument_as_well(name, make):
    with pytest.raises(ValueError, match=f"^{name} "):
        make()


def geometries(neuron):
    options = {"neuron": neuron, "t_max": 9}
    yield FirstSpikeConv2d(2, 3, (2, 3), (2, 1), (0, 1), dilation=(2, 3), **options)
    yield FirstSpikeConv2d(2, 3, 3, 2, 1, pool=2, **options)
    yield FirstSpikeConv2d(2, 3, 1, padding=2, **options)
    yield FirstSpikeConvTranspose2d(2, 3, 3, 2, 2, 1, **options)
    yield FirstSpikeConvTranspose2d(2, 3, (2, 3), (3, 1), (2, 3), (1, 0), **options)


@pytest.mark.parametrize("neuron", ["step", "ramp"])
@pytest.mark.parametrize("which", range(5))
def test_inputs_too_small_for_the_kernel_are_refused(neuron, which):
    layer = list(geometries(neuron))[which]
    taken = 0
    for height in range(1, 8):
        for width in range(1, 10):
            times = torch.zeros(1, 2, height, width)
            try:
                assert layer(times).numel() > 0
                taken += 1
            except ValueError as error:
                assert str(error).startswith("times must be [B, 2, H, W] of at least"), error
    assert taken > 0
    assert layer(torch.zeros(0, 2, 9, 9)).shape[0] == 0


@pytest.mark.parametrize("neuron", ["step", "ramp"])
@pytest.mark.parametrize(
    ("make", "shape", "wanted"),
    [
        (FirstSpikeLinear, (2, 4), "[B, 3]"),
        (lambda i, o, **k: FirstSpikeConv2d(i, o, 2, **k), (1, 2, 5, 5), "[B, 3, H, W]"),
        (lambda i, o, **k: FirstSpikeConvTranspose2d(i, o, 2, **k), (1, 4, 5, 5), "[B, 3, H, W]"),
        (lambda i, o, **k: FirstSpikeConv2d(i, o, 2, **k), (5, 5), "[B, 3, H, W]"),
        (lambda i, o, neuron, t_max: EarliestPool2d(2, t_max=t_max), (1, 3, 1, 4), "2 x 2"),
        (lambda i, o, neuron, t_max: MeanPool2d(2, t_max=t_max), (1, 3, 4, 1), "2 x 2"),
    ],
)
def test_inputs_of_another_shape_are_named(neuron, make, shape, wanted):
    layer = make(3, 2, neuron=neuron, t_max=9)
    with pytest.raises(ValueError, match="must be") as told:
        layer(torch.zeros(shape))
    if not (neuron == "step" and make is FirstSpikeLinear):  # `fire` says it in its own words
        assert wanted in str(told.value) and str(list(shape)) in str(told.value)


@pytest.mark.parametrize("make", [FirstSpikeConv2d, FirstSpikeConvTranspose2d])
def test_step_neurons_take_images_in_batches(make):
    with pytest.raises(ValueError, match=r"^times must be \[B, C, H, W\], got shape \[3, 5, 5\]"):
        make(3, 2, 2)(torch.zeros(3, 5, 5))


@pytest.mark.parametrize("pool", [EarliestPool2d, MeanPool2d])
@pytest.mark.parametrize("odd", [2.5, -1.0, 10.0, float("nan")])
def test_pools_take_spike_times_only(pool, odd):
    with pytest.raises(ValueError, match="times must be whole time steps"):
        pool(2, t_max=9)(torch.full((1, 1, 2, 2), odd))


@pytest.mark.parametrize("make", [FirstSpikeConv2d, FirstSpikeConvTranspose2d])
def test_whole_numbers_of_other_types_are_no_times(make):
    with pytest.raises(ValueError, match=r"times must be torch\.float32"):
        make(2, 3, 2)(torch.zeros(1, 2, 4, 4, dtype=torch.int64))
