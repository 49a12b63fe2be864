"""Potentials and gradients as of the decision: against the rule of the trainer."""

from __future__ import annotations

import itertools

import pytest
import torch

import firstspike as fs
from firstspike.training.rules.decision import DecisionRule, decision_gradients


def network(*sizes: int, bias: bool = True) -> fs.nn.SpikingNetwork:
    return fs.nn.SpikingNetwork(
        *(fs.nn.FirstSpikeLinear(a, b, bias=bias, t_max=32) for a, b in itertools.pairwise(sizes))
    )


@pytest.mark.parametrize("earliness", [0.0, 0.7])
def test_gradients_are_those_of_the_trainers_rule(earliness):
    torch.manual_seed(3)
    model = network(20, 30, 4)
    times = torch.randint(0, 33, (40, 20)).float()
    times[:5] = 32  # nothing comes, nothing is decided
    target = torch.arange(40) % 4
    potentials, fired = fs.nn.at_decision(model, times, window=0.8)
    assert torch.equal(fired, model(times))
    assert (fired < 32).any(dim=1).any() and (fired == 32).all(dim=1).any()
    loss = fs.losses.at_decision(
        potentials, fired, target, 32, temperature=0.6, earliness=earliness
    )
    # The trainer's error lacks the 1 / temperature of the softmax's gradient.
    rule = DecisionRule(
        window=0.8,
        temperature=0.6,
        sparsity=0.0,
        earliness=earliness * 0.6,
        dropout=0.0,
        credit="decision",
    )

    class Model:
        layers, t_max, delay = list(model), 32, 1

    layer_times = model.layer_times(times)
    wanted = decision_gradients(Model, layer_times, target, rule)
    found = torch.autograd.grad(0.6 * loss.sum(), list(model.parameters()))
    first = (fs.decide(fired, potentials.detach(), 32) == target) & (fired.amin(dim=1) < 32)
    assert first.any() and not first.all()
    flat = [part for pair in wanted for part in pair]
    names = [name for name, _ in model.named_parameters()]
    order = [names.index(name) for name in ("0.weight", "0.bias", "1.weight", "1.bias")]
    for place, expected in zip(order, flat, strict=True):
        torch.testing.assert_close(found[place], expected, rtol=1e-4, atol=1e-5)


def test_deep_and_convolutional_networks_learn_in_every_layer():
    torch.manual_seed(0)
    model = fs.nn.SpikingNetwork(
        fs.nn.FirstSpikeConv2d(1, 3, 3, t_max=32),
        torch.nn.Flatten(),
        fs.nn.FirstSpikeLinear(3 * 36, 12, t_max=32),
        fs.nn.FirstSpikeLinear(12, 5, t_max=32),
    )
    torch.nn.init.uniform_(model[0].weight, 0.0, 0.5)  # so that they fire
    times = torch.randint(0, 33, (16, 1, 8, 8)).float()
    potentials, fired = fs.nn.at_decision(model, times, window=5.0)
    assert potentials.shape == fired.shape == (16, 5)
    fs.losses.at_decision(potentials, fired, torch.arange(16) % 5, 32).mean().backward()
    assert all((parameter.grad != 0).any() for parameter in model.parameters())


def test_what_does_not_fit_is_refused():
    times = torch.zeros(1, 20)
    ramps = fs.nn.SpikingNetwork(fs.nn.FirstSpikeLinear(20, 4, neuron="ramp"))
    with pytest.raises(ValueError, match="layers of step neurons"):
        fs.nn.at_decision(ramps, times)
    with pytest.raises(ValueError, match="window must be positive"):
        fs.nn.at_decision(network(20, 4), times, window=0.0)
    fired = torch.zeros(1, 4)
    with pytest.raises(ValueError, match="potential must have the shape"):
        fs.losses.at_decision(torch.zeros(1, 3), fired, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="temperature must be positive"):
        fs.losses.at_decision(fired, fired, torch.zeros(1, dtype=torch.int64), temperature=0.0)
