"""Ramp layers as PyTorch has layers: compiled, channels-last, on devices, in half precision."""

from __future__ import annotations

import copy
import re

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
    Residual,
    SpikeDropout,
    SpikingNetwork,
    window_norm,
)

T_MAX = 32
RAMP = {"neuron": "ramp", "t_max": T_MAX}
RAMPS = pytest.mark.parametrize("make", simulated.RAMPS, ids=lambda make: make.__name__)
IMAGES = (4, 6, 6)
# Every kind of layer that takes images, on 4 channels.
LAYERS = {
    "conv": lambda: FirstSpikeConv2d(4, 3, 3, padding=1, **RAMP),
    "pooled conv": lambda: FirstSpikeConv2d(4, 3, 3, padding=1, pool=2, **RAMP),
    "grouped conv": lambda: FirstSpikeConv2d(4, 4, 3, stride=2, groups=2, **RAMP),
    "normalised conv": lambda: FirstSpikeConv2d(4, 3, 3, norm=window_norm(3, 2), **RAMP),
    "transposed conv": lambda: FirstSpikeConvTranspose2d(4, 3, 4, stride=2, padding=1, **RAMP),
    "residual": lambda: Residual(*(FirstSpikeConv2d(4, 4, 3, padding=1, **RAMP) for _ in range(2))),
    "residual with a shortcut": lambda: Residual(
        FirstSpikeConv2d(4, 5, 3, stride=2, padding=1, **RAMP),
        FirstSpikeConv2d(5, 5, 3, padding=1, **RAMP),
        shortcut=nn.Conv2d(4, 5, 1, stride=2, bias=False),
    ),
    "mean pool": lambda: MeanPool2d(2, t_max=T_MAX),
    "earliest pool": lambda: EarliestPool2d(2, t_max=T_MAX),
    "dropout": lambda: SpikeDropout(0.5, T_MAX),
}
EACH = pytest.mark.parametrize("name", LAYERS)
# Dynamo makes an instance of the autograd.Function that it traces, which PyTorch warns of.
COMPILED = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def layer(name):
    made = LAYERS[name]()
    return simulated.dyadic(made, torch.Generator().manual_seed(0))


def network(make, dtype=torch.float32):
    rng = torch.Generator().manual_seed(3)
    made, size = make(**RAMP)
    return simulated.dyadic(made, rng).to(dtype), times_of(size, rng).to(dtype)


def times_of(size=IMAGES, rng=None):
    rng = torch.Generator().manual_seed(1) if rng is None else rng
    return simulated.random_times((5, *size), T_MAX, rng)


def passed(module, times, seed=0):
    """Spike times, and the gradients of the inputs and of all parameters."""
    module.zero_grad()
    torch.manual_seed(seed)
    leaf = times.clone().requires_grad_()
    spikes = module(leaf)
    spikes.square().sum().backward()
    return [spikes.detach(), leaf.grad, *(p.grad for p in module.parameters() if p.requires_grad)]


# Compilation


@pytest.fixture
def compiled():
    """Compiles a module whole, forward and backward, anew."""
    torch.compiler.reset()
    return lambda module: torch.compile(module, backend="aot_eager", fullgraph=True)


