"""Coding of images and noise against the formulas, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstspike.coding import (
    decode,
    encode,
    noise_times,
    rate_encode,
    seen_until,
    shade_times,
    spike_train,
)
from firstspike.data import load_mnist

ALL_PIXELS = torch.arange(256, dtype=torch.uint8)
horizons = st.integers(1, 2000)


@settings(deadline=None)
@given(t_max=horizons)
def test_encode_is_the_floor_of_the_exact_quotient(t_max):
    expected = [floor(Fraction(255 - pixel, 255) * t_max) for pixel in range(256)]
    times = encode(ALL_PIXELS, t_max)
    assert times.dtype == torch.float32
    assert times.tolist() == expected


@pytest.mark.parametrize("t_max", [1, 256, 1000])
def test_shades_are_those_of_encode(t_max):
    assert shade_times(t_max).dtype == np.int32
    assert shade_times(t_max).tolist() == encode(ALL_PIXELS, t_max).tolist()


@settings(deadline=None)
@given(t_max=horizons, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_floats_encode_like_the_bytes_they_come_from(t_max, dtype):
    assert torch.equal(encode(ALL_PIXELS.to(dtype) / 255, t_max), encode(ALL_PIXELS, t_max))


@settings(deadline=None)
@given(t_max=horizons)
def test_encode_undoes_decode(t_max):
    times = torch.arange(t_max + 1).float()
    assert torch.equal(encode(decode(times, t_max), t_max), times)


@settings(deadline=None)
@given(t_max=horizons, pixels=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_round_trip_stays_within_one_step(t_max, pixels):
    images = torch.tensor(pixels)
    brighter = decode(encode(images, t_max), t_max) - images
    assert brighter.min() >= -1e-6
    assert brighter.max() <= 1 / t_max + 1e-6


def test_white_spikes_first_and_black_is_silent():
    assert encode(torch.tensor([255, 0], dtype=torch.uint8)).tolist() == [0, 256]
    assert encode(torch.tensor([1.0, 0.0])).tolist() == [0, 256]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_keep_the_ends(dtype):
    times = encode(torch.tensor([1.0, 0.5, 0.0], dtype=dtype))
    assert times.dtype == torch.float32
    assert times.tolist() == [0, 128, 256]


def test_encode_takes_numpy_arrays_of_any_layout():
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    array.flags.writeable = False
    expected = encode(torch.tensor(array))
    assert torch.equal(encode(array), expected)
    assert torch.equal(encode(array[::-1]), expected.flip(0))
    assert torch.equal(encode(array / 255), expected)


def test_empty_images_have_no_spikes():
    assert encode(torch.zeros(0, 28, 28)).shape == (0, 28, 28)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.01, 1.01, 255.0])
@pytest.mark.parametrize("function", [encode, rate_encode])
def test_floats_outside_the_range_are_refused(function, bad):
    with pytest.raises(ValueError, match=r"images must be .* 0\.\.1.* divide"):
        function(torch.tensor([0.5, bad]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_types_are_refused_with_a_remedy(dtype):
    with pytest.raises(ValueError, match=r"images must be uint8 .*torch\.uint8"):
        encode(torch.zeros(3, dtype=dtype))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), [[1.0], [1.0, 2.0]]])
def test_arrays_that_are_no_tensors_are_refused(array):
    with pytest.raises(ValueError, match="images must be"):
        encode(array)


@pytest.mark.parametrize("function", [encode, decode, rate_encode, spike_train])
@pytest.mark.parametrize("t_max", [0, -1, 2.5])
def test_bad_t_max_is_refused(function, t_max):
    with pytest.raises(ValueError, match="t_max"):
        function(torch.zeros(1), t_max)


def test_decode_is_differentiable_and_checks_its_times():
    times = torch.tensor([0.0, 64.0, 256.0], requires_grad=True)
    intensities = decode(times)
    intensities.sum().backward()
    assert intensities.tolist() == [1, 0.75, 0]
    assert times.grad.tolist() == [-1 / 256] * 3
    with pytest.raises(ValueError, match="times"):
        decode(torch.tensor([257.0]))


def test_noise_covers_both_ends_evenly_and_repeats():
    times = noise_times(2000, 10, 4, generator=torch.Generator().manual_seed(0))
    again = noise_times(2000, 10, 4, generator=torch.Generator().manual_seed(0))
    assert times.dtype == torch.float32
    assert times.shape == (2000, 10)
    assert torch.equal(times, again)
    counts = torch.bincount(times.long().flatten(), minlength=5)
    assert len(counts) == 5
    assert ((counts - 4000).abs() < 300).all()  # 5 standard deviations


def test_noise_may_be_early_or_silent():
    times = noise_times(2000, 10, 9, last=3, silent=0.25)
    assert set(times.unique().tolist()) == {0, 1, 2, 3, 9}
    shares = [(times == step).float().mean().item() for step in (0, 3, 9)]
    assert shares == pytest.approx([0.75 / 4, 0.75 / 4, 0.25], abs=0.02)
    assert (noise_times(3, 4, 9, silent=1.0) == 9).all()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"count": -1}, "count"),
        ({"features": -1}, "features"),
        ({"last": 10}, "last"),
        ({"last": -1}, "last"),
        ({"silent": 1.5}, "silent"),
    ],
)
def test_noise_refuses_what_is_out_of_range(change, name):
    with pytest.raises(ValueError, match=name):
        noise_times(**{"count": 2, "features": 2, "t_max": 9} | change)


def test_seen_until():
    times = torch.tensor([[0.0, 3, 4, 9], [0, 3, 4, 9]], requires_grad=True)
    seen = seen_until(times, torch.tensor([[3.0], [0]]), 9)
    assert seen.tolist() == [[0, 3, 9, 9], [0, 9, 9, 9]]
    weights = torch.arange(8.0).view(2, 4)
    [grad] = torch.autograd.grad((weights * seen).sum(), times)
    assert torch.equal(grad, weights)  # as if all had been seen


def test_256_steps_count_the_pixel_values():
    assert rate_encode(ALL_PIXELS).tolist() == list(range(256))
    assert rate_encode(ALL_PIXELS / 255).tolist() == list(range(256))
    assert rate_encode(ALL_PIXELS, inverted=True).tolist() == list(range(255, -1, -1))


@settings(deadline=None)
@given(t_max=horizons)
def test_counts_round_to_the_nearest(t_max):
    expected = [floor(Fraction(pixel * (t_max - 1), 255) + Fraction(1, 2)) for pixel in range(256)]
    assert rate_encode(ALL_PIXELS, t_max).tolist() == expected


def test_counts_reproduce_the_paper():
    """Section 3.2: 26,175 and 173,745 spikes per image, over training and test images."""
    images = torch.cat([load_mnist("train").images, load_mnist("test").images])
    histogram = torch.bincount(images.flatten(), minlength=256)
    for inverted, expected in ((False, 26_175), (True, 173_745)):
        total = (rate_encode(ALL_PIXELS, inverted=inverted) * histogram).sum().item()
        assert round(total / len(images)) == expected


@settings(deadline=None)
@given(t_max=st.integers(1, 300))
def test_trains_hold_their_counts_evenly_spaced(t_max):
    counts = torch.arange(t_max + 1)
    raster = spike_train(counts, t_max)
    assert raster.dtype == torch.bool
    assert raster.shape == (t_max + 1, t_max)
    assert torch.equal(raster.sum(-1), counts)
    for count, train in zip(counts.tolist(), raster, strict=True):
        gaps = train.nonzero().flatten().diff().tolist()
        assert all(t_max // count <= gap <= -(-t_max // count) for gap in gaps)


@pytest.mark.parametrize("counts", [torch.tensor([-1]), torch.tensor([5]), torch.tensor([1.0])])
def test_trains_refuse_other_counts(counts):
    with pytest.raises(ValueError, match="counts"):
        spike_train(counts, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 1.5), ("count", -1), ("features", "a"), ("last", 2.5), ("last", 9), ("silent", "x")],
)
def test_noise_of_odd_arguments_is_refused_by_name(name, value):
    options = {"count": 3, "features": 4, "t_max": 8, name: value}
    with pytest.raises(ValueError, match=f"^{name} must"):
        noise_times(**options)
