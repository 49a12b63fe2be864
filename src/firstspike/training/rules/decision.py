"""The classifier's default rule: learn as of the decision step, from what had arrived by then.

`decision_gradients` defines it in plain PyTorch. `DecisionLearner` carries it out, event by event
and together with Adam, in the kernels of `firstspike.ops.cpu.minibatch` and
`firstspike.ops.cpu.learning`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from firstspike.coding import shade_times
from firstspike.metrics import decide
from firstspike.models import Classifier
from firstspike.nn import FirstSpikeLinear
from firstspike.training.config import DecisionOptions, DropoutOptions, EarlinessOptions
from firstspike.training.noise import InputNoise
from firstspike.training.rules.event_adam import EventAdam, rows
from firstspike.training.rules.learner import Learner
from firstspike.training.trainer import Stats

if TYPE_CHECKING:
    from firstspike.ops.cpu.learning import Traces
    from firstspike.ops.cpu.minibatch import Rule


@dataclass(frozen=True)
class DecisionRule(DecisionOptions, EarlinessOptions, DropoutOptions, InputNoise):
    """The settings of this rule."""

    @property
    def framed(self) -> DecisionRule:
        """The rule for images that fill their frame, if only `whole` ones move with the others.

        Such are harder, and what is known by heart bears any price: decisions would move to steps
        at which little has come yet.
        """
        price, silence = self.framed_earliness, self.framed_silence
        return dataclasses.replace(self, earliness=price, silence=silence)


def decision_gradients(
    model: Classifier, layer_times: Sequence[Tensor], target: Tensor, rule: DecisionRule
) -> list[tuple[Tensor, Tensor]]:
    """Gradients of both layers as of the decision step: a surrogate for eq. 11-15.

    Temporal backpropagation tells a hidden neuron that fired to come earlier or later, and others
    nothing, so that activity dies out under losses that only ask for less. Here a neuron learns as
    far as its potential, had it not fired, is near its threshold, with the slope
    ``max(0, 1 - |V - threshold| / window)`` for dV (a surrogate gradient, Neftci et al., arXiv
    1901.09948), and from the spikes that had arrived by then. Whether it has fired by the decision
    depends on its highest potential until then, so that is the one that counts (``credit``
    ``"peak"``); with ``"decision"`` it is that of the decision, even if it fired long ago and its
    potential has fallen since.

    Args:
        model: the network, of two layers.
        layer_times: spike times of the input, the hidden and the output layer, [B, features].
        target: labels, int64 [B].
        rule: ``window``, ``sparsity``, ``credit`` and what `output_signal` takes; its ``framed``
            where all images fill their frame.

    Returns:
        dL/dw [out, in] and dL/db [out] of each layer, sums over the batch.
    """
    times, hidden_times, output_times = layer_times
    first, last = model.layers
    t_max, delay = model.t_max, model.delay
    decision = output_times.amin(dim=1, keepdim=True)

    def arrived(times: Tensor) -> Tensor:
        return ((times + delay <= decision) & (times + delay < t_max)).to(times.dtype)

    output = nn.functional.linear(arrived(hidden_times), last.weight, last.bias)
    winner = decide(output_times, output, t_max)
    error = output_signal(output, winner, decision[:, 0], target, rule, t_max, last.threshold)
    moment = decision.clamp(max=t_max - 1).expand_as(hidden_times)
    if rule.credit == "peak":
        potential, moment = _peaks(first, times, moment)
    else:
        potential = nn.functional.linear(arrived(times), first.weight, first.bias)
    slope = (1 - (potential - first.threshold).abs() / rule.window).clamp(min=0)
    came_by_moment = (times[:, None] + delay <= moment[:, :, None]).to(times.dtype)
    fired = model.layers[0](times) <= decision.clamp(max=t_max - 1)
    signal = (error @ last.weight + rule.sparsity * fired) * slope
    return [
        (torch.einsum("bj,bji->ji", signal, came_by_moment), signal.sum(dim=0)),
        (error.t() @ arrived(hidden_times), error.sum(dim=0)),
    ]


def _peaks(layer: FirstSpikeLinear, times: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The highest potential of each neuron [B, out], had it not fired, and the first step at it.

    Args:
        layer: of step neurons.
        times: spike times of its input, [B, in].
        last: the step up to which to look, [B, out].
    """
    peak, step = torch.full_like(last, -torch.inf), torch.zeros_like(last)
    for now in range(layer.t_max):
        came = (times + layer.delay <= now).to(times.dtype)
        potential = nn.functional.linear(came, layer.weight, layer.bias)
        higher = (potential > peak) & (now <= last)
        peak, step = torch.where(higher, potential, peak), step.masked_fill(higher, now)
    return peak, step


