"""Event recordings to first spikes, against a loop over the events, and every kind of bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import firstspike as fs

RNG = np.random.default_rng(0)
ROWS = np.stack(
    [
        RNG.integers(0, 7, 200),
        RNG.integers(0, 5, 200),
        np.sort(RNG.integers(0, 300_000, 200)),
        RNG.integers(0, 2, 200),
    ],
    axis=1,
)


def plainly(rows: np.ndarray, t_max: int, shape: tuple[int, int], duration: float) -> torch.Tensor:
    """The first event of each pixel and polarity, one event after the other."""
    times = torch.full((2, *shape), float(t_max))
    for x, y, t, p in rows.tolist():
        step = min(t_max, t * t_max // duration)
        times[int(p), y, x] = min(times[int(p), y, x], step)
    return times


def file_of(path: Path, rows: np.ndarray) -> Path:
    """A file of 40-bit events."""
    content = bytearray()
    for x, y, t, p in rows.tolist():
        content += bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("t_max", [1, 16, 256])
@pytest.mark.parametrize("duration", [300_000, 100_000])
def test_rows_and_files_give_first_events(tmp_path, t_max, duration):
    wanted = plainly(ROWS, t_max, (5, 7), duration)
    file = file_of(tmp_path / "00001.bin", ROWS)
    shuffled = RNG.permutation(ROWS)
    for events in (ROWS, shuffled, shuffled.astype(float), torch.from_numpy(ROWS), file, str(file)):
        times = fs.encode_events(events, t_max, shape=(5, 7), duration=duration)
        assert times.dtype == torch.float32
        assert torch.equal(times, wanted)


def test_polarities_of_minus_one():
    signed = ROWS.copy()
    signed[:, 3] = 2 * signed[:, 3] - 1
    assert torch.equal(fs.encode_events(signed, 64), fs.encode_events(ROWS, 64))


def test_by_default_the_last_event_comes_in_the_last_step():
    rows = np.array([[0, 0, 0, 1], [1, 0, 500, 1], [2, 1, 1000, 0]])
    times = fs.encode_events(rows, 11)
    assert times.shape == (2, 2, 3)
    assert times[1, 0].tolist() == [0, 5, 11]
    assert times[0, 1].tolist() == [11, 11, 10]


def test_markers_of_time_overflow_are_no_events(tmp_path):
    marker = [0, 240, 0, 0]
    rows = np.array([[1, 2, 100, 1], marker, [3, 2, 100, 1]])
    times = fs.encode_events(file_of(tmp_path / "a.bin", rows), 1 << 14, duration=1 << 14)
    assert times.shape == (2, 3, 4)
    assert times[1, 2].tolist() == [1 << 14, 100, 1 << 14, 8192 + 100]


@pytest.mark.parametrize("t_max", [1, 10, 40])
def test_frames_give_the_first_frame_with_an_event(t_max):
    frames = RNG.integers(0, 3, (20, 2, 4, 6)) * (RNG.random((20, 2, 4, 6)) < 0.1)
    wanted = torch.full((2, 4, 6), float(t_max))
    for step in reversed(range(20)):
        wanted[torch.from_numpy(frames[step] > 0)] = step * t_max // 20
    for events in (frames, frames > 0, torch.from_numpy(frames).float()):
        assert torch.equal(fs.encode_events(events, t_max, shape=(4, 6)), wanted)


def test_no_events_are_silence():
    assert (fs.encode_events(np.zeros((0, 4)), 9, shape=(2, 3)) == 9).all()
    assert (fs.encode_events(np.zeros((5, 2, 2, 3)), 9) == 9).all()
    assert fs.encode_events(np.zeros((0, 2, 2, 3)), 9).shape == (2, 2, 3)


def test_networks_take_them():
    network = fs.nn.SpikingNetwork(
        fs.nn.FirstSpikeConv2d(2, 3, 3, neuron="ramp", t_max=32),
    )
    times = fs.encode_events(ROWS, 32, shape=(5, 7))
    assert network(times.unsqueeze(0)).shape == (1, 3, 3, 5)


@pytest.mark.parametrize(
    ("events", "options", "message"),
    [
        (np.zeros((3, 5)), {}, r"events must be rows .* got \[3, 5\]"),
        (np.zeros((3, 1, 4, 4)), {}, "events must be rows"),
        (np.array([["a"] * 4]), {}, "events must be numbers"),
        (np.full((2, 4), np.nan), {}, "events must be finite"),
        (-ROWS, {}, "some are negative"),
        (ROWS + np.array([0.5, 0, 0, 0]), {}, "events must have whole x and y"),
        (ROWS + np.array([0, 0, 0, 1]), {}, "events must have polarities"),
        (ROWS, {"shape": (5, 6)}, "events must lie within shape 5x6, but reach x 6, y 4"),
        (ROWS, {"shape": (5, 0)}, r"shape must be \(H, W\)"),
        (ROWS + np.array([10_000, 0, 0, 0]), {}, r"shape must be \(H, W\)"),
        (ROWS[:0], {}, "shape must be given"),
        (ROWS, {"duration": 0}, "duration must be positive"),
        (ROWS, {"t_max": 0}, "t_max must be"),
        (np.zeros((2, 2, 3, 3)), {"shape": (3, 4)}, "shape must be that of the events"),
        (np.full((2, 2, 3, 3), -1), {}, "events must be counts"),
        ("no/such.bin", {}, "no/such.bin: cannot be read"),
    ],
)
def test_mistakes_are_named(events, options, message):
    with pytest.raises(ValueError, match=message):
        fs.encode_events(events, **{"t_max": 16, **options})


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "bad.bin"
    file.write_bytes(bytes(7))
    with pytest.raises(ValueError, match=r"bad.bin: damaged: 7 bytes"):
        fs.encode_events(file)


def test_events_without_numbers_are_refused():
    with pytest.raises(ValueError, match="events must hold numbers"):
        fs.encode_events(torch.zeros(3, 4, device="meta"))
