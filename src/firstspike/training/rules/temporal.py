"""Temporal backpropagation (eq. 11-15) from the losses of output spike times.

Its passes through a layer are `firstspike.fire`, whose reference and kernels are in
`firstspike.ops`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from firstspike.losses import LOSSES
from firstspike.metrics import decide
from firstspike.models import Classifier
from firstspike.training.config import (
    DropoutOptions,
    EarlinessOptions,
    RelativeOptions,
    TemporalOptions,
)
from firstspike.training.noise import InputNoise
from firstspike.training.rules.learner import Learner
from firstspike.training.trainer import Stats


@dataclass(frozen=True)
class TemporalRule(TemporalOptions, EarlinessOptions, DropoutOptions, RelativeOptions, InputNoise):
    """The settings of this rule."""

    loss: str = "aggressive"
    """One of `firstspike.losses.LOSSES` that fits."""


def output_error(times: Tensor, target: Tensor, rule: TemporalRule, t_max: int) -> Tensor:
    """dL/dt of the output spikes [B, classes], of each sample on its own.

    Of aggressive TTFS and of S4NN it has the sign (eq. 16): the desired neuron earlier unless it is
    first, others later unless they are silent, or late enough. Its size is how wrong the network
    is, in the softmax of earliness. Of cross-entropy it is the gradient times the softness, of
    other losses the gradient.
    """
    if rule.loss not in ("aggressive", "s4nn", "cross-entropy"):
        return _gradient(times, target, rule, t_max)
    share = torch.softmax(-times / rule.softness, dim=1)
    desired = nn.functional.one_hot(target, times.shape[1]).to(times.dtype)
    if rule.loss == "cross-entropy":
        return desired - share
    wrong = (desired - share).abs() * _gradient(times, target, rule, t_max).sign()
    return wrong + desired * rule.earliness * times / t_max


def _gradient(times: Tensor, target: Tensor, rule: TemporalRule, t_max: int) -> Tensor:
    with torch.enable_grad():
        output = times.detach().requires_grad_()
        loss = LOSSES[rule.loss].each(output, target, t_max, rule).sum()
    return torch.autograd.grad(loss, output)[0]


class TemporalLearner(Learner):
    """Training steps of a classifier: `fire` forwards and back, then the optimiser.

    Args:
        model: the network; its weights are updated in place.
        optimizer: of its parameters.
        rule: the settings.
    """

    def __init__(
        self, model: Classifier, optimizer: torch.optim.Optimizer, rule: TemporalRule
    ) -> None:
        self._model, self._optimizer, self._rule = model, optimizer, rule

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        t_max = self._model.t_max
        times = self._forward(self._rule.times(images, t_max, rng), rng)
        output = times.detach()
        error = output_error(output, labels, self._rule, t_max) / len(labels)
        self._optimizer.zero_grad()
        times.backward(error)
        self._optimizer.step()
        right = decide(output, t_max=t_max) == labels
        return {
            "train_error": float(error.abs().sum()),
            "train_accuracy": float(right.float().mean()),
        }

    def _forward(self, times: Tensor, rng: torch.Generator) -> Tensor:
        """Spike times of the output layer, with hidden spikes left out at random."""
        *hidden, output = self._model.layers
        for layer in hidden:
            times = layer(times)
            if self._rule.dropout:
                left_out = torch.rand(times.shape, generator=rng) < self._rule.dropout
                times = times.masked_fill(left_out, layer.t_max)
        return output(times)
