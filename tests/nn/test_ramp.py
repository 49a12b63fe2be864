"""Ramp neurons against a simulation with a clock, properties of them, and their gradients."""

from __future__ import annotations

from fractions import Fraction

import naive
import pytest
import simulated
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeLinear,
    MeanPool2d,
    RampNeuron,
    SpikingNetwork,
)
from firstspike.nn.connections import in_levels
from firstspike.times import check_times

WINDOWS = (1, 2, 7, 16, 64, 256, 4096)


def layer(weight, bias=None, dtype=torch.float32, **options):
    """A dense layer with these weights."""
    weight = torch.as_tensor(weight, dtype=dtype)
    options = {"neuron": "ramp", "bias": bias is not None, **options}
    made = FirstSpikeLinear(weight.shape[1], weight.shape[0], **options).to(dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(torch.as_tensor(bias, dtype=dtype))
    return made


# Against the simulation


@pytest.mark.parametrize("threshold", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("t_max", WINDOWS)
@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
def test_spike_times_are_those_of_the_simulation(make, t_max, threshold):
    rng = torch.Generator().manual_seed(t_max)
    network, size = make(neuron=RampNeuron(threshold), t_max=t_max)
    simulated.dyadic(network, rng, threshold)
    times = simulated.random_times((2, *size), t_max, rng)
    traces = network.traces(times)
    direct = network(times)
    for number, sample in enumerate(times):
        layers = simulated.simulate(network, sample)
        assert len(layers) == len(traces) - 1 == network.windows - 1
        for found, expected in zip(traces[1:], layers, strict=True):
            assert found.times[number].flatten().tolist() == expected.times
    assert torch.equal(network.double()(times.double()), direct.double())


@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
def test_the_simulated_networks_have_something_to_say(make):
    """In every layer some neurons spike, at many steps, and some do not."""
    rng = torch.Generator().manual_seed(0)
    network, size = make(neuron="ramp", t_max=64)
    times = simulated.random_times((10, *size), 64, rng)
    found = [simulated.dyadic(network, rng).layer_times(times) for _ in range(10)]
    for layer_times in zip(*found, strict=True):
        sent = torch.cat(layer_times)
        assert 0 < (sent == 64).float().mean() < 0.98
        assert len(sent.unique()) > 5


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(WINDOWS[:-1]), st.sampled_from([0.25, 1.0, 3.0, 8.0]))
def test_dense_layers_are_those_of_the_simulation(data, t_max, threshold):
    inputs, outputs = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    eighths = st.integers(-16, 16).map(lambda value: value / 8)
    weight = [[data.draw(eighths) for _ in range(inputs)] for _ in range(outputs)]
    bias = [data.draw(eighths) for _ in range(outputs)]
    times = [data.draw(st.integers(0, t_max)) for _ in range(inputs)]
    made = layer(weight, bias, t_max=t_max, threshold=threshold)
    expected = naive.ramp(times, weight, threshold, t_max, bias)
    assert made(torch.tensor([times]).float())[0].tolist() == expected
    potential = [b + sum(w * (t_max - t) for w, t in zip(row, times, strict=True)) / t_max
                 for row, b in zip(weight, bias, strict=True)]  # fmt: skip
    found = made.final_potential(torch.tensor([times]).float())[0].tolist()
    assert found == pytest.approx(potential, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_moves_a_spike_only_where_a_potential_meets_a_step(dtype):
    """Any weights, against exact fractions: within rounding error of a step, else the same."""
    torch.manual_seed(0)
    made, t_max = layer(torch.randn(20, 30), torch.randn(20), dtype=dtype, t_max=64), 64
    times = torch.randint(65, (20, 30))
    weight = [[Fraction(value) for value in row] for row in made.weight.tolist()]
    bias = [Fraction(value) for value in made.bias.tolist()]
    found = made(times.to(dtype)).long()
    for sample, spikes in zip(times.tolist(), found.tolist(), strict=True):
        for j, spike in enumerate(spikes):
            levels = sum(w * (t_max - t) for w, t in zip(weight[j], sample, strict=True))
            levels += bias[j] * t_max
            near = abs(levels - round(levels)) < (1e-3 if dtype == torch.float32 else 1e-11)
            exact = t_max - min(max(levels // 1, 0), t_max)
            assert spike == exact or (near and abs(spike - exact) == 1)
    assert naive.ramp(times[0].tolist(), weight, 1, t_max, bias) == [
        t_max - min(max(int(v // 1), 0), t_max)
        for v in (
            sum(w * (t_max - t) for w, t in zip(row, times[0].tolist(), strict=True)) + b * t_max
            for row, b in zip(weight, bias, strict=True)
        )
    ]


# Properties


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 30), st.sampled_from([0.25, 1.0, 2.0]), st.data())
def test_identity_keeps_times_layer_after_layer(t_max, depth, threshold, data):
    times = torch.tensor([[data.draw(st.integers(0, t_max)) for _ in range(4)]]).float()
    same = [layer(threshold * torch.eye(4), t_max=t_max, threshold=threshold)] * depth
    assert torch.equal(SpikingNetwork(*same)(times), times)
    conv = FirstSpikeConv2d(1, 1, 1, bias=False, neuron="ramp", t_max=t_max)
    torch.nn.init.ones_(conv.weight)
    network = SpikingNetwork(*[conv, MeanPool2d(1, t_max=t_max)] * depth)
    assert torch.equal(network(times.view(1, 1, 2, 2)), times.view(1, 1, 2, 2))


def weights_and_times(data, t_max):
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    weight = torch.randint(-16, 17, (5, 6), generator=rng) / 8
    return weight, torch.randint(t_max + 1, (1, 6), generator=rng).float(), rng


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WINDOWS), st.data())
def test_an_earlier_input_with_a_positive_weight_never_delays(t_max, data):
    weight, times, _ = weights_and_times(data, t_max)
    which = data.draw(st.integers(0, 5))
    weight[:, which] = weight[:, which].abs()
    earlier = times.clone()
    earlier[0, which] = data.draw(st.integers(0, int(times[0, which])))
    made = layer(weight, t_max=t_max)
    assert (made(earlier) <= made(times)).all()
    made = layer(-weight, t_max=t_max)
    weight[:, which].neg_()
    assert (layer(weight, t_max=t_max)(earlier) >= layer(weight, t_max=t_max)(times)).all()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WINDOWS), st.data())
def test_a_neuron_spikes_at_most_once_in_a_whole_step(t_max, data):
    weight, times, rng = weights_and_times(data, t_max)
    spikes = layer(weight + torch.randn(5, 6, generator=rng), t_max=t_max)(times)
    assert spikes.shape == (1, 5)
    check_times(spikes, t_max)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WINDOWS), st.data())
