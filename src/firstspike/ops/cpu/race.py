"""A whole network until its first output spike (CPU, Numba).

The layers of a sample share one clock, which moves on in laps of some input spikes: every layer
takes the spikes that reach it before the end of the lap, and a neuron that fires queues its spike
for the next layer. The race is over when an output neuron has fired: nothing later is computed but
the rest of that lap. As most races are short, inputs are sorted in two waves, of which the second
is looked for only if the race goes on after the first. Layers are those of
`firstspike.ops.cpu.layer`, so spike times are the same as layer by layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu.events import append_events, choose, lean, make_places, njit
from firstspike.ops.cpu.layer import advance, potential_of, room_for
from firstspike.ops.cpu.threads import in_parts, share_out

Array = NDArray[Any]

_LAP = 40  # input spikes at least: fewer mean more laps, more mean spikes after the decision
_EARLY = 4  # the first wave of inputs are those of such a share of the steps
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
    moments: Array  # when these arrive, see `firstspike.ops.cpu.events.append_events`
    found: Array  # number of such events so far
    done: Array  # number of such events that have been dealt with


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
    winners, decisions, additions = np.empty((3, count), np.int64)
    spikes = np.empty((count, layers + 1), np.int64)
    results = (winners, decisions, spikes, additions)

    cost = count * sum(map(len, network.weights)) // _SHARE
    in_parts(_race, _race_shared, (images, codes, *network, t_max, delay, *results), count, cost)
    return results


@njit
def _race_shared(arguments, count, threads, team):
    share_out(_race, arguments, count, threads, team)


@njit
def _race(
    images, codes, weights, biases, thresholds, t_max, delay, winners, decisions, spikes,
    additions, low, high,
):  # fmt: skip
    """Samples low..high-1. Tuples take Python longer to pass than what they hold, one by one."""
    results = (winners, decisions, spikes, additions)
    state = _make_state(images.shape[1], biases)
    widest = state.firsts.shape[1]
    when, lit = np.empty(widest, np.int32), np.empty(widest, np.int32)
    queue = np.empty(widest, np.int32), np.empty(widest, np.int32), make_places(widest, t_max)
    network = (weights, biases, thresholds)
    _race_all(images, codes, network, t_max, delay, results, low, high, when, lit, queue, state)


@lean
def _race_all(images, codes, network, t_max, delay, results, low, high, when, lit, queue, state):
    """`_race` with room for a sample."""
    (_, biases, _), (winners, decisions, spikes, additions) = network, results
    split = min(t_max // _EARLY, t_max - delay)
    early = _codes_of(codes, 0, split, images)
    late = _codes_of(codes, split, t_max, images)
    for b in range(low, high):
        decision, count = _run(
            network, t_max, delay, images[b], codes, split, early, late, when, lit, queue, state
        )
        decisions[b] = decision
        winners[b] = _winner(biases, decision, t_max, state)
        additions[b] = _count_additions(biases, decision, t_max, state)
        limit, sent = np.int32(min(decision, t_max - 1)), 0
        for k in range(count):
            sent += when[np.uint32(lit[k])] <= limit
        spikes[b, 0] = sent
        _count_spikes(biases, limit, state, spikes[b])


@lean
def _codes_of(codes, start, end, images):
    """The lowest and the highest index of a code of the steps start..end-1; where none is, none is
    between.

    Codes rise or fall, so that all between them are of these steps.
    """
    first, last = codes.shape[0] - 1, 0
    for k in range(codes.shape[0]):
        if start <= codes[k] < end:
            first, last = min(first, k), max(last, k)
    return images.dtype.type(first), images.dtype.type(last)


@njit
def _make_state(inputs, biases):
    layers, widest = len(biases), inputs
    for bias in biases:
        widest = max(widest, bias.shape[0])
    dtype = biases[0].dtype
    return _State(
        np.empty((layers, room_for(widest)), dtype),
        np.empty((layers, widest), dtype),
        np.empty((layers, widest), np.int32),
        np.empty((layers, widest), dtype),
        np.empty(layers, np.int64),
        np.empty(layers, np.int64),
    )


@lean
def _run(network, t_max, delay, image, codes, split, early, late, when, lit, queue, state):
    """One sample's race; returns the decision step, and how many inputs were looked for.

    Those have their times in ``when``, and stand in ``lit``. The first wave ends before the step
    ``split``; ``early`` and ``late`` are the codes of both, as of `_codes_of`.
    """
    weights, biases, thresholds = network
    layers, outputs = len(weights), biases[len(biases) - 1].shape[0]
    never = thresholds.dtype.type(t_max)
    potentials, firsts, orders, moments, found, done = state
    fired_when, fired, places = queue
    done[:], found[:] = 0, 0
    inputs, known, until = 0, 0, thresholds.dtype.type(0)
    start = end = thresholds.dtype.type(0)
    one, decision = thresholds.dtype.type(1), never
    arrives = thresholds.dtype.type(t_max - delay)  # what spikes later is too late for others
    while decision == never and end < never:
        start = end
        if done[0] == found[0] and known < t_max:
            wave, known = (early, split) if known < split else (late, t_max)
            until = never if known == t_max else thresholds.dtype.type(known + delay)
            looked = _look(image, codes, wave, when, lit[inputs:])
            queued = _in_time(when, lit[inputs:], looked, t_max - delay, fired)
            append_events(
                when, fired, queued, delay, t_max, orders[0], moments[0], found[0], places
            )
            found[0] += queued
            inputs += looked
        taken, end = _lap(moments[0], found[0], done[0], never, until)
        for layer in range(layers):
            low, high = done[layer], taken
            if layer:
                high = _taken_before(end, moments[layer], found[layer], low, never)
            done[layer] = high
            fresh = start == 0
            if fresh or high > low:
                advance(
                    weights[layer], biases[layer], thresholds[layer], never,
                    orders[layer], moments[layer], low, high, fresh, potentials[layer],
                    firsts[layer],
                )  # fmt: skip
            after = layer + 1
            if after < layers:
                first = firsts[layer, : biases[layer].shape[0]]
                count = choose(first, start, min(end, arrives) - one, fired)
                for k in range(count):
                    fired_when[fired[k]] = np.int32(first[fired[k]])
                append_events(
                    fired_when, fired, count, delay, t_max, orders[after], moments[after],
                    found[after], places,
                )  # fmt: skip
                found[after] += count
        for j in range(outputs):
            decision = min(decision, firsts[layers - 1, j])
    if known <= decision and known < t_max:  # inputs that spike with the decision are counted
        inputs += _look(image, codes, late, when, lit[inputs:])
    return np.int64(decision), inputs


@lean
def _look(image, codes, wave, when, lit):
    """Find the inputs of a wave, and their times; how many there are."""
    count = choose(image, *wave, lit)
    for k in range(count):
        pixel = np.uint32(lit[k])
        when[pixel] = codes[image[pixel]]
    return count


@lean
def _in_time(when, lit, count, end, chosen):
    """Those of some inputs that spike before a step, in order; how many there are."""
    kept = np.uint64(0)
    for k in range(count):
        chosen[kept] = lit[k]
        kept += np.uint64(when[np.uint32(lit[k])] < end)
    return np.int64(kept)


@lean
def _lap(moments, found, done, never, until):
    """Events of the input until the end of the next lap, and the step that it does not reach.

    After those that have been found no event arrives before ``until``.
    """
    high = done + _LAP - 1
    if high >= found:
        return found, until
    high = _last_of_step(moments, high, never) + 1
    return high, moments[_last_of_step(moments, high, never)] if high < found else until


@lean
def _taken_before(end, moments, found, done, never):
    """Events until a step."""
    while done < found:
        last = _last_of_step(moments, done, never)
        if moments[last] >= end:
            break
        done = last + 1
    return done


@lean
def _last_of_step(moments, k, never):
    """The last of the events that arrive with the k-th."""
    k = np.uint64(k)
    while moments[k] == never:
        k += np.uint64(1)
    return np.int64(k)


@lean
def _winner(biases, decision, t_max, state):
    """The first of the output neurons that fired first; or else that of the largest potential."""
    last = len(biases) - 1
    outputs = biases[last].shape[0]
    winner, potential = 0, state.potentials[last]
    if decision < t_max:
        while state.firsts[last, winner] > decision:
            winner += 1
        return winner
    for j in range(1, outputs):
        best = potential_of(potential, outputs, winner)
        if potential_of(potential, outputs, j) > best:
            winner = j
    return winner


@lean
def _count_spikes(biases, limit, state, spikes):
    """Spikes of each layer up to and including a step."""
    for layer in range(len(biases)):
        first = state.firsts[layer, : biases[layer].shape[0]]
        spikes[layer + 1] = _count_until(first.dtype.type(limit), first)


@lean
def _count_until(limit, times):
    count = np.int32(0)
    for j in range(times.shape[0]):
        count += np.int32(times[j] <= limit)
    return count


@lean
def _count_additions(biases, decision, t_max, state):
    """Weights of the spikes that have arrived by the decision step."""
    additions = 0
    for layer in range(len(biases)):
        arrived = state.done[layer]
        while arrived and not state.moments[layer, arrived - 1] <= min(decision, t_max - 1):
            arrived -= 1
        additions += arrived * biases[layer].shape[0]
    return additions