def output_signal(
    potential: Tensor,
    winner: Tensor,
    decision: Tensor,
    target: Tensor,
    rule: DecisionRule,
    t_max: int,
    threshold: float = 1.0,
) -> Tensor:
    """dL/dV of the output neurons at the decision, [B, classes].

    The signs are those of aggressive TTFS (eq. 16): the desired neuron should fire earlier unless
    it is first, the others later. The size is how wrong the network is: the distance between the
    label and the softmax of the potentials. The desired neuron is asked to be earlier still by
    ``earliness``, in proportion to the decision step. With ``silence``, the threshold stands among
    the potentials with that weight: an output ahead of the others but silent learns to fire.

    Args:
        potential: of the output neurons, [B, classes].
        winner: the class decided for, int64 [B].
        decision: its step [B]; t_max where no output neuron fired.
        target: labels, int64 [B].
        rule: ``temperature``, ``silence`` and ``earliness``.
        t_max: number of time steps.
        threshold: of the output neurons.
    """
    desired = nn.functional.one_hot(target, potential.shape[1]).to(potential.dtype)
    is_first = (winner == target) & (decision < t_max)
    rivals = potential
    if rule.silence:
        level = threshold + rule.temperature * math.log(rule.silence)
        rivals = nn.functional.pad(potential, (0, 1), value=level)
    shares = torch.softmax(rivals / rule.temperature, dim=1)[:, : potential.shape[1]]
    error = shares - desired
    error = torch.where(is_first[:, None] & (desired > 0), 0, error)
    return error - desired * (rule.earliness / t_max * decision)[:, None]


class DecisionLearner(Learner):
    """Training steps of a classifier: race, gradients and Adam at once (CPU, float32).

    Args:
        model: a network of two layers with biases; its weights are updated in place.
        optimizer: gives the learning rate and holds the moments; see `EventAdam`.
        rule: the settings.
    """

    def __init__(
        self, model: Classifier, optimizer: torch.optim.Optimizer, rule: DecisionRule
    ) -> None:
        from firstspike.ops.cpu import learning, minibatch  # Numba takes a second to import
        from firstspike.ops.cpu.noise import make_noise

        first, last = model.layers
        assert first.bias is not None and last.bias is not None
        parameters = [first.weight, first.bias, last.weight, last.bias]
        self._adam = EventAdam(optimizer, parameters)
        hidden, hidden_bias, output, output_bias = (rows(parameter) for parameter in parameters)
        self._network = minibatch.Network(
            hidden, hidden_bias, output, output_bias, np.ascontiguousarray(output.T)
        )
        self._moments = learning.Moments(*self._adam.moments)
        self._learning, self._kernels = learning, minibatch
        self._codes = shade_times(model.t_max)
        self._noise = make_noise(rule.shift, rule.jitter, rule.whole, rule.framed_shift)
        self._rules = _kernel_rule(model, rule), _kernel_rule(model, rule.framed)
        self._traces = self._room(0)

    def _room(self, batch: int) -> Traces:
        figures, in_time = self._kernels.FIGURES, self._rules[0].peaks
        return self._learning.new_traces(self._network, batch, figures, in_time)

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        seed = int(torch.randint(2**32, (), generator=rng))
        if len(images) != len(self._traces.outcome):
            self._traces = self._room(len(images))
        network, traces = self._network, self._traces
        self._kernels.race(
            images.numpy(),
            labels.numpy(),
            self._codes,
            self._noise,
            self._rules,
            seed,
            network,
            traces,
        )
        adam = self._learning.Adam(*self._adam.next_step(len(images)))
        self._learning.learn(network, self._moments, traces, adam)
        network.output_columns[:] = network.output_rows.T
        right, decision, spikes = traces.outcome.mean(axis=0).tolist()
        return {"train_accuracy": right, "train_decision_step": decision, "train_spikes": spikes}


def _kernel_rule(model: Classifier, rule: DecisionRule) -> Rule:
    """The settings as the kernels take them."""
    from firstspike.ops.cpu.minibatch import Rule
    from firstspike.ops.cpu.noise import silenced_share

    return Rule(
        model.t_max,
        model.delay,
        model.layers[0].threshold,
        rule.window,
        rule.temperature,
        rule.silence,
        rule.earliness,
        rule.sparsity,
        silenced_share(rule.dropout),
        rule.credit == "peak",
    )