def test_the_order_of_inputs_and_of_neurons_does_not_matter(t_max, data):
    weight, times, rng = weights_and_times(data, t_max)
    inputs, neurons = torch.randperm(6, generator=rng), torch.randperm(5, generator=rng)
    expected = layer(weight, t_max=t_max)(times)[:, neurons]
    assert torch.equal(layer(weight[neurons][:, inputs], t_max=t_max)(times[:, inputs]), expected)


def test_silence_in_is_silence_out_without_a_bias():
    for make in simulated.RAMPS:
        network, size = make(neuron="ramp", t_max=16)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
        assert (network(torch.full((2, *size), 16.0)) == 16).all()


@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("wrong", [0.5, -1.0, 17.0, float("nan")])
def test_what_is_no_spike_time_is_refused(make, wrong):
    network, size = make(neuron="ramp", t_max=16)
    times = torch.zeros(2, *size)
    sent = network.layer_times(times)[-2]
    times.view(-1)[3] = wrong
    for use in (network, network.potentials):
        with pytest.raises(ValueError, match=r"^times must be whole time steps in 0\.\.16"):
            use(times)
    with pytest.raises(ValueError, match=r"^times must be whole time steps"):
        network.layers[-1](torch.full_like(sent, wrong))


@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
def test_autocast_moves_no_spike(make):
    torch.manual_seed(0)
    network, size = make(neuron="ramp", t_max=64)
    times = torch.randint(65, (8, *size)).float()
    expected, potentials = network(times), network.potentials(times)
    sent = network.layer_times(times)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(times), expected)
        assert torch.equal(network.potentials(times), potentials)
        assert all(map(torch.equal, network.layer_times(times), sent))


