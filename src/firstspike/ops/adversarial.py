"""Training steps of Spiking-GAN, event by event (CPU, float32, Numba).

The rule is that of `firstspike.gan.SpikingGan` with its default options, whose reference in plain
PyTorch is `firstspike.gan.Gan.step`. Every layer runs to the end, so that a neuron's potential in
the last step, which the surrogate gradient asks for, is what its race leaves behind. All that a
sample needs happens in one go, from the latents to the verdict and back to the discriminator's
hidden layer. Only two products of an error with all weights are left to a matrix library.

Samples, and then weights, are shared out to threads; each number is computed by one thread in a
fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from firstspike.ops.events import njit
from firstspike.ops.minibatch import Adam, _learn_bias, _learn_rows
from firstspike.ops.noise import random_bits
from firstspike.ops.threads import in_parts
from firstspike.ops.vectors import add, greater, load, minimum, spread, store, where

Array = NDArray[Any]

LANES, _WIDE = 64, 128  # neurons of a tile, whose potentials stay in registers


class Rule(NamedTuple):
    """What the kernels need to know; see `firstspike.config.GanConfig`."""

    t_max: int
    delay: int
    threshold: np.float32
    window: np.float32
    bias_limit: np.float32
    look_from: np.float32
    look_to: np.float32


class Network(NamedTuple):
    """Transposed weights [in, out] and biases of both layers."""

    hidden_rows: Array
    hidden_bias: Array
    output_rows: Array
    output_bias: Array


class Traces(NamedTuple):
    """What a batch leaves for the update of a network.

    Args:
        inputs, input_counts: int32 [B, in] and [B], inputs that arrived at the hidden layer.
        spikes, spike_counts: int32 [B, hidden] and [B], hidden neurons that did at the output.
        hidden_signals: float32 [B, hidden], dL/dV of the hidden layer; of a generator at first only
            dt/dV, which the error is multiplied with later.
        output_signals: float32 [B, out], likewise of the output layer.
    """

    inputs: Array
    input_counts: Array
    spikes: Array
    spike_counts: Array
    hidden_signals: Array
    output_signals: Array


def new_traces(network: Network, batch: int) -> Traces:
    """Room for a batch of so many samples."""
    inputs, hidden = network.hidden_rows.shape
    return Traces(
        np.empty((batch, inputs), np.int32),
        np.empty(batch, np.int32),
        np.empty((batch, hidden), np.int32),
        np.empty(batch, np.int32),
        np.empty((batch, hidden), np.float32),
        np.empty((batch, network.output_rows.shape[1]), np.float32),
    )


def judge_real_and_fake(
    images: Array,
    latents: Array,
    seed: int,
    rule: Rule,
    generator: Network,
    discriminator: Network,
    drawn: Traces,
    judged: Traces,
) -> Array:
    """The discriminator's turn, up to its update: B images, and as many samples after them.

    Args:
        images: spike times, float32 [B, pixels].
        latents: spike times, float32 [B, latents].
        seed: of the dithering, below 2**32.
        rule: of the networks.
        generator: draws the samples.
        discriminator: judges both.
        drawn: written, of no further use.
        judged: written, for 2 B samples.

    Returns:
        float32 [2 B, 2]: loss of each sample, and whether the right output won.
    """
    outcome = np.empty((2 * len(images), 2), np.float32)
    traces = (drawn, judged, outcome)

    def some(part: slice) -> None:
        low, high, _ = part.indices(len(outcome))
        _discriminator_turn(
            images, latents, seed, rule, generator, discriminator, traces, low, high
        )

    in_parts(some, len(outcome), len(outcome) * discriminator.hidden_rows.size)
    return outcome


def judge_fake(
    latents: Array,
    seed: int,
    rule: Rule,
    generator: Network,
    discriminator: Network,
    drawn: Traces,
    judged: Traces,
) -> Array:
    """The generator's turn, up to its update: samples that should be taken for images.

    The arguments are those of `judge_real_and_fake`; ``drawn`` is for B samples, and written for
    the update of the generator. Returns float32 [B, 2].
    """
    outcome = np.empty((len(latents), 2), np.float32)
    traces = (drawn, judged, outcome)

    def some(part: slice) -> None:
        low, high, _ = part.indices(len(outcome))
        _generator_turn(latents, seed, rule, generator, discriminator, traces, low, high)

    in_parts(some, len(outcome), len(outcome) * discriminator.hidden_rows.size)
    count = generator.output_bias.size  # inputs that tell the class come after the pixels
    pixels = _product(judged.hidden_signals, discriminator.hidden_rows[:count])
    np.multiply(drawn.output_signals, pixels, out=drawn.output_signals)
    hidden = _product(drawn.output_signals, generator.output_rows)
    np.multiply(drawn.hidden_signals, hidden, out=drawn.hidden_signals)
    return outcome


def _product(signals: Array, rows: Array) -> Array:
    """What reaches each input of dL/dV [B, out] through weights [in, out]: [B, in]."""
    product: Array = torch.mm(torch.from_numpy(signals), torch.from_numpy(rows).t()).numpy()
    return product


def learn(
    network: Network, moments: tuple[Array, ...], traces: Traces, rule: Rule, adam: Adam
) -> None:
    """Adam's step for all weights from the traces of a batch, in place.

    ``moments`` are the means of the gradients and of their squares, of the hidden weights, hidden
    biases, output weights and output biases.
    """
    parts = 16

    def some(part: slice) -> None:
        low, high, _ = part.indices(parts)
        _learn(network, moments, traces, rule, adam, low / parts, high / parts)

    in_parts(some, parts, len(traces.inputs) * network.hidden_rows.size)


@njit
def _discriminator_turn(images, latents, seed, rule, generator, discriminator, traces, low, high):  # type: ignore[no-untyped-def]
    """Samples low..high-1 of images and as many drawn ones; see `judge_real_and_fake`."""
    drawn, judged, outcome = traces
    room, times = _make_room(generator, discriminator, rule, high - low)
    real = len(images)
    drawn_from = min(max(low, real), high)
    times[: drawn_from - low] = images[low:drawn_from]
    some = latents[drawn_from - real : high - real]
    _draw(some, rule, generator, drawn, drawn_from - real, room, times[drawn_from - low :])
    _judge(times, real, seed, rule, discriminator, judged, low, room, outcome, True)


@njit
def _generator_turn(latents, seed, rule, generator, discriminator, traces, low, high):  # type: ignore[no-untyped-def]
    """Samples low..high-1 of a batch; see `judge_fake`."""
    drawn, judged, outcome = traces
    room, times = _make_room(generator, discriminator, rule, high - low)
    _draw(latents[low:high], rule, generator, drawn, low, room, times)
    for b in range(low, high):
        _slope(drawn.hidden_signals[b], rule)
        _slope(drawn.output_signals[b], rule)
    _judge(times, len(latents), seed, rule, discriminator, judged, low, room, outcome, False)


@njit
def _make_room(generator, discriminator, rule, count):  # type: ignore[no-untyped-def]
    """For so many samples: their sorted events, a hidden layer's spike times; and their pixels."""
    pixels, hidden = discriminator.hidden_rows.shape
    longest = max(generator.hidden_rows.shape[0], pixels, hidden)
    room = (
        (np.empty(rule.t_max + 1, np.int32), np.empty(longest + 1, np.int32)),
        np.empty((count, longest + 1), np.int32),
        np.empty((count, longest + 1), np.float32),
        np.empty(count, np.int64),
        np.empty((count, hidden), np.float32),
    )
    return room, np.empty((count, pixels), np.float32)


