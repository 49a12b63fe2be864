"""Counts of work against plain simulations, to the last operation."""

from __future__ import annotations

import naive
import pytest
import simulated
import torch
from torch import nn

from firstspike.counts import count
from firstspike.metrics import spike_stats
from firstspike.models import networks
from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeLinear,
    FirstSpikeSequential,
    RampNeuron,
    Residual,
    SpikingNetwork,
    StepNeuron,
)
from firstspike.shape import Shape

NAMES = {"ids": lambda make: make.__name__}


def random_network(make, seed, **options):
    """With spike times of three samples, one of them black."""
    rng = torch.Generator().manual_seed(seed)
    network, size = make(**options)
    times = simulated.random_times((3, *size), options["t_max"], rng)
    times[2] = options["t_max"]
    return simulated.dyadic(network, rng), times


@pytest.mark.parametrize("until", ["decision", "end"])
@pytest.mark.parametrize("t_max", [1, 7, 64])
@pytest.mark.parametrize("make", simulated.RAMPS, **NAMES)
def test_ramp_networks_do_what_the_simulation_does(make, t_max, until):
    network, times = random_network(make, t_max, neuron=RampNeuron(2.0), t_max=t_max)
    counts = count(network, network.traces(times), until=until)
    for number, sample in enumerate(times):
        layers = simulated.simulate(network, sample, stop=until == "decision")
        spikes = [int((sample < t_max).sum()), *(layer.work.spikes for layer in layers)]
        assert counts.spikes[number].tolist() == spikes
        assert counts.additions[number].tolist() == [0, *(one.work.additions for one in layers)]
        assert counts.updates[number].tolist() == [0, *(one.work.updates for one in layers)]
        first = t_max if until == "end" else min(layers[-1].times)
        assert counts.decision[number] == len(layers) * t_max + first
    check_sizes(counts, times, layers)


@pytest.mark.parametrize("t_max", [1, 7, 64])
@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.parametrize("make", simulated.EITHER, **NAMES)
def test_step_networks_do_what_the_simulation_does(make, delay, t_max):
    network, times = random_network(make, t_max, neuron=StepNeuron(0.5, delay), t_max=t_max)
    counts = count(network, network.traces(times))
    for number, sample in enumerate(times):
        layers = simulated.simulate(network, sample)
        decision = min(layers[-1].times)
        sent = [sample.flatten().tolist(), *(layer.times for layer in layers)]
        spikes = [sum(t < t_max and t <= decision for t in layer) for layer in sent]
        assert counts.spikes[number].tolist() == spikes
        assert counts.additions[number].tolist() == [
            0,
            *(
                naive.additions_until(one.inputs, one.matrix, decision, t_max, delay)
                for one in layers
            ),
        ]  # fmt: skip
        assert counts.decision[number] == decision
    assert not counts.updates.any()
    check_sizes(counts, times, layers)


def check_sizes(counts, times, layers):
    """Neurons and synapses are those of the simulation; so are memory accesses, by definition."""
    assert counts.neurons == (times[0].numel(), *(len(layer.times) for layer in layers))
    synapses = [sum(w is not None for row in layer.matrix for w in row) for layer in layers]
    assert counts.synapses == (0, *synapses)
    accesses = 3 * counts.additions.sum(dim=1) + 2 * counts.updates.sum(dim=1)
    assert torch.equal(counts.accesses, accesses)


@torch.no_grad()
def test_trained_networks_do_what_the_simulation_does():
    """A network as `firstspike train` makes it: folded, its output window set, with branches."""
    torch.manual_seed(0)
    images = torch.randint(256, (20, 10, 8), dtype=torch.uint8)
    network = networks.spiking("4c3p2-4c3r-6c3s2-12", Shape(1, 10, 8, ("a", "b", "c")), t_max=8)
    scores = network.potentials(network.times_of(images))  # statistics of the norms
    network = networks.deployed(network.double(), *networks.output_window(scores))
    times = network.times_of(images)
    counts = count(network, network.traces(times))
    for number in range(3):
        layers = simulated.simulate(network, times[number], stop=True)
        work = [layer.work for layer in layers]
        assert counts.additions[number].tolist() == [0, *(one.additions for one in work)]
        assert counts.updates[number].tolist() == [0, *(one.updates for one in work)]
        assert counts.spikes[number, 1:].tolist() == [one.spikes for one in work]
    check_sizes(counts, times, layers)
    verdict = network.classify(images)
    assert torch.equal(verdict.decisions, counts.decision)
    assert torch.equal(verdict.additions, counts.additions.sum(dim=1))


@pytest.mark.parametrize("until", ["decision", "end"])
def test_dense_step_networks_are_counted_as_by_spike_stats(until):
    torch.manual_seed(0)
    network = FirstSpikeSequential(FirstSpikeLinear(30, 20), FirstSpikeLinear(20, 5))
    times = torch.randint(257, (40, 30)).float()
    stats = spike_stats(network.layer_times(times), until=until)
    network = SpikingNetwork(*network)
    counts = count(network, network.traces(times), until=until)
    assert torch.equal(counts.decision, stats.decision.long())
    assert torch.equal(counts.spikes, stats.spikes)
    assert torch.equal(counts.additions.sum(dim=1), stats.synaptic_operations)
    assert counts.macs == 30 * 20 + 20 * 5


def test_a_dense_network_multiplies_where_there_are_weights_of_its_own():
    network, size = simulated.means(neuron="ramp", t_max=4)
    counts = count(network, network.traces(torch.zeros(1, *size)))
    assert counts.macs == counts.synapses[2] + counts.synapses[4]  # not in the averages
    conv = FirstSpikeConv2d(2, 2, 1, neuron="ramp", t_max=4)
    for shortcut, macs in ((None, 36), (nn.Conv2d(2, 2, 1, bias=False), 72)):
        network = SpikingNetwork(Residual(conv, shortcut=shortcut))
        counts = count(network, network.traces(torch.zeros(1, 2, 3, 3)))
        assert (counts.macs, sum(counts.synapses)) == (macs, 36 + (18 if shortcut is None else 36))


def test_what_cannot_be_counted_is_refused():
    network, size = simulated.dense(neuron="ramp", t_max=4)
    traces = network.traces(torch.zeros(1, *size))
    with pytest.raises(ValueError, match=r"^until must be 'decision' or 'end', got 'now'"):
        count(network, traces, until="now")
    network = SpikingNetwork(
        Residual(FirstSpikeLinear(3, 3, neuron="ramp", t_max=4), shortcut=nn.AvgPool1d(1))
    )
    with pytest.raises(ValueError, match=r"^shortcut must be a Linear, .* got AvgPool1d"):
        count(network, network.traces(torch.zeros(1, 3)))
