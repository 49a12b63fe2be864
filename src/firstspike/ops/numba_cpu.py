"""`fire` on the CPU, event by event, compiled by Numba: the cost follows the spikes.

Same results as `firstspike.ops.reference`, whose docstring fixes the order of summation. Weights
come transposed, [in, out], so that an input spike adds one contiguous row to the potentials.

Kernels are serial and release the GIL; `_in_parts` runs them on slices of the samples or of the
inputs, on as many threads as PyTorch uses. Each number is computed by one thread in a fixed order,
so that results do not depend on their number. The threads sleep while they wait: those of an
OpenMP pool spin, which slows down PyTorch and other jobs where cores are few.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Result = TypeVar("Result")
njit = numba.njit(cache=True, nogil=True, error_model="numpy")

_TILE = 512  # output neurons worked on at once: their potentials and times fill 8 KB of L1
_GROUP = 4  # events added in one pass over the potentials, to save loads and stores
_DIGIT = 8  # bits of a spike time that one pass of the sort looks at
_WORTH_A_THREAD = 1 << 20  # weights times samples; below that, waking a thread costs more

_pool = ThreadPoolExecutor(os.cpu_count())  # starts its threads when they are first needed


def _forget_threads() -> None:
    global _pool
    _pool = ThreadPoolExecutor(os.cpu_count())


os.register_at_fork(after_in_child=_forget_threads)  # a child process has none of its parent's


def forward(
    times: Array, rows: Array, bias: Array, threshold: float, t_max: int, delay: int
) -> Array | None:
    """Spike times [B, out] of inputs ``times`` [B, in] through ``rows`` [in, out].

    All arrays have one dtype, float32 or float64, and are C-contiguous. None if ``times`` are not
    spike times, which the sorting finds out for free.
    """
    fired = np.empty((len(times), rows.shape[1]), times.dtype)

    def samples(part: slice) -> bool:
        return _forward(times[part], rows, bias, threshold, t_max, delay, fired[part])

    valid = _in_parts(samples, len(times), rows.size * len(times))
    return fired if all(valid) else None


def backward(
    grad: Array,
    times: Array,
    rows: Array,
    fired: Array,
    t_max: int,
    delay: int,
    pull: bool,
    need_times: bool,
) -> tuple[Array, Array, Array]:
    """Gradients for times [B, in] (empty unless needed), rows [in, out] and bias [out]."""
    batch, inputs = times.shape
    error = np.empty_like(grad)
    latest = np.empty(batch, times.dtype)
    grad_times = np.zeros(times.shape if need_times else (0, inputs), times.dtype)
    grad_rows = np.empty_like(rows)
    grad_bias = np.zeros_like(rows, shape=rows.shape[1])
    _backward_error(grad, fired, t_max, pull, error, grad_bias, latest)
    np.minimum(latest, t_max - 1 + delay, out=latest)  # of silent neurons, silent inputs' arrival

    def some_inputs(part: slice) -> None:
        low, high, _ = part.indices(inputs)
        arguments = (error, times, rows, fired, latest, delay, low, high)
        _backward_inputs(*arguments, grad_times, grad_rows)

    _in_parts(some_inputs, inputs, rows.size * batch)
    return grad_times, grad_rows, grad_bias


def _in_parts(work: Callable[[slice], Result], count: int, cost: int) -> list[Result]:
    """``work`` on range(count), a slice for each thread; its results in order."""
    threads = torch.get_num_threads() if cost >= _WORTH_A_THREAD else 1
    edges = [count * k // threads for k in range(threads + 1)]
    mine, *others = [slice(low, high) for low, high in itertools.pairwise(edges)]
    futures = [_pool.submit(work, part) for part in others]
    return [work(mine), *(future.result() for future in futures)]


@njit
def _sort_events(times, t_max, delay):  # type: ignore[no-untyped-def]
    """One sample's spikes that arrive before t_max, by time and then by input index.

    A radix sort: stable counting sorts by one digit of the time after the other, the lowest first.
    Returns the input indices (padded to whole groups with input 0) and their number, or -1 if a
    time is invalid; and the times of all inputs as integers.
    """
    inputs = times.shape[0]
    when = np.empty(inputs, np.int32)
    invalid = 0
    for i in range(inputs):
        when[i] = np.int32(times[i])
        invalid += (times.dtype.type(when[i]) != times[i]) | (when[i] < 0) | (when[i] > t_max)
    events = np.zeros(inputs + _GROUP, np.int32)
    other = np.zeros(inputs + _GROUP, np.int32)
    if invalid:
        return events, -1, when
    count = 0
    for i in range(inputs):
        if when[i] < t_max - delay:
            events[count] = i
            count += 1
    shift = 0
    while (t_max - 1) >> shift:
        _sort_by_digit(when, events, other, count, shift)
        events, other = other, events
        shift += _DIGIT
    return events, count, when


@njit
def _sort_by_digit(when, source, target, count, shift):  # type: ignore[no-untyped-def]
    """Stable counting sort of ``count`` inputs by some bits of their times."""
    mask = (1 << _DIGIT) - 1
    position = np.zeros(mask + 2, np.int32)
    for k in range(count):
        position[((when[source[k]] >> shift) & mask) + 1] += 1
    for digit in range(mask):
        position[digit + 1] += position[digit]
    for k in range(count):
        digit = (when[source[k]] >> shift) & mask
        target[position[digit]] = source[k]
        position[digit] += 1


@njit
def _schedule(events, count, when, t_max, delay, threshold, steps, bars):  # type: ignore[no-untyped-def]
    """When each event arrives, and the potential that makes a neuron fire after it.

    ``bars`` is the threshold for the last event of a step and infinity for the others, and for the
    padding, which changes nothing.
    """
    for k in range(count):
        steps[k] = when[events[k]] + delay
    for k in range(count, count + _GROUP):
        steps[k], bars[k] = t_max, np.inf
    for k in range(count):
        bars[k] = threshold if steps[k] != steps[k + 1] else np.inf


@njit
def _add_group(potential, row0, row1, row2, row3):  # type: ignore[no-untyped-def]
    """Four events of one step, none of them its last: nothing can fire."""
    for j in range(potential.shape[0]):
        potential[j] = (((potential[j] + row0[j]) + row1[j]) + row2[j]) + row3[j]


@njit
def _race_group(potential, first, rows, steps, bars, never):  # type: ignore[no-untyped-def]
    """Four events, each followed by a test. Steps ascend, so the minimum is the first crossing."""
    row0, row1, row2, row3 = rows
    step0, step1, step2, step3 = steps
    bar0, bar1, bar2, bar3 = bars
    for j in range(potential.shape[0]):
        v = potential[j] + row0[j]
        t = min(first[j], step0 if v > bar0 else never)
        v += row1[j]
        t = min(t, step1 if v > bar1 else never)
        v += row2[j]
        t = min(t, step2 if v > bar2 else never)
        v += row3[j]
        potential[j] = v
        first[j] = min(t, step3 if v > bar3 else never)


@njit
def _fire_tile(rows, low, events, steps, bars, count, potential, first, never):  # type: ignore[no-untyped-def]
    """Race of neurons low, low + 1, ... of one sample; left as soon as all of them have fired."""
    high = low + potential.shape[0]
    for k in range(0, count, _GROUP):
        a, b, c, d = bars[k], bars[k + 1], bars[k + 2], bars[k + 3]
        row0 = rows[events[k], low:high]
        row1 = rows[events[k + 1], low:high]
        row2 = rows[events[k + 2], low:high]
        row3 = rows[events[k + 3], low:high]
        if min(min(a, b), min(c, d)) == np.inf:
            _add_group(potential, row0, row1, row2, row3)
            continue
        when = (steps[k], steps[k + 1], steps[k + 2], steps[k + 3])
        _race_group(potential, first, (row0, row1, row2, row3), when, (a, b, c, d), never)
        if k % 32 == 0 and first.max() < never:
            return


@njit
def _forward(times, rows, bias, threshold, t_max, delay, fired):  # type: ignore[no-untyped-def]
    """Fills ``fired``, one sample after the other; False if a time is invalid."""
    inputs, outputs = rows.shape
    never = np.float64(t_max)
    steps = np.empty(inputs + _GROUP, np.float64)
    bars = np.empty(inputs + _GROUP, np.float64)
    potentials = np.empty(_TILE, np.float64)
    firsts = np.empty(_TILE, np.float64)
    for b in range(times.shape[0]):
        events, count, when = _sort_events(times[b], t_max, delay)
        if count < 0:
            return False
        _schedule(events, count, when, t_max, delay, threshold, steps, bars)
        # At step 0 the bias acts alone, unless spikes arrive then as well.
        start = threshold if steps[0] > 0 else np.inf
        for low in range(0, outputs, _TILE):
            width = min(_TILE, outputs - low)
            potential, first = potentials[:width], firsts[:width]
            for j in range(width):
                potential[j] = bias[low + j]
                first[j] = 0.0 if potential[j] > start else never
            _fire_tile(rows, low, events, steps, bars, count, potential, first, never)
            fired[b, low : low + width] = first
    return True


@njit
def _backward_error(grad, fired, t_max, pull, error, grad_bias, latest):  # type: ignore[no-untyped-def]
    """The part of the error that passes a neuron, and minus its sum over the batch.

    ``latest`` is each sample's last spike with an error: no later arrival has a gradient.
    """
    zero = grad.dtype.type(0)
    wanted = zero if pull else grad.dtype.type(np.inf)  # silent neurons pass errors above it
    for b in range(grad.shape[0]):
        _pass_error(grad[b], fired[b], grad.dtype.type(t_max), wanted, error[b], grad_bias)
        last = np.int32(-1)
        for j in range(grad.shape[1]):
            last = max(last, np.int32(fired[b, j]) if error[b, j] != zero else np.int32(-1))
        latest[b] = last


@njit
def _pass_error(grad, fired, t_max, wanted, error, grad_bias):  # type: ignore[no-untyped-def]
    for j in range(grad.shape[0]):
        signal = grad[j]
        passes = (fired[j] < t_max) | (signal > wanted)
        signal = signal if passes else grad.dtype.type(0)
        error[j] = signal
        grad_bias[j] -= signal


@njit
def _contributors(times, latest, delay, low, high):  # type: ignore[no-untyped-def]
    """For each of the inputs low..high-1, the samples in which it may contribute, in order."""
    batch = times.shape[0]
    samples = np.empty((high - low, batch), np.int32)
    counts = np.zeros(high - low, np.int32)
    for b in range(batch):
        for i in range(high - low):
            if times[b, low + i] + delay <= latest[b]:
                samples[i, counts[i]] = b
                counts[i] += 1
    return samples, counts


@njit
def _subtract(grad_row, error, fired, arrival):  # type: ignore[no-untyped-def]
    """Take one sample's error off where the input contributed."""
    zero = error.dtype.type(0)
    for j in range(grad_row.shape[0]):
        grad_row[j] -= error[j] if fired[j] >= arrival else zero


