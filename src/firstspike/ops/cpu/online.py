"""Training sample by sample by temporal backpropagation, event by event (CPU, Numba).

A network of two layers without bias learns from one image after the other, by the rule of S4NN
(Kheradpisheh and Masquelier, arXiv 1910.09495) or that of aggressive TTFS (Spiking-GAN, arXiv
2106.15420, section 2.4-2.5). Both descend the squared distance of the output spikes from targets
that depend on the first of them; they differ in the targets (`firstspike.losses`).

The cost follows the spikes. A sample's layers share one clock (`firstspike.ops.cpu.clock`), and the
race ends when no later output spike can have an error: with S4NN's targets soon after the first,
with the aggressive ones when all output neurons have fired. Only neurons with an error learn, and
only from the spikes that had reached them. L2 decay would touch every weight for every sample:
instead, a layer's weights are ``scale * rows``, decay shrinks the scale, and the potentials of
``rows`` are compared with ``threshold / scale``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from firstspike.ops.cpu.clock import new_spikes, next_step, take_step
from firstspike.ops.cpu.events import lean, make_room, njit, sort_events
from firstspike.times import T_MAX, check_t_max, check_times

OnlineLoss = Literal["s4nn", "aggressive"]
Norm = Literal["l1", "l2"]

_SMALLEST_SCALE = 0.5  # below, the scale goes into the rows, which then keep their magnitude
_NORMS = {None: 0, "l1": 1, "l2": 2}


@dataclass(frozen=True)
class OnlineSettings:
    """The rule of `train_epoch`; the defaults are for weights that start in (0, 2.5) and (0, 5).

    Args:
        loss: ``"s4nn"``, the target of `firstspike.losses.relative_targets`, or ``"aggressive"``,
            that of `firstspike.losses.aggressive_targets`.
        lr: learning rates of the hidden and of the output layer.
        decay: L2 penalty; each sample takes ``lr * decay`` of every weight off.
        normalize: divide the error of each layer by its L1 norm (Spiking-GAN, section 2.5) or L2
            norm (S4NN) before use, or None.
        gamma: steps by which S4NN wants the other neurons to come later than the first spike.
        threshold: potential that must be exceeded, in both layers.
        t_max: number of time steps.
        delay: steps from a spike to its effect.

    Raises:
        ValueError: a setting is out of its range.
    """

    loss: OnlineLoss = "s4nn"
    lr: tuple[float, float] = (0.32, 0.24)
    decay: float = 5e-6
    normalize: Norm | None = "l2"
    gamma: float = 3.0
    threshold: float = 100.0
    t_max: int = T_MAX
    delay: int = 1

    def __post_init__(self) -> None:
        check_t_max(self.t_max)
        if self.loss not in get_args(OnlineLoss):
            raise ValueError(f"loss must be one of {get_args(OnlineLoss)}, got {self.loss!r}")
        if self.normalize not in _NORMS:
            raise ValueError(f"normalize must be 'l1', 'l2' or None, got {self.normalize!r}")
        if len(self.lr) != 2 or not min(self.lr) >= 0:
            raise ValueError(f"lr must be two rates that are not negative, got {self.lr}")
        if not 0 <= self.decay * max(self.lr) < 1:
            raise ValueError(f"decay must lie between 0 and 1 / lr, got {self.decay}")
        if not self.gamma >= 0:
            raise ValueError(f"gamma must not be negative, got {self.gamma}")
        if not self.threshold > 0:
            raise ValueError(f"threshold must be positive, got {self.threshold}")
        if isinstance(self.delay, bool) or not isinstance(self.delay, int) or self.delay < 0:
            raise ValueError(f"delay must be a whole number of steps, 0 or more, got {self.delay}")


@dataclass(frozen=True, eq=False)
class OnlineStats:
    """How the network did on each sample just before it learnt from it.

    Args:
        strict: bool [n], decided right; the first of the earliest output spikes decides, or the
            largest final potential where there is none.
        ties: bool [n], decided right or the label is among the earliest.
        decisions: int64 [n], the step of the first output spike; t_max where there is none.
        spikes: int64 [n, 3], of input, hidden and output layer, up to and including that step.
        hidden_firing: int64 [hidden], samples in which each hidden neuron fired while it mattered.
    """

    strict: Tensor
    ties: Tensor
    decisions: Tensor
    spikes: Tensor
    hidden_firing: Tensor


def train_epoch(
    times: Tensor,
    labels: Tensor,
    order: Tensor,
    hidden_rows: Tensor,
    output_rows: Tensor,
    settings: OnlineSettings,
) -> OnlineStats:
    """Learn from one sample after the other; the weights are updated in place.

    For each sample: both layers' spike times (eq. 1-2); the output error t - T with the targets of
    the loss, where a silent desired neuron counts as firing at t_max; the hidden error, the sum of
    ``error[k] * w[j, k]`` over the output neurons that hidden neuron j contributed to, 0 if it is
    silent (eq. 15); and ``w -= lr * (dL/dw + decay * w)`` with ``dL/dw = -error`` where the input
    contributed (eq. 8, 14). Weights are those before the update throughout, where S4NN's script
    takes the updated output weights for the hidden error.

    Args:
        times: input spike times in steps [N, in], whole values in 0..t_max, float32.
        labels: the desired output neuron of each, int64 [N].
        order: samples to learn from, one after the other, int64 [n], each in 0..N-1.
        hidden_rows: transposed weights of the hidden layer [in, hidden], C-contiguous, as
            ``FirstSpikeLinear.weight.detach().t()`` is.
        output_rows: those of the output layer [hidden, classes]; both are float32.
        settings: the rule.

    Returns:
        What happened, sample by sample in this order.

    Raises:
        ValueError: an argument does not fit; the message names it. If it is found only on the way
            that ``times`` are no spike times, the samples before have been learnt.
    """
    _check(times, labels, order, hidden_rows, output_rows)
    hidden = len(output_rows)
    stats = OnlineStats(
        strict=torch.zeros(len(order), dtype=torch.bool),
        ties=torch.zeros(len(order), dtype=torch.bool),
        decisions=torch.zeros(len(order), dtype=torch.int64),
        spikes=torch.zeros(len(order), 3, dtype=torch.int64),
        hidden_firing=torch.zeros(hidden, dtype=torch.int64),
    )
    rule = _Rule(
        settings.loss == "aggressive",
        (float(settings.lr[0]), float(settings.lr[1])),
        float(settings.decay),
        _NORMS[settings.normalize],
        float(settings.gamma),
        float(settings.threshold),
        settings.t_max,
        settings.delay,
    )
    valid = _train(
        times.contiguous().numpy(),
        labels.numpy(),
        order.numpy(),
        (hidden_rows.numpy(), output_rows.numpy()),
        rule,
        _Record(*(tensor.numpy() for tensor in vars(stats).values())),
    )
    if not valid:
        check_times(times, settings.t_max)
    return stats


def reset_dead(
    hidden_rows: Tensor,
    hidden_firing: Tensor,
    init: tuple[float, float],
    rng: torch.Generator,
    at_least: int = 1,
) -> int:
    """Draw the weights of hidden neurons that hardly ever fire anew, in place (as S4NN's script).

    Args:
        hidden_rows: transposed weights of the hidden layer [in, hidden].
        hidden_firing: in how many samples each neuron fired, int64 [hidden], as in `OnlineStats`.
        init: weights are drawn uniformly from (low, high).
        rng: gives the weights; the same state gives the same ones.
        at_least: a neuron that fired less often is dead.

    Returns:
        Number of neurons that were reset.

    Raises:
        ValueError: ``hidden_firing`` does not fit ``hidden_rows``.
    """
    if hidden_firing.shape != hidden_rows.shape[1:]:
        raise ValueError(
            f"hidden_firing must be [{hidden_rows.shape[1]}], got {list(hidden_firing.shape)}"
        )
    dead = hidden_firing < at_least
    count = int(dead.sum())
    fresh = torch.empty(len(hidden_rows), count, dtype=hidden_rows.dtype)
    hidden_rows[:, dead] = fresh.uniform_(*init, generator=rng)
    return count


def _check(
    times: Tensor, labels: Tensor, order: Tensor, hidden_rows: Tensor, output_rows: Tensor
) -> None:
    if times.ndim != 2 or times.dtype != torch.float32:
        raise ValueError(f"times must be float32 [N, in], got {times.dtype} {list(times.shape)}")
    for name, rows, inputs in (
        ("hidden_rows", hidden_rows, times.shape[1]),
        ("output_rows", output_rows, hidden_rows.shape[-1]),
    ):
        if rows.ndim != 2 or len(rows) != inputs or not rows.shape[1] or not rows.is_contiguous():
            raise ValueError(
                f"{name} must be contiguous [{inputs}, out], got shape {list(rows.shape)}"
            )
        if rows.dtype != torch.float32 or rows.requires_grad:
            raise ValueError(f"{name} must be float32 and detached, got {rows.dtype}")
    _check_indices("labels", labels, output_rows.shape[1])
    _check_indices("order", order, len(times))
    if len(labels) != len(times):
        raise ValueError(f"labels must be [{len(times)}] as times, got {len(labels)}")


def _check_indices(name: str, values: Tensor, limit: int) -> None:
    if values.ndim != 1 or values.dtype != torch.int64:
        raise ValueError(f"{name} must be int64 [N], got {values.dtype} {list(values.shape)}")
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < limit:
        raise ValueError(f"{name} must lie in 0..{limit - 1}")


class _Rule(NamedTuple):
    """`OnlineSettings` as the kernels take them."""

    aggressive: bool
    lr: tuple[float, float]
    decay: float
    norm: int
    gamma: float
    threshold: float
    t_max: int
    delay: int


class _Record(NamedTuple):
    """Arrays of `OnlineStats`."""

    strict: np.ndarray
    ties: np.ndarray
    decisions: np.ndarray
    spikes: np.ndarray
    hidden_firing: np.ndarray


@njit
def _train(times, labels, order, rows, rule, record):
    """All samples; False if a time is invalid."""
    inputs, hidden = rows[0].shape
    classes = rows[1].shape[1]
    widest = max(inputs, hidden, classes)
    room = make_room(inputs, rows[0], rule.t_max)
    potentials = np.empty((2, widest), rows[0].dtype)
    spikes = new_spikes(2, widest)
    output = np.empty(classes, np.float64)
    errors = np.empty((2, max(hidden, classes)), np.float64)
    scales = np.ones(2)
    for n in range(order.shape[0]):
        label = labels[order[n]]
        count = sort_events(times[order[n]], rule.t_max, rule.delay, room)
        if count < 0:
            _rescale(rows, scales, 1.0)
            return False
        spikes.queued[0] = count
        for k in range(count):
            spikes.queue[0, k] = room.order[k]
            spikes.arrivals[0, k] = room.when[room.order[k]] + rule.delay
        thresholds = (rule.threshold / scales).astype(rows[0].dtype)
        _race(rows, thresholds, label, rule, potentials, spikes)
        output[:] = rule.t_max
        for k in range(spikes.queued[2]):
            output[spikes.queue[2, k]] = spikes.arrivals[2, k] - rule.delay
        _note(record, n, times[order[n]], spikes, output, potentials[1, :classes], label, rule)
        _learn(rows, scales, label, rule, spikes, output, errors)
        _rescale(rows, scales, _SMALLEST_SCALE)
    _rescale(rows, scales, 1.0)
    return True


@njit
def _rescale(rows, scales, limit):
    """Put scales below a limit into the rows."""
    for layer in range(2):
        if scales[layer] < limit:
            rows[layer][:] *= rows[layer].dtype.type(scales[layer])
            scales[layer] = 1.0


@lean
def _race(rows, thresholds, label, rule, potentials, spikes):
    """Run both layers until no later output spike can have an error; fills the queues (eq. 1-2)."""
    queue, arrivals, queued, taken = spikes
    queued[1:], taken[:] = 0, 0
    potentials[:] = 0.0
    out = potentials.dtype.type(-np.inf)
    step = next_step(arrivals, queued, taken, rule.t_max)
    while step < rule.t_max:
        take_step(
            rows, thresholds, out, step, rule.delay, potentials, queue, arrivals, queued, taken
        )
        step = next_step(arrivals, queued, taken, rule.t_max)
        if queued[2] == rows[1].shape[1]:
            return
        wanted_fired = potentials[1, label] == out
        first = arrivals[2, 0] - rule.delay
        if wanted_fired and not rule.aggressive and step >= first + rule.gamma:
            return  # S4NN leaves other neurons alone that come so late


@njit
def _note(record, n, when, spikes, output, potential, label, rule):
    """What the network decided, and how many spikes that took."""
    decision = output.min()
    spoke = decision < rule.t_max
    winner = np.argmin(output) if spoke else np.argmax(potential)
    record.strict[n] = winner == label
    record.ties[n] = winner == label or (spoke and output[label] == decision)
    record.decisions[n] = decision
    limit = min(decision, rule.t_max - 1)
    for i in range(when.shape[0]):
        record.spikes[n, 0] += when[i] <= limit
    for layer in range(1, 3):
        for k in range(spikes.queued[layer]):
            record.spikes[n, layer] += spikes.arrivals[layer, k] - rule.delay <= limit
    for k in range(spikes.queued[1]):
        record.hidden_firing[spikes.queue[1, k]] += 1


@njit
def _learn(rows, scales, label, rule, spikes, output, errors):
    """One sample's update (eq. 8). ``errors`` of hidden neurons are in order of their spikes."""
    error, hidden_error = errors[1, : output.shape[0]], errors[0, : spikes.queued[1]]
    _output_error(output, label, rule, error)
    wrong = _normalize(error, rule.norm)
    if wrong:
        _hidden_error(rows[1], spikes, output, error, hidden_error)
        hidden_error *= scales[1]
        _normalize(hidden_error, rule.norm)
    for layer in range(2):
        scales[layer] *= 1.0 - rule.lr[layer] * rule.decay
    if wrong:
        error *= rule.lr[1] / scales[1]
        hidden_error *= rule.lr[0] / scales[0]
        _update_output(rows[1], spikes, output, error)
        _update_hidden(rows[0], spikes, rule.delay, hidden_error)


@njit
def _output_error(output, label, rule, error):
    """Spike times minus targets (Spiking-GAN, eq. 6-7 and 16; S4NN, eq. 7-8).

    An output neuron that the race did not wait for counts as silent, which has no error either.
    """
    first, t_max = output.min(), rule.t_max
    for k in range(output.shape[0]):
        target = t_max if rule.aggressive else max(output[k], min(first + rule.gamma, t_max))
        error[k] = output[k] - target
    if first == t_max:
        first = 0.0 if rule.aggressive else t_max - rule.gamma
    error[label] = output[label] - first


@njit
def _normalize(error, norm):
    """Divide by the norm (section 2.5); whether there is any error."""
    total = 0.0
    for k in range(error.shape[0]):
        total += error[k] ** 2 if norm == 2 else abs(error[k])
    if total > 0 and norm:
        error /= np.sqrt(total) if norm == 2 else total
    return total > 0


@lean
def _hidden_error(rows, spikes, output, error, hidden_error):
    """Errors of the hidden neurons that fired (eq. 15)."""
    for q in range(spikes.queued[1]):
        row, arrival = rows[spikes.queue[1, q]], spikes.arrivals[1, q]
        total = 0.0
        for k in range(output.shape[0]):
            if arrival <= output[k]:
                total += error[k] * row[k]
        hidden_error[q] = total


@lean
def _update_output(rows, spikes, output, change):
    """Add each output neuron's change to its weights from spikes that had reached it (eq. 14)."""
    for q in range(spikes.queued[1]):
        row, arrival = rows[spikes.queue[1, q]], spikes.arrivals[1, q]
        for k in range(output.shape[0]):
            if arrival <= output[k]:
                row[k] += rows.dtype.type(change[k])


@njit
def _update_hidden(rows, spikes, delay, change):
    """Add the hidden neurons' changes to their weights from input spikes that had reached them.

    Eq. 8 and 14, for neurons that have a change; they are in order of their spikes.
    """
    learners = np.empty(change.shape[0], np.int32)
    changes = np.empty(change.shape[0], rows.dtype)
    fired = np.empty(change.shape[0], np.int64)
    count = 0
    for q in range(change.shape[0]):
        if change[q] != 0.0:
            learners[count], changes[count] = spikes.queue[1, q], change[q]
            fired[count] = spikes.arrivals[1, q] - delay
            count += 1
    start = 0  # learners before this one fired before the input spike arrived
    for e in range(spikes.queued[0]):
        while start < count and fired[start] < spikes.arrivals[0, e]:
            start += 1
        row = rows[spikes.queue[0, e]]
        for q in range(start, count):
            row[learners[q]] += changes[q]