@njit
def _draw(latents, rule, network, traces, low, room, times):  # type: ignore[no-untyped-def]
    """The pixels' spike times of some latents; traces from sample ``low`` on, with potentials as
    signals."""
    sorting, ends, steps, found, first = room
    until = rule.t_max - rule.delay
    for k in range(latents.shape[0]):
        items = traces.inputs[low + k]
        counts = _sort(latents[k], until, rule.delay, items, ends[k], steps[k], sorting)
        traces.input_counts[low + k], found[k] = counts
    high = low + latents.shape[0]
    events = (traces.inputs[low:high], ends, steps, found)
    potential = traces.hidden_signals[low:high]
    _race(events, network.hidden_rows.ravel(), network.hidden_bias, rule, first, potential)
    for k in range(latents.shape[0]):
        items = traces.spikes[low + k]
        counts = _sort(first[k], until, rule.delay, items, ends[k], steps[k], sorting)
        traces.spike_counts[low + k], found[k] = counts
    events = (traces.spikes[low:high], ends, steps, found)
    potential = traces.output_signals[low:high]
    _race(events, network.output_rows.ravel(), network.output_bias, rule, times, potential)
    pixels = potential.shape[1]  # what tells the class goes on to the discriminator
    times[:, pixels:] = latents[:, latents.shape[1] - times.shape[1] + pixels :]


