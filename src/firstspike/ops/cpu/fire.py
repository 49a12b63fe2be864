"""`fire` on the CPU, event by event, compiled by Numba: the cost follows the spikes.

Same results as `firstspike.ops.reference`, whose docstring fixes the order of summation. Weights
come transposed, [in, out], so that an input spike adds one contiguous row to the potentials.

The backward pass works on tiles of neurons, too. Where their number is no multiple of the lanes,
the first two tiles overlap; fewer than `LANES` neurons are filled up with neurons without weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstspike.ops.cpu import LANES
from firstspike.ops.cpu.events import lean, make_room, njit, sort_events
from firstspike.ops.cpu.layer import advance, room_for
from firstspike.ops.cpu.threads import in_parts, share_out
from firstspike.ops.cpu.vectors import (
    add,
    at_least,
    differs,
    either,
    greater,
    largest,
    load,
    multiply,
    spread,
    store,
    subtract,
    total,
    where,
)
from firstspike.times import check_times

Array = NDArray[Any]

_SAMPLES = 512  # whose errors are held at a time, so that a tile of them lies in the cache


def forward(
    times: Tensor, weight: Tensor, bias: Tensor | None, threshold: float, t_max: int, delay: int
) -> Tensor:
    """Spike times [B, out] of inputs ``times`` [B, in] through ``weight`` [out, in] (eq. 1-2).

    All tensors have one dtype, float32 or float64.

    Raises:
        ValueError: ``times`` are not spike times, which the sorting finds out for free.
    """
    when, rows = times.contiguous().numpy(), weight.t().contiguous().numpy()
    start = weight.new_zeros(weight.shape[0]) if bias is None else bias.contiguous()
    batch, outputs = len(when), rows.shape[1]
    fired, invalid = times.new_empty((batch, outputs)), np.zeros(1, np.bool_)
    arguments = (when, rows, start.numpy(), threshold, t_max, delay, fired.numpy(), invalid)
    in_parts(_forward, _forward_shared, arguments, batch, rows.size * batch)
    if invalid[0]:
        check_times(times, t_max)
    return fired


def backward(
    grad: Tensor,
    times: Tensor,
    weight: Tensor,
    fired: Tensor,
    t_max: int,
    delay: int,
    silent: str,
    need_times: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for times [B, in], weight [out, in] and bias [out] (eq. 11-15).

    ``grad`` and ``fired`` are [B, out]; the gradient for times is empty unless ``need_times``.
    """
    (batch, inputs), outputs = times.shape, fired.shape[1]
    when = times.contiguous().numpy()
    errors, spikes = _widen(grad.contiguous().numpy()), _widen(fired.numpy())
    width = errors.shape[1]
    of_rows, of_bias = fired.new_empty((inputs, width)), fired.new_empty(width)
    arguments = (when, errors, spikes, t_max, delay, silent == "pull", of_rows.numpy(),
                 of_bias.numpy())  # fmt: skip
    in_parts(_weight_gradient, _weights_shared, arguments, inputs, inputs * width * batch)
    of_times = times.new_empty(times.shape if need_times else (0, inputs))
    if need_times:
        rows = _widen(weight.t().contiguous().numpy())
        arguments = (when, errors, spikes, t_max, delay, silent == "pull", rows, of_times.numpy())
        in_parts(_time_gradient, _times_shared, arguments, batch, inputs * width * batch)
    if width > outputs:
        of_rows, of_bias = of_rows[:, :outputs].contiguous(), of_bias[:outputs].contiguous()
    return of_times, of_rows.t(), of_bias


def _widen(array: Array) -> Array:
    """At least `LANES` columns: zeros are neurons without weights, bias and errors."""
    columns = array.shape[-1]
    if columns >= LANES:
        return array
    wide = np.zeros((*array.shape[:-1], LANES), array.dtype)
    wide[..., :columns] = array
    return wide


@njit
def _forward(times, rows, bias, threshold, t_max, delay, fired, invalid, low, high):
    """Fills ``fired`` for samples low..high-1 (eq. 1-2); says so if a time is invalid."""
    room = make_room(times.shape[1], rows, t_max)
    potential, weights = np.empty(room_for(rows.shape[1]), rows.dtype), rows.reshape(-1)
    _run(times, weights, bias, threshold, t_max, delay, fired, invalid, low, high, room, potential)


