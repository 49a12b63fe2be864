"""What a network of first spikes decides, when, and what it costs: counts, never estimates of them.

Spikes are counted "in the whole network till that time step" at which the first output neuron
spikes (Spiking-GAN, arXiv 2106.15420, section 3.1), the input's included.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from firstspike.times import T_MAX, check_t_max, check_times, check_whole

Until = Literal["decision", "end"]


@dataclass(frozen=True, eq=False)
class SpikeStats:
    """Latency and work of each sample.

    Args:
        decision: [B], the step at which counting ended, of the dtype of the times.
        spikes: int64 [B, layers], spikes of each layer up to and including that step, the input's
            first.
        synaptic_operations: int64 [B], additions of a weight to a potential by then.
    """

    decision: Tensor
    spikes: Tensor
    synaptic_operations: Tensor

    @property
    def total(self) -> Tensor:
        """Spikes of the whole network, int64 [B]."""
        return self.spikes.sum(dim=1)


@dataclass(frozen=True)
class Accuracy:
    """Fractions of the samples, 0..1.

    Args:
        strict: decided right; among several earliest spikes the first class wins.
        ties: right if the label is among the earliest, as S4NN's code counts.
        tied_fraction: with several earliest spikes.
        no_spike_fraction: without any output spike.
        first_spike: as strict, but wrong without an output spike, whatever potentials say.
    """

    strict: float
    ties: float
    tied_fraction: float
    no_spike_fraction: float
    first_spike: float


@dataclass(frozen=True, eq=False)
class DeadlineCurve:
    """Fractions of the samples, 0..1, for each step t = 0..t_max at which a decision is forced.

    Args:
        right: float64 [t_max + 1], decided right by then.
        decided: float64 [t_max + 1], decided at all by then, that is, with an output spike.
    """

    right: Tensor
    decided: Tensor


def spike_stats(
    layer_times: Sequence[Tensor],
    t_max: int = T_MAX,
    *,
    until: Until = "decision",
    delay: int = 1,
) -> SpikeStats:
    """Decision step, spikes and synaptic operations of each sample.

    A synaptic operation is one addition of a weight to a potential: each spike of a layer reaches
    every neuron of the next layer, ``delay`` steps later. A spike counts up to and including the
    decision step, its additions if it has arrived by then.

    Args:
        layer_times: spike times [B, features] of the input and of every layer, in order, as
            `FirstSpikeSequential.layer_times` gives them.
        t_max: number of time steps.
        until: ``"decision"`` counts up to the first output spike, or all where there is none (the
            decision step is then ``t_max``); ``"end"`` counts the whole simulation, which a
            generator needs for its image, with ``t_max`` as decision step.
        delay: steps from a spike to its effect, as the network has it.

    Raises:
        ValueError: a tensor does not hold spike times [B, features] of one batch.
    """
    if len(layer_times) < 2:
        raise ValueError(f"layer_times must hold the input and a layer, got {len(layer_times)}")
    for number, layer in enumerate(layer_times):
        _check_layer(layer, t_max, f"layer_times[{number}]")
    if len({len(layer) for layer in layer_times}) > 1:
        raise ValueError("layer_times must belong to one batch, but their lengths differ")
    if until not in get_args(Until):
        raise ValueError(f"until must be 'decision' or 'end', got {until!r}")
    times = [layer.detach() for layer in layer_times]
    decision = times[-1].amin(dim=1)
    if until == "end":
        decision = torch.full_like(decision, t_max)
    limit = decision.unsqueeze(1)
    spikes = torch.stack([((t <= limit) & (t < t_max)).sum(dim=1) for t in times], dim=1)
    last = decision.clamp(max=t_max - 1).unsqueeze(1) - check_whole("delay", delay, 0)
    operations = sum(
        (before <= last).sum(dim=1) * after.shape[1] for before, after in itertools.pairwise(times)
    )
    assert isinstance(operations, Tensor)  # of two layers at least
    return SpikeStats(decision, spikes, operations)


def decide(times: Tensor, potential: Tensor | None = None, t_max: int = T_MAX) -> Tensor:
    """The class that each sample is given: the first of the earliest output spikes.

    Args:
        times: spike times of the output layer, [B, classes].
        potential: final potentials [B, classes], as `FirstSpikeLinear.final_potential` gives them;
            the largest decides where no output neuron spiked.
        t_max: number of time steps.

    Returns:
        int64 [B]; -1, no class at all, where nothing spiked and there is no ``potential``.

    Raises:
        ValueError: ``times`` are not spike times, or ``potential`` has another shape.
    """
    _check_layer(times, t_max)
    if potential is not None and potential.shape != times.shape:
        raise ValueError(
            f"potential must have the shape of times, {list(times.shape)}, "
            f"got {list(potential.shape)}"
        )
    first, winner = times.detach().amin(dim=1), times.detach().argmin(dim=1)
    fallback = torch.full_like(winner, -1) if potential is None else potential.argmax(dim=1)
    return torch.where(first < t_max, winner, fallback)


def accuracy(
    times: Tensor, labels: Tensor, potential: Tensor | None = None, t_max: int = T_MAX
) -> Accuracy:
    """How often the decision is right, under both ways to treat ties.

    Args:
        times: spike times of the output layer, [B, classes], B at least 1.
        labels: int64 [B].
        potential: as for `decide`, which tells the class where no output neuron spiked.
        t_max: number of time steps.

    Raises:
        ValueError: as for `decide`, or ``labels`` do not fit.
    """
    decided = decide(times, potential, t_max)
    _check_labels(labels, len(times))
    first = times.detach().amin(dim=1, keepdim=True)
    spoke = first.squeeze(1) < t_max
    earliest = (times == first) & spoke.unsqueeze(1)
    among = earliest & (torch.arange(times.shape[1], device=times.device) == labels.unsqueeze(1))
    right = decided == labels
    return Accuracy(
        strict=_fraction(right),
        ties=_fraction(right | among.any(dim=1)),
        tied_fraction=_fraction(earliest.sum(dim=1) > 1),
        no_spike_fraction=_fraction(~spoke),
        first_spike=_fraction(right & spoke),
    )


def accuracy_by_deadline(times: Tensor, labels: Tensor, t_max: int = T_MAX) -> DeadlineCurve:
    """Accuracy against latency: how often the decision is right if it is forced at step t.

    The first of the earliest output spikes up to and including step t decides, as in `decide`.
    Where nothing has spiked by then there is no decision, which counts as wrong, at t_max as well:
    the curve ends below the strict `accuracy` by what potentials decide there.

    Args:
        times: spike times of the output layer, [B, classes], B at least 1.
        labels: int64 [B].
        t_max: number of time steps.

    Raises:
        ValueError: ``times`` are not spike times, or ``labels`` do not fit.
    """
    decided = decide(times, t_max=t_max)
    _check_labels(labels, len(times))
    first = times.detach().amin(dim=1).long()

    def by_step(chosen: Tensor) -> Tensor:
        return torch.bincount(first[chosen], minlength=t_max + 1).cumsum(0).double() / len(first)

    return DeadlineCurve(right=by_step(decided == labels), decided=by_step(decided >= 0))


def confusion(decisions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How often each class was decided for each class.

    Args:
        decisions: int64 [B], as `decide` gives them. Samples without a decision (-1) are left out,
            so that a row then sums to less than its class has samples.
        labels: int64 [B] in 0..classes-1.
        classes: number of classes.

    Returns:
        int64 [classes, classes]; rows are the true classes, columns the decided ones.

    Raises:
        ValueError: ``labels`` or ``decisions`` do not fit.
    """
    _check_labels(labels, len(decisions), classes)
    if decisions.dtype != torch.int64 or ((decisions < -1) | (decisions >= classes)).any():
        raise ValueError(f"decisions must be int64 in -1..{classes - 1}, as `decide` gives them")
    made = decisions >= 0
    cells = labels[made] * classes + decisions[made]
    return torch.bincount(cells, minlength=classes**2).view(classes, classes)


