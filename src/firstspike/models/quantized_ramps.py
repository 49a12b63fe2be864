"""Networks of ramp neurons with 8-bit weights, whose sums and thresholds are whole numbers.

As in `firstspike.models.quantized`, each layer has one scale ``s``, the threshold divided by a
whole number ``n``: weights become ``q = round(w / s)`` in -127..127 and biases whole multiples of
``s``. Levels are whole numbers, so a neuron's level is ``(sum of q * level + bias * t_max) // n``,
from 0 to t_max: integer arithmetic, and no rounding is left but that of the weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import torch
from torch import nn

from firstspike.models.quantized import LARGEST, threshold_and_scale
from firstspike.nn import RampNeuron, Residual, SpikingLayer, SpikingNetwork, fold

NetworkT = TypeVar("NetworkT", bound=SpikingNetwork)

_EXACT = 1 << 24  # whole numbers that float32 holds


@torch.no_grad()
def quantize_ramps(network: NetworkT) -> NetworkT:
    """Round the weights of a network of ramp neurons to 8 bits, one scale for each layer.

    Args:
        network: trained; stays as it is. Its normalisation is folded. There is no calibration and
            no fine-tuning.

    Returns:
        A network of the same kind in floats that hold whole numbers, float64 where sums could be
        beyond float32: it spikes as integer arithmetic does. `firstspike.export` writes its weights
        as int8.

    Raises:
        ValueError: the network has no ramp neurons, branches join in it (both would need one
            scale), or its weights are too large for its thresholds, or not finite.
    """
    if not network.windowed:
        raise ValueError("network must have ramp neurons; quantize takes step neurons")
    made: NetworkT = fold(network).requires_grad_(False)
    reach = 0.0
    for name, module in made.named_modules():
        if isinstance(module, Residual):
            raise ValueError(f"network must have no branches that join, but module {name} does")
        if isinstance(module, SpikingLayer):
            reach = max(reach, _round(module, name))
    return made if reach < _EXACT else made.double()


def _round(layer: SpikingLayer, name: str) -> float:
    """Round a layer in place; the largest sum that its neurons can reach."""
    neuron: Any = layer.neuron
    assert isinstance(neuron, RampNeuron)
    parameters = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise ValueError(f"network must have finite weights, but those of module {name} are not")
    largest = float(layer.weight.abs().max())
    steps, scale = threshold_and_scale(neuron.threshold, largest, f"module {name}")
    for parameter in parameters:
        parameter.copy_((parameter.double() / scale).round())
    layer.weight.clamp_(-LARGEST, LARGEST)
    layer.neuron = dataclasses.replace(neuron, threshold=float(steps))
    outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    inputs = layer.weight.movedim(outputs, 0).flatten(1).abs().sum(dim=1)
    total = inputs if layer.bias is None else inputs + layer.bias.abs()
    return float(total.max()) * layer.t_max
