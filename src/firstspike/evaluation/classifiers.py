"""What a trained classifier is worth and what it costs: the paper's section 3.1 in numbers.

Everything is counted on one set of images up to the first output spike, at which the decision is
taken; see `firstspike.metrics` for what counts as what.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from firstspike import metrics
from firstspike.coding import encode
from firstspike.data import Data, ImageSet, as_image_set
from firstspike.energy import ADD_PJ, MAC_PJ, energy
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.times import T_MAX, check_t_max
from firstspike.words import counted

PerClass = list[float | None]  # None: the class has no images


@dataclass(frozen=True)
class DecisionReport:
    """What a spiking network decides, when, and at what cost, however its layers are connected.

    Shares are 0..1; all else is a mean per image. Every field is a JSON value. Counts of spikes and
    of synaptic operations end with the decision step, at which the network may stop (Spiking-GAN,
    section 3.1).

    Args:
        data: name of the images.
        count: how many there are.
        t_max: number of time steps.
        strict_accuracy: among several earliest output spikes the first class wins; where nothing
            spikes, the largest potential.
        ties_accuracy: right if the label is among the earliest, as S4NN's code counts.
        first_spike_accuracy: as strict, but wrong where nothing spikes.
        tied_fraction: images with several earliest output spikes.
        no_spike_fraction: images without an output spike.
        decision_step: step of the first output spike; the last step's successor where there is
            none.
        time_used: ``decision_step`` over all steps (the paper's 23.3 % of 256).
        total_spikes: spikes of the network, the input's included.
        neurons_fired: ``total_spikes`` over all neurons (the paper's 16.2 % of 1194).
        synaptic_operations: additions of a weight to a potential.
        energy_pj: estimated energy of what the network does, in picojoules.
        dense_macs: multiply-adds of the dense twin of the same layers.
        dense_energy_pj: estimated energy of these multiply-adds, in picojoules.
        class_accuracy: strict accuracy of each class.
        class_decision_step: ``decision_step`` of each class (fig. 6a).
        class_spikes: ``total_spikes`` of each class (fig. 6b).
        confusion: numbers of images; rows are the true classes, columns the decided ones.
        accuracy_by_deadline: share decided right if the decision is forced at step 0, 1, ...,
            t_max of the output layer; no spike by then is wrong.
        decided_by_deadline: share decided at all by then.
    """

    data: str
    count: int
    t_max: int
    strict_accuracy: float
    ties_accuracy: float
    first_spike_accuracy: float
    tied_fraction: float
    no_spike_fraction: float
    decision_step: float
    time_used: float
    total_spikes: float
    neurons_fired: float
    synaptic_operations: float
    energy_pj: float
    dense_macs: int
    dense_energy_pj: float
    class_accuracy: PerClass
    class_decision_step: PerClass
    class_spikes: PerClass
    confusion: list[list[int]]
    accuracy_by_deadline: list[float]
    decided_by_deadline: list[float]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values, for ``metrics.json``."""
        return dataclasses.asdict(self)

    @property
    def fallback_accuracy(self) -> float | None:
        """Share right of the images without an output spike; None where there are none."""
        silent = round(self.no_spike_fraction * self.count)
        right = round((self.strict_accuracy - self.first_spike_accuracy) * self.count)
        return right / silent if silent else None

    def decided(self) -> str:
        """In a line, what first spikes decided and what the fallback did."""
        told = f"by their first spike, {self.first_spike_accuracy:.2%} of all images are right"
        silent = round(self.no_spike_fraction * self.count)
        if not silent:
            return f"{told}; every image has one"
        return (
            f"{told}; {counted(silent, 'image')} without one went by the largest potential, "
            f"{self.fallback_accuracy:.1%} of them right"
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The opposite of `as_dict`; other entries are left out. ValueError if one is missing."""
        names = [field.name for field in dataclasses.fields(cls)]
        if curve := record.get(
            "accuracy_by_deadline"
        ):  # of all steps; older reports lack the first
            record = {"first_spike_accuracy": curve[-1], **record}
        if missing := [name for name in names if name not in record]:
            raise ValueError(
                f"record lacks {missing[0]!r}; give the report of a spiking classifier"
            )
        return cls(**{name: record[name] for name in names})


@dataclass(frozen=True)
class ClassifierReport(DecisionReport):
    """Quality and cost of a spiking classifier of fully connected layers.

    Args:
        sizes: neurons of each layer, the input's first.
        input_spikes: spikes of the input.
        hidden_spikes: spikes of all hidden layers.
        output_spikes: spikes of the output layer.
        hidden_firing: hidden neurons that fire if the simulation goes on to its end.
        dead_hidden: number of hidden neurons that fire for no image.
    """

    sizes: list[int]
    input_spikes: float
    hidden_spikes: float
    output_spikes: float
    hidden_firing: float
    dead_hidden: int


def evaluate_classifier(
    model: FirstSpikeSequential,
    images: Data,
    t_max: int = T_MAX,
    batch: int = 1000,
    add_pj: float = ADD_PJ,
    mac_pj: float = MAC_PJ,
) -> ClassifierReport:
    """Run a spiking classifier on images and count everything that it does.

    Args:
        model: takes the spike times of an image's values, in their order; one output neuron for
            each class.
        images: labelled, see `firstspike.data.as_image_set`; labels below the number of classes.
        t_max: number of time steps, that of the model's layers.
        batch: images at a time; changes the memory that is used and nothing else.
        add_pj: picojoules of an addition, by default 32-bit floating point in 45 nm as in
            M. Horowitz, "Computing's energy problem", ISSCC 2014; see `firstspike.energy.energy`.
        mac_pj: picojoules of a multiplication and an addition, from the same source. Biases count
            on neither side.

    Raises:
        ValueError: an argument does not fit.
    """
    images = as_image_set(images, name="images")
    layers = _check_classifier(model, t_max)
    sizes = _sizes(layers)
    _check_images(images, sizes, batch)
    race = _run(model, images, t_max, batch)
    return ClassifierReport(
        data=images.name,
        count=len(images),
        t_max=t_max,
        **quality(race.output, race.potential, images.labels, t_max),
        **averages(race.decision, race.spikes, images.labels, sizes, t_max),
        **_cost(race, sizes, add_pj, mac_pj),
    )


def evaluate_ann(
    model: nn.Sequential, images: Data, batch: int = 1000, mac_pj: float = MAC_PJ
) -> dict[str, Any]:
    """Run the dense twin of a classifier on images; under the names of `ClassifierReport`.

    Args:
        model: takes an image's values in 0..1, in their order, and gives a score for each class, of
            which the largest decides. It is run in evaluation mode.
        images: as for `evaluate_classifier`.
        batch: images at a time.
        mac_pj: picojoules of a multiplication and an addition, as for `evaluate_classifier`.

    Returns:
        JSON values: data, count, sizes, strict_accuracy, dense_macs (per image),
        dense_energy_pj, class_accuracy and confusion.

    Raises:
        ValueError: an argument does not fit.
    """
    images = as_image_set(images, name="images")
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ValueError(
            "model must hold torch.nn.Linear layers; make one with firstspike.models.ann_classifier"
        )
    sizes = _sizes(layers)
    _check_images(images, sizes, batch)
    with inference(model):
        parts = images.images.flatten(1).split(batch)
        scores = torch.cat([model(part.to(layers[0].weight) / 255).cpu() for part in parts])
    decided, macs = scores.argmax(dim=1), _macs(sizes)
    return {
        "data": images.name,
        "count": len(images),
        "sizes": sizes,
        "strict_accuracy": mean(decided == images.labels),
        "dense_macs": macs,
        "dense_energy_pj": energy(0, macs, mac_pj=mac_pj).dense_pj,
        "class_accuracy": per_class(decided == images.labels, images.labels, sizes[-1]),
        "confusion": metrics.confusion(decided, images.labels, sizes[-1]).tolist(),
    }


class _Race(NamedTuple):
    """What images did in the network; on the CPU."""

    output: Tensor  # spike times [B, classes]
    potential: Tensor  # final potentials [B, classes]
    decision: Tensor  # as in SpikeStats, and so the next two
    spikes: Tensor
    synaptic_operations: Tensor
    hidden_fired: Tensor  # int64 [batches, hidden neurons], images in which each fired by the end


def _run(model: FirstSpikeSequential, images: ImageSet, t_max: int, batch: int) -> _Race:
    """Run the network batch by batch."""
    races = [_run_batch(model, part, t_max) for part in images.images.split(batch)]
    return _Race(*map(torch.cat, zip(*races, strict=True)))


@torch.no_grad()
def _run_batch(model: FirstSpikeSequential, pixels: Tensor, t_max: int) -> _Race:
    computed = layer_times(model, pixels, t_max)
    potential = model.layers[-1].final_potential(computed[-2]).cpu()
    times = [layer.cpu() for layer in computed]
    stats = metrics.spike_stats(times, t_max, delay=model.delay)
    fired = torch.cat([(layer < t_max).sum(dim=0) for layer in times[1:]])
    hidden = fired[: len(fired) - times[-1].shape[1]].unsqueeze(0)
    return _Race(
        times[-1], potential, stats.decision, stats.spikes, stats.synaptic_operations, hidden
    )


def quality(output: Tensor, potential: Tensor, labels: Tensor, t_max: int) -> dict[str, Any]:
    """The fields of a `DecisionReport` that say how often the decision is right.

    Args:
        output: spike times of the output layer [N, classes].
        potential: its final potentials [N, classes].
        labels: int64 [N].
        t_max: number of time steps.
    """
    classes = output.shape[1]
    accuracy = metrics.accuracy(output, labels, potential, t_max)
    decided = metrics.decide(output, potential, t_max)
    curve = metrics.accuracy_by_deadline(output, labels, t_max)
    return {
        "strict_accuracy": accuracy.strict,
        "ties_accuracy": accuracy.ties,
        "first_spike_accuracy": accuracy.first_spike,
        "tied_fraction": accuracy.tied_fraction,
        "no_spike_fraction": accuracy.no_spike_fraction,
        "class_accuracy": per_class(decided == labels, labels, classes),
        "confusion": metrics.confusion(decided, labels, classes).tolist(),
        "accuracy_by_deadline": curve.right.tolist(),
        "decided_by_deadline": curve.decided.tolist(),
    }


def averages(
    decision: Tensor, spikes: Tensor, labels: Tensor, sizes: Sequence[int], steps: int
) -> dict[str, Any]:
    """The fields of a `DecisionReport` that say when the decision falls, after how many spikes.

    Args:
        decision: step of each decision [N].
        spikes: int64 [N, layers], the input's first.
        labels: int64 [N].
        sizes: neurons of each layer, the input's first; the last are the classes.
        steps: of the whole simulation.
    """
    total = spikes.sum(dim=1)
    return {
        "decision_step": mean(decision),
        "time_used": mean(decision) / steps,
        "total_spikes": mean(total),
        "neurons_fired": mean(total) / sum(sizes),
        "class_decision_step": per_class(decision, labels, sizes[-1]),
        "class_spikes": per_class(total, labels, sizes[-1]),
    }


def _cost(race: _Race, sizes: list[int], add_pj: float, mac_pj: float) -> dict[str, Any]:
    """The fields of a report that say what the decision costs, layer by layer."""
    spikes = race.spikes.double().mean(dim=0).tolist()
    operations, macs = mean(race.synaptic_operations), _macs(sizes)
    estimate = energy(operations, macs, add_pj=add_pj, mac_pj=mac_pj)
    return {
        "sizes": sizes,
        "input_spikes": spikes[0],
        "hidden_spikes": sum(spikes[1:-1], 0.0),
        "output_spikes": spikes[-1],
        "hidden_firing": race.hidden_fired.sum().item() / len(race.output),
        "dead_hidden": int((race.hidden_fired.sum(dim=0) == 0).sum()),
        "synaptic_operations": operations,
        "energy_pj": estimate.spiking_pj,
        "dense_macs": macs,
        "dense_energy_pj": estimate.dense_pj,
    }


@torch.no_grad()
def layer_times(model: FirstSpikeSequential, images: Tensor, t_max: int = T_MAX) -> list[Tensor]:
    """Spike times [B, neurons] of the input and of every layer, where and as the weights are.

    Args:
        model: as for `evaluate_classifier`.
        images: uint8 [B, ...].
        t_max: number of time steps.
    """
    return model.layer_times(encode(images.flatten(1), t_max).to(model.layers[0].weight))


@contextlib.contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode of before comes back."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _check_classifier(model: nn.Module, t_max: int) -> list[FirstSpikeLinear]:
    """The layers of the model; ValueError unless it is one of spiking layers for this t_max."""
    check_t_max(t_max)
    layers = model.layers if isinstance(model, FirstSpikeSequential) else []
    if not layers:
        raise ValueError(
            f"model must be a FirstSpikeSequential of layers, got {type(model).__name__}; "
            "make one with firstspike.models.classifier"
        )
    if differing := {layer.t_max for layer in layers} - {t_max}:
        raise ValueError(f"t_max must be that of the model's layers, {min(differing)}, got {t_max}")
    return layers


def _check_images(images: ImageSet, sizes: list[int], batch: int) -> None:
    """Raise ValueError unless the images fit a network of these sizes."""
    pixels = images.images[0].numel()
    if sizes[0] != pixels:
        raise ValueError(f"model must take the {pixels} pixels of an image, but takes {sizes[0]}")
    check_labels(images, sizes[-1])
    check_batch(batch)


def check_labels(images: ImageSet, classes: int) -> None:
    """Raise ValueError unless a network of so many outputs can tell these images' classes."""
    if (largest := images.classes[-1]) >= classes:
        raise ValueError(
            f"images must have labels in 0..{classes - 1}, one for each output of the model, "
            f"but {images.name} has {largest}"
        )


def check_batch(batch: int) -> None:
    """Raise ValueError unless this many images at a time are at least one."""
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")


def _sizes(layers: Sequence[FirstSpikeLinear | nn.Linear]) -> list[int]:
    """Neurons of each layer, the input's first."""
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def _macs(sizes: list[int]) -> int:
    """Multiply-adds of a dense network."""
    return sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes))


def mean(values: Tensor) -> float:
    """Of all values, which may be whole numbers or truth."""
    return values.double().mean().item()


def per_class(values: Tensor, labels: Tensor, classes: int) -> PerClass:
    """Mean of each class, which JSON can hold."""
    means = metrics.class_means(values, labels, classes).tolist()
    return [None if mean != mean else mean for mean in means]  # NaN is no JSON
