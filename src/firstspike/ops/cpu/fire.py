"""`fire` on the CPU, event by event, compiled by Numba: the cost follows the spikes.

Same results as `firstspike.ops.reference`, whose docstring fixes the order of summation. Weights
come transposed, [in, out], so that an input spike adds one contiguous row to the potentials.

The backward pass works on tiles of neurons, too. Where their number is no multiple of the lanes,
the first two tiles overlap; fewer than `LANES` neurons are filled up with neurons without weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.ops.cpu import LANES
from firstspike.ops.cpu.events import find_steps, make_room, njit, sort_events
from firstspike.ops.cpu.layer import advance, room_for
from firstspike.ops.cpu.threads import in_parts
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
    own_bias = start.numpy()
    fired = _aligned((len(when), rows.shape[1]), rows.dtype)

    def samples(part: slice) -> bool:
        return _forward(when[part], rows, own_bias, threshold, t_max, delay, fired[part])

    valid = in_parts(samples, len(when), rows.size * len(when))
    if not all(valid):
        check_times(times, t_max)
    return torch.from_numpy(fired)


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
    when, dtype = times.contiguous().numpy(), fired.numpy().dtype
    (batch, inputs), outputs = when.shape, len(weight)
    width = max(outputs, LANES)
    grad_times = np.zeros(when.shape if need_times else (0, inputs), when.dtype)
    grad_rows = _aligned((inputs, width), dtype)
    grad_bias = np.empty(width, dtype)
    tiles = -(-width // LANES)
    error = _aligned((tiles, batch, LANES), dtype)
    last = _aligned((tiles, batch, LANES), dtype)
    latest = np.empty(batch, when.dtype)
    errors, spikes = _widen(grad.contiguous().numpy()), _widen(fired.numpy())
    _pass_errors(errors, spikes, t_max, silent == "pull", error, last, latest, grad_bias)
    np.minimum(latest, t_max - 1 + delay, out=latest)  # of silent neurons, silent inputs' arrival

    def some_inputs(part: slice) -> None:
        low, high, _ = part.indices(inputs)
        _weight_gradient(when, error, last, latest, delay, low, high, grad_rows)

    in_parts(some_inputs, inputs, grad_rows.size * batch)
    if need_times:
        rows = _widen(weight.t().contiguous().numpy())

        def some_samples(part: slice) -> None:
            low, high, _ = part.indices(batch)
            _time_gradient(when, rows, error, last, latest, delay, low, high, grad_times)

        in_parts(some_samples, batch, rows.size * batch)
    gradients = grad_times, _narrow(grad_rows, outputs), _narrow(grad_bias, outputs)
    of_times, of_rows, of_bias = map(torch.from_numpy, gradients)
    return of_times, of_rows.t(), of_bias


def _aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """New array that starts at a cache line: vectors that cross one take twice as long."""
    kind = torch.float32 if dtype == np.float32 else torch.float64
    array: Array = torch.empty(shape, dtype=kind, device="cpu").numpy()
    return array


def _widen(array: Array) -> Array:
    """At least `LANES` columns: zeros are neurons without weights, bias and errors."""
    columns = array.shape[-1]
    if columns >= LANES:
        return array
    wide = np.zeros((*array.shape[:-1], LANES), array.dtype)
    wide[..., :columns] = array
    return wide


def _narrow(array: Array, columns: int) -> Array:
    """Undo `_widen`."""
    return np.ascontiguousarray(array[..., :columns])


@njit
def _forward(times, rows, bias, threshold, t_max, delay, fired):
    """Fills ``fired`` (eq. 1-2), one sample after the other; False if a time is invalid."""
    room = make_room(times.shape[1], rows)
    potential = np.empty(room_for(rows.shape[1]), rows.dtype)
    weights, ends, steps = rows.reshape(-1), room.ends, room.steps
    bar, never = rows.dtype.type(threshold), rows.dtype.type(t_max)
    for b in range(times.shape[0]):
        order, count = sort_events(times[b], t_max, delay, room)
        if count < 0:
            return False
        found = find_steps(room.when, order, 0, count, delay, 0, ends, steps)
        advance(weights, bias, bar, never, order, ends, steps, 0, found, True, potential, fired[b])
    return True


@njit
def _low(tile, tiles, outputs):
    """First neuron of a tile. The first tile may overlap the second, the others do not."""
    return max(0, outputs - (tiles - tile) * LANES)


@njit
def _pass_errors(grad, fired, t_max, pull, error, last, latest, grad_bias):
    """The part of the error that passes a neuron (eq. 11), and minus its sum over the batch.

    ``error`` and ``last`` [tiles, B, lanes] are the error and the spike time of each neuron, tile
    after tile. In the first tile, neurons that are also in the second one have no error.
    ``latest`` [B] is the last spike with an error: no later arrival has a gradient.
    """
    tiles, batch, _ = error.shape
    outputs = grad.shape[1]
    zero = spread(grad.dtype.type(0), LANES)
    before = spread(grad.dtype.type(-1), LANES)
    never = spread(grad.dtype.type(t_max), LANES)
    wanted = zero if pull else spread(grad.dtype.type(np.inf), LANES)
    grads, spikes, errors, lasts = grad.ravel(), fired.ravel(), error.ravel(), last.ravel()
    latest[:] = -1
    for tile in range(tiles):
        low = _low(tile, tiles, outputs)
        loss = zero
        for b in range(batch):
            spike = load(spikes, b * outputs + low, zero)
            signal = load(grads, b * outputs + low, zero)
            passes = either(greater(never, spike), greater(signal, wanted))
            signal = where(passes, signal, zero)
            loss = subtract(loss, signal)
            place = (tile * batch + b) * LANES
            store(errors, place, signal)
            store(lasts, place, spike)
            latest[b] = max(latest[b], largest(where(differs(signal, zero), spike, before)))
        store(grad_bias, low, loss)
    shared = LANES * tiles - outputs
    if shared > 0:
        error[0, :, LANES - shared :] = 0


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


@njit
def _subtract_error(loss, error, last, place, arrival):
    """Take one sample's errors off where the input contributed (eq. 14)."""
    contributed = at_least(load(last, place, loss), spread(arrival, loss))
    return where(contributed, subtract(loss, load(error, place, loss)), loss)