# Without a gradient to come, levels take the memory of the potentials


@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
def test_networks_say_the_same_where_no_gradient_is_to_come(make):
    rng = torch.Generator().manual_seed(0)
    for neuron in (RampNeuron(), RampNeuron(4.0)):
        network, size = make(neuron=neuron, t_max=64)
        simulated.dyadic(network, rng, neuron.threshold)
        times = simulated.random_times((4, *size), 64, rng)
        kept, expected, answer = times.clone(), network.layer_times(times), network(times)
        with torch.no_grad():
            assert all(map(torch.equal, network.layer_times(times), expected))
            assert torch.equal(network(times), answer)
        assert torch.equal(times, kept)


@pytest.mark.parametrize("threshold", [1.0, 2.0])
def test_potentials_are_kept_unless_they_are_spent(threshold):
    drive, neuron = torch.tensor([-0.5, 0.0, 0.5, 3.5, 99.0]), RampNeuron(threshold)
    kept = drive.clone()
    with torch.no_grad():
        found = neuron.levels(drive, 8)
        assert torch.equal(drive, kept)
        assert torch.equal(neuron.levels(drive.clone(), 8, spent=True), found)
    leaf = kept.requires_grad_()
    spent = neuron.levels(leaf, 8, spent=True)
    assert torch.equal(spent, found) and torch.equal(leaf, drive)
    spent.sum().backward()
    assert leaf.grad.tolist() == [0, 0, 1 / threshold, 1 / threshold, 0]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own use of it
@pytest.mark.parametrize("grad", [False, True])
def test_a_derivative_forwards_is_refused_not_zero(grad):
    """The floor's own, 0, would be the answer."""
    with torch.set_grad_enabled(grad), forward_ad.dual_level():
        drive = forward_ad.make_dual(torch.tensor([1.5]), torch.tensor([1.0]))
        with pytest.raises(NotImplementedError, match="forward mode"):
            RampNeuron().levels(drive, 8)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("t_max", [2, 255, 4096])
