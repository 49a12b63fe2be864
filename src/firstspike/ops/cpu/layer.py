"""A layer of neurons from one input spike to the next, in vector registers (Numba).

Potentials and first spikes of a tile of neurons stay in registers (`firstspike.ops.cpu.vectors`)
while the events of a sample pass by. A layer may stop at any step and go on later, so that several
layers can share one clock.

What is left of the neurons goes in smaller tiles, of which the last may overlap the one before; it
has potentials of its own, and both come to the same spike times.
"""

from __future__ import annotations

import numpy as np

from firstspike.ops.cpu import FEW, LANES
from firstspike.ops.cpu.events import lean
from firstspike.ops.cpu.vectors import (
    add,
    greater,
    largest,
    load,
    minimum,
    spread,
    store,
    where,
)

_LOOK = 256  # events after which a tile looks whether all its neurons have fired


@lean
def room_for(outputs):
    """Length of the array of potentials that `advance` needs for so many neurons."""
    return max(-(-outputs // FEW), 2) * FEW


@lean
def potential_of(potential, outputs, j):
    """Neuron j's potential in the array that `advance` has left."""
    whole = outputs // FEW * FEW
    if outputs < FEW or j < whole:
        return potential[j]
    return potential[j + whole + FEW - outputs]


@lean
def advance(weights, bias, bar, never, order, moments, low, high, fresh, potentials, firsts):
    """Take a layer of one sample through the events low..high-1 of its input (eq. 1-2).

    The threshold is tested after each event, but a time is noted after the last event of a step
    only; the first time at which it was exceeded is the smallest. A tile is left when all its
    neurons have fired.

    Arrays come one by one: each tuple of them that is passed or taken apart costs a hundred
    nanoseconds, a tenth of what the whole does.

    Args:
        weights: transposed, flat [in * out].
        bias: [out].
        bar: threshold, the potential that must be exceeded; it and the next are of that dtype too.
        never: t_max.
        order: inputs in the order in which their spikes arrive.
        moments: when that is, as of `firstspike.ops.cpu.events.append_events`.
        low: number of events that have been dealt with.
        high: number of events to have been dealt with, the last of a step.
        fresh: whether to start at the bias; the last two then need no values.
        potentials: [room_for(out)], as the last call left it. No longer that of a neuron if all
            neurons of its tile have fired.
        firsts: spike times [out] so far, t_max where there is none.
    """
    outputs, at = bias.shape[0], 0
    if fresh:
        _begin(bias, bar, never, is_alone(moments, high, never), potentials, firsts)
    if outputs < FEW:
        _narrow(weights, bar, outputs, order, moments, low, high, potentials, firsts)
        return
    while at < outputs:
        wide = at + LANES <= outputs
        if wide:
            _tile(weights, bar, never, spread(never, LANES), order, moments, low, high, outputs,
                  at, at, potentials, firsts)  # fmt: skip
        else:
            _tile(weights, bar, never, spread(never, FEW), order, moments, low, high, outputs,
                  at, min(at, outputs - FEW), potentials, firsts)  # fmt: skip
        at += LANES if wide else FEW


@lean
def is_alone(moments, count, never):
    """Whether the bias is alone at step 0, where none of so many events arrives."""
    for k in range(count):
        if moments[k] < never:
            return moments[k] > 0
    return True


@lean
def _begin(bias, bar, never, alone, potentials, firsts):
    """Potentials and first spikes before any event."""
    outputs = bias.shape[0]
    for j in range(outputs):
        potentials[j] = bias[j]
        firsts[j] = firsts.dtype.type(0) if alone and bias[j] > bar else never
    whole = outputs // FEW * FEW
    if whole and whole < outputs:
        for j in range(FEW):
            potentials[whole + j] = bias[outputs - FEW + j]


@lean
def _tile(
    weights, bar, never, like, order, moments, low, high, outputs, at, place, potentials, firsts
):
    """`advance` for as many neurons as ``like`` has lanes, from ``place`` on."""
    while low < high:
        stop = min(low + _LOOK, high)
        _take(weights, bar, like, order, moments, low, stop, outputs, at, place, potentials, firsts)
        low = stop
        if low < high and largest(load(firsts, place, like)) < never:
            break


@lean
def _take(weights, bar, like, order, moments, low, high, outputs, at, place, potentials, firsts):
    """A tile through the events low..high-1 of its input, in registers."""
    bars = spread(bar, like)
    potential, first = load(potentials, at, like), load(firsts, place, like)
    for k in range(np.uint64(low), np.uint64(high)):  # a place that may be negative takes longer
        potential = add(potential, load(weights, order[k] * outputs + place, like))
        now = minimum(first, spread(moments[k], like))
        first = where(greater(potential, bars), now, first)
    store(potentials, at, potential)
    store(firsts, place, first)


@lean
def _narrow(weights, bar, outputs, order, moments, low, high, potentials, firsts):
    """`advance` for fewer than `FEW` neurons (eq. 1-2).

    Lanes without a neuron hold anything. They are why the loop stands here again: a vector may
    reach beyond the end of the weights, which `_take` need not look out for.
    """
    spare = potentials[FEW:]
    bars = spread(bar, FEW)
    potential, first = load(potentials, 0, FEW), _load_some(firsts, 0, outputs, spare)
    for k in range(np.uint64(low), np.uint64(high)):
        row = _load_some(weights, np.int64(order[k]) * outputs, outputs, spare)
        potential = add(potential, row)
        now = minimum(first, spread(moments[k], FEW))
        first = where(greater(potential, bars), now, first)
    store(potentials, 0, potential)
    store(spare, 0, first)
    for j in range(outputs):
        firsts[j] = spare[j]


@lean
def _load_some(array, start, count, spare):
    """A vector that begins with ``count`` values of an array, which may be its last."""
    if start + FEW <= array.shape[0]:
        return load(array, start, FEW)
    for j in range(count):
        spare[j] = array[start + j]
    return load(spare, 0, FEW)
