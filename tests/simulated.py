"""Whole networks in the plain loops of `naive`, one sample at a time, with all their operations."""

from __future__ import annotations

import naive
import torch
from torch import nn

from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    MeanPool2d,
    Residual,
    SpikingNetwork,
)


class Layer:
    """What a layer received, through which synapses, and sent."""

    def __init__(self, inputs, matrix, times, work):
        self.inputs, self.matrix, self.times, self.work = inputs, matrix, times, work


def simulate(network, times, stop=False):
    """The layers for spike times [...] of one sample; with ``stop``, until they decide."""
    found = []
    last = [module for module in network if getattr(module, "neuron", None) is not None][-1]
    _follow(network, times.flatten().tolist(), tuple(times.shape), last if stop else None, found)
    return found


def matrix_of(module, size):
    """Synapses of a layer whose inputs have this shape, and the shape of its neurons."""
    if isinstance(module, MeanPool2d):
        return naive.mean_pool(size, module.kernel_size, module.stride)
    weight = module.weight.tolist()
    if isinstance(module, nn.ConvTranspose2d):
        options = module.stride[0], module.padding[0], module.output_padding[0]
        return naive.conv_transpose(weight, size, *options)
    if isinstance(module, nn.Conv2d):
        options = module.stride[0], module.padding[0], module.dilation[0], module.groups
        return naive.conv(weight, size, *options)
    return weight, (len(weight),)


def _follow(modules, times, size, last, found):
    for module in modules:
        times, size = _pass(module, times, size, last, found)
    return times, size


def _pass(module, times, size, last, found):
    if isinstance(module, nn.Flatten):
        return times, (len(times),)
    if isinstance(module, EarliestPool2d):
        places, size = naive.blocks(size, module.kernel_size, module.stride)
        return naive.earliest(times, places), size
    layer = module
    if isinstance(module, Residual):
        layer, beside = module.last, times
        shortcut = module.shortcut and matrix_of(module.shortcut, size)[0]
        times, size = _follow(module.body, times, size, last, found)
        matrix, size = matrix_of(layer, size)
        times, matrix = naive.joined(times, beside, matrix, shortcut)
    else:
        matrix, size = matrix_of(layer, size)
    spikes, work = _fire(layer, times, matrix, size, module is last)
    found.append(Layer(times, matrix, spikes, work))
    if getattr(layer, "pool", 1) > 1:
        places, size = naive.blocks(size, layer.pool, layer.pool)
        spikes = naive.earliest(spikes, places)
    return spikes, size


def _fire(layer, times, matrix, size, stop):
    neuron, t_max = layer.neuron, layer.t_max
    bias = getattr(layer, "bias", None)
    if bias is not None:
        bias = [b for b in bias.tolist() for _ in range(len(matrix) // size[0])]
    work = naive.Work()
    if neuron.windowed:
        return naive.ramp(times, matrix, neuron.threshold, t_max, bias, stop, work), work
    return naive.fire_matrix(times, matrix, neuron.threshold, t_max, bias, neuron.delay), work


# Networks to simulate. Weights and biases are multiples of 1/8, thresholds powers of two: all sums
# are exact, in whatever order.


def dyadic(network, rng, reach=1.0):
    """The network with random parameters."""
    with torch.no_grad():
        for parameter in network.parameters():
            steps = torch.randint(-8, 9, parameter.shape, generator=rng)
            parameter.copy_(steps * reach / 8)
    return network


def random_times(shape, t_max, rng):
    """Some at once, some silent, the rest anywhere between."""
    times = torch.randint(t_max + 1, shape, generator=rng).float()
    what = torch.rand(shape, generator=rng)
    return times.masked_fill(what < 0.1, 0).masked_fill(what > 0.7, t_max)


def dense(**options):
    sizes = [(9, 7), (7, 6), (6, 4)]
    return SpikingNetwork(*(FirstSpikeLinear(*pair, **options) for pair in sizes)), (9,)


def convolutions(**options):
    return SpikingNetwork(
        FirstSpikeConv2d(2, 4, 3, stride=2, padding=1, **options),
        FirstSpikeConv2d(4, 3, 2, dilation=2, bias=False, **options),
        nn.Flatten(),
        FirstSpikeLinear(3 * 2 * 1, 3, **options),
    ), (2, 7, 6)


def transposed(**options):
    return SpikingNetwork(
        FirstSpikeConvTranspose2d(1, 2, 3, stride=2, padding=1, output_padding=1, **options),
        FirstSpikeConvTranspose2d(2, 2, 2, bias=False, **options),
    ), (1, 3, 2)


def pools(**options):
    return SpikingNetwork(
        FirstSpikeConv2d(1, 3, 3, padding=1, pool=2, **options),
        EarliestPool2d(2, 1, t_max=options["t_max"]),
        nn.Flatten(),
        FirstSpikeLinear(3 * 3 * 2, 3, **options),
    ), (1, 8, 7)


def means(**options):
    """Of ramp neurons only, and so the next two."""
    return SpikingNetwork(
        MeanPool2d(2, t_max=options["t_max"]),
        FirstSpikeConv2d(2, 4, 3, padding=1, groups=2, **options),
        MeanPool2d(3, 1, t_max=options["t_max"]),
        FirstSpikeConv2d(4, 2, 2, pool=2, **options),
    ), (2, 10, 10)


def joins(**options):
    def conv(*sizes, **more):
        return FirstSpikeConv2d(*sizes, padding=1, **more, **options)

    return SpikingNetwork(
        Residual(conv(2, 3, 3, pool=2), conv(3, 4, 3),
                 shortcut=nn.Conv2d(2, 4, 2, stride=2, bias=False)),
        Residual(Residual(conv(4, 4, 3)), conv(4, 4, 3)),
        nn.Flatten(),
        Residual(FirstSpikeLinear(24, 24, bias=False, **options)),
        FirstSpikeLinear(24, 3, **options),
    ), (2, 6, 4)  # fmt: skip


def up(**options):
    return SpikingNetwork(
        FirstSpikeConvTranspose2d(2, 2, 4, stride=2, padding=1, **options),
        EarliestPool2d(2, t_max=options["t_max"]),
        Residual(
            FirstSpikeConv2d(2, 2, 1, **options),
            shortcut=nn.ConvTranspose2d(2, 2, 1, bias=False),
        ),
        nn.Flatten(),
        FirstSpikeLinear(12, 2, **options),
    ), (2, 3, 2)


EITHER = (dense, convolutions, transposed, pools)
RAMPS = (*EITHER, means, joins, up)
