"""Step neurons whose inputs come at once, in one pass over memory, against plain PyTorch."""

from __future__ import annotations

import math

import pytest
import torch

from firstspike.ops import steps
from firstspike.ops.cpu import steps as kernels


def potentials(dtype: torch.dtype) -> torch.Tensor:
    """Random ones, the threshold, what lies beside it, and what is hardly a number."""
    torch.manual_seed(1)
    edges = torch.tensor([1.0, 0.0, -0.0, 2.0], dtype=dtype)
    beside = [edges.nextafter(torch.tensor(to, dtype=dtype)) for to in (math.inf, -math.inf)]
    odd = torch.tensor([math.inf, -math.inf, 1e-42], dtype=dtype)
    found = torch.cat([torch.randn(5 * 97, dtype=dtype) * 3, edges, *beside, odd])
    return torch.stack([found, found.flip(0)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("window", [0.1, 1.0, 1.3, 7.0])
def test_spikes_and_surrogates_are_those_of_pytorch(window, dtype):
    potential = potentials(dtype)
    before = potential.clone()
    values, slope = steps.values(potential, window)
    ours = kernels.values(potential, window)
    assert torch.equal(ours[0], values)
    assert torch.equal(ours[1], slope)
    assert 0 < values.mean() < 1
    assert (slope > 0).any() and (slope == 0).any()
    only, nothing = kernels.values(potential, window, slopes=False)
    assert nothing is None
    assert torch.equal(only, values)
    grad = torch.randn_like(potential)
    wanted = steps.by_potential_(grad.clone(), potential, window)
    assert torch.equal(kernels.by_potential_(grad, potential, window), wanted)
    assert torch.equal(grad, wanted)  # in its own memory
    assert torch.equal(potential, before)


def test_what_is_no_number_has_no_slope_that_is_one():
    potential = torch.full((40,), math.nan)
    for of in (steps, kernels):
        values, slope = of.values(potential, 1.0)
        assert not values.any()
        assert slope.isnan().all()