@njit
def _weight_gradient(times, error, last, latest, delay, low, high, grad_rows):
    """dL/dw of the inputs low..high-1 (eq. 13-14).

    A tile of neurons is in registers and all samples of it in L1. Even and odd
    contributions are added up apart, so that additions need not wait for each other.
    """
    samples, arrivals, starts = _contributions(times, latest, delay, low, high)
    tiles, outputs = error.shape[0], grad_rows.shape[1]
    result = grad_rows.ravel()
    zero = spread(error.dtype.type(0), LANES)
    for tile in range(tiles):
        errors, lasts = error[tile].ravel(), last[tile].ravel()
        first = _low(tile, tiles, outputs)
        for i in range(low, high):
            even, odd = zero, zero
            k, end = starts[i - low], starts[i - low + 1]
            while k + 1 < end:
                even = _subtract_error(even, errors, lasts, samples[k] * LANES, arrivals[k])
                k += 1
                odd = _subtract_error(odd, errors, lasts, samples[k] * LANES, arrivals[k])
                k += 1
            if k < end:
                even = _subtract_error(even, errors, lasts, samples[k] * LANES, arrivals[k])
            store(result, i * outputs + first, add(even, odd))


@njit
def _time_gradient(times, rows, error, last, latest, delay, low, high, grad_times):
    """dL/dt of the samples low..high-1 (eq. 15): sums over j of dL/dt_j w_ji where input i
    contributed."""
    tiles, batch, _ = error.shape
    inputs, outputs = rows.shape
    weights, errors, lasts = rows.ravel(), error.ravel(), last.ravel()
    zero = spread(error.dtype.type(0), LANES)
    for b in range(low, high):
        for i in range(inputs):
            arrival = times[b, i] + times.dtype.type(delay)
            if arrival > latest[b]:
                continue
            terms = zero
            for tile in range(tiles):
                place = (tile * batch + b) * LANES
                row = load(weights, i * outputs + _low(tile, tiles, outputs), zero)
                contributed = at_least(load(lasts, place, zero), spread(arrival, zero))
                term = multiply(load(errors, place, zero), row)
                terms = where(contributed, add(terms, term), terms)
            grad_times[b, i] = total(terms)