@njit
def _judge(times, batch, seed, rule, network, traces, low, room, outcome, both):  # type: ignore[no-untyped-def]
    """Whether images pass for real ones; traces from sample ``low`` on.

    All of a batch should, or, of ``both`` real ones and drawn ones, the first half only.
    """
    sorting, ends, steps, found, first = room
    for k in range(times.shape[0]):
        until = min(last_look(seed, low + k, rule) + 1, rule.t_max - rule.delay)
        items = traces.inputs[low + k]
        counts = _sort(times[k], until, rule.delay, items, ends[k], steps[k], sorting)
        traces.input_counts[low + k], found[k] = counts
    high = low + times.shape[0]
    events = (traces.inputs[low:high], ends, steps, found)
    signal = traces.hidden_signals[low:high]
    _race(events, network.hidden_rows.ravel(), network.hidden_bias, rule, first, signal)
    for k in range(times.shape[0]):
        b = low + k
        error = _verdict(first[k], b < batch or not both, rule, network, traces, b, outcome[b])
        _slope(signal[k], rule)
        for h in range(first.shape[1]):
            difference = network.output_rows[h, 1] - network.output_rows[h, 0]
            signal[k, h] *= error / np.float32(batch) * difference
        traces.output_signals[b, 0] = -error / np.float32(batch)
        traces.output_signals[b, 1] = error / np.float32(batch)


@njit
def _verdict(first, wanted, rule, network, traces, b, outcome):  # type: ignore[no-untyped-def]
    """Potentials of the outputs from the hidden spikes, and dL/dV of the one that means real."""
    rows, sent = network.output_rows, 0
    ahead = network.output_bias[1] - network.output_bias[0]
    for h in range(first.shape[0]):
        traces.spikes[b, sent] = h
        arrives = first[h] < rule.t_max - rule.delay
        ahead += rows[h, 1] - rows[h, 0] if arrives else np.float32(0)
        sent += arrives
    traces.spike_counts[b] = sent
    margin = ahead if wanted else -ahead
    outcome[0] = max(-margin, np.float32(0)) + np.log1p(np.exp(-abs(margin)))
    outcome[1] = margin > 0
    wrong = np.float32(1) / (np.float32(1) + np.exp(margin))
    return -wrong if wanted else wrong


@njit
def last_look(seed, b, rule):  # type: ignore[no-untyped-def]
    """The step until which the discriminator sees the spikes of a sample."""
    share = np.float32(random_bits(seed, b) >> np.uint64(8)) / np.float32(1 << 24)
    return np.int64((rule.look_from + (rule.look_to - rule.look_from) * share) * rule.t_max)


