"""A layer of neurons from one input spike to the next, in vector registers (Numba).

Potentials and first spikes of a tile of neurons stay in registers (`firstspike.ops.cpu.vectors`)
while the events of a sample pass by. A layer may stop at any step and go on later, so that several
layers can share one clock.

The number of neurons need not be a multiple of the lanes. The last tile then overlaps the one
before; it has potentials of its own, and both come to the same spike times.
"""

from __future__ import annotations

import numpy as np

from firstspike.ops.cpu import LANES
from firstspike.ops.cpu.events import njit
from firstspike.ops.cpu.vectors import (
    add,
    all_of,
    at_least,
    bits,
    both,
    greater,
    load,
    lowest,
    minimum,
    spread,
    store,
    subtract,
    where,
)

_FEW = 16  # neurons of a tile in a layer that has fewer than `LANES`


@njit
def room_for(outputs):
    """Length of the array of potentials that `advance` needs for so many neurons."""
    return -(-outputs // LANES) * LANES


@njit
def potential_of(potential, outputs, j):
    """Neuron j's potential in the array that `advance` has left."""
    whole = outputs // LANES * LANES
    if outputs < LANES or j < whole:
        return potential[j]
    return potential[j + whole + LANES - outputs]


@njit
def advance(weights, bias, bar, never, order, ends, steps, low, high, fresh, potentials, firsts):
    """Take a layer of one sample through the steps low..high-1 of its input (eq. 1-2).

    The threshold is tested after the last event of a step; the first time at which it was exceeded
    is the smallest. A tile is left when all its neurons have fired.

    Arrays come one by one: each tuple of them that is passed or taken apart costs a hundred
    nanoseconds, a tenth of what the whole does.

    Args:
        weights: transposed, flat [in * out].
        bias: [out].
        bar: threshold, the potential that must be exceeded; it and the next are of that dtype too.
        never: t_max.
        order: inputs in the order in which their spikes arrive.
        ends: for each step with events, where its events end in the order.
        steps: that step.
        low: number of steps that have been dealt with.
        high: number of steps to have been dealt with.
        fresh: whether to start at the bias; the last two then need no values.
        potentials: [room_for(out)], as the last call left it. No longer that of a neuron if all
            neurons of its tile have fired.
        firsts: spike times [out] so far, t_max where there is none.
    """
    outputs = bias.shape[0]
    if outputs < LANES:
        _narrow(weights, bias, bar, never, order, ends, steps, low, high, fresh, potentials, firsts)
        return
    alone = high == 0 or steps[0] > 0  # at step 0, the bias
    bars, silent = spread(bar, LANES), spread(never, LANES)
    for at in range(0, outputs, LANES):
        place = min(at, outputs - LANES)
        potential, first = load(bias, place, LANES), silent
        if not fresh:
            potential, first = load(potentials, at, LANES), load(firsts, place, LANES)
        elif alone:
            first = where(greater(potential, bars), subtract(silent, silent), silent)
        k = ends[low - 1] if low else 0
        for step in range(low, high):
            while k < ends[step]:
                potential = add(potential, load(weights, order[k] * outputs + place, LANES))
                k += 1
            now = spread(steps[step], LANES)
            first = where(greater(potential, bars), minimum(first, now), first)
            if step % 32 == 31 and all_of(greater(silent, first)):
                break
        store(potentials, at, potential)
        store(firsts, place, first)


@njit
def _narrow(weights, bias, bar, never, order, ends, steps, low, high, fresh, potentials, firsts):
    """`advance` for fewer than `LANES` neurons, a few at a time (eq. 1-2).

    Lanes without a neuron hold anything. They are why the loop stands here again: a vector may
    reach beyond the end of the weights, which `advance` need not look out for.
    """
    outputs = bias.shape[0]
    spare = np.zeros(_FEW, bias.dtype)
    alone = high == 0 or steps[0] > 0
    bars, silent = spread(bar, _FEW), spread(never, _FEW)
    for at in range(0, outputs, _FEW):
        width = min(_FEW, outputs - at)
        if fresh:
            potential, first = _load_some(bias, at, width, spare), silent
            if alone:
                first = where(greater(potential, bars), subtract(silent, silent), silent)
        else:
            potential, first = load(potentials, at, _FEW), _load_some(firsts, at, width, spare)
        k = ends[low - 1] if low else 0
        for step in range(low, high):
            while k < ends[step]:
                place = order[k] * outputs + at
                if place + _FEW <= weights.shape[0]:
                    potential = add(potential, load(weights, place, _FEW))
                else:
                    potential = add(potential, _load_some(weights, place, width, spare))
                k += 1
            now = spread(steps[step], _FEW)
            first = where(greater(potential, bars), minimum(first, now), first)
        store(potentials, at, potential)
        store(spare, 0, first)
        for j in range(width):
            firsts[at + j] = spare[j]


@njit
def _load_some(array, start, count, spare):
    """A vector that begins with ``count`` values of an array, which may be its last."""
    if start + _FEW <= array.shape[0]:
        return load(array, start, _FEW)
    for j in range(count):
        spare[j] = array[start + j]
    return load(spare, 0, _FEW)


@njit
def choose(first, start, end, chosen):
    """Neurons that fired in the steps start..end-1, in order of their index; how many.

    Args:
        first: spike times [out].
        start: first step, of the dtype of ``first``.
        end: the step after the last.
        chosen: int32, filled.
    """
    count, j = 0, 0
    whole = first.shape[0] // LANES * LANES
    low, high = spread(start, LANES), spread(end, LANES)
    while j < whole:
        times = load(first, j, LANES)
        word = bits(both(at_least(times, low), greater(high, times)))
        while word:
            chosen[count] = j + lowest(word)
            count += 1
            word &= word - np.uint64(1)
        j += LANES
    for k in range(whole, first.shape[0]):
        if start <= first[k] < end:
            chosen[count] = k
            count += 1
    return count
