"""A whole network until its first output spike (CPU, Numba).

The layers of a sample share one clock, which moves on in laps of some input spikes: every layer
takes the spikes that reach it before the end of the lap, and a neuron that fires queues its spike
for the next layer. The race is over when an output neuron has fired: nothing later is computed but
the rest of that lap. Layers are those of `firstspike.ops.cpu.layer`, so spike times are the same as
layer by layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu.events import find_steps, make_room, njit, sort_chosen, sort_times
from firstspike.ops.cpu.layer import advance, choose, potential_of, room_for
from firstspike.ops.cpu.threads import in_parts

Array = NDArray[Any]

_LAP = 64  # input spikes at least: fewer mean more laps, more mean spikes after the decision
_SHARE = 8  # a race needs about so much less than all additions


class Network(NamedTuple):
    """Layers as the kernels take them, of one dtype."""

    weights: tuple[Array, ...]  # transposed weights of each layer, flat [in * out]
    biases: tuple[Array, ...]  # [out]
    thresholds: Array  # [layers]


class _State(NamedTuple):
    """One sample's race; the first index of an array is the layer, 0 for the first one."""

    potentials: Array  # see `firstspike.ops.cpu.layer.advance`
    firsts: Array  # see there
    order: Array  # neurons of the layer before (or inputs), in the order of their spikes
    ends: Array  # for each step at which such spikes arrive, where they end in the order
    steps: Array  # that step
    found: Array  # number of such steps so far
    done: Array  # number of such steps that have been dealt with


