"""Adam's step for a network of two layers from what a batch has left (CPU, float32, Numba).

A weight's gradient is the sum of the signals of its neuron over the samples in which its input
arrived (in time, if the neuron learns as of a moment of its own): plain additions of rows, input by
input, followed at once by Adam. Inputs that arrived in
no sample are left as they are, moments included, so that the update follows the spikes as well.
Inputs are shared out to threads; each number is computed by one thread in a fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu import FEW, LANES
from firstspike.ops.cpu.events import lean, njit
from firstspike.ops.cpu.threads import in_parts, share_out
from firstspike.ops.cpu.vectors import add, greater, load, spread, store, where

Array = NDArray[Any]


class Traces(NamedTuple):
    """What a batch leaves for the update of a network.

    Args:
        inputs, input_counts: int32 [B, in] and [B], inputs that arrived at the hidden layer.
        spikes, spike_counts: int32 [B, hidden] and [B], hidden neurons that did at the output.
        hidden_signals: float32 [B, hidden], dL/dV of the hidden layer.
        output_signals: float32 [B, out], dL/dV of the output layer.
        outcome: float32 [B, figures], what else there is to tell of each sample; the kernels that
            fill it name its columns.
        hidden_seen: int32 [B, hidden], by how many of the inputs each hidden neuron learns, the
            first ones; [0, hidden] where it does by all.
    """

    inputs: Array
    input_counts: Array
    spikes: Array
    spike_counts: Array
    hidden_signals: Array
    output_signals: Array
    outcome: Array
    hidden_seen: Array


class Adam(NamedTuple):
    """Adam's step (arXiv 1412.6980, algorithm 1) with its bias corrections worked in, float32."""

    rate: np.float32
    scale: np.float32
    epsilon: np.float32
    beta1: np.float32
    beta2: np.float32


class Moments(NamedTuple):
    """Adam's moments of each weight matrix and bias, of the same shapes."""

    hidden_means: Array
    hidden_squares: Array
    hidden_bias_means: Array
    hidden_bias_squares: Array
    output_means: Array
    output_squares: Array
    output_bias_means: Array
    output_bias_squares: Array


def new_traces(network: Any, batch: int, figures: int, in_time: bool = False) -> Traces:
    """Room for a batch of so many samples, with so many figures of each.

    ``network``, here and below, is a tuple with ``hidden_rows`` and ``output_rows``, transposed
    weights [in, out], and ``hidden_bias`` and ``output_bias``. ``in_time`` says whether hidden
    neurons learn by the first of the inputs only, see ``hidden_seen``.
    """
    inputs, hidden = network.hidden_rows.shape
    return Traces(
        np.empty((batch, inputs), np.int32),
        np.empty(batch, np.int32),
        np.empty((batch, hidden), np.int32),
        np.empty(batch, np.int32),
        np.empty((batch, hidden), np.float32),
        np.empty((batch, network.output_rows.shape[1]), np.float32),
        np.empty((batch, figures), np.float32),
        np.empty((batch if in_time else 0, hidden), np.int32),
    )


def learn(network: Any, moments: Moments, traces: Traces, adam: Adam) -> None:
    """Adam's step for all weights from the traces of a batch, in place."""
    cost = len(traces.inputs) * network.hidden_rows.size
    arguments = (network, moments, traces, adam)
    in_parts(_learn, _learn_shared, arguments, len(network.hidden_rows), cost)


@njit
def _learn_shared(arguments, count, threads, team):
    share_out(_learn, arguments, count, threads, team)


