"""Spike times: validation and rasters."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstspike.times import T_MAX, check_t_max, check_times, from_raster, to_raster


def test_raster_by_hand():
    raster = to_raster(torch.tensor([0.0, 2.0, 3.0]), 3)
    assert raster.tolist() == [[True, False, False], [False, False, True], [False] * 3]
    assert from_raster(raster).tolist() == [0, 2, 3]


@given(times=st.lists(st.integers(0, 20), max_size=10))
def test_raster_round_trip(times):
    times = torch.tensor(times).float()
    raster = to_raster(times, 20)
    assert raster.shape == (len(times), 20)
    assert (raster.sum(-1) == (times < 20)).all()
    assert torch.equal(from_raster(raster), times)


def test_only_the_first_spike_counts():
    assert from_raster(torch.tensor([[False, True, True, False, True]])).tolist() == [1]


def test_rasters_of_any_number_of_dimensions():
    times = torch.randint(T_MAX + 1, (2, 3, 4)).double()
    raster = to_raster(times)
    assert raster.shape == (2, 3, 4, T_MAX)
    assert torch.equal(from_raster(raster), times.float())
    assert to_raster(torch.tensor(1.0), 2).tolist() == [False, True]


@pytest.mark.parametrize("raster", [torch.zeros(2, 3), torch.tensor(True)])
def test_other_rasters_are_refused(raster):
    with pytest.raises(ValueError, match="raster must be a bool tensor"):
        from_raster(raster)


@pytest.mark.parametrize("t_max", [0, -3, 1.0, True, None])
def test_bad_t_max_is_refused(t_max):
    with pytest.raises(ValueError, match=r"^t_max must be a whole number of time steps"):
        check_t_max(t_max)
    with pytest.raises(ValueError, match="t_max"):
        to_raster(torch.zeros(1), t_max)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [(float("nan"), "NaN"), (-1.0, "outside"), (5.0, "outside"), (1.5, "between")],
)
def test_bad_times_are_refused_by_name(bad, fault):
    with pytest.raises(ValueError, match=rf"^targets must be whole time steps in 0\.\.4.*{fault}"):
        check_times(torch.tensor([0.0, bad, 4.0]), 4, "targets")
    with pytest.raises(ValueError, match="times"):
        to_raster(torch.tensor([bad]), 4)


def test_integer_times_are_refused_and_both_ends_accepted():
    with pytest.raises(ValueError, match=r"^times must be a floating-point tensor, got torch\.int"):
        check_times(torch.zeros(1, dtype=torch.int64), 4)
    check_times(torch.tensor([0.0, 4.0]), 4)
    check_times(torch.zeros(0), 4)