@njit
def _sort(times, end, delay, items, ends, steps, room):  # type: ignore[no-untyped-def]
    """Events of the spikes before ``end``, by time and then by index: a counting sort.

    Fills ``items`` with the inputs; ``steps`` with the steps at which any arrive, and ``ends`` with
    where the events of each end. Returns the numbers of events and of such steps.
    """
    starts, early = room
    count = 0
    for i in range(times.shape[0]):  # no branch: whether a pixel is lit is hard to predict
        early[count] = i
        count += times[i] < end
    starts[:end] = 0
    for k in range(count):
        starts[np.int32(times[early[k]])] += 1
    total = found = 0
    for step in range(end):
        arriving = int(starts[step])
        starts[step] = total
        total += arriving
        steps[found], ends[found] = step + delay, total
        found += arriving > 0
    for k in range(count):
        when = np.int32(times[early[k]])
        items[starts[when]] = early[k]
        starts[when] += 1
    return count, found


@njit
def _race(events, rows, bias, rule, first, potential):  # type: ignore[no-untyped-def]
    """First spikes of a layer, t_max where silent, and its potentials in the last step: [B, out].

    Tile by tile, and all samples of a tile, whose weights then stay in the cache.
    """
    items, ends, steps, found = events
    outputs, low = bias.shape[0], 0
    never, threshold = np.float32(rule.t_max), rule.threshold
    while low < outputs:
        wide = low + _WIDE <= outputs
        for b in range(items.shape[0]):
            sample = (items[b], ends[b], steps[b], found[b])
            if wide:
                silent = spread(never, _WIDE)
                _race_tile(rows, bias, low, silent, threshold, sample, first[b], potential[b])
            else:
                silent = spread(never, LANES)
                place = min(low, outputs - LANES)
                _race_tile(rows, bias, place, silent, threshold, sample, first[b], potential[b])
        low += _WIDE if wide else LANES


@njit
def _race_tile(rows, bias, low, never, threshold, events, first, potential):  # type: ignore[no-untyped-def]
    """The same of neurons low, low + 1, ..., as many as the vector ``never`` has lanes."""
    items, ends, steps, found = events
    total, bar, spike = load(bias, low, never), spread(threshold, never), never
    if found == 0 or steps[0] > 0:  # at step 0 the bias acts alone
        spike = where(greater(total, bar), spread(np.float32(0), never), never)
    k = 0
    for step in range(found):
        while k < ends[step]:
            total = add(total, load(rows, items[k] * bias.shape[0] + low, never))
            k += 1
        now = spread(steps[step], never)
        spike = where(greater(total, bar), minimum(spike, now), spike)
    store(first, low, spike)
    store(potential, low, total)


@njit
def _slope(potential, rule):  # type: ignore[no-untyped-def]
    """Replace potentials in the last step by -dt/dV; see `firstspike.nn.final_gradient`."""
    zero, one, scale = np.float32(0), np.float32(1), np.float32(0.5) / rule.window
    for j in range(potential.shape[0]):
        distance = (potential[j] - rule.threshold) * scale
        near = max(one - distance * distance, zero)
        near *= near
        potential[j] = near * near


@njit
def _learn(network, moments, traces, rule, adam, low, high):  # type: ignore[no-untyped-def]
    """The update of the weights of a share low..high of the inputs; biases belong to the first."""
    arrived = traces.inputs, traces.input_counts
    count = network.hidden_rows.shape[0]
    _learn_rows(
        network.hidden_rows,
        moments[0],
        moments[1],
        *arrived,
        traces.hidden_signals,
        adam,
        int(low * count),
        int(high * count),
    )
    arrived = traces.spikes, traces.spike_counts
    count = network.output_rows.shape[0]
    _learn_rows(
        network.output_rows,
        moments[4],
        moments[5],
        *arrived,
        traces.output_signals,
        adam,
        int(low * count),
        int(high * count),
    )
    if low == 0:
        _learn_bias(network.hidden_bias, moments[2], moments[3], traces.hidden_signals, adam)
        _learn_bias(network.output_bias, moments[6], moments[7], traces.output_signals, adam)
        for bias in (network.hidden_bias, network.output_bias):
            for j in range(bias.shape[0]):
                bias[j] = min(bias[j], rule.bias_limit)
