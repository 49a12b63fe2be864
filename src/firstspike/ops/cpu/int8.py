"""Classification with 8-bit weights and 32-bit integer potentials (CPU, Numba).

All layers of an image share one clock (`firstspike.ops.cpu.clock`), and the first output spike ends
it. Integer sums are exact, so that neither order nor width of the additions can change a
spike; a row of weights takes a quarter of the memory traffic of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu.clock import new_spikes, next_step, take_step
from firstspike.ops.cpu.events import lean, njit
from firstspike.ops.cpu.threads import in_parts, share_out

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
    """Run each image until its first output spike, or to the end (eq. 1-2).

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

    arguments = (times, *network, t_max, delay, winners, decisions, spikes, additions)
    in_parts(_classify, _classify_shared, arguments, count, count * sum(row.size for row in rows))
    return winners, decisions, spikes, additions


@njit
def _classify_shared(arguments, count, threads, team):
    share_out(_classify, arguments, count, threads, team)


@njit
def _classify(
    times, rows, biases, thresholds, t_max, delay, winners, decisions, spikes, additions, low, high
):
    layers = len(rows)
    outputs = rows[layers - 1].shape[1]
    widest = times.shape[1]
    for row in rows:
        widest = max(widest, row.shape[1])
    potentials = np.empty((layers, widest), np.int32)
    race = new_spikes(layers, widest)
    for b in range(low, high):
        race.queued[:], race.taken[:] = 0, 0
        race.queued[0] = _enqueue(times[b], t_max, delay, race.queue[0], race.arrivals[0])
        for layer in range(layers):
            potentials[layer, : rows[layer].shape[1]] = biases[layer]
        decision, additions[b] = _run(rows, thresholds, t_max, delay, potentials, race)
        if decision < t_max:
            winners[b] = race.queue[layers, 0]
        else:
            winners[b] = np.argmax(potentials[layers - 1, :outputs])
        decisions[b] = decision
        spikes[b, 1:] = race.queued[1:]
        last = np.int32(min(decision, t_max - 1))
        seen = np.int32(0)
        for i in range(times.shape[1]):
            seen += np.int32(times[b, i] <= last)
        spikes[b, 0] = seen


@njit
def _enqueue(times, t_max, delay, queue, arrivals):
    """Counting sort by time of the inputs that arrive before t_max; their number."""
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
    return count


@lean
def _run(rows, thresholds, t_max, delay, potentials, spikes):
    """One image's race (eq. 1-2). Returns the decision step and the additions; fills the queues."""
    queue, arrivals, queued, taken = spikes
    additions = step = 0  # the biases are tested first
    while step < t_max:
        additions += take_step(
            rows, thresholds, _FIRED, step, delay, potentials, queue, arrivals, queued, taken
        )
        if queued[taken.shape[0]]:
            return step, additions
        step = next_step(arrivals, queued, taken, t_max)
    return t_max, additions