@COMPILED
@pytest.mark.parametrize("make", [simulated.pools, simulated.joins])
def test_compiled_networks_do_the_same(make, compiled):
    module, times = network(make)
    once = compiled(module)
    for batch in (times, times.flip(0)):
        for one, other in zip(passed(module, batch), passed(once, batch), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@COMPILED
@pytest.mark.parametrize("name", ["normalised conv", "transposed conv", "mean pool", "dropout"])
def test_compiled_layers_do_the_same_in_training(name, compiled):
    module, times = layer(name), times_of()
    twin = copy.deepcopy(module)
    for one, other in zip(passed(module, times), passed(compiled(twin), times), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(module.buffers(), twin.buffers(), strict=True):  # statistics
        torch.testing.assert_close(one, other)


@COMPILED
def test_nothing_that_changes_is_compiled_in(compiled):
    """Neither weights, nor the number of steps, nor the mode."""
    module = FirstSpikeLinear(6, 4, **RAMP)
    dropping = SpikingNetwork(SpikeDropout(0.9, T_MAX), module).eval().requires_grad_(False)
    once, times = compiled(dropping), times_of((6,))
    first = once(times).clone()
    module.weight.neg_()
    assert torch.equal(once(times), dropping(times))
    assert not torch.equal(once(times), first)
    for part in dropping:
        part.t_max = 2 * T_MAX
    assert torch.equal(once(times), dropping(times))
    in_evaluation = once(times)
    dropping.train()
    torch.manual_seed(0)
    assert not torch.equal(once(times), in_evaluation)


# Memory


@EACH
def test_layers_keep_channels_last(name):
    module, times = layer(name), times_of()
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    expected = passed(module, times)
    found = passed(last, times.contiguous(memory_format=torch.channels_last))
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert found[1].is_contiguous(memory_format=torch.channels_last)
    if name == "dropout":  # drawn in the order of the memory
        return
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
    if name != "normalised conv":  # all sums are exact
        assert torch.equal(expected[0], found[0])


# Devices


@RAMPS
def test_shapes_without_numbers(make):
    """Everything follows the device of the weights; ``meta`` has no numbers to look at."""
    module, times = network(make)
    expected = [trace.times for trace in module.traces(times)]
    module, times = module.to("meta"), times.to("meta")
    found = [trace.times for trace in module.traces(times)]
    assert [one.shape for one in found] == [one.shape for one in expected]
    assert all(one.device.type == "meta" for one in found)
    module(times).sum().backward()
    assert all(p.grad.device.type == "meta" for p in module.parameters())
    assert module.potentials(times).device.type == "meta"


@EACH
def test_layers_are_made_on_a_device(name):
    with torch.device("meta"):
        module = LAYERS[name]()
    assert module(times_of().to("meta")).device.type == "meta"


def test_times_on_another_device_or_of_another_dtype_are_refused():
    module = FirstSpikeLinear(3, 2, **RAMP)
    with pytest.raises(ValueError, match=r"times must be torch.float32 .* torch.float64"):
        module(torch.zeros(1, 3).double())
    with pytest.raises(ValueError, match=r"times must be a floating-point tensor, .* torch.int64"):
        module(torch.zeros(1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"times must be torch.float32 on cpu .* meta"):
        module(torch.zeros(1, 3, device="meta"))


# Precision


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 256), (torch.float16, 2048)])
def test_levels_that_half_precision_cannot_hold_are_refused(dtype, most):
    """Identity keeps the last level that the dtype holds, and refuses one more."""
    pools = (
        lambda t_max: EarliestPool2d(2, t_max=t_max),
        lambda t_max: MeanPool2d(2, t_max=t_max),
        lambda t_max: FirstSpikeConv2d(1, 1, 2, 2, bias=False, neuron="ramp", t_max=t_max),
    )
    times = torch.zeros(1, 1, 2, 2, dtype=dtype)
    for make in pools:
        module = make(most).to(dtype)
        for weight in module.parameters():
            nn.init.constant_(weight, 0.25)
        assert module(times).tolist() == [[[[0]]]]
        with pytest.raises(ValueError, match=re.escape(f"t_max must be at most {most} in {dtype}")):
            make(most + 1).to(dtype)(times)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_the_same_where_no_sum_is_rounded(dtype):
    rng = torch.Generator().manual_seed(0)
    module = FirstSpikeConv2d(1, 3, 2, neuron="ramp", t_max=16)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=rng) / 2)
    times = simulated.random_times((4, 1, 5, 5), 16, rng)
    expected = module(times)
    assert torch.equal(module.to(dtype)(times.to(dtype)).float(), expected)
    assert 0 < (expected < 16).float().mean() < 1


def test_means_of_blocks_are_not_rounded_twice():
    """The sum 3 * 255 + 256 is no number of bfloat16; the mean is 255.25, rounded down."""
    times = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]], dtype=torch.bfloat16)
    assert MeanPool2d(2, t_max=256)(times).tolist() == [[[[1]]]]


@RAMPS
def test_autocast_changes_nothing(make):
    module, times = network(make)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1e-3 * torch.randn_like(parameter))  # bfloat16 would round them
    expected, potentials = module(times), module.potentials(times)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(times)
        assert torch.equal(found, expected)
        assert torch.equal(module.potentials(times), potentials)
        found.sum().backward()
    assert {p.grad.dtype for p in module.parameters()} == {torch.float32}


@COMPILED
def test_autocast_changes_nothing_when_compiled(compiled):
    module, times = network(simulated.dense)
    expected, once = module(times), compiled(module.requires_grad_(False))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(once(times), expected)
