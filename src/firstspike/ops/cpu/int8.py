"""Classification with 8-bit weights and 32-bit integer potentials (CPU, Numba).

As `firstspike.ops.cpu.race`: all layers of an image share one clock, and the first output spike
ends it. Integer sums are exact, so that neither order nor width of the additions can change a
spike; a row of weights takes a quarter of the memory traffic of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu.events import njit
from firstspike.ops.cpu.threads import in_parts

Array = NDArray[Any]

HEADROOM = 1 << 29  # |potential| and |threshold| together stay below it
_FIRED = np.int32(-(1 << 30))  # a potential from which no weights lead back to the threshold


def classify(
    times: Array,
    rows: Sequence[Array],
    biases: Sequence[Array],
    thresholds: Sequence[int],
    t_max: int,
    delay: int,
) -> tuple[Array, Array, Array, Array]:
    """Run each image until its first output spike, or to the end.

    Args:
        times: input spike times [B, in], int32 in 0..t_max, C-contiguous.
        rows: transposed weights of each layer, int8 [in, out], C-contiguous.
        biases: potentials at step 0 of each layer, int32 [out].
        thresholds: potential that must be exceeded in each layer. ``HEADROOM`` must hold.
        t_max: number of time steps.
        delay: steps from a spike to its effect.

    Returns:
        Winners, decision steps, spikes and additions as of `firstspike.ops.cpu.race.race`.
    """
    count, layers = len(times), len(rows)
    winners, decisions = np.empty(count, np.int64), np.empty(count, np.int64)
    spikes, additions = np.empty((count, layers + 1), np.int64), np.empty(count, np.int64)
    network = (tuple(rows), tuple(biases), np.array(thresholds, np.int32))

    def images(part: slice) -> None:
        outputs = (winners[part], decisions[part], spikes[part], additions[part])
        _classify(times[part], *network, t_max, delay, *outputs)

    in_parts(images, count, count * sum(row.size for row in rows))
    return winners, decisions, spikes, additions


@njit
def _classify(times, rows, biases, thresholds, t_max, delay, winners, decisions, spikes, additions):
    layers = len(rows)
    outputs = rows[layers - 1].shape[1]
    widest = times.shape[1]
    for row in rows:
        widest = max(widest, row.shape[1])
    potentials = np.empty((layers, widest), np.int32)
    queue = np.empty((layers + 1, widest), np.int32)  # who fired, in the input and in each layer
    arrivals = np.empty((layers + 1, widest), np.int32)  # when that reaches the next layer
    queued = np.empty(layers + 1, np.int64)
    for b in range(times.shape[0]):
        _enqueue(times[b], t_max, delay, queue[0], arrivals[0], queued)
        for layer in range(layers):
            potentials[layer, : rows[layer].shape[1]] = biases[layer]
        decision, additions[b] = _run(
            rows, thresholds, t_max, delay, potentials, queue, arrivals, queued
        )
        if decision < t_max:
            winners[b] = queue[layers, 0]
        else:
            winners[b] = np.argmax(potentials[layers - 1, :outputs])
        decisions[b] = decision
        spikes[b, 1:] = queued[1:]
        last = np.int32(min(decision, t_max - 1))
        seen = np.int32(0)
        for i in range(times.shape[1]):
            seen += np.int32(times[b, i] <= last)
        spikes[b, 0] = seen


@njit
def _enqueue(times, t_max, delay, queue, arrivals, queued):
    """Counting sort by time of the inputs that arrive before t_max; other queues are emptied."""
    start = np.zeros(t_max + 1, np.int32)  # of each time's inputs in the queue
    for i in range(times.shape[0]):
        start[times[i]] += 1
    count = 0
    for time in range(t_max - delay):
        start[time], count = count, count + start[time]
    for i in range(times.shape[0]):
        time = times[i]
        if time < t_max - delay:
            queue[start[time]], arrivals[start[time]] = i, time + delay
            start[time] += 1
    queued[:] = 0
    queued[0] = count


@njit
def _run(rows, thresholds, t_max, delay, potentials, queue, arrivals, queued):
    """One image's race. Returns the decision step and the additions; fills the queues."""
    layers = len(rows)
    taken = np.zeros(layers, np.int64)  # spikes of each layer's queue that are in its potentials
    additions = 0
    step = 0  # the biases are tested first
    while step < t_max:
        for layer in range(layers):
            potential = potentials[layer, : rows[layer].shape[1]]
            low = high = taken[layer]
            while high < queued[layer] and arrivals[layer, high] <= step:
                high += 1
            if high == low and step > 0:
                continue
            for k in range(low, high):
                _add(potential, rows[layer][queue[layer, k]])
            taken[layer], additions = high, additions + (high - low) * potential.shape[0]
            if _highest(potential) > thresholds[layer]:
                after = queue[layer + 1], arrivals[layer + 1]
                queued[layer + 1] = _fire(
                    potential, thresholds[layer], step + delay, queued[layer + 1], *after
                )
        if queued[layers]:
            return step, additions
        step = t_max
        for layer in range(layers):
            if taken[layer] < queued[layer]:
                step = min(step, arrivals[layer, taken[layer]])
    return t_max, additions


@njit
def _add(potential, row):
    for j in range(potential.shape[0]):
        potential[j] += row[j]


@njit
def _fire(potential, threshold, arrival, count, queue, arrivals):
    """Queue the neurons above the threshold, in order, and take them out of the race."""
    for j in range(potential.shape[0]):
        if potential[j] > threshold:
            queue[count], arrivals[count] = j, arrival
            count += 1
            potential[j] = _FIRED
    return count


@njit
def _highest(potential):
    """The largest potential: in most steps no neuron fires, which vectors find out."""
    highest = _FIRED
    for j in range(potential.shape[0]):
        highest = max(highest, potential[j])
    return highest
