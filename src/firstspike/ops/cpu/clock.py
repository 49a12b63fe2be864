"""Layers of a sample that share one clock, from one arrival of spikes to the next (CPU, Numba).

The learner of `firstspike.ops.cpu.online` and the integers of `firstspike.ops.cpu.int8` run on it,
each until it knows enough. Potentials lie in memory and an input spike adds one row to them. It is
no lap of `firstspike.ops.cpu.race`, which goes on for some spikes after the decision: the learner
wants to know at each step whether it is over, and a row of bytes is too short to keep potentials in
registers for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu.events import lean, njit

Array = NDArray[Any]


class Spikes(NamedTuple):
    """Spikes of a sample; the first index is the layer, with the input as layer 0."""

    queue: Array  # who fired, in order, int32 [layers + 1, widest]
    arrivals: Array  # when that reaches the next layer, int32 [layers + 1, widest]
    queued: Array  # how many fired, int64 [layers + 1]
    taken: Array  # how many of them are in the potentials of the next layer, int64 [layers]


@njit
def new_spikes(layers, widest):
    """Room for a network of so many layers with at most so many inputs or neurons each."""
    return Spikes(
        np.empty((layers + 1, widest), np.int32),
        np.empty((layers + 1, widest), np.int32),
        np.empty(layers + 1, np.int64),
        np.empty(layers, np.int64),
    )


@lean
def take_step(rows, thresholds, out, step, delay, potentials, queue, arrivals, queued, taken):
    """Take all layers through the spikes that arrive by a step (eq. 1-2).

    Args:
        rows: transposed weights of each layer, [in, out].
        thresholds: potential that must be exceeded in each layer, of the dtype of the potentials.
        out: potential of a neuron that has fired, from which no weights lead back.
        step: the current one. At step 0 every layer is tested, as its potential may be a bias.
        delay: steps from a spike to its effect.
        potentials: [layers, widest].
        queue, arrivals, queued, taken: `Spikes`, one by one.

    Returns:
        The number of weights that were added.
    """
    additions = 0
    for layer in range(len(rows)):
        potential = potentials[layer, : rows[layer].shape[1]]
        low = high = taken[layer]
        while high < queued[layer] and arrivals[layer, high] <= step:
            _add(potential, rows[layer][queue[layer, high]])
            high += 1
        if high == low and step > 0:
            continue
        taken[layer], additions = high, additions + (high - low) * potential.shape[0]
        if any_above(potential, thresholds[layer]):
            queued[layer + 1] = _fire(
                potential, thresholds[layer], out, step + delay,
                queued[layer + 1], queue[layer + 1], arrivals[layer + 1],
            )  # fmt: skip
    return additions


@lean
def next_step(arrivals, queued, taken, t_max):
    """The next step at which a spike arrives anywhere; t_max if none does."""
    step = t_max
    for layer in range(taken.shape[0]):
        if taken[layer] < queued[layer]:
            step = min(step, arrivals[layer, taken[layer]])
    return step


@lean
def _add(potential, row):
    for j in range(potential.shape[0]):
        potential[j] += row[j]


@lean
def any_above(potential, threshold):
    """Whether any neuron fires: in most steps none does, which vectors find out."""
    above = False
    for j in range(potential.shape[0]):
        above |= potential[j] > threshold
    return above


@lean
def _fire(potential, threshold, out, arrival, count, queue, arrivals):
    """Queue the neurons above the threshold, in order, and take them out of the race (eq. 2)."""
    for j in range(potential.shape[0]):
        if potential[j] > threshold:
            queue[count], arrivals[count] = j, arrival
            count += 1
            potential[j] = out
    return count