@njit
def _learn(network, moments, traces, adam, low, high):
    """The update of the weights of inputs low..high-1, and of as large a share of the hidden
    neurons' to the output. Biases belong to input 0."""
    signals, errors = traces.hidden_signals, traces.output_signals
    weights = network.hidden_rows, moments.hidden_means, moments.hidden_squares
    arrived = traces.inputs, traces.input_counts
    if len(traces.hidden_seen):
        _learn_in_time(*weights, *arrived, signals, traces.hidden_seen, adam, low, high)
    else:
        _learn_rows(*weights, *arrived, signals, adam, low, high)
    inputs, hidden = network.hidden_rows.shape
    weights = network.output_rows, moments.output_means, moments.output_squares
    arrived = traces.spikes, traces.spike_counts
    _learn_rows(*weights, *arrived, errors, adam, hidden * low // inputs, hidden * high // inputs)
    if low:
        return
    bias = network.hidden_bias, moments.hidden_bias_means, moments.hidden_bias_squares
    _learn_bias(*bias, signals, adam)
    bias = network.output_bias, moments.output_bias_means, moments.output_bias_squares
    _learn_bias(*bias, errors, adam)


@njit
def _learn_rows(rows, means, squares, items, counts, signals, adam, low, high):
    """Adam's step for the weights of inputs low..high-1, if they arrived in any sample.

    It stands for plain descent, eq. 8; the gradient is that of eq. 14, with other signals.

    Args:
        rows, means, squares: weights and their moments, [in, out], updated in place.
        items, counts: inputs that arrived in each sample, [B, in] and [B].
        signals: dL/dV of each neuron in each sample, [B, out].
        adam: see `Adam`.
        low: first input.
        high: the one after the last.
    """
    samples, lengths, _ = _samples_of(items, counts, low, high)
    gradient = np.empty(rows.shape[1], np.float32)
    _step_rows(rows, means, squares, samples, lengths, signals, adam, low, high, gradient)


@lean
def _step_rows(rows, means, squares, samples, lengths, signals, adam, low, high, gradient):
    """`_learn_rows` with the samples in which each input arrived."""
    for i in range(low, high):
        if lengths[i - low]:
            gradient[:] = 0
            add_rows(gradient, signals, samples[i - low], 0, lengths[i - low])
            _adam(rows[i], means[i], squares[i], gradient, adam)


@njit
def _learn_in_time(rows, means, squares, items, counts, signals, seen, adam, low, high):
    """`_learn_rows` where neuron j learns by the first ``seen[b, j]`` inputs of sample b only."""
    arrived = _samples_of(items, counts, low, high)
    gradient = np.empty(rows.shape[1], np.float32)
    known = signals.ravel(), seen.ravel()
    _step_in_time(rows, means, squares, arrived, *known, adam, low, high, gradient)


@lean
def _step_in_time(rows, means, squares, arrived, signals, seen, adam, low, high, gradient):
    """`_learn_in_time` with the samples in which each input arrived."""
    samples, lengths, places = arrived
    for i in range(low, high):
        if lengths[i - low]:
            _sum_in_time(
                gradient, signals, seen, samples[i - low], places[i - low], lengths[i - low]
            )
            _adam(rows[i], means[i], squares[i], gradient, adam)


@lean
def _sum_in_time(total, signals, seen, samples, places, count):
    """Sums of the signals of samples over the neurons that learn by the input that has that place
    there; signals and ``seen`` are flat [B * out]."""
    width, at = total.shape[0], 0
    zero = np.float32(0)
    while at < width:
        if at + LANES <= width:
            nothing = spread(zero, LANES)
            _sum_tile(total, signals, seen, samples, places, count, width, at, nothing)
            at += LANES
        elif at + FEW <= width:
            nothing = spread(zero, FEW)
            _sum_tile(total, signals, seen, samples, places, count, width, at, nothing)
            at += FEW
        else:
            total[at] = zero
            for k in range(count):
                place = np.int64(samples[k]) * width + at
                total[at] += signals[place] if seen[place] > places[k] else zero
            at += 1


@lean
def _sum_tile(total, signals, seen, samples, places, count, width, at, nothing):
    """`_sum_in_time` of as many neurons as ``nothing`` has lanes, in registers."""
    found = nothing
    for k in range(count):
        place = np.int64(samples[k]) * width + at
        learns = greater(load(seen, place, nothing), spread(places[k], nothing))
        found = where(learns, add(found, load(signals, place, nothing)), found)
    store(total, at, found)


@njit
def _learn_bias(bias, means, squares, signals, adam):
    """Adam's step for biases [out], whose input arrives in every sample."""
    gradient = np.zeros(bias.shape[0], np.float32)
    add_rows(gradient, signals, np.arange(signals.shape[0]), 0, signals.shape[0])
    _adam(bias, means, squares, gradient, adam)


@njit
def _samples_of(items, counts, low, high):
    """For each of the inputs low..high-1, the samples in which it arrived, in order; how many;
    and as the how manieth there."""
    samples = np.empty((high - low, items.shape[0]), np.int32)
    places = np.empty((high - low, items.shape[0]), np.int32)
    lengths = np.zeros(high - low, np.int32)
    for b in range(items.shape[0]):
        for k in range(counts[b]):
            i = items[b, k] - low
            if 0 <= i < high - low:
                samples[i, lengths[i]], places[i, lengths[i]] = b, k
                lengths[i] += 1
    return samples, lengths, places


@lean
def _adam(row, mean, square, gradient, adam):
    one = np.float32(1)
    for j in range(row.shape[0]):
        g = gradient[j]
        m = adam.beta1 * mean[j] + (one - adam.beta1) * g
        v = adam.beta2 * square[j] + (one - adam.beta2) * g * g
        mean[j], square[j] = m, v
        row[j] -= adam.rate * m / (np.sqrt(v) * adam.scale + adam.epsilon)


@lean
def add_rows(total, rows, chosen, low, high):
    """Add the rows chosen[low:high] one after the other, eight in a pass over ``total``.

    No row is named by itself: a view of an array takes as long as adding one does.
    """
    width, k = total.shape[0], low
    while k + 8 <= high:
        a, b, c, d = chosen[k], chosen[k + 1], chosen[k + 2], chosen[k + 3]
        e, f, g, h = chosen[k + 4], chosen[k + 5], chosen[k + 6], chosen[k + 7]
        for j in range(width):
            four = (((total[j] + rows[a, j]) + rows[b, j]) + rows[c, j]) + rows[d, j]
            total[j] = (((four + rows[e, j]) + rows[f, j]) + rows[g, j]) + rows[h, j]
        k += 8
    while k + 2 <= high:
        a, b = chosen[k], chosen[k + 1]
        for j in range(width):
            total[j] = (total[j] + rows[a, j]) + rows[b, j]
        k += 2
    if k < high:
        a = chosen[k]
        for j in range(width):
            total[j] += rows[a, j]
