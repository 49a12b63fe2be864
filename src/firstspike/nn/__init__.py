"""Layers of neurons that spike at most once, for `torch.nn.Sequential` and any optimiser."""

from firstspike.nn.connections import (
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    Residual,
    SpikingLayer,
)
from firstspike.nn.decision import at_decision
from firstspike.nn.layers import (
    FirstSpikeLinear,
    FirstSpikeSequential,
    LayerGradient,
    Normalize,
    by_input,
    by_output,
    final_gradient,
    normalize_error,
)
from firstspike.nn.network import SpikingNetwork, Trace, fold, window_norm
from firstspike.nn.neurons import Neuron, RampNeuron, StepNeuron, weight_range
from firstspike.nn.pools import EarliestPool2d, MeanPool2d, SpikeDropout

__all__ = [
    "EarliestPool2d",
    "FirstSpikeConv2d",
    "FirstSpikeConvTranspose2d",
    "FirstSpikeLinear",
    "FirstSpikeSequential",
    "LayerGradient",
    "MeanPool2d",
    "Neuron",
    "Normalize",
    "RampNeuron",
    "Residual",
    "SpikeDropout",
    "SpikingLayer",
    "SpikingNetwork",
    "StepNeuron",
    "Trace",
    "at_decision",
    "by_input",
    "by_output",
    "final_gradient",
    "fold",
    "normalize_error",
    "weight_range",
    "window_norm",
]
