"""The decision step of networks of step neurons, for a loop of one's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from firstspike.nn.connections import SpikingLayer, prepared
from firstspike.nn.neurons import StepNeuron


def at_decision(
    network: nn.Sequential, times: Tensor, window: float = 1.0
) -> tuple[Tensor, Tensor]:
    """What the output neurons of a network of step neurons knew when the first of them spiked.

    Potentials are those of the decision step, from the spikes that had arrived by then. On the way
    back a hidden neuron learns as far as its own potential at that step, had it not fired, is near
    its threshold, on either side of it: with the slope ``max(0, 1 - |V - threshold| / window)``
    (a surrogate gradient, Neftci et al., arXiv 1901.09948). Unlike eq. 11-15, it reaches neurons
    that were silent. With `firstspike.losses.at_decision` it is the rule of
    `firstspike.training.rules.decision` whose credit is that of the decision, for any number of
    layers and any optimiser. The default there goes by the highest potential until the decision,
    which takes a kernel.

    Args:
        network: `FirstSpikeLinear` and `FirstSpikeConv2d` of step neurons, and `torch.nn.Flatten`.
        times: spike times of the input, [B, ...].
        window: distance to the threshold at which a hidden neuron stops learning, in potentials.

    Returns:
        Potentials [B, classes], differentiable in the weights, and the output spike times
        [B, classes].

    Raises:
        ValueError: a module is none of these, or ``window`` is not positive.
    """
    if not 0 < window < float("inf"):
        raise ValueError(f"window must be positive and finite, got {window}")
    modules = [_checked(module) for module in network]
    with torch.no_grad():
        sent = [times]
        for module in modules:
            sent.append(module(sent[-1]))
        decision = sent[-1].amin(dim=1)

    values = _arrived(sent[0], decision, modules[-1])
    for module, fired in zip(modules[:-1], sent[1:-1], strict=True):
        if isinstance(module, nn.Flatten):
            values = module(values)
            continue
        potential = _potential(module, values)
        slope = 1 - (potential.detach() - module.neuron.threshold).abs() / window
        values = (potential - potential.detach()) * slope.clamp_(min=0)
        values = values + _arrived(fired, decision, module)
    return _potential(modules[-1], values), sent[-1]


def _checked(module: Any) -> Any:
    if isinstance(module, nn.Flatten):
        return module
    steps = isinstance(module, SpikingLayer) and isinstance(module.neuron, StepNeuron)
    if steps and module.pool == 1:
        return module
    raise ValueError(
        "network must hold layers of step neurons without pools, and Flatten, but one module is "
        f"{module}"
    )


def _arrived(times: Tensor, decision: Tensor, layer: Any) -> Tensor:
    """Whether spikes had taken effect by the decision: 1 or 0."""
    came = times + layer.neuron.delay
    last = decision.view(-1, *[1] * (times.ndim - 1)).clamp(max=layer.t_max - 1)
    return (came <= last).to(layer.weight.dtype)


def _potential(layer: Any, values: Tensor) -> Tensor:
    prepared(layer, values)  # here, where gradients are kept
    potential: Tensor = layer.linear(values, layer.weight)
    if layer.bias is None:
        return potential
    return potential + layer.bias.view(-1, *[1] * (potential.ndim - 2))