def peak_signal_to_noise(images: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio of images, of the mean squared error of all their pixels.

    Args:
        images: intensities in 0..1, any shape.
        wanted: those that they should have, of the same shape.

    Returns:
        Decibels; at most 100, which images without an error have.

    Raises:
        ValueError: the shapes differ, or there is no pixel.
    """
    if images.shape != wanted.shape or not images.numel():
        raise ValueError(
            f"images must be of the shape of wanted, not empty, got {list(images.shape)} and "
            f"{list(wanted.shape)}"
        )
    error = (images - wanted).double().square().mean()
    return -10 * math.log10(max(float(error), 1e-10))


def sharpness(images: Tensor) -> float:
    """Mean absolute difference of neighbouring pixels: what is blurred has less.

    Args:
        images: intensities, [..., H, W] with both sides at least 2.

    Raises:
        ValueError: there are no neighbours.
    """
    if images.ndim < 2 or min(images.shape[-2:]) < 2 or not images.numel():
        raise ValueError(f"images must be [..., 2 or more, 2 or more], got {list(images.shape)}")
    return float(sum(images.diff(dim=side).abs().double().mean() for side in (-1, -2)) / 2)


def intersection_over_union(classes: Tensor, wanted: Tensor, count: int) -> Tensor:
    """Of each class, the places where it was both said and wanted, out of those where either was.

    Args:
        classes: that were said, whole numbers in 0..count-1, any shape.
        wanted: those that should have been, of the same shape.
        count: number of classes.

    Returns:
        float64 [count]; NaN for a class that was neither said nor wanted.

    Raises:
        ValueError: the shapes differ, or there are other classes.
    """
    both = classes.flatten().long(), wanted.flatten().long()
    if classes.shape != wanted.shape or any(((x < 0) | (x >= count)).any() for x in both):
        raise ValueError(
            f"classes must be numbers in 0..{count - 1} in the shape of wanted, "
            f"{list(wanted.shape)}, got {list(classes.shape)}"
        )
    table = torch.bincount(both[1] * count + both[0], minlength=count**2).view(count, count)
    common = table.diagonal().double()
    return common / (table.sum(dim=0) + table.sum(dim=1) - common)


def class_means(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean of each class's samples, such as their decision steps (Spiking-GAN, fig. 6).

    Args:
        values: [B] or [B, ...], of any real dtype.
        labels: int64 [B] in 0..classes-1.
        classes: number of classes.

    Returns:
        float64 [classes, ...]; NaN for a class without samples.

    Raises:
        ValueError: ``labels`` do not fit.
    """
    _check_labels(labels, len(values), classes)
    sums = values.new_zeros(classes, *values.shape[1:], dtype=torch.float64)
    sums.index_add_(0, labels, values.detach().double())
    counts = torch.bincount(labels, minlength=classes)
    return sums / counts.view(-1, *[1] * (values.ndim - 1))


def silent_fraction(times: Tensor, t_max: int = T_MAX) -> float:
    """Fraction of a layer's neurons that do not spike, over all samples: [B, features] -> 0..1."""
    _check_layer(times, t_max)
    if not len(times):
        raise ValueError("times must hold at least one sample")
    return _fraction(times == t_max)


def _fraction(chosen: Tensor) -> float:
    return chosen.double().mean().item()


def _check_labels(labels: Tensor, count: int, classes: int | None = None) -> None:
    """Raise ValueError unless these are int64 [count], not empty, and below ``classes``."""
    if labels.shape != (count,) or labels.dtype != torch.int64 or not count:
        raise ValueError(
            f"labels must be int64 [{count}], one for each of at least one sample, "
            f"got {labels.dtype} {list(labels.shape)}"
        )
    if classes is not None and ((labels < 0) | (labels >= classes)).any():
        raise ValueError(
            f"labels must lie in 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}"
        )


def _check_layer(times: Tensor, t_max: int, name: str = "times") -> None:
    """Raise ValueError unless these are spike times [B, features]."""
    check_t_max(t_max)
    if times.ndim != 2 or not times.shape[1]:
        raise ValueError(f"{name} must be [B, features], not empty, got {list(times.shape)}")
    check_times(times, t_max, name)
