"""Training steps of Spiking-GAN, event by event (CPU, float32, Numba).

The rule is that of `firstspike.training.gan.SpikingGan` with its default options, whose reference
in plain PyTorch is `firstspike.training.rules.adversarial.take_turns`. Every layer runs to the end,
so that a neuron's potential in the last step, which the surrogate gradient asks for, is what its
race leaves behind. All that a sample needs happens in one go, from the latents to the verdict and
back to the discriminator's hidden layer. Only two products of an error with all weights are left to
a matrix library. The loop over a tile of neurons is much like that of `firstspike.ops.cpu.layer`,
but one function for both makes that layer 541 instructions long instead of 388, most of them moves.

Samples are shared out to threads; each number is computed by one thread in a fixed order.
`firstspike.ops.cpu.learning` makes the updates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from firstspike.ops.cpu import LANES
from firstspike.ops.cpu.events import append_events, choose, lean, make_room, njit
from firstspike.ops.cpu.layer import is_alone
from firstspike.ops.cpu.learning import Traces
from firstspike.ops.cpu.noise import random_bits
from firstspike.ops.cpu.threads import in_parts, share_out
from firstspike.ops.cpu.vectors import add, greater, load, minimum, spread, store, where

Array = NDArray[Any]

_WIDE = 2 * LANES  # neurons of a tile, whose potentials stay in registers
LOSS, WON = range(2)  # columns of the outcome, see `judge`
FIGURES = 2


class Rule(NamedTuple):
    """What the kernels need to know; see `firstspike.training.config.GanConfig`."""

    t_max: int
    delay: int
    threshold: np.float32
    window: np.float32
    look_from: np.float32
    look_to: np.float32


class Network(NamedTuple):
    """Transposed weights [in, out] and biases of both layers."""

    hidden_rows: Array
    hidden_bias: Array
    output_rows: Array
    output_bias: Array


def judge(
    images: Array,
    latents: Array,
    seed: int,
    rule: Rule,
    generator: Network,
    discriminator: Network,
    drawn: Traces,
    judged: Traces,
) -> None:
    """Draw B samples and judge them, after B images in the discriminator's turn.

    In the generator's turn there are no images, and samples should be taken for some; `pass_back`
    does the rest of it.

    Args:
        images: spike times, float32 [B, pixels], or [0, pixels].
        latents: spike times, float32 [B, latents].
        seed: of how long the discriminator looks, below 2**32.
        rule: of the networks.
        generator: draws the samples.
        discriminator: judges them and the images.
        drawn: written for the samples; signals are but dt/dV, in the discriminator's turn nothing.
        judged: written for images and samples; the outcome tells the loss (column `LOSS`)
            and whether the right output won (`WON`).
    """
    count = len(images) + len(latents)

    arguments = (images, latents, seed, rule, generator, discriminator, drawn, judged)
    in_parts(_turn, _turn_shared, arguments, count, count * discriminator.hidden_rows.size)


def pass_back(generator: Network, discriminator: Network, drawn: Traces, judged: Traces) -> None:
    """Take the error of the discriminator's hidden layer back through both layers of the generator.

    Eq. 15 for each layer, with the surrogate of `judge` instead of eq. 11.

    Args:
        generator: drew the samples.
        discriminator: judged them.
        drawn: of `judge`; the signals become dL/dV.
        judged: of `judge`.
    """
    count = generator.output_bias.size  # inputs that tell the class come after the pixels
    pixels = _product(judged.hidden_signals, discriminator.hidden_rows[:count])
    np.multiply(drawn.output_signals, pixels, out=drawn.output_signals)
    hidden = _product(drawn.output_signals, generator.output_rows)
    np.multiply(drawn.hidden_signals, hidden, out=drawn.hidden_signals)


def _product(signals: Array, rows: Array) -> Array:
    """What reaches each input of dL/dV [B, out] through weights [in, out]: [B, in]."""
    product: Array = torch.mm(torch.from_numpy(signals), torch.from_numpy(rows).t()).numpy()
    return product


@njit
def _turn_shared(arguments, count, threads, team):
    share_out(_turn, arguments, count, threads, team)


@njit
def _turn(images, latents, seed, rule, generator, discriminator, drawn, judged, low, high):
    """Samples low..high-1 of images and drawn ones; see `judge`."""
    real = images.shape[0]
    found, first, times = _make_room(generator, discriminator, high - low)
    start = min(max(low, real), high)  # the first that is drawn
    times[: start - low] = images[low:start]
    some, place = latents[start - real : high - real], start - real
    _draw(some, rule, generator, drawn, place, found, first, times[start - low :])
    if real == 0:
        for b in range(low, high):
            _slope(drawn.hidden_signals[b], rule)
            _slope(drawn.output_signals[b], rule)
    _judge(times, real, latents.shape[0], seed, rule, discriminator, judged, low, found, first)


@njit
def _make_room(generator, discriminator, count):
    """For so many samples: events by steps, spike times of a hidden layer, and of the pixels."""
    pixels, hidden = discriminator.hidden_rows.shape
    longest = max(generator.hidden_rows.shape[0], pixels, hidden)
    found = np.empty((count, longest), np.float32), np.empty(count, np.int64)
    first = np.empty((count, hidden), np.float32)
    return found, first, np.empty((count, pixels), np.float32)


@njit
def _draw(latents, rule, network, traces, low, found, first, times):
    """The pixels' spike times of some latents; traces from sample ``low`` on, with potentials as
    signals."""
    high = low + latents.shape[0]
    until, rows = rule.t_max - rule.delay, network.hidden_rows
    room = make_room(rows.shape[0], rows, rule.t_max)
    items = traces.inputs[low:high]
    for k in range(latents.shape[0]):
        traces.input_counts[low + k] = _sort(latents[k], until, rule, k, items, found, room)
    potential = traces.hidden_signals[low:high]
    _race(items, found, rows.ravel(), network.hidden_bias, rule, first, potential)
    rows = network.output_rows
    room = make_room(rows.shape[0], rows, rule.t_max)
    items = traces.spikes[low:high]
    for k in range(latents.shape[0]):
        traces.spike_counts[low + k] = _sort(first[k], until, rule, k, items, found, room)
    potential = traces.output_signals[low:high]
    _race(items, found, rows.ravel(), network.output_bias, rule, times, potential)
    pixels = potential.shape[1]  # what tells the class goes on to the discriminator
    times[:, pixels:] = latents[:, latents.shape[1] - times.shape[1] + pixels :]


@njit
def _judge(times, real, batch, seed, rule, network, traces, low, found, first):
    """Whether images pass for real ones; traces from sample ``low`` on.

    The first ``real`` of the batch should (as in eq. 6), or, if there are none, all (eq. 7).
    """
    high = low + times.shape[0]
    rows, items = network.hidden_rows, traces.inputs[low:high]
    room = make_room(rows.shape[0], rows, rule.t_max)
    for k in range(times.shape[0]):
        until = min(last_look(seed, low + k, rule) + 1, rule.t_max - rule.delay)
        traces.input_counts[low + k] = _sort(times[k], until, rule, k, items, found, room)
    signal = traces.hidden_signals[low:high]
    _race(items, found, rows.ravel(), network.hidden_bias, rule, first, signal)
    for k in range(times.shape[0]):
        b = low + k
        error = _verdict(first[k], b < real or real == 0, rule, network, traces, b)
        error /= np.float32(batch)
        _slope(signal[k], rule)
        for h in range(first.shape[1]):
            signal[k, h] *= error * (network.output_rows[h, 1] - network.output_rows[h, 0])
        traces.output_signals[b, 0], traces.output_signals[b, 1] = -error, error


@lean
def _verdict(first, wanted, rule, network, traces, b):
    """dL/dV of the output that means real, from the potentials that the hidden spikes leave.

    Cross-entropy in place of the least squares in time of eq. 16 and 17.
    """
    rows, sent = network.output_rows, 0
    ahead = network.output_bias[1] - network.output_bias[0]
    for h in range(first.shape[0]):
        traces.spikes[b, sent] = h
        arrives = first[h] < rule.t_max - rule.delay
        ahead += rows[h, 1] - rows[h, 0] if arrives else np.float32(0)
        sent += arrives
    traces.spike_counts[b] = sent
    margin = ahead if wanted else -ahead
    loss = max(-margin, np.float32(0)) + np.log1p(np.exp(-abs(margin)))
    traces.outcome[b, LOSS], traces.outcome[b, WON] = loss, margin > 0
    wrong = np.float32(1) / (np.float32(1) + np.exp(margin))
    return -wrong if wanted else wrong


@lean
def last_look(seed, b, rule):
    """The step until which the discriminator sees the spikes of a sample."""
    share = np.float32(random_bits(seed, b) >> np.uint64(8)) / np.float32(1 << 24)
    return np.int64((rule.look_from + (rule.look_to - rule.look_from) * share) * rule.t_max)


@lean
def _sort(times, until, rule, k, items, found, room):
    """Sort the spikes of the k-th sample before step ``until``; returns their number.

    ``items`` gets the inputs in order; ``found`` when they arrive (the moments of `append_events`)
    and how many there are.
    """
    moments, counts = found
    for i in range(times.shape[0]):
        room.when[i] = np.int32(times[i])
    count = choose(room.when, np.int32(0), np.int32(until - 1), room.chosen)
    append_events(
        room.when, room.chosen, count, rule.delay, rule.t_max, items[k], moments[k], 0, room.places
    )
    counts[k] = count
    return count


@lean
def _race(items, found, rows, bias, rule, first, potential):
    """First spikes of a layer, t_max where silent, and its potentials in the last step: [B, out].

    Tile by tile, and all samples of a tile, whose weights then stay in the cache.
    """
    moments, counts = found
    outputs, low = bias.shape[0], 0
    never, threshold = np.float32(rule.t_max), rule.threshold
    while low < outputs:
        wide = low + _WIDE <= outputs
        for b in range(items.shape[0]):
            alone = is_alone(moments[b], counts[b], never)
            sample = (items[b], moments[b], counts[b], alone)
            if wide:
                silent = spread(never, _WIDE)
                _race_tile(rows, bias, low, silent, threshold, sample, first[b], potential[b])
            else:
                silent = spread(never, LANES)
                place = min(low, outputs - LANES)
                _race_tile(rows, bias, place, silent, threshold, sample, first[b], potential[b])
        low += _WIDE if wide else LANES


@lean
def _race_tile(rows, bias, low, never, threshold, events, first, potential):
    """First spikes and last potentials of the neurons from ``low`` on (eq. 1-2).

    They are as many as the vector ``never`` has lanes. Unlike `firstspike.ops.cpu.layer.advance`,
    it goes on when all have fired.
    """
    items, moments, count, alone = events
    total, bar, spike = load(bias, low, never), spread(threshold, never), never
    if alone:
        spike = where(greater(total, bar), spread(np.float32(0), never), never)
    for k in range(np.uint64(0), np.uint64(count)):
        total = add(total, load(rows, items[k] * bias.shape[0] + low, never))
        spike = where(greater(total, bar), minimum(spike, spread(moments[k], never)), spike)
    store(first, low, spike)
    store(potential, low, total)


@lean
def _slope(potential, rule):
    """Replace potentials in the last step by -dt/dV: a surrogate for eq. 11.

    See `firstspike.nn.final_gradient`.
    """
    zero, one, scale = np.float32(0), np.float32(1), np.float32(0.5) / rule.window
    for j in range(potential.shape[0]):
        distance = (potential[j] - rule.threshold) * scale
        near = max(one - distance * distance, zero)
        near *= near
        potential[j] = near * near