@njit
def _subtract_group(grad_row, error, fired, samples, arrivals):  # type: ignore[no-untyped-def]
    """The same for four samples in one pass."""
    zero = error.dtype.type(0)
    error0, error1 = error[samples[0]], error[samples[1]]
    error2, error3 = error[samples[2]], error[samples[3]]
    fired0, fired1 = fired[samples[0]], fired[samples[1]]
    fired2, fired3 = fired[samples[2]], fired[samples[3]]
    arrival0, arrival1, arrival2, arrival3 = arrivals[0], arrivals[1], arrivals[2], arrivals[3]
    for j in range(grad_row.shape[0]):
        total = grad_row[j]
        total -= error0[j] if fired0[j] >= arrival0 else zero
        total -= error1[j] if fired1[j] >= arrival1 else zero
        total -= error2[j] if fired2[j] >= arrival2 else zero
        total -= error3[j] if fired3[j] >= arrival3 else zero
        grad_row[j] = total


# A sum over j can only be vectorised out of order. That order is fixed when it is compiled.
@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _weighted_error(error, row, fired, arrival):  # type: ignore[no-untyped-def]
    """dL/dt_i in one sample: the sum over j of dL/dt_j w_ji where input i contributed."""
    total = zero = error.dtype.type(0)
    for j in range(row.shape[0]):
        total += error[j] * row[j] if fired[j] >= arrival else zero
    return total


@njit
def _backward_inputs(error, times, rows, fired, latest, delay, low, high, grad_times, grad_rows):  # type: ignore[no-untyped-def]
    """dL/dw, and dL/dt unless empty, of inputs low..high-1; the order over samples is fixed."""
    samples, counts = _contributors(times, latest, delay, low, high)
    arrivals = np.empty(times.shape[0], times.dtype)
    for i in range(low, high):
        count = counts[i - low]
        who = samples[i - low, :count]
        for k in range(count):
            arrivals[k] = times[who[k], i] + times.dtype.type(delay)
        grad_rows[i] = 0
        whole = count - count % _GROUP
        for k in range(0, whole, _GROUP):
            group = slice(k, k + _GROUP)
            _subtract_group(grad_rows[i], error, fired, who[group], arrivals[group])
        for k in range(whole, count):
            _subtract(grad_rows[i], error[who[k]], fired[who[k]], arrivals[k])
        if grad_times.shape[0]:
            for k in range(count):
                b = who[k]
                grad_times[b, i] = _weighted_error(error[b], rows[i], fired[b], arrivals[k])
