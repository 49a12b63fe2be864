"""`fire` on the CPU, event by event, compiled by Numba: the cost follows the spikes.

Same results as `firstspike.ops.reference`, whose docstring fixes the order of summation. Weights
come transposed, [in, out], so that an input spike adds one contiguous row to the potentials.
"""

from __future__ import annotations

import threading
from typing import Any

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

Array = NDArray[Any]
njit = numba.njit(cache=True, nogil=True, error_model="numpy")
parallel_njit = numba.njit(cache=True, nogil=True, error_model="numpy", parallel=True)

_TILE = 512  # output neurons worked on at once: their potentials and times fill 8 KB of L1
_GROUP = 4  # events added in one pass over the potentials, to save loads and stores
_LOCK = threading.Lock()  # Numba's portable thread pool serves one caller at a time


def forward(
    times: Array, rows: Array, bias: Array, threshold: float, t_max: int, delay: int
) -> Array | None:
    """Spike times [B, out] of inputs ``times`` [B, in] through ``rows`` [in, out].

    All arrays have one dtype, float32 or float64, and are C-contiguous. None if ``times`` are not
    spike times, which the sorting finds out for free.
    """
    fired = np.empty((len(times), rows.shape[1]), times.dtype)
    with _LOCK:
        valid = _forward(times, rows, bias, threshold, t_max, delay, fired)
    return fired if valid else None


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
    inputs, outputs = rows.shape
    error = np.empty_like(grad)
    grad_times = np.empty(times.shape if need_times else (0, inputs), times.dtype)
    grad_rows = np.empty((inputs, outputs), rows.dtype)
    grad_bias = np.empty(outputs, rows.dtype)
    with _LOCK:
        _backward_error(grad, fired, t_max, pull, error, grad_bias)
        _backward_rows(error, np.ascontiguousarray(times.T), fired, t_max, delay, grad_rows)
        if need_times:
            _backward_times(error, times, rows, fired, t_max, delay, grad_times)
    return grad_times, grad_rows, grad_bias


@njit
def _sort_events(times, t_max, delay, threshold, events, steps, bars):  # type: ignore[no-untyped-def]
    """Counting sort of one sample's spikes that arrive before t_max; -1 if a time is invalid.

    Fills ``events`` with input indices, by time and then by index; ``steps`` with the step at which
    each arrives; and ``bars`` with the potential that makes a neuron fire after it: the threshold
    for the last event of a step, infinity for the others. Pads to whole groups with events that
    change nothing. Returns the number of events, padding left out.
    """
    inputs = times.shape[0]
    when = np.empty(inputs, np.int32)
    invalid = 0
    for i in range(inputs):
        when[i] = np.int32(times[i])
        invalid += (times.dtype.type(when[i]) != times[i]) | (when[i] < 0) | (when[i] > t_max)
    if invalid:
        return -1
    active = np.empty(inputs, np.int32)
    count = 0
    for i in range(inputs):
        active[count] = i
        count += when[i] < t_max - delay
    position = np.zeros(t_max + 1, np.int32)
    for k in range(count):
        position[when[active[k]] + 1] += 1
    total = 0
    for step in range(t_max):
        total += position[step]
        position[step] = total
    for k in range(count):
        i = active[k]
        place = position[when[i]]
        events[place] = i
        steps[place] = when[i] + delay
        position[when[i]] = place + 1
    for k in range(count, count + _GROUP):
        events[k], steps[k], bars[k] = 0, t_max, np.inf
    for k in range(count):
        bars[k] = threshold if steps[k] != steps[k + 1] else np.inf
    return count


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


@parallel_njit
def _forward(times, rows, bias, threshold, t_max, delay, fired):  # type: ignore[no-untyped-def]
    inputs, outputs = rows.shape
    never = np.float64(t_max)
    invalid = 0
    for b in prange(times.shape[0]):
        events = np.empty(inputs + _GROUP, np.int32)
        steps = np.empty(inputs + _GROUP, np.float64)
        bars = np.empty(inputs + _GROUP, np.float64)
        potentials = np.empty(_TILE, np.float64)
        firsts = np.empty(_TILE, np.float64)
        count = _sort_events(times[b], t_max, delay, threshold, events, steps, bars)
        invalid += count < 0
        # At step 0 the bias acts alone, unless spikes arrive then as well.
        start = threshold if count <= 0 or steps[0] > 0 else np.inf
        for low in range(0, outputs, _TILE):
            width = min(_TILE, outputs - low)
            potential, first = potentials[:width], firsts[:width]
            for j in range(width):
                potential[j] = bias[low + j]
                first[j] = 0.0 if potential[j] > start else never
            _fire_tile(rows, low, events, steps, bars, count, potential, first, never)
            fired[b, low : low + width] = first
    return invalid == 0


@njit
def _backward_error(grad, fired, t_max, pull, error, grad_bias):  # type: ignore[no-untyped-def]
    """The part of the error that passes a neuron, and minus its sum over the batch."""
    zero = grad.dtype.type(0)
    grad_bias[:] = zero
    for b in range(grad.shape[0]):
        for j in range(grad.shape[1]):
            passes = fired[b, j] < t_max or (pull and grad[b, j] > zero)
            error[b, j] = grad[b, j] if passes else zero
            grad_bias[j] -= error[b, j]


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


@parallel_njit
def _backward_rows(error, times, fired, t_max, delay, grad_rows):  # type: ignore[no-untyped-def]
    """dL/dw, one input after the other; ``times`` is [in, B]. The order over samples is fixed."""
    inputs, batch = times.shape
    for i in prange(inputs):
        grad_rows[i] = 0
        samples = np.empty(batch, np.int32)
        arrivals = np.empty(batch, times.dtype)
        count = 0
        for b in range(batch):
            samples[count] = b
            arrivals[count] = times[i, b] + times.dtype.type(delay)
            count += times[i, b] < t_max
        whole = count - count % _GROUP
        for k in range(0, whole, _GROUP):
            group = slice(k, k + _GROUP)
            _subtract_group(grad_rows[i], error, fired, samples[group], arrivals[group])
        for k in range(whole, count):
            _subtract(grad_rows[i], error[samples[k]], fired[samples[k]], arrivals[k])


@numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    parallel=True,
    fastmath={"reassoc", "nsz", "contract"},  # a sum over j can only be vectorised out of order
)
def _backward_times(error, times, rows, fired, t_max, delay, grad_times):  # type: ignore[no-untyped-def]
    """dL/dt_i = sum over j of dL/dt_j w_ji, where i contributed."""
    batch, inputs = times.shape
    zero = rows.dtype.type(0)
    for b in prange(batch):
        for i in range(inputs):
            total = zero
            if times[b, i] < t_max:
                arrival = times[b, i] + times.dtype.type(delay)
                row, error_row, fired_row = rows[i], error[b], fired[b]
                for j in range(row.shape[0]):
                    total += error_row[j] * row[j] if fired_row[j] >= arrival else zero
            grad_times[b, i] = total
