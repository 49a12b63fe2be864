"""Backpropagation through ramp neurons, for which eq. 10-15 hold exactly; and through ReLU.

The loss is the cross-entropy of the output neurons' potentials: the order of potentials is that of
first spikes. What the neurons of the paper cannot do without surrogates, these do as their dense
twins: one optimiser, one loop and one schedule serve both.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from firstspike.nn.connections import in_levels, prepared

WARM_UP = 0.2  # share of the steps in which the learning rate rises


def parameter_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and biases, which do not."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in learning if parameter.ndim > 1]
    biases = [parameter for parameter in learning if parameter.ndim < 2]
    return [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]


def rate_at(done: float) -> float:
    """Share of the learning rate at a point of training, 0..1: up, then half a cosine."""
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def scores_and_level(
    network: nn.Module, inputs: Tensor, t_max: int | None
) -> tuple[Tensor, Tensor]:
    """Scores of a network in training, and the mean level of its hidden neurons in 0..1.

    Args:
        network: modules in a row, the last of which is a layer.
        inputs: levels 0..t_max of spikes; for a dense network, values in 0..1.
        t_max: of a network of ramp neurons; None for a dense one.

    Returns:
        Potentials or scores [B, classes], and a number.
    """
    *hidden, last = network.children()
    levels, total, layers = inputs, inputs.new_zeros(()), 0
    for module in hidden:
        levels = in_levels(module, levels)
        if getattr(module, "neuron", None) is not None or isinstance(module, nn.ReLU):
            total, layers = total + levels.mean(), layers + 1
    if t_max is None:
        return last(levels), total / max(1, layers)
    return prepared(last, levels).drive(levels) / t_max, total / (t_max * max(1, layers))


def exact_loss(
    scores: Tensor,
    labels: Tensor,
    level: Tensor,
    smoothing: float,
    sparsity: float,
    earliness: float = 0.0,
) -> Tensor:
    """Cross-entropy of the scores, and prices on what hidden neurons say and on late answers.

    Args:
        scores: of the output neurons, [B, classes].
        labels: the desired ones, int64 [B].
        level: mean level of hidden neurons in 0..1.
        smoothing: of the labels.
        sparsity: price of ``level``.
        earliness: price of `lateness`.
    """
    loss = functional.cross_entropy(scores, labels, label_smoothing=smoothing)
    if sparsity:
        loss = loss + sparsity * level
    if earliness:
        loss = loss + earliness * lateness(scores, labels)
    return loss


def lateness(scores: Tensor, labels: Tensor) -> Tensor:
    """How far desired neurons are behind the first of all others, on a soft scale.

    One output window serves all images, and it opens at the largest potential that a neuron has
    that should not fire (`firstspike.models.networks.output_window`). So each desired neuron races
    against the others of all images, where cross-entropy knows those of its own: the cross-entropy
    among them.

    Args:
        scores: of the output neurons on a batch, [B, classes].
        labels: the desired ones, int64 [B].

    Returns:
        A number above 0, differentiable.
    """
    desired = scores.gather(1, labels[:, None])
    others = scores.scatter(1, labels[:, None], -math.inf).flatten().logsumexp(dim=0)
    return functional.softplus(others - desired).mean()