def race(
    images: Array, codes: Array, network: Network, t_max: int, delay: int
) -> tuple[Array, Array, Array, Array]:
    """Run each sample until its first output spike, or to the end (eq. 1-2).

    Args:
        images: [B, in], indices into ``codes``.
        codes: spike times 0..t_max, int32.
        network: the layers.
        t_max: number of time steps.
        delay: steps from a spike to its effect.

    Returns:
        All int64. Winners [B]: the first of the output neurons that fired first, or the one with
        the largest potential in the last step if none fired. Decision steps [B]; t_max if none
        fired. Spikes [B, layers + 1], the input's first, up to and including the decision step.
        Additions [B] of weights that had arrived by then.
    """
    count, layers = len(images), len(network.weights)
    winners, decisions = np.empty(count, np.int64), np.empty(count, np.int64)
    spikes, additions = np.empty((count, layers + 1), np.int64), np.empty(count, np.int64)
    results = (winners, decisions, spikes, additions)

    def samples(part: slice) -> None:
        low, high, _ = part.indices(count)
        _race(images, codes, *network, t_max, delay, results, low, high)

    in_parts(samples, count, count * sum(weights.size for weights in network.weights) // _SHARE)
    return results


@njit
def _race(images, codes, weights, biases, thresholds, t_max, delay, results, low, high):
    """Samples low..high-1."""
    winners, decisions, spikes, additions = results
    network = (weights, biases, thresholds)
    room = make_room(images.shape[1], weights[0])
    state = _make_state(images.shape[1], biases)
    queue = make_room(state.firsts.shape[1], weights[0])
    for b in range(low, high):
        for i in range(images.shape[1]):
            room.when[i] = codes[images[b, i]]
        decision = _run(network, t_max, delay, room, queue, state)
        decisions[b] = decision
        winners[b] = _winner(biases, decision, t_max, state)
        additions[b] = _count_additions(biases, decision, state)
        _count_spikes(biases, np.int32(min(decision, t_max - 1)), room.when, state, spikes[b])


@njit
def _make_state(inputs, biases):
    layers, widest = len(biases), inputs
    for bias in biases:
        widest = max(widest, bias.shape[0])
    dtype = biases[0].dtype
    return _State(
        np.empty((layers, room_for(widest)), dtype),
        np.empty((layers, widest), dtype),
        np.empty((layers, widest + 1), np.int32),
        np.empty((layers, widest + 1), np.int32),
        np.empty((layers, widest + 1), dtype),
        np.empty(layers, np.int64),
        np.empty(layers, np.int64),
    )


@njit
def _run(network, t_max, delay, room, queue, state):
    """One sample's race from the times in ``room``; returns the decision step."""
    weights, biases, thresholds = network
    layers, last = len(weights), biases[len(biases) - 1].shape[0]
    never = thresholds.dtype.type(t_max)
    potentials, firsts, orders, ends, steps, found, done = state
    order, count = sort_times(t_max, delay, room)
    for k in range(count):
        orders[0, k] = order[k]
    done[:] = 0
    found[:] = 0
    found[0] = find_steps(room.when, order, 0, count, delay, 0, ends[0], steps[0])
    start = end = thresholds.dtype.type(0)
    decision = never
    while decision == never and end < never:
        start, end = end, _end_of_lap(ends[0], steps[0], found[0], done[0], never)
        for layer in range(layers):
            low = high = done[layer]
            while high < found[layer] and steps[layer, high] < end:
                high += 1
            done[layer] = high
            fresh = start == 0
            if fresh or high > low:
                advance(
                    weights[layer], biases[layer], thresholds[layer], never,
                    orders[layer], ends[layer], steps[layer], low, high, fresh,
                    potentials[layer], firsts[layer],
                )  # fmt: skip
            if layer + 1 < layers:
                first = firsts[layer, : biases[layer].shape[0]]
                count = choose(first, start, end, queue.order)
                if count:
                    after = layer + 1
                    order = _sort_spikes(first, count, t_max, queue)
                    found[after] = _append(
                        order, count, delay, queue.when, orders[after], ends[after], steps[after],
                        found[after],
                    )  # fmt: skip
        decision = firsts[layers - 1, :last].min()
    return np.int64(decision)


@njit
def _end_of_lap(ends, steps, found, done, never):
    """The step that the next lap does not reach."""
    before = ends[done - 1] if done else 0
    high = done
    while high < found and (high == done or ends[high - 1] - before < _LAP):
        high += 1
    return steps[high] if high < found else never


@njit
def _sort_spikes(first, count, t_max, queue):
    """Order the neurons queue.order[:count] by their spikes."""
    for k in range(count):
        queue.when[queue.order[k]] = np.int32(first[queue.order[k]])
    return sort_chosen(queue.when, queue.order, queue.other, count, t_max, queue.position)


@njit
def _append(spikes, count, delay, when, order, ends, steps, found):
    """Append spikes to the input of a layer; the number of steps that it then has."""
    low = ends[found - 1] if found else 0
    for k in range(count):
        order[low + k] = spikes[k]
    return find_steps(when, order, low, low + count, delay, found, ends, steps)


@njit
def _winner(biases, decision, t_max, state):
    """The first of the output neurons that fired first; or else that of the largest potential."""
    last = len(biases) - 1
    outputs = biases[last].shape[0]
    if decision < t_max:
        return np.argmin(state.firsts[last, :outputs])
    winner, potential = 0, state.potentials[last]
    for j in range(1, outputs):
        best = potential_of(potential, outputs, winner)
        if potential_of(potential, outputs, j) > best:
            winner = j
    return winner


@njit
def _count_spikes(biases, limit, when, state, spikes):
    """Spikes of the input and of each layer up to and including a step."""
    spikes[0] = _count_until(limit, when)
    for layer in range(len(biases)):
        first = state.firsts[layer, : biases[layer].shape[0]]
        spikes[layer + 1] = _count_until(first.dtype.type(limit), first)


@njit
def _count_until(limit, times):
    count = np.int32(0)
    for j in range(times.shape[0]):
        count += np.int32(times[j] <= limit)
    return count


@njit
def _count_additions(biases, decision, state):
    """Weights of the spikes that have arrived by the decision step."""
    additions = 0
    for layer in range(len(biases)):
        k = state.done[layer]
        while k and state.steps[layer, k - 1] > decision:
            k -= 1
        if k:
            additions += state.ends[layer, k - 1] * biases[layer].shape[0]
    return additions
