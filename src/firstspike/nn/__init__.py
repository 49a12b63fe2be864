"""Layers of neurons that spike at most once, for `torch.nn.Sequential` and any optimiser."""

from firstspike.nn.layers import (
    FirstSpikeLinear,
    FirstSpikeSequential,
    LayerGradient,
    Normalize,
    by_input,
    final_gradient,
    normalize_error,
    weight_range,
)

__all__ = [
    "FirstSpikeLinear",
    "FirstSpikeSequential",
    "LayerGradient",
    "Normalize",
    "by_input",
    "final_gradient",
    "normalize_error",
    "weight_range",
]
