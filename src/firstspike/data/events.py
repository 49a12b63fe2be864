"""Recordings of event cameras to first spikes: of each pixel and polarity the first event counts.

An event camera sends an event (x, y, time, polarity) whenever a pixel has become brighter (polarity
1) or darker (0). Time-to-first-spike coding keeps the first one of each pixel and polarity, so that
a recording becomes an image of two channels that a network of first spikes takes as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.times import T_MAX, check_t_max

_LARGEST = 4096  # pixels of a side
_BYTES = 5  # of an event in a .bin file
_OVERFLOW = 240  # in the place of y: no event, but 2^13 microseconds more from here on

Events = Tensor | NDArray[Any] | str | os.PathLike[str]


def encode_events(
    events: Events,
    t_max: int = T_MAX,
    *,
    shape: tuple[int, int] | None = None,
    duration: float | None = None,
) -> Tensor:
    """Spike times of a recording.

    Args:
        events: one of

            - rows (x, y, t, p) [N, 4] of whole pixels, times from 0 in any unit, polarities 0 or 1
              (-1 counts as 0), in any order;
            - counts or flags [T, 2, H, W] of T steps, that is, frames, polarity 0 first;
            - a ``.bin`` file as of N-MNIST and N-Caltech101 (Orchard et al., 2015): 40 bits an
              event, 8 for x, 8 for y, 1 for the polarity and 23 for microseconds.
        t_max: number of time steps.
        shape: (H, W); for rows and files, by default as far as the events reach. N-MNIST's is
            (34, 34).
        duration: time that falls into step ``t_max``; by default the end of the recording: T for
            frames, else so that the last event comes at step ``t_max - 1``. Later events are left
            out. Give the same for all recordings, so that times mean the same in all of them.

    Returns:
        float32 [2, H, W] in 0..t_max, on the device of the events, whole steps:
        ``floor(t * t_max / duration)`` of the first event of each polarity and pixel; ``t_max``,
        silence, where there is none.

    Raises:
        ValueError: ``events`` are no such thing or do not fit ``shape``.
    """
    check_t_max(t_max)
    if duration is not None and not (np.isfinite(duration) and duration > 0):
        raise ValueError(f"duration must be positive, got {duration}")
    if shape is not None:
        _check_shape(shape)
    if isinstance(events, (str, os.PathLike)):
        return _of_rows(_read(Path(events)), t_max, shape, duration)
    if isinstance(events, Tensor):
        if events.is_meta:
            raise ValueError("events must hold numbers, but are on the meta device")
        found = encode_events(events.detach().cpu().numpy(), t_max, shape=shape, duration=duration)
        return found.to(events.device)
    array = np.asarray(events)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"events must be numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError("events must be finite, but some are NaN or infinite")
    if array.ndim == 4 and array.shape[1] == 2:
        return _of_frames(array, t_max, shape, duration)
    if array.ndim == 2 and array.shape[1] == 4:
        return _of_rows(array, t_max, shape, duration)
    raise ValueError(
        "events must be rows (x, y, t, p) [N, 4], frames [T, 2, H, W] or a .bin file, "
        f"got {list(array.shape)}"
    )


def _check_shape(shape: tuple[int, int]) -> None:
    if len(shape) != 2 or not all(1 <= side <= _LARGEST for side in shape):
        raise ValueError(f"shape must be (H, W) in 1..{_LARGEST}, got {shape}")


def _read(file: Path) -> NDArray[np.int64]:
    """Rows (x, y, t, p) of a file of 40-bit events."""
    try:
        content = np.fromfile(file, np.uint8)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) % _BYTES:
        raise ValueError(
            f"{file}: damaged: {len(content)} bytes are no whole number of events of {_BYTES}"
        )
    x, y, high, middle, low = content.reshape(-1, _BYTES).T.astype(np.int64)
    over = y == _OVERFLOW
    time = ((high & 127) << 16 | middle << 8 | low) + (over.cumsum() << 13)
    return np.stack([x, y, time, high >> 7], axis=1)[~over]


def _of_rows(
    rows: NDArray[Any], t_max: int, shape: tuple[int, int] | None, duration: float | None
) -> Tensor:
    x, y, time, polarity = rows.T
    if len(rows) and min(x.min(), y.min(), time.min()) < 0:
        raise ValueError("events must have x, y and t from 0 on, but some are negative")
    if (x % 1).any() or (y % 1).any():
        raise ValueError("events must have whole x and y")
    if not np.isin(polarity, (-1, 0, 1)).all():
        raise ValueError("events must have polarities 0 and 1, or -1 and 1")
    if shape is None:
        if not len(rows):
            raise ValueError("shape must be given where there are no events")
        shape = int(y.max()) + 1, int(x.max()) + 1
        _check_shape(shape)
    height, width = shape
    if len(rows) and (x.max() >= width or y.max() >= height):
        raise ValueError(
            f"events must lie within shape {height}x{width}, "
            f"but reach x {int(x.max())}, y {int(y.max())}"
        )
    steps = _steps(time, t_max, duration)
    times = np.full((2, height, width), t_max, np.int64)
    np.minimum.at(times, ((polarity > 0).astype(int), y.astype(int), x.astype(int)), steps)
    return torch.from_numpy(times).float()


def _steps(time: NDArray[Any], t_max: int, duration: float | None) -> NDArray[np.int64]:
    """Step of each time; those that come too late are silent."""
    if duration is None:
        last = time.max(initial=0)
        # The last event comes in the last step: all are stretched by as much.
        exact = time.astype(np.float64) * (t_max - 1) / (last or 1)
    else:
        exact = time.astype(np.float64) * t_max / duration
    return np.minimum(np.floor(exact), t_max).astype(np.int64)


def _of_frames(
    frames: NDArray[Any], t_max: int, shape: tuple[int, int] | None, duration: float | None
) -> Tensor:
    if shape is not None and tuple(shape) != frames.shape[2:]:
        raise ValueError(f"shape must be that of the events, {frames.shape[2:]}, got {shape}")
    if (frames < 0).any():
        raise ValueError("events must be counts, but some are negative")
    fired = frames > 0
    count = len(fired)
    if not count:
        return torch.full(fired.shape[1:], float(t_max))
    first = np.where(fired.any(axis=0), fired.argmax(axis=0), -1)
    steps = _steps(first, t_max, count if duration is None else duration)
    return torch.from_numpy(np.where(first < 0, t_max, steps)).float()