@lean
def _run(times, weights, bias, threshold, t_max, delay, fired, invalid, low, high, room, potential):
    """`_forward` with room for a sample's events and potentials."""
    bar, never = bias.dtype.type(threshold), bias.dtype.type(t_max)
    for b in range(low, high):
        count = sort_events(times[b], t_max, delay, room)
        if count < 0:
            invalid[0] = True
            return
        advance(
            weights, bias, bar, never, room.order, room.moments, 0, count, True, potential, fired[b]
        )


@njit
def _forward_shared(arguments, count, threads, team):
    share_out(_forward, arguments, count, threads, team)


@njit
def _weights_shared(arguments, count, threads, team):
    share_out(_weight_gradient, arguments, count, threads, team)


@njit
def _times_shared(arguments, count, threads, team):
    share_out(_time_gradient, arguments, count, threads, team)


@lean
def _low(tile, tiles, outputs):
    """First neuron of a tile. The first tile may overlap the second, the others do not."""
    return max(0, outputs - (tiles - tile) * LANES)


@njit
def _aligned(count, like):
    """An array that starts at a cache line: vectors that cross one take twice as long."""
    line = 64 // like.itemsize
    room = np.empty(count + line, like.dtype)
    skip = -(room.ctypes.data // like.itemsize) % line
    return room[skip : skip + count]


@lean
def _pass_errors(grad, fired, t_max, delay, pull, low, high, errors, lasts, latest, loss):
    """The part of the error that passes a neuron (eq. 11), and minus its sum over samples.

    Args:
        grad, fired: of all samples, flat [B * out].
        t_max, delay: of the layer.
        pull: whether silent neurons pass what asks them to fire earlier.
        low, high: the samples low..high-1 are looked at.
        errors, lasts: filled with the error and the spike time of each neuron, tile after tile,
            flat [tiles * (high - low) * lanes]. In the first tile, neurons that are also in the
            second one have no error.
        latest: filled with the last spike with an error [high - low]: no later arrival has a
            gradient; nor has that of a silent input, which a silent neuron's time would take in.
        loss: filled, [out].
    """
    samples, outputs = high - low, loss.shape[0]
    tiles = -(-outputs // LANES)
    zero = spread(grad.dtype.type(0), LANES)
    before = spread(grad.dtype.type(-1), LANES)
    never = spread(grad.dtype.type(t_max), LANES)
    wanted = zero if pull else spread(grad.dtype.type(np.inf), LANES)
    latest[:] = -1
    for tile in range(tiles):
        first = _low(tile, tiles, outputs)
        bias = zero
        for b in range(samples):
            spike = load(fired, (low + b) * outputs + first, zero)
            signal = load(grad, (low + b) * outputs + first, zero)
            passes = either(greater(never, spike), greater(signal, wanted))
            signal = where(passes, signal, zero)
            bias = subtract(bias, signal)
            place = (tile * samples + b) * LANES
            store(errors, place, signal)
            store(lasts, place, spike)
            latest[b] = max(latest[b], largest(where(differs(signal, zero), spike, before)))
        store(loss, first, bias)
    shared = LANES * tiles - outputs
    for b in range(samples):
        latest[b] = min(latest[b], t_max - 1 + delay)
        for j in range(LANES - shared, LANES):
            errors[b * LANES + j] = 0


@njit
def _contributions(times, latest, delay, low, high):
    """Of each of the inputs low..high-1, in which samples it may contribute, and its arrival there.

    Those of the k-th input are at starts[k]..starts[k + 1] - 1.
    """
    batch = times.shape[0]
    starts = np.empty(high - low + 1, np.int32)
    samples = np.empty((high - low) * batch + 1, np.int32)
    arrivals = np.empty((high - low) * batch + 1, times.dtype)
    count = 0
    for i in range(low, high):
        starts[i - low] = count
        for b in range(batch):
            samples[count] = b
            arrivals[count] = times[b, i] + times.dtype.type(delay)
            count += arrivals[count] <= latest[b]
    starts[high - low] = count
    return samples, arrivals, starts


@lean
def _subtract_error(loss, error, last, place, arrival):
    """Take one sample's errors off where the input contributed (eq. 14)."""
    contributed = at_least(load(last, place, loss), spread(arrival, loss))
    return where(contributed, subtract(loss, load(error, place, loss)), loss)


@njit
def _weight_gradient(times, grad, fired, t_max, delay, pull, grad_rows, grad_bias, low, high):
    """dL/dw of the inputs low..high-1 (eq. 13-14), and dL/db if input 0 is among them.

    Each thread finds the errors for itself: to fetch them from another one's cache takes longer.
    """
    (batch, outputs), most = fired.shape, min(fired.shape[0], _SAMPLES)
    tiles = -(-outputs // LANES)
    errors, lasts = _aligned(tiles * most * LANES, grad), _aligned(tiles * most * LANES, grad)
    latest, loss = np.empty(most, times.dtype), np.empty(outputs, grad.dtype)
    grads, spikes, result = grad.ravel(), fired.ravel(), grad_rows.ravel()
    for start in range(0, max(batch, 1), _SAMPLES):
        stop = min(start + _SAMPLES, batch)
        _pass_errors(grads, spikes, t_max, delay, pull, start, stop, errors, lasts, latest, loss)
        if low == 0:
            grad_bias[:] = grad_bias + loss if start else loss
        found = _contributions(times[start:stop], latest, delay, low, high)
        for tile in range(tiles):
            place = tile * (stop - start) * LANES
            _tile_gradient(errors[place:], lasts[place:], *found, start == 0, low, high, outputs,
                           _low(tile, tiles, outputs), result)  # fmt: skip


@lean
def _tile_gradient(
    errors, lasts, samples, arrivals, starts, fresh, low, high, outputs, first, grad_rows
):
    """`_weight_gradient` of a tile, in registers, with some samples of it in L1.

    Even and odd contributions are added up apart, so that additions need not wait for each other.
    """
    zero = spread(errors.dtype.type(0), LANES)
    for i in range(low, high):
        even, odd = zero, zero
        if not fresh:
            even = load(grad_rows, i * outputs + first, LANES)
        k, end = np.uint64(starts[i - low]), np.uint64(starts[i - low + 1])
        while k + np.uint64(1) < end:
            even = _subtract_error(even, errors, lasts, samples[k] * LANES, arrivals[k])
            k += np.uint64(1)
            odd = _subtract_error(odd, errors, lasts, samples[k] * LANES, arrivals[k])
            k += np.uint64(1)
        if k < end:
            even = _subtract_error(even, errors, lasts, samples[k] * LANES, arrivals[k])
        store(grad_rows, i * outputs + first, add(even, odd))


@njit
def _time_gradient(times, grad, fired, t_max, delay, pull, rows, grad_times, low, high):
    """dL/dt of the samples low..high-1 (eq. 15): sums over j of dL/dt_j w_ji where input i
    contributed."""
    outputs = fired.shape[1]
    room = -(-outputs // LANES) * (high - low) * LANES
    errors, lasts = _aligned(room, grad), _aligned(room, grad)
    latest, loss = np.empty(high - low, times.dtype), np.empty(outputs, grad.dtype)
    _pass_errors(
        grad.ravel(), fired.ravel(), t_max, delay, pull, low, high, errors, lasts, latest, loss
    )
    _sum_over_neurons(times, rows.ravel(), errors, lasts, latest, delay, low, high, outputs,
                      grad_times)  # fmt: skip


@lean
def _sum_over_neurons(times, weights, errors, lasts, latest, delay, low, high, outputs, grad_times):
    """`_time_gradient` from the errors."""
    inputs, samples = times.shape[1], high - low
    tiles = -(-outputs // LANES)
    zero = spread(errors.dtype.type(0), LANES)
    for b in range(samples):
        for i in range(inputs):
            arrival = times[low + b, i] + times.dtype.type(delay)
            if arrival > latest[b]:
                grad_times[low + b, i] = 0
                continue
            terms = zero
            for tile in range(tiles):
                place = (tile * samples + b) * LANES
                row = load(weights, i * outputs + _low(tile, tiles, outputs), zero)
                contributed = at_least(load(lasts, place, zero), spread(arrival, zero))
                term = multiply(load(errors, place, zero), row)
                terms = where(contributed, add(terms, term), terms)
            grad_times[low + b, i] = total(terms)
