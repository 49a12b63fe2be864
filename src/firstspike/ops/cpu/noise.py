"""Training images as sorted input spikes, changed at random on the way (Numba kernels).

Every random number is a function of the sample's seed and of its place, so that kernels need no
state, and results depend neither on the order of the samples nor on the number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from firstspike.ops.cpu.events import lean, njit

_QUANTILES = 4096  # a power of 2: the lowest bits of a random number choose one
# Places of what is drawn, far from each other.
_SHIFT, _SPIKES, _SILENCE = 0, 1 << 16, 2 << 16
_BITS, _ODD = np.uint64(0xFFFFFFFF), np.uint64(0x9E3779B9)


class Noise(NamedTuple):
    """What happens to an image.

    Args:
        shift: the largest move of the image in pixels, each way; what comes in is black.
        whole: whether only images that stay whole move so: whose edge is black for so many pixels.
        moves: int32, steps by which a spike may move in time, all as likely; empty for none.
        framed_shift: as shift, of such an image; what leaves the frame is lost.
    """

    shift: int
    whole: bool
    moves: NDArray[Any]
    framed_shift: int


def make_noise(shift: int, jitter: float, whole: bool = False, framed_shift: int = 0) -> Noise:
    """Noise with moves in time of standard deviation ``jitter``: rounded normal quantiles."""
    moves = np.zeros(0, np.int32)
    if jitter:
        middles = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
        moves = (torch.special.ndtri(middles) * jitter).round().int().numpy()
    return Noise(shift, whole, moves, framed_shift)


def silenced_share(dropout: float) -> int:
    """The share of hidden spikes that are left out, as `is_silenced` takes it: in 1/65536."""
    return round(dropout * 65536)


class Events(NamedTuple):
    """Buffers for one sample's input spikes, and for sorting them."""

    inputs: NDArray[Any]
    arrivals: NDArray[Any]
    pixels: NDArray[Any]
    times: NDArray[Any]
    starts: NDArray[Any]


@lean
def random_bits(seed, place):
    """32 random bits for a seed and a place: Wellons' lowbias32 hash of their sum."""
    x = (np.uint64(seed) + np.uint64(place) * _ODD) & _BITS
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & _BITS
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & _BITS
    return x ^ (x >> np.uint64(16))


@lean
def is_silenced(seed, neuron, silenced):
    """Whether a hidden neuron's spike is left out, of which 1/65536 times ``silenced`` are."""
    return np.int64(random_bits(seed, _SILENCE + neuron) >> np.uint64(16)) < silenced


@njit
def new_events(inputs, t_max):
    """Buffers for images of so many pixels; one more, where the last black pixel is written."""
    return Events(
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1, np.int32),
        np.empty(t_max + 1, np.int32),
    )


@lean
def sort_pixels(image, codes, noise, framed, seed, t_max, delay, events):
    """The spikes of an image that arrive before t_max, by time and then by input.

    Args:
        image: uint8 [channels, height, width]; the inputs are its values in this order.
        codes: spike time of each pixel value, int32 [256].
        noise: see `Noise`.
        framed: what `is_framed` says of the image.
        seed: of this sample.
        t_max: number of time steps.
        delay: steps from a spike to its effect.
        events: buffers; ``inputs`` and ``arrivals`` are filled.

    Returns:
        The number of spikes.
    """
    inputs, arrivals, pixels, times, starts = events
    shift = noise.framed_shift if framed else noise.shift
    count = _find_pixels(image, shift, seed, pixels)
    too_late = max(t_max - delay, 0)  # all that do not arrive are sorted behind the others
    starts[: too_late + 1] = 0
    mask = np.uint64(max(len(noise.moves) - 1, 0))
    for k in range(count):
        time = codes[pixels[k] & 255]
        pixels[k] >>= 8
        if len(noise.moves):
            time = max(time + noise.moves[random_bits(seed, _SPIKES + pixels[k]) & mask], 0)
        times[k] = min(time, too_late)
        starts[times[k]] += 1
    total = 0
    for step in range(too_late + 1):
        starts[step], total = total, total + starts[step]
    in_time = starts[too_late]
    for k in range(count):
        place = starts[times[k]]
        inputs[place], arrivals[place] = pixels[k], times[k] + delay
        starts[times[k]] = place + 1
    return in_time


@lean
def is_framed(image, noise):
    """Whether an image fills its frame, so that no shift leaves it whole."""
    return noise.whole and not _has_margin(image, noise.shift)


@lean
def _has_margin(image, margin):
    """Whether the image is black for so many pixels from each edge."""
    channels, height, width = image.shape
    ink = np.uint8(0)
    for channel in range(channels):
        for y in range(height):
            row = image[channel, y]
            if y < margin or y >= height - margin:
                for x in range(width):
                    ink |= row[x]
            else:
                for x in range(min(margin, width)):
                    ink |= row[x] | row[width - 1 - x]
    return ink == 0


@lean
def _find_pixels(image, shift, seed, pixels):
    """The pixels of a moved image that are not black, in order, and their values; their number.

    All channels move alike.
    """
    channels, height, width = image.shape
    bits, span = random_bits(seed, _SHIFT), np.uint64(2 * shift + 1)
    down = np.int64((bits & np.uint64(0xFFFF)) % span) - shift
    right = np.int64((bits >> np.uint64(16)) % span) - shift
    count = 0
    for channel in range(channels):
        for y in range(max(0, down), min(height, height + down)):
            row = image[channel, y - down]
            ink = np.uint8(0)
            for x in range(width):
                ink |= row[x]
            if ink:
                start = (channel * height + y) * width
                for x in range(max(0, right), min(width, width + right)):
                    value = row[x - right]
                    pixels[count] = (start + x) << 8 | np.int64(value)
                    count += value > 0
    return count
