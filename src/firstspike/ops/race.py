"""A whole network as one race in time order, which ends at the first output spike (CPU, Numba).

The layers of a sample share one clock. At each step at which a spike arrives anywhere, every layer
adds the weights of its arriving spikes and tests its threshold; a neuron that fires queues its
spike for the next layer. The race is over when an output neuron fires: nothing later is ever
computed. Sums are taken in the order of `firstspike.ops.reference`, so spike times are the same as
layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.events import make_room, njit, sort_events
from firstspike.ops.threads import in_parts

Array = NDArray[Any]


def race(
    times: Array,
    rows: Sequence[Array],
    biases: Sequence[Array],
    thresholds: Sequence[float],
    t_max: int,
    delay: int,
) -> tuple[Array, Array, Array, Array] | None:
    """Run each sample until its first output spike, or to the end.

    Args:
        times: input spike times [B, in].
        rows: transposed weights of each layer, [in, out], C-contiguous, of one dtype.
        biases: [out] of each layer.
        thresholds: of each layer.
        t_max: number of time steps.
        delay: steps from a spike to its effect.

    Returns:
        All int64. Winners [B]: the first of the output neurons that fired first, or the one with
        the largest potential in the last step if none fired. Decision steps [B]; t_max if none
        fired. Spikes [B, layers + 1], the input's first, up to and including the decision step.
        Additions [B] that were carried out. None if ``times`` are not spike times.
    """
    count, layers = len(times), len(rows)
    winners, decisions = np.empty(count, np.int64), np.empty(count, np.int64)
    spikes, additions = np.empty((count, layers + 1), np.int64), np.empty(count, np.int64)
    network = (tuple(rows), tuple(biases), np.array(thresholds, rows[0].dtype))

    def samples(part: slice) -> bool:
        outputs = (winners[part], decisions[part], spikes[part], additions[part])
        return _race(times[part], *network, t_max, delay, *outputs)

    valid = in_parts(samples, count, count * sum(row.size for row in rows))
    return (winners, decisions, spikes, additions) if all(valid) else None


@njit
def _race(times, rows, biases, thresholds, t_max, delay, winners, decisions, spikes, additions):  # type: ignore[no-untyped-def]
    layers = len(rows)
    widest = times.shape[1]
    for row in rows:
        widest = max(widest, row.shape[1])
    room = make_room(times.shape[1], rows[0])
    potentials = np.empty((layers, widest), rows[0].dtype)
    queue = np.empty((layers + 1, widest), np.int32)  # who fired, in the input and in each layer
    arrivals = np.empty((layers + 1, widest), np.int64)  # when that reaches the next layer
    queued = np.empty(layers + 1, np.int64)
    for b in range(times.shape[0]):
        order, count = sort_events(times[b], t_max, delay, room)
        if count < 0:
            return False
        queued[:] = 0
        queued[0] = count
        for k in range(count):
            queue[0, k] = order[k]
            arrivals[0, k] = room.when[order[k]] + delay
        decision, adds = _run(
            rows, biases, thresholds, t_max, delay, potentials, queue, arrivals, queued
        )
        outputs = rows[layers - 1].shape[1]
        if decision < t_max:
            winners[b] = queue[layers, 0]
        else:
            winners[b] = np.argmax(potentials[layers - 1, :outputs])
        decisions[b], additions[b] = decision, adds
        spikes[b, 1:] = queued[1:]
        spikes[b, 0] = 0
        for i in range(times.shape[1]):
            spikes[b, 0] += room.when[i] <= min(decision, t_max - 1)
    return True


@njit
def _run(rows, biases, thresholds, t_max, delay, potentials, queue, arrivals, queued):  # type: ignore[no-untyped-def]
    """One sample's race. Returns the decision step and the additions; fills the queues."""
    layers = len(rows)
    taken = np.zeros(layers, np.int64)  # events of each layer's queue that are in its potentials
    adds = 0
    for layer in range(layers):
        width = rows[layer].shape[1]
        potentials[layer, :width] = biases[layer]
    step = 0  # the biases are tested first
    while step < t_max:
        for layer in range(layers):
            start = taken[layer]
            potential = potentials[layer, : rows[layer].shape[1]]
            adds += _add_arrivals(
                rows[layer], layer, step, queue, arrivals, queued, taken, potential
            )
            if step == 0 or taken[layer] > start:
                after = arrivals[layer + 1], queue[layer + 1]
                queued[layer + 1] = _fire(
                    potential, thresholds[layer], step + delay, queued[layer + 1], *after
                )
        if queued[layers]:
            return step, adds
        step = _next_step(layers, queue, arrivals, queued, taken, t_max)
    return t_max, adds


@njit
def _add_arrivals(rows, layer, step, queue, arrivals, queued, taken, potential):  # type: ignore[no-untyped-def]
    """Add the weights of all spikes that have reached a layer by this step; count the additions."""
    start = k = taken[layer]
    while k < queued[layer] and arrivals[layer, k] <= step:
        row = rows[queue[layer, k]]
        for j in range(potential.shape[0]):
            potential[j] += row[j]
        k += 1
    taken[layer] = k
    return (k - start) * potential.shape[0]


@njit
def _fire(potential, threshold, arrival, count, arrivals, queue):  # type: ignore[no-untyped-def]
    """Queue the neurons above the threshold, in order, and take them out of the race."""
    crossed = 0
    for j in range(potential.shape[0]):
        crossed += potential[j] > threshold
    if crossed:
        for j in range(potential.shape[0]):
            if potential[j] > threshold:
                queue[count], arrivals[count] = j, arrival
                count += 1
                potential[j] = -np.inf
    return count


@njit
def _next_step(layers, queue, arrivals, queued, taken, t_max):  # type: ignore[no-untyped-def]
    """The next step at which a spike arrives anywhere; t_max if none does."""
    step = t_max
    for layer in range(layers):
        if taken[layer] < queued[layer]:
            step = min(step, arrivals[layer, taken[layer]])
    return step
