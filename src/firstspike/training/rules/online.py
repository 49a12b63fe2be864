"""S4NN's procedure: one image after the other, by temporal backpropagation and plain descent.

`descend` defines a step in plain PyTorch. `OnlineLearner` carries the steps out event by event, in
`firstspike.ops.cpu.online`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from firstspike import losses
from firstspike.models import Classifier
from firstspike.nn import normalize_error
from firstspike.ops import fire
from firstspike.training.config import OnlineOptions, RelativeOptions
from firstspike.training.noise import InputNoise
from firstspike.training.rules.learner import Learner
from firstspike.training.trainer import Stats

if TYPE_CHECKING:
    from firstspike.ops.cpu.online import OnlineSettings

RARELY = 1000  # a neuron that fires for fewer than one in so many images is dead
_SILENT: tuple[Literal["zero", "pull"], ...] = ("zero", "pull")  # see `descend`


@dataclass(frozen=True)
class OnlineRule(OnlineOptions, RelativeOptions, InputNoise):
    """The settings of this rule."""

    lr: float = 0.32
    """Learning rate of the hidden layer at the start."""
    loss: Literal["aggressive", "s4nn"] = "s4nn"


class Descent(NamedTuple):
    """One step: spike times of both layers before it [1, ...], and their weights after it."""

    hidden: Tensor
    output: Tensor
    rows: list[Tensor]


def descend(
    times: Tensor, label: Tensor, rows: Sequence[Tensor], settings: OnlineSettings
) -> Descent:
    """Learn from one sample: temporal backpropagation (eq. 11-15) and plain descent (eq. 8).

    A silent neuron has no error, but for the output neuron that should fire: it is pulled.

    Args:
        times: input spike times [in].
        label: the desired output neuron, int64 [].
        rows: transposed weights of both layers, [in, hidden] and [hidden, classes].
        settings: of the rule.
    """
    rows, layers = [row.clone().requires_grad_() for row in rows], [times[None]]
    for row, silent in zip(rows, _SILENT, strict=True):
        fired = fire(
            layers[-1],
            row.t(),
            threshold=settings.threshold,
            t_max=settings.t_max,
            delay=settings.delay,
            silent=silent,
            impl="reference",
        )
        norm = settings.normalize
        layers.append(fired if norm is None else normalize_error(fired, norm))
    loss = losses.LOSSES[settings.loss].each(layers[-1], label[None], settings.t_max, settings)
    gradients = torch.autograd.grad(loss.sum(), rows)
    with torch.no_grad():
        new = [
            row - rate * (gradient + settings.decay * row)
            for row, gradient, rate in zip(rows, gradients, settings.lr, strict=True)
        ]
    return Descent(layers[1].detach(), layers[2].detach(), new)


class OnlineLearner(Learner):
    """`descend` in the kernels; the learning rates of both layers follow the optimiser's.

    Args:
        model: a network of two layers without biases; its weights are updated in place.
        optimizer: gives the learning rate.
        rule: the settings.
    """

    def __init__(
        self, model: Classifier, optimizer: torch.optim.Optimizer, rule: OnlineRule
    ) -> None:
        from firstspike.ops.cpu import online  # Numba takes a second to import

        self._kernels, self._optimizer, self._rule = online, optimizer, rule
        hidden, output = model.layers
        self._rows = hidden.weight.detach().t(), output.weight.detach().t()
        self._threshold, self._t_max, self._delay = hidden.threshold, model.t_max, model.delay
        self._firing, self._seen = torch.zeros(hidden.out_features, dtype=torch.int64), 0

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        times = self._rule.times(images, self._t_max, rng)
        order = torch.arange(len(labels))
        stats = self._kernels.train_epoch(times, labels, order, *self._rows, self._settings())
        self._firing += stats.hidden_firing
        self._seen += len(labels)
        return {
            "train_accuracy": float(stats.strict.float().mean()),
            "train_ties_accuracy": float(stats.ties.float().mean()),
        }

    def _settings(self) -> OnlineSettings:
        rule, rate = self._rule, self._optimizer.param_groups[0]["lr"]
        return self._kernels.OnlineSettings(
            loss=rule.loss,
            lr=(rate, rate * rule.output_lr / rule.lr),
            decay=rule.penalty,
            normalize=None if rule.normalize == "none" else rule.normalize,
            gamma=rule.gamma,
            threshold=self._threshold,
            t_max=self._t_max,
            delay=self._delay,
        )

    def finish_epoch(self, rng: torch.Generator) -> None:
        """Neurons that fired for hardly any image start anew, as in S4NN."""
        init, at_least = (0.0, self._rule.hidden_reach), self._seen // RARELY
        self._kernels.reset_dead(self._rows[0], self._firing, init, rng, at_least)
        self._firing, self._seen = torch.zeros_like(self._firing), 0
