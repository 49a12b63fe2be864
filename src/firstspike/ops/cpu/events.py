"""Input spikes of a sample in the order in which they arrive (Numba)."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_DIGIT = 8  # bits of a spike time that one pass of the sort looks at


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


def njit(function: Callable[..., Any]) -> Any:
    """A function compiled when it is first called, and kept for other processes if possible."""
    try:
        compiled = numba.njit(cache=True, **_HOW)(function)
    except RuntimeError:  # there is no place for a cache
        return numba.njit(**_HOW)(function)
    if hasattr(compiled, "_cache"):
        compiled._cache = _Cache(compiled._cache)
    return compiled


class Events(NamedTuple):
    """Room for one sample's events; the functions below fill it."""

    when: Array  # times of all inputs as integers [in], int32
    order: Array  # inputs in order of their spikes [in + 1], int32
    other: Array  # for the sort, like ``order``
    position: Array  # for the sort: where the next of each digit goes
    ends: Array  # for each step at which spikes arrive, where its events end in the order [in + 1]
    steps: Array  # that step [in + 1], in the dtype of the weights


@njit
def make_room(inputs, rows):
    """`Events` for so many inputs, and weights of the dtype of ``rows``."""
    return Events(
        np.empty(inputs, np.int32),
        np.zeros(inputs + 1, np.int32),
        np.zeros(inputs + 1, np.int32),
        np.empty((1 << _DIGIT) + 1, np.int32),
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1, rows.dtype),
    )


@njit
def sort_events(times, t_max, delay, room):
    """One sample's spikes that arrive before t_max, by time and then by input index.

    Fills ``room.when`` and returns the input indices, followed by any index, and their number; the
    number is -1 if a time is invalid.
    """
    if not _to_integers(times, room.when, t_max):
        return room.order, -1
    return sort_times(t_max, delay, room)


@njit
def sort_times(t_max, delay, room):
    """`sort_events` for times that are in ``room.when`` already, and are valid."""
    when, order = room.when, room.order
    count = 0
    for i in range(when.shape[0]):  # no branch: whether a pixel is lit is hard to predict
        order[count] = i
        count += when[i] < t_max - delay
    return sort_chosen(when, order, room.other, count, t_max, room.position), count


@njit
def sort_chosen(when, order, other, count, t_max, position):
    """Sort the first ``count`` indices in ``order`` by their times, those of one time as they are.

    A radix sort: stable counting sorts by one digit of the time after the other, the lowest first.
    Returns the array that holds the result, ``order`` or ``other``.
    """
    shift = 0
    while (t_max - 1) >> shift:
        _sort_by_digit(when, order, other, count, shift, position)
        order, other = other, order
        shift += _DIGIT
    return order


@njit
def _to_integers(times, when, t_max):
    """Fill ``when``; whether all ``times`` are whole steps in 0..t_max."""
    invalid = 0
    for i in range(times.shape[0]):
        when[i] = np.int32(times[i])
        invalid += (times.dtype.type(when[i]) != times[i]) | (when[i] < 0) | (when[i] > t_max)
    return invalid == 0


@njit
def _sort_by_digit(when, source, target, count, shift, position):
    """Stable counting sort of ``count`` inputs by some bits of their times."""
    mask = (1 << _DIGIT) - 1
    position[:] = 0
    for k in range(count):
        position[((when[source[k]] >> shift) & mask) + 1] += 1
    for digit in range(mask):
        position[digit + 1] += position[digit]
    for k in range(count):
        digit = (when[source[k]] >> shift) & mask
        target[position[digit]] = source[k]
        position[digit] += 1


@njit
def find_steps(when, order, low, high, delay, found, ends, steps):
    """Group the events order[low:high] by the step at which they arrive.

    ``ends`` and ``steps`` hold ``found`` steps already, all of them earlier; returns how many then.
    """
    for k in range(low, high):
        steps[found] = when[order[k]] + delay
        ends[found] = k + 1
        found += (k + 1 == high) or (when[order[k + 1]] != when[order[k]])
    return found
