"""Training images as input spikes: those of `encode`, sorted, moved and shifted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import firstspike as fs
from firstspike.coding import shade_times
from firstspike.ops.cpu import noise
from firstspike.ops.cpu.noise import (
    is_framed,
    is_silenced,
    make_noise,
    new_events,
    silenced_share,
    sort_pixels,
)

T_MAX = 256
CODES = shade_times()
IMAGES = fs.load_mnist("train").images[:30].numpy()


def spikes(image: np.ndarray, delay: int = 1, seed: int = 0, **given: float) -> dict[int, int]:
    """Arrival of each input spike of an image in gray or colour, checked to be sorted."""
    settings = {"shift": 0, "jitter": 0.0} | given
    events = new_events(image.size, T_MAX)
    channels = image.reshape(-1, *image.shape[-2:])
    noise = make_noise(**settings)
    framed = is_framed(channels, noise)
    count = sort_pixels(channels, CODES, noise, framed, seed, T_MAX, delay, events)
    pairs = list(zip(events[1][:count].tolist(), events[0][:count].tolist(), strict=True))
    assert pairs == sorted(pairs)
    return {pixel: arrival for arrival, pixel in pairs}


def test_images_that_fill_their_frame_are_told():
    noise = make_noise(2, 0.0, whole=True)
    image = np.zeros((1, 6, 7), np.uint8)
    image[0, 2:4, 2:5] = 200
    assert not is_framed(image, noise)
    assert not is_framed(image, make_noise(0, 0.0, whole=True))  # none is to be moved
    image[0, 3, 5] = 1
    assert is_framed(image, noise)
    assert not is_framed(image, make_noise(2, 0.0))


def test_what_leaves_the_frame_is_lost_of_images_that_fill_it():
    image = np.random.default_rng(0).integers(1, 256, (1, 6, 7), dtype=np.uint8)
    moves = {
        tuple(spikes(image, seed=seed, shift=2, whole=True, framed_shift=1)) for seed in range(99)
    }
    assert len(moves) == 9 and {len(pixels) for pixels in moves} == {42, 36, 35, 30}


@pytest.mark.parametrize("delay", [0, 1, 100])
def test_without_noise_they_are_those_of_encode(delay):
    for image in IMAGES[:5]:
        times = fs.encode(torch.from_numpy(image).flatten()).int()
        expected = {i: int(t) + delay for i, t in enumerate(times) if t + delay < T_MAX}
        assert spikes(image, delay) == expected


def test_a_shift_moves_the_whole_image():
    image = np.zeros((28, 28), np.uint8)
    image[0, 5], image[10, 27], image[20, 20] = 255, 200, 100
    seen = set()
    for seed in range(200):
        moved = spikes(image, seed=seed, shift=1)
        place = next(i for i, arrival in moved.items() if arrival == CODES[100] + 1)
        down, right = place // 28 - 20, place % 28 - 20
        seen.add((down, right))
        assert (28 * down + 5 + right in moved) == (down >= 0)
        assert (28 * (10 + down) + 27 + right in moved) == (right <= 0)
    assert seen == {(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)}


def test_pixels_are_found_without_numba_too():
    """As coverage runs the kernel: there, unlike in Numba, a byte stays one."""
    kernel, seed = noise._find_pixels, np.uint64(1)
    found = [np.zeros(784, np.int64) for _ in range(2)]
    plain = getattr(kernel, "py_func", kernel)
    counts = [
        find(IMAGES[:1], 1, seed, pixels)
        for find, pixels in zip((kernel, plain), found, strict=True)
    ]
    assert counts[0] == counts[1] > 0 and (found[0] == found[1]).all()


@pytest.mark.parametrize("shift", [1, 3])
def test_images_that_must_stay_whole_move_within_their_margin_only(shift):
    image = np.zeros((2, 12, 10), np.uint8)
    image[:, shift:-shift, shift:-shift] = 200
    plain = spikes(image)
    moved = [spikes(image, seed=seed, shift=shift, whole=True) for seed in range(20)]
    assert any(one != plain for one in moved) and {len(one) for one in moved} == {len(plain)}
    for place in ((0, shift - 1, 5), (1, 12 - shift, 5), (0, 5, shift - 1), (1, 5, 10 - shift)):
        wider = image.copy()
        wider[place] = 1
        assert all(
            spikes(wider, seed=seed, shift=shift, whole=True) == spikes(wider) for seed in range(20)
        )


def test_the_channels_of_an_image_move_alike():
    image = np.random.default_rng(0).integers(0, 256, (3, 6, 5)).astype(np.uint8)
    seen = set()
    for seed in range(60):
        moved = spikes(image, seed=seed, shift=1)
        channels = [spikes(channel, seed=seed, shift=1) for channel in image]
        assert moved == {
            30 * channel + pixel: arrival
            for channel, arrivals in enumerate(channels)
            for pixel, arrival in arrivals.items()
        }
        seen.add(tuple(channels[0]))
    assert len(seen) == 9
    plain = {k: int(CODES[v]) + 1 for k, v in enumerate(image.flat) if v and CODES[v] < T_MAX - 1}
    assert spikes(image) == plain


def test_jitter_is_normal_and_leaves_black_pixels_alone():
    image = np.zeros((28, 28), np.uint8)
    image[:14] = 128
    arrivals = spikes(image, jitter=5.0)
    assert arrivals.keys() == set(range(14 * 28))
    moves = np.array(list(arrivals.values())) - CODES[128] - 1
    assert abs(moves.mean()) < 1 and moves.std() == pytest.approx(5, rel=0.15)
    image[:14] = 255
    assert min(spikes(image, jitter=5.0).values()) == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_silenced_spikes(share):
    silenced = silenced_share(share)
    draws = [is_silenced(seed, j, silenced) for seed in range(40) for j in range(50)]
    assert np.mean(draws) == pytest.approx(share, abs=0.04)
