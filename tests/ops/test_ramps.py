"""Ramp neurons in one pass over memory, against plain PyTorch."""

from __future__ import annotations

import math

import pytest
import torch

import firstspike as fs
from firstspike.ops import ramps
from firstspike.ops.cpu import ramps as kernels


def potentials(threshold: float, t_max: int, margin: float, dtype: torch.dtype) -> torch.Tensor:
    """Random ones, all steps of the window, the margins, what lies beside these, and infinity."""
    torch.manual_seed(t_max)
    some = torch.randn(4 * 97, dtype=torch.float64) * 2 * threshold
    steps = torch.arange(-1, t_max + 2, dtype=torch.float64) * (threshold / t_max)
    ends = torch.tensor([-margin * threshold, (1 + margin) * threshold, -0.0, threshold / 2])
    edges = torch.cat([steps, ends.double()]).to(dtype)
    beside = [edges.nextafter(torch.tensor(to, dtype=dtype)) for to in (math.inf, -math.inf)]
    odd = torch.tensor([math.inf, -math.inf, 1e-42, -1e-42], dtype=dtype)
    found = torch.cat([some.to(dtype), edges, *beside, odd])
    return torch.stack([found, found.flip(0)])


WINDOWS = [(1.0, -1.0, 1.0), (8.0, 0.0, 8.0), (0.3, 0.0, 0.3), (16.0, 0.0, 16.0)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t_max", [1, 2, 7, 64, 100, 256, 4096])
@pytest.mark.parametrize(("threshold", "low", "high"), WINDOWS)
def test_values_and_slopes_are_those_of_pytorch(threshold, low, high, t_max, dtype):
    potential = potentials(threshold, t_max, 1.0, dtype)
    before = potential.clone()
    window = threshold, t_max, low, high
    values, slope = ramps.values(potential, *window)
    ours = kernels.values(potential, *window)
    assert torch.equal(ours[0], values)
    assert torch.equal(ours[1], slope)
    only, nothing = kernels.values(potential, *window, slopes=False)
    assert nothing is None
    assert torch.equal(only, values)
    assert torch.equal(potential, before)


def test_tensors_may_lie_channels_last():
    potential = torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last)
    window = 0.5, 8, 0.0, 0.5
    pairs = zip(kernels.values(potential, *window), ramps.values(potential, *window), strict=True)
    for ours, wanted in pairs:
        assert torch.equal(ours, wanted)
        assert ours.stride() == potential.stride()
    grad, window = torch.randn_like(potential), (0.5, 0.1, 1.0, 1.0)
    wanted = ramps.by_potential_(grad.clone(), potential, *window)
    assert torch.equal(kernels.by_potential_(grad, potential, *window), wanted)
    assert torch.equal(grad, wanted)  # in its own memory


def test_what_is_no_number_stays_so():
    potential = torch.full((40,), math.nan)
    assert kernels.values(potential, 1.0, 8, 0.0, 1.0)[0].isnan().all()
    assert ramps.values(potential, 1.0, 8, 0.0, 1.0)[0].isnan().all()


@pytest.mark.parametrize("t_max", [1, 16, 256])
def test_values_are_levels_of_the_neuron(t_max):
    potential = torch.randn(3, 50) * 2
    levels = fs.nn.RampNeuron(0.5).levels(potential * t_max, t_max)
    values, slope = kernels.values(potential, 0.5, t_max, 0.0, 0.5)
    torch.testing.assert_close(values, levels * (0.5 / t_max))
    inside = (potential > 0) & (potential < 0.5)
    assert torch.equal(slope, inside.float())
    assert inside.any() and not inside.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leak", [0.0, 0.02, 0.1, 1.0])
@pytest.mark.parametrize("margin", [0.0, 1.0, 4.0, 1e9])
@pytest.mark.parametrize(("threshold", "slope"), [(1.0, 2.0), (0.3, 1.0)])
def test_gradients_are_those_of_pytorch(threshold, slope, margin, leak, dtype):
    potential = potentials(threshold, 16, margin, dtype)
    grad = torch.randn_like(potential)
    grad[:, ::9] = 0
    window = threshold, leak, margin, slope
    wanted = ramps.by_potential_(grad.clone(), potential, *window)
    ours = grad.clone()
    assert kernels.by_potential_(ours, potential, *window) is ours
    assert torch.equal(ours, wanted)
    outside = (potential < 0) | (potential > threshold)
    assert (ours[outside] != 0).any() == (leak > 0)


def test_far_outside_only_what_leads_back_leaks():
    potential = torch.tensor([-3.0, -3.0, -0.5, 0.5, 1.5, 4.0, 4.0])
    grad = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])  # a descent raises where it is < 0
    wanted = torch.tensor([0.0, -0.2, 0.2, 2.0, -0.2, 0.0, 0.2])
    for module in (ramps, kernels):
        found = module.by_potential_(grad.clone(), potential, 1.0, 0.1, 1.0, 2.0)
        torch.testing.assert_close(found, wanted)


def test_cpus_have_kernels_and_other_devices_pytorch():
    assert ramps.kernels("cpu") is kernels
    assert ramps.kernels("meta") is ramps
    found, slope = ramps.kernels("meta").values(torch.empty(3, 4, device="meta"), 1.0, 8, 0.0, 1.0)
    assert found.shape == slope.shape == (3, 4)


def test_potentials_with_a_gradient_are_taken_as_numbers():
    potential = torch.randn(5, requires_grad=True)
    values, _ = kernels.values(potential * 1, 1.0, 8, 0.0, 1.0)
    assert not values.requires_grad
