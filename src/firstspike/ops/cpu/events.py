"""Input spikes of a sample in the order in which they arrive (Numba)."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from firstspike.ops.cpu import LANES
from firstspike.ops.cpu.vectors import (
    add,
    at_least,
    bits,
    both,
    differs,
    either,
    greater,
    load,
    lowest,
    spread,
    store,
    subtract,
)

Array = NDArray[Any]

_HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_STEPS = 1 << 12  # more are sorted digit by digit
_SPARSE = 8  # steps a spike, from which on each step is looked at by itself
_DIGIT = 8  # bits of a spike time that one pass of that sort looks at


class _Cache:
    """Numba's cache of a function, from which nothing that is damaged or not allowed comes out."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        """What was compiled before; None, so that it is compiled anew, if it cannot be read."""
        return self._attempt(self._cache.load_overload, arguments)

    def save_overload(self, *arguments: Any) -> None:
        """Keep what was compiled, if that is possible."""
        self._attempt(self._cache.save_overload, arguments)

    def _attempt(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return call(*arguments)
        except Exception as error:  # there is no telling what unpickling raises
            reason = f"{type(error).__name__}: {error}"
            _warn_of(str(self._cache.cache_path), " ".join(reason.split()))
            return None


@functools.cache
def _warn_of(place: str, reason: str) -> None:
    warnings.warn(
        f"kernels are compiled anew: the Numba cache cannot be used ({reason}); remove {place}, or "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=2,
    )


def njit(function: Callable[..., Any], **how: Any) -> Any:
    """A function compiled when it is first called, and kept for other processes if possible."""
    try:
        compiled = numba.njit(cache=True, **_HOW, **how)(function)
    except RuntimeError:  # there is no place for a cache
        return numba.njit(**_HOW, **how)(function)
    if hasattr(compiled, "_cache"):
        compiled._cache = _Cache(compiled._cache)
    return compiled


def lean(function: Callable[..., Any]) -> Any:
    """`njit` for functions that make no arrays, which then count no references to those they use.

    To count takes an instruction that locks memory, for each view of an array and each call: a
    third of the time of a small race, and more where threads count references to the same arrays.
    """
    return njit(function, _nrt=False)


@lean
def copy(source, target, count):
    """Copy the first ``count`` values of an array: slices would be arrays of their own."""
    for k in range(count):
        target[k] = source[k]


class Events(NamedTuple):
    """Room for one sample's events; the functions below fill it."""

    when: Array  # times of all inputs as integers [in], int32
    chosen: Array  # inputs that spike, before they are sorted [in], int32
    order: Array  # inputs in order of their spikes [in], int32
    moments: Array  # when each arrives, see `append_events` [in], in the dtype of the weights
    places: Array  # for the sort, see `make_places`


@njit
def make_room(inputs, rows, t_max):
    """`Events` for so many inputs, and weights of the dtype of ``rows``."""
    return Events(
        np.empty(inputs, np.int32),
        np.empty(inputs, np.int32),
        np.empty(inputs, np.int32),
        np.empty(inputs, rows.dtype),
        make_places(inputs, t_max),
    )


@njit
def make_places(inputs, t_max):
    """Room for `append_events`: zeros for each step, in blocks of `LANES`; or, where there are too
    many steps, for each digit and for two lists of inputs."""
    if t_max > _STEPS:
        return np.zeros((1 << _DIGIT) + 1 + 2 * inputs, np.int32)
    return np.zeros((t_max // LANES + 1) * LANES, np.int32)


@lean
def sort_events(times, t_max, delay, room):
    """One sample's spikes that arrive before t_max, by time and then by input index.

    Fills ``room`` and returns how many there are, or -1 if a time is invalid.
    """
    count = _read(times, t_max - delay, t_max, room.when, room.chosen)
    if count < 0:
        return -1
    append_events(room.when, room.chosen, count, delay, t_max, room.order, room.moments, 0,
                  room.places)  # fmt: skip
    return count


@lean
def choose(values, low, high, chosen):
    """Where an array holds values in low..high, in order; how many there are.

    Args:
        values: any numbers.
        low, high: of their dtype.
        chosen: int32, filled.
    """
    count, at = 0, 0
    whole = values.shape[0] // LANES * LANES
    lows, highs = spread(low, LANES), spread(high, LANES)
    while at < whole:  # no branch for each: whether a pixel is lit is hard to predict
        block = load(values, at, LANES)
        word = bits(both(at_least(block, lows), at_least(highs, block)))
        count = _take(word, at, chosen, count)
        at += LANES
    for i in range(whole, values.shape[0]):
        if low <= values[i] <= high:
            chosen[count] = i
            count += 1
    return count


@lean
def _take(word, at, chosen, count):
    """Put the places of a word's bits, from ``at`` on, behind the first ``count``; how many now."""
    while word:
        chosen[count] = at + lowest(word)
        count += 1
        word &= word - np.uint64(1)
    return count


@lean
def append_events(when, chosen, count, delay, t_max, order, moments, low, places):
    """Sort spikes by their time, those of one time as they are, behind events that came earlier.

    A counting sort that looks at steps with spikes only: blocks of steps without any are passed by
    as vectors. Where there are more steps than it is worth to look through, a radix sort.

    Arrays come one by one: each tuple of them that is passed or taken apart costs a hundred
    nanoseconds.

    Args:
        when: times of all neurons, int32.
        chosen: neurons that spike, int32.
        count: how many these are.
        delay: steps from a spike to its arrival.
        t_max: number of steps, before which all events arrive.
        order: neurons in the order of their spikes, filled from ``low`` on.
        moments: when an event is the last of its step, that step; otherwise t_max. Filled likewise.
            So what happens once a step needs no loop of its own within the loop over events.
        low: number of events that came earlier.
        places: of `make_places`.
    """
    if t_max > _STEPS:
        _sort_digits(when, chosen, count, t_max, order[low:], places)
        for k in range(low, low + count):
            step = when[order[k]]
            is_last = k + 1 == low + count or when[order[k + 1]] != step
            moments[k] = step + delay if is_last else t_max
        return
    for k in range(count):
        places[np.uint32(when[np.uint32(chosen[k])])] += 1
    moments[low : low + count] = t_max
    end, nothing = low, spread(np.int32(0), LANES)
    for block in range(0, t_max, LANES):
        word = bits(differs(load(places, block, LANES), nothing))
        while word:
            step = np.uint64(block + lowest(word))
            places[step], end = end, end + places[step]
            moments[np.uint64(end - 1)] = np.int64(step) + delay
            word &= word - np.uint64(1)
    for k in range(count):
        step = np.uint32(when[np.uint32(chosen[k])])
        place = np.uint32(places[step])
        order[place], places[step] = chosen[k], place + 1
    if count * _SPARSE < t_max:
        for k in range(count):
            places[np.uint32(when[np.uint32(chosen[k])])] = 0
    else:
        for block in range(0, t_max, LANES):
            store(places, block, nothing)


@lean
def _read(times, end, t_max, when, chosen):
    """Where spikes come before the step ``end``, and when; how many there are.

    Returns -1 unless all ``times`` are whole steps in 0..t_max.
    """
    count, whole, at, wrong = 0, times.shape[0] // LANES * LANES, 0, np.uint64(0)
    last, nothing = times.dtype.type(t_max), times.dtype.type(0)
    # Where a number of this size is added and taken off again, no fraction is left.
    blunt = times.dtype.type(1 << 23 if times.itemsize == 4 else 1 << 52)
    nothings, ends, lasts, blunts = (
        spread(nothing, LANES), spread(times.dtype.type(end), LANES), spread(last, LANES),
        spread(blunt, LANES),
    )  # fmt: skip
    while at < whole:
        block = load(times, at, LANES)
        beyond = either(greater(nothings, block), greater(block, lasts))
        wrong |= bits(either(beyond, differs(subtract(add(block, blunts), blunts), block)))
        word = bits(greater(ends, block))
        count = _take(word, at, chosen, count)
        at += LANES
    for i in range(whole, times.shape[0]):
        time = times[i]
        wrong |= np.uint64(not (nothing <= time <= last and (time + blunt) - blunt == time))
        chosen[count] = i
        count += time < end
    if wrong:
        return -1
    for k in range(count):
        when[np.uint32(chosen[k])] = np.int32(times[np.uint32(chosen[k])])
    return count


@lean
def _sort_digits(when, chosen, count, t_max, order, places):
    """A radix sort: stable counting sorts by one digit of the time after another, lowest first."""
    digits, inputs = (1 << _DIGIT) + 1, when.shape[0]
    source, target = places[digits : digits + inputs], places[digits + inputs :]
    copy(chosen, source, count)
    shift = 0
    while (t_max - 1) >> shift:
        _sort_by_digit(when, source, target, count, shift, places[:digits])
        source, target = target, source
        shift += _DIGIT
    copy(source, order, count)


@lean
def _sort_by_digit(when, source, target, count, shift, places):
    """Stable counting sort of ``count`` inputs by some bits of their times."""
    mask = (1 << _DIGIT) - 1
    places[:] = 0
    for k in range(count):
        places[((when[source[k]] >> shift) & mask) + 1] += 1
    for digit in range(mask):
        places[digit + 1] += places[digit]
    for k in range(count):
        digit = (when[source[k]] >> shift) & mask
        target[places[digit]] = source[k]
        places[digit] += 1