def test_means_are_rounded_down_from_exact_sums(size, t_max):
    """Sums just below, at and above whole means; a mean that is rounded first would be another."""
    pool = MeanPool2d(size, t_max=t_max)
    levels = torch.full((3, 1, size, size), t_max - 1.0)
    levels[1, 0, 0, 0] += 1
    levels[2, 0, -1, -1] -= 1
    sums = levels.long().sum(dim=(1, 2, 3))
    assert pool.levels(levels).flatten().tolist() == (sums // size**2).tolist()
    with torch.no_grad():
        assert pool.levels(levels).flatten().tolist() == (sums // size**2).tolist()


# Gradients: eq. 11-15, exactly


@pytest.mark.parametrize("leak", [0.0, 0.125])
@pytest.mark.parametrize(("t_max", "threshold"), [(16, 1.0), (256, 4.0), (64, 0.5)])
def test_gradients_are_those_of_the_paper(t_max, threshold, leak):
    rng = torch.Generator().manual_seed(t_max)
    weight = torch.randint(-16, 17, (60, 5), generator=rng) * threshold / 8
    weight[30:] *= 8  # potentials far outside the window
    made = layer(
        weight, torch.zeros(60), dtype=torch.float64, t_max=t_max,
        neuron=RampNeuron(threshold, leak, margin=4),
    )  # fmt: skip
    times = torch.randint(t_max + 1, (1, 5), generator=rng).double().requires_grad_()
    potential = made.final_potential(times)[0]
    error = torch.randn(1, 60, generator=rng, dtype=torch.float64)
    inside = (potential > 0) & (potential < threshold)
    # A later spike is wanted where the error is negative: that leads back from above the window.
    leads_back = (error[0] > 0) == (potential <= 0)
    is_near = (potential > -4 * threshold) & (potential < 5 * threshold)
    leaks = leads_back | is_near
    slope = torch.where(inside, 1.0, leak * leaks.double()).double()
    assert 5 < inside.sum() < 30 and not leaks.all() and (leaks & ~inside & ~leads_back).any()
    made(times).backward(error)
    dt_dv = -slope * t_max / threshold
    u = (t_max - times.detach()) / t_max
    torch.testing.assert_close(made.weight.grad, (error * dt_dv).T * u)
    torch.testing.assert_close(made.bias.grad, (error * dt_dv)[0])
    torch.testing.assert_close(times.grad, (error * dt_dv) @ (-made.weight.detach() / t_max))


@pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
def test_gradients_are_the_differences_of_unrounded_times(make):
    """Without the floor the last layer is smooth between its kinks; its derivative is the same."""
    rng = torch.Generator().manual_seed(1)
    network, size = make(neuron=RampNeuron(2.0), t_max=64)
    network = simulated.dyadic(network, rng).double()
    times = simulated.random_times((2, *size), 64, rng).double()
    inputs, last = network.traces(times)[-1].inputs.detach(), network.layers[-1]
    inputs += torch.rand(inputs.shape, generator=rng, dtype=torch.float64) / 4  # off the kinks

    def unrounded(sent):
        levels = last.drive(64 - sent) / last.neuron.threshold
        return (64 - levels.clamp(0, 64)).sum()

    def rounded(sent):  # as the layer itself, which takes whole times only
        return (64 - in_levels(last, 64 - sent)).sum()

    found = torch.autograd.functional.jacobian(rounded, inputs).flatten()
    for place in range(inputs.numel()):
        step = torch.zeros_like(inputs).flatten()
        step[place] = 1e-6
        step = step.view_as(inputs)
        difference = (unrounded(inputs + step) - unrounded(inputs - step)) / 2e-6
        assert found[place].item() == pytest.approx(difference.item(), abs=1e-5)


def test_a_chain_of_layers_has_the_chain_of_their_gradients():
    torch.manual_seed(0)
    one, two = (layer(torch.randn(6, 6) / 2, dtype=torch.float64, t_max=32) for _ in range(2))
    times = torch.randint(33, (4, 6)).double().requires_grad_()
    SpikingNetwork(one, two)(times).sum().backward()
    hidden = one(times).detach()
    inside = [(v > 0) & (v < 1) for v in (one.final_potential(times), two.final_potential(hidden))]
    expected = (inside[1].double() @ two.weight * inside[0]) @ one.weight
    torch.testing.assert_close(times.grad, expected.detach())
    assert inside[0].any() and inside[1].any()


def test_a_penalty_on_gradients_has_the_analytic_gradient():
    torch.manual_seed(0)
    made = layer(torch.randn(8, 5), torch.zeros(8), dtype=torch.float64, t_max=32, threshold=2.0)
    times = torch.randint(33, (3, 5)).double().requires_grad_()
    cost = torch.randn(3, 8, dtype=torch.float64)
    [slope] = torch.autograd.grad((made(times) * cost).sum(), times, create_graph=True)
    slope.square().sum().backward()
    potential = made.final_potential(times).detach()
    active = cost * ((potential > 0) & (potential < 2)) / 2  # dt_j/dt_i = w_ji / threshold
    torch.testing.assert_close(slope.detach(), active @ made.weight.detach())
    torch.testing.assert_close(made.weight.grad, 2 * active.T @ slope.detach())
    assert made.weight.grad.any()


def test_a_penalty_on_gradients_goes_through_convolutions():
    rng = torch.Generator().manual_seed(0)
    for make in simulated.RAMPS:
        network, size = make(neuron=RampNeuron(2.0), t_max=64)
        simulated.dyadic(network, rng)
        times = simulated.random_times((8, *size), 64, rng).requires_grad_()
        [slope] = torch.autograd.grad(network(times).sum(), times, create_graph=True)
        slope.square().sum().backward()
        assert any(p.grad is not None and p.grad.any() for p in network.parameters())
