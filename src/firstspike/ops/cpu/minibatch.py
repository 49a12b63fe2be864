"""Minibatch training of a classifier at its decision step, event by event (CPU, Numba).

The rule is that of `firstspike.training.rules.decision.decision_gradients`, its reference in plain
PyTorch. It needs a sample only until its first output spike, so both layers race on one clock and
nothing later is computed. The hidden potentials go on after a neuron has fired, and their highest
values are kept: what the surrogate gradient asks for. That, and spikes left out at random, is what
neither `firstspike.ops.cpu.race` nor `firstspike.ops.cpu.clock` does.
`firstspike.ops.cpu.learning` makes the update.

Samples are shared out to threads; each number is computed by one thread in a fixed order. Sums are
float32 in the order of `firstspike.ops.reference`: bias, then events by time and index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu import FEW, LANES
from firstspike.ops.cpu.clock import any_above
from firstspike.ops.cpu.events import copy, lean, njit
from firstspike.ops.cpu.learning import Traces, add_rows
from firstspike.ops.cpu.noise import (
    Noise,
    is_framed,
    is_silenced,
    new_events,
    random_bits,
    sort_pixels,
)
from firstspike.ops.cpu.threads import in_parts, share_out
from firstspike.ops.cpu.vectors import add, bits, greater, load, lowest, spread, store, where

Array = NDArray[Any]

RIGHT, DECISION, SPIKES = range(3)  # columns of the outcome, see `race`
FIGURES = 3


class Rule(NamedTuple):
    """What the kernels need to know; see `firstspike.training.config.ClassifierConfig`."""

    t_max: int
    delay: int
    threshold: float
    window: float
    temperature: float
    silence: float
    earliness: float
    sparsity: float
    silenced: int
    peaks: bool


class Network(NamedTuple):
    """Transposed weights [in, out] and biases of both layers; output weights again as [out, in]."""

    hidden_rows: Array
    hidden_bias: Array
    output_rows: Array
    output_bias: Array
    output_columns: Array


class _Race(NamedTuple):
    """Buffers of one sample's race.

    ``peaks`` are the hidden neurons' highest potentials so far, and ``seen`` how many inputs had
    arrived then.
    """

    potential: Array
    peaks: Array
    seen: Array
    bars: Array
    neurons: Array
    arrivals: Array
    output: Array


def race(
    images: Array,
    labels: Array,
    codes: Array,
    noise: Noise,
    rules: tuple[Rule, Rule],
    seed: int,
    network: Network,
    traces: Traces,
) -> None:
    """Run a batch until its decisions and fill its traces.

    Args:
        images: uint8 [B, height, width], or [B, channels, height, width].
        labels: int64 [B].
        codes: spike time of each pixel value, int32 [256].
        noise: on images.
        rules: of the network and of its error: for most images, and for those that fill their
            frame, see `firstspike.ops.cpu.noise.is_framed`.
        seed: of the noise, below 2**32.
        network: weights.
        traces: written; signals are those at the decision, and the outcome tells whether
            that was right (column `RIGHT`), its step (`DECISION`), and the spikes until then
            (`SPIKES`).

    Raises:
        ValueError: the images or labels do not fit the network.
    """
    inputs, classes = len(network.hidden_rows), len(network.output_bias)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images[0].size != inputs:
        raise ValueError(
            f"images must be uint8 of {inputs} pixels, got {images.dtype} {images.shape}"
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
    images = images.reshape(len(images), -1, *images.shape[-2:])

    arguments = (images, labels, codes, noise, rules, seed, network, traces)
    in_parts(_race, _race_shared, arguments, len(images), len(images) * network.hidden_rows.size)


@njit
def _race_shared(arguments, count, threads, team):
    share_out(_race, arguments, count, threads, team)


@njit
def _race(images, labels, codes, noise, rules, seed, network, traces, low, high):
    """Race samples low..high-1 of a batch to their decisions and fill their traces."""
    hidden, classes = network.output_rows.shape
    race = _Race(
        np.empty(hidden, np.float32),
        np.empty(hidden, np.float32),
        np.empty(hidden, np.int32),
        np.empty(hidden, np.float32),
        np.empty(hidden, np.int32),
        np.empty(hidden, np.int32),
        np.empty(classes, np.float32),
    )
    events = new_events(network.hidden_rows.shape[0], rules[0].t_max)
    rows = network.hidden_rows.ravel()
    _race_all(
        images, labels, codes, noise, rules, seed, network, traces, low, high, race, events, rows
    )


@lean
def _race_all(
    images, labels, codes, noise, rules, seed, network, traces, low, high, race, events, rows
):
    """`_race` with buffers for a sample."""
    for b in range(low, high):
        own = random_bits(seed, b)
        framed = is_framed(images[b], noise)
        rule = rules[1] if framed else rules[0]
        count = sort_pixels(images[b], codes, noise, framed, own, rule.t_max, rule.delay, events)
        decision, arrived, sent, fired = _run(events, count, own, rule, network, race, rows)
        copy(events.inputs, traces.inputs[b], arrived)
        copy(race.neurons, traces.spikes[b], sent)
        traces.input_counts[b], traces.spike_counts[b] = arrived, sent
        right = _decided(race.output, rule.threshold) == labels[b]
        traces.outcome[b, RIGHT], traces.outcome[b, DECISION] = right, decision
        traces.outcome[b, SPIKES] = arrived + fired
        spoke = decision < rule.t_max
        error, signal = traces.output_signals[b], traces.hidden_signals[b]
        _output_signal(race.output, labels[b], right and spoke, decision, rule, error)
        if rule.peaks:
            copy(race.seen, traces.hidden_seen[b], race.seen.shape[0])
        else:
            copy(race.potential, race.peaks, race.peaks.shape[0])
        _hidden_signal(error, network.output_columns, race, rule, signal)


@lean
def _run(events, count, seed, rule, network, race, hidden_rows):
    """One race (eq. 1-2). Decision step, inputs and hidden spikes that had arrived, hidden neurons
    fired.

    Arrays go one by one to the functions called here: each tuple that is passed costs more time
    than most of them take.
    """
    inputs, times = events.inputs, events.arrivals
    potential, peaks, seen, bars, neurons, arrivals, output = race
    output_rows = network.output_rows
    copy(network.hidden_bias, potential, potential.shape[0])
    copy(network.output_bias, output, output.shape[0])
    bars[:], peaks[:] = rule.threshold, -np.inf
    t_max, delay, threshold = rule.t_max, rule.delay, np.float32(rule.threshold)
    arrived = sent = fired = step = 0
    while step < t_max:
        start = arrived
        while arrived < count and times[arrived] <= step:
            arrived += 1
        if arrived > start or step == 0:
            fired = _take_step(
                potential, hidden_rows, inputs, start, arrived, bars, peaks, seen, rule.peaks,
                rule.silenced, seed, step + delay, neurons, arrivals, fired,
            )  # fmt: skip
        start = sent
        while sent < fired and arrivals[sent] <= step:
            sent += 1
        if sent > start or step == 0:
            add_rows(output, output_rows, neurons, start, sent)
            if any_above(output, threshold):
                return step, arrived, sent, fired
        step = t_max
        if arrived < count:
            step = min(step, times[arrived])
        if sent < fired:
            step = min(step, arrivals[sent])
    return t_max, arrived, sent, fired


@lean
def _take_step(
    potential, rows, inputs, start, arrived, bars, peaks, seen, climbs, silenced, seed, arrival,
    neurons, arrivals, fired,
):  # fmt: skip
    """Add the rows of the inputs start..arrived-1, which arrive in one step, and queue the neurons
    above their bars, in order; none is queued again.

    Notes the potentials that are higher than all before, and how many inputs have arrived, if
    asked to. All in one pass over the neurons.
    """
    hidden, now, at = potential.shape[0], np.int32(arrived), 0
    while at < hidden:
        if at + LANES <= hidden:
            word = _take_tile(potential, rows, inputs, start, arrived, bars, peaks, seen, climbs,
                              at, spread(now, LANES))  # fmt: skip
            width = LANES
        elif at + FEW <= hidden:
            word = _take_tile(potential, rows, inputs, start, arrived, bars, peaks, seen, climbs,
                              at, spread(now, FEW))  # fmt: skip
            width = FEW
        else:
            for k in range(start, arrived):
                potential[at] += rows[inputs[k] * hidden + at]
            if climbs and potential[at] > peaks[at]:
                peaks[at], seen[at] = potential[at], now
            word, width = np.uint64(potential[at] > bars[at]), 1
        while word:
            j = at + lowest(word)
            fired = _queue(j, bars, silenced, seed, arrival, neurons, arrivals, fired)
            word &= word - np.uint64(1)
        at += width
    return fired


@lean
def _take_tile(potential, rows, inputs, start, arrived, bars, peaks, seen, climbs, at, now):
    """`_take_step` of as many neurons as ``now`` has lanes; those above their bars, as bits."""
    here = load(potential, at, now)
    for k in range(start, arrived):
        here = add(here, load(rows, np.int64(inputs[k]) * potential.shape[0] + at, now))
    store(potential, at, here)
    if climbs:
        best = load(peaks, at, now)
        higher = greater(here, best)
        store(peaks, at, where(higher, here, best))
        store(seen, at, where(higher, now, load(seen, at, now)))
    return bits(greater(here, load(bars, at, now)))


@lean
def _queue(j, bars, silenced, seed, arrival, neurons, arrivals, fired):
    """Queue neuron j, unless its spike is left out; the number of neurons queued."""
    bars[j] = np.inf
    if not is_silenced(seed, j, silenced):
        neurons[fired], arrivals[fired] = j, arrival
        fired += 1
    return fired


@lean
def _decided(output, threshold):
    """The first output neuron above the threshold, or else the one with the largest potential."""
    for k in range(output.shape[0]):
        if output[k] > threshold:
            return k
    return _largest(output)


@lean
def _largest(values):
    """The first of the largest values."""
    best = 0
    for k in range(1, values.shape[0]):
        best = k if values[k] > values[best] else best
    return best


@lean
def _output_signal(output, label, is_first, decision, rule, signal):
    """dL/dV of the output neurons, in place of eq. 16.

    See `firstspike.training.rules.decision.output_signal`.
    """
    top, total = output[_largest(output)], np.float32(0)
    if rule.silence:
        threshold = np.float32(rule.threshold)
        top = max(top, threshold)
        total = np.float32(rule.silence) * np.exp((threshold - top) / np.float32(rule.temperature))
    for k in range(output.shape[0]):
        signal[k] = np.exp((output[k] - top) / np.float32(rule.temperature))
        total += signal[k]
    for k in range(output.shape[0]):
        signal[k] /= total
    signal[label] = np.float32(0) if is_first else signal[label] - np.float32(1)
    signal[label] -= np.float32(rule.earliness * decision / rule.t_max)


@lean
def _hidden_signal(error, columns, race, rule, signal):
    """dL/dV of the hidden neurons, a surrogate for eq. 11 and 15.

    See `firstspike.training.rules.decision.decision_gradients`.
    """
    peaks, bars = race.peaks, race.bars
    signal[:] = 0
    for k in range(error.shape[0]):
        scale, column = error[k], columns[k]
        for j in range(signal.shape[0]):
            signal[j] += scale * column[j]
    zero, one = np.float32(0), np.float32(1)
    threshold, narrow = np.float32(rule.threshold), np.float32(1 / rule.window)
    cost = np.float32(rule.sparsity)
    for j in range(signal.shape[0]):
        slope = max(one - abs(peaks[j] - threshold) * narrow, zero)
        signal[j] = (signal[j] + (cost if bars[j] > threshold else zero)) * slope
