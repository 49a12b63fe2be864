"""What a classifier of any layers is worth and what it costs; see `firstspike.counts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from firstspike.coding import encode
from firstspike.counts import Counts, count
from firstspike.data import Data, ImageSet, as_image_set
from firstspike.energy import ADD_PJ, MAC_PJ, energy
from firstspike.evaluation.classifiers import (
    DecisionReport,
    averages,
    check_batch,
    check_labels,
    inference,
    mean,
    quality,
)
from firstspike.nn import FirstSpikeLinear, SpikingNetwork
from firstspike.times import check_t_max


@dataclass(frozen=True)
class NetworkReport(DecisionReport):
    """Quality and cost of a spiking classifier of any layers.

    The decision step and its share of all steps count all windows; ``accuracy_by_deadline`` has the
    steps of the last window, before which no decision can fall.

    Args:
        windows: see `firstspike.nn.SpikingNetwork`; all steps are ``windows * t_max``.
        layers: what each layer is, the input first.
        neurons: of each layer.
        synapses: of each layer.
        spikes: mean of each layer.
        spikes_per_neuron: mean of each layer.
        operations: mean additions of each layer; their sum is ``synaptic_operations``.
        updates: steps of ramp neurons in which no spike came, see `firstspike.counts`.
        memory_accesses: to weights and states.
        operations_pj: estimated energy of the additions.
        updates_pj: of the updates.
        memory_pj: of the memory accesses; ``energy_pj`` is the sum of the three.
        constants: picojoules of an addition, an update, a multiply-add and an access to memory.
    """

    windows: int
    layers: list[str]
    neurons: list[int]
    synapses: list[int]
    spikes: list[float]
    spikes_per_neuron: list[float]
    operations: list[float]
    updates: float
    memory_accesses: float
    operations_pj: float
    updates_pj: float
    memory_pj: float
    constants: dict[str, float]


def evaluate_network(
    network: SpikingNetwork,
    images: Data,
    t_max: int,
    batch: int = 100,
    *,
    add_pj: float = ADD_PJ,
    mac_pj: float = MAC_PJ,
    update_pj: float | None = None,
    access_pj: float = 0.0,
) -> NetworkReport:
    """Run a classifier on images, in evaluation mode, and count everything that it does.

    Args:
        network: takes spike times as `input_times` gives them; one output neuron for each class.
        images: labelled, see `firstspike.data.as_image_set`; labels below the number of classes.
        t_max: number of time steps of a window, that of the network.
        batch: images at a time; changes the memory that is used, that of all their spikes in all
            layers, and nothing else.
        add_pj: picojoules of an addition, see `firstspike.energy.energy`; and so the next three.
        mac_pj: picojoules of a multiplication and an addition.
        update_pj: picojoules of an update of a ramp neuron; by default those of an addition.
        access_pj: picojoules of an access to memory, of both networks; 0 leaves memory out.

    Raises:
        ValueError: an argument does not fit.
    """
    images = as_image_set(images, name="images")
    check_t_max(t_max)
    if not isinstance(network, SpikingNetwork):
        raise ValueError(f"network must be a SpikingNetwork, got {type(network).__name__}")
    if network.t_max != t_max:
        raise ValueError(f"t_max must be that of the network, {network.t_max}, got {t_max}")
    check_batch(batch)
    with inference(network):
        race, layout = _run(network, images, batch)
    check_labels(images, race.output.shape[1])
    operations, updates = mean(race.additions.sum(dim=1)), mean(race.updates)
    accesses = mean(race.accesses)
    update_pj = add_pj if update_pj is None else update_pj
    constants = {"add_pj": add_pj, "update_pj": update_pj, "mac_pj": mac_pj, "access_pj": access_pj}
    estimate = energy(operations, layout.macs, updates=updates, accesses=accesses, **constants)
    spikes = race.spikes.double().mean(dim=0).tolist()
    return NetworkReport(
        data=images.name,
        count=len(images),
        t_max=t_max,
        **quality(race.output, race.potential, images.labels, t_max),
        **averages(
            race.decision, race.spikes, images.labels, layout.neurons, network.windows * t_max
        ),
        windows=network.windows,
        layers=layout.layers,
        neurons=layout.neurons,
        synapses=layout.synapses,
        spikes=spikes,
        spikes_per_neuron=[s / n for s, n in zip(spikes, layout.neurons, strict=True)],
        operations=race.additions.double().mean(dim=0).tolist(),
        synaptic_operations=operations,
        updates=updates,
        memory_accesses=accesses,
        operations_pj=operations * add_pj,
        updates_pj=updates * update_pj,
        memory_pj=accesses * access_pj,
        energy_pj=estimate.spiking_pj,
        dense_macs=layout.macs,
        dense_energy_pj=estimate.dense_pj,
        constants=constants,
    )


def input_times(network: SpikingNetwork, images: Tensor) -> Tensor:
    """Spike times of images as a network takes them, where and as its weights are.

    A network that knows better has a method ``times_of``, which is asked. Else they are
    [B, channels, height, width], or [B, pixels] where the first module is a dense layer or makes
    images of pixels itself.

    Args:
        network: made for images of this size.
        images: uint8 [B, height, width] or [B, channels, height, width].
    """
    if hasattr(network, "times_of"):
        known: Tensor = network.times_of(images)  # type: ignore[operator]
        return known
    first = next(iter(network))
    flat = isinstance(first, (FirstSpikeLinear, nn.Unflatten))
    shaped = images.flatten(1) if flat else images.view(len(images), -1, *images.shape[-2:])
    return encode(shaped, network.t_max).to(next(network.parameters()))


class _Race(NamedTuple):
    """What images did in the network, one row an image; on the CPU."""

    output: Tensor  # spike times [B, classes]
    potential: Tensor  # final potentials [B, classes]
    decision: Tensor  # as in Counts, and so the next two
    spikes: Tensor
    additions: Tensor
    updates: Tensor  # int64 [B], of all layers
    accesses: Tensor


class _Layout(NamedTuple):
    """What does not depend on the image; lists have one entry a layer, the input first."""

    layers: list[str]
    neurons: list[int]
    synapses: list[int]
    macs: int


def _run(network: SpikingNetwork, images: ImageSet, batch: int) -> tuple[_Race, _Layout]:
    """Run the network batch by batch; of each only what the report needs stays."""
    races: list[_Race] = []
    for part in images.images.split(batch):
        times = input_times(network, part)
        traces = network.traces(times)
        counts = count(network, traces)
        races.append(_race(traces[-1].times, network.potentials(times), counts))
    names = ["input", *(type(trace.module).__name__ for trace in traces[1:])]
    layout = _Layout(names, list(counts.neurons), list(counts.synapses), counts.macs)
    return _Race(*map(torch.cat, zip(*races, strict=True))), layout


def _race(output: Tensor, potential: Tensor, counts: Counts) -> _Race:
    if output.ndim != 2:
        raise ValueError(
            f"network must end with one neuron a class, but gives {list(output.shape[1:])}"
        )
    rows = counts.decision, counts.spikes, counts.additions, counts.updates.sum(1), counts.accesses
    return _Race(*(tensor.detach().cpu() for tensor in (output, potential, *rows)))
