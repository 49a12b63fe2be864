"""Networks by a line of text: what it says, what it refuses, and what comes of it."""

from __future__ import annotations

import pytest
import torch

from firstspike.metrics import decide
from firstspike.models.networks import (
    PRESETS,
    LayerPlan,
    at_t_max,
    dense_twin,
    deployed,
    output_window,
    plain,
    plan,
    spiking,
)
from firstspike.nn import FirstSpikeLinear
from firstspike.shape import Shape

SMALL = Shape(1, 8, 8, ("a", "b", "c"))
COLOUR = Shape(3, 8, 8, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("line", "layers"),
    [
        ("400", [LayerPlan(400)]),
        ("64-9-3", [LayerPlan(9)]),
        ("20-10", [LayerPlan(20), LayerPlan(10)]),
        ("5x3", [LayerPlan(5)] * 3),
        ("64-5x4-5-3", [LayerPlan(5, place=n) for n in (1, 2, 3, 4, 5)]),
        ("7-5x3-6x1", [LayerPlan(7), *[LayerPlan(5)] * 3, LayerPlan(6)]),
        (
            "4c3p2-4c3r-6c5s2-7",
            [
                LayerPlan(4, 3, pool=2),
                LayerPlan(4, 3, residual=True),
                LayerPlan(6, 5, 2),
                LayerPlan(7),
            ],
        ),
    ],
)
def test_a_line_says_the_layers(line, layers):
    assert plan(line, SMALL) == layers


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("784-400-10", "starts with 784 and ends with 10, but the images have 64 pixels and 3"),
        ("4c3q2", "cannot read '4c3q2'; give cnn or layers such as"),
        ("", "cannot read ''"),
        ("0", "cannot read '0'"),
        ("4c0", "cannot read '4c0'"),
        ("9-4c3", "convolutions must come before dense layers"),
    ],
)
def test_what_a_line_cannot_say(line, fault):
    with pytest.raises(ValueError, match=fault):
        plan(line, SMALL)


@pytest.mark.parametrize("build", [spiking, dense_twin])
@pytest.mark.parametrize(
    ("line", "fault"),
    [("4c3r", "as many channels as its inputs, 1"), ("4c3p9", "nothing is left of images")],
)
def test_layers_that_do_not_fit(build, line, fault):
    with pytest.raises(ValueError, match=fault):
        build(line, SMALL)


@pytest.mark.parametrize("line", ["9", "64-9-3", "4c3p2-4c3r-6c3-7", *PRESETS.values()])
def test_a_network_and_its_twin_have_the_same_sizes(line):
    shape = SMALL if line not in PRESETS.values() else Shape()
    times = torch.randint(0, 65, (4, *shape.image)).float()
    inputs = times.unsqueeze(1)
    network, twin = spiking(line, shape), dense_twin(line, shape)
    network.train(), twin.train()
    assert network.potentials(inputs).shape == (4, len(shape.classes))
    assert twin(inputs / 64).shape == (4, len(shape.classes))
    weights = [sorted(p.numel() for p in net.parameters() if p.ndim > 1) for net in (network, twin)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("line", "shape"), [("9", SMALL), ("4c3p2-4c3r-7", COLOUR)])
def test_it_classifies_as_its_spikes_say_in_parts_of_any_size(line, shape):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (20, *shape.image), dtype=torch.uint8)
    network = spiking(line, shape, dropout=0.2)
    network(network.times_of(images))  # statistics
    scores = network.eval().potentials(network.times_of(images))
    ready = deployed(network, *output_window(scores))
    decided = ready.train().classify(images, batch=7)
    assert ready.training
    times = ready.eval().times_of(images)
    wanted = decide(ready(times), ready.potentials(times), 64)
    assert torch.equal(decided.classes, wanted)
    first = ready(times).amin(dim=1).long()
    assert torch.equal(decided.decisions, (ready.windows - 1) * 64 + first)
    assert (decided.additions > 0).all() and (decided.spikes[:, -1] <= 3).all()


def test_the_output_window_leaves_the_first_spike_alone():
    scores = torch.tensor([[4.0, 1.0, 0.0], [2.0, 7.0, 3.0], [-1.0, 0.5, 2.5]])
    low, high = output_window(scores)
    assert (low, high) == (2.5, 3.0)


def test_another_clock_rounds_as_much_on_the_mean():
    torch.manual_seed(0)
    network = deployed(spiking("9-6", SMALL).eval(), 0.0, 1.0)
    moved = at_t_max(network, 16)
    assert (moved.t_max, network.t_max, moved.windows) == (16, 64, 4)
    levels = torch.randint(0, 17, (30, 64)).float()
    potential = levels @ moved[1].weight.t() / 16 + network[1].bias + 0.5 / 16 - 0.5 / 64
    wanted = 16 - (16 * potential).floor().clamp(0, 16)
    assert torch.equal(moved.layer_times((16 - levels).view(30, 8, 8))[1], wanted)
    assert torch.equal(moved[-1].bias, network[-1].bias)


def test_clocks_that_a_network_cannot_have():
    with pytest.raises(ValueError, match="t_max"):
        at_t_max(deployed(spiking("9", SMALL).eval(), 0.0, 1.0), 0)
    with pytest.raises(ValueError, match="biases in its hidden layers"):
        at_t_max(spiking("9", SMALL), 16)


def test_a_deep_run_learns_with_joins_and_is_used_without():
    torch.manual_seed(2)
    times = torch.randint(0, 65, (200, 1, 8, 8)).float()
    network = spiking("64-40x6-3", SMALL).train()
    for _ in range(20):
        network(times)  # statistics
    network.eval()
    assert [type(layer).__name__ for layer in network.layers].count("Residual") == 5
    low, high = output_window(network.potentials(times))
    ready = deployed(network, low, high)
    assert all(isinstance(layer, FirstSpikeLinear) for layer in ready.layers)
    wanted = (network.potentials(times) - low) / (high - low)
    assert torch.allclose(ready.potentials(times), wanted, atol=1e-4)
    hidden = zip(network.layer_times(times)[1:-1], ready.layer_times(times)[1:-1], strict=True)
    assert all((one != other).double().mean() < 1e-3 for one, other in hidden)
    assert ready[2].weight.diagonal().mean() > 0.8 > network[2].last.weight.diagonal().mean()


def test_a_deep_twin_joins_likewise():
    twin, shallow = dense_twin("64-40x6-3", SMALL), dense_twin("64-40x3-3", SMALL)
    assert sum("Join" in type(module).__name__ for module in twin) == 5
    assert not any("Join" in type(module).__name__ for module in shallow)
    images = torch.rand(50, 1, 8, 8)
    twin.train()(images)  # statistics
    used = plain(twin)
    assert not any("Join" in type(module).__name__ for module in used)
    assert torch.allclose(used(images), twin.eval()(images), atol=1e-4)
