"""What autoencoders learn by: divergences, quantiles as spike times, losses that match neurons."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from firstspike.training.rules.variational import (
    centred,
    divergence,
    divergence_together,
    quantile_levels,
    ramp_error,
    sigmoid_error,
)


def test_divergence_is_that_of_normal_distributions():
    mean, log = torch.randn(2, 50, dtype=torch.float64)
    one = torch.ones(50, dtype=torch.float64)
    wanted = kl_divergence(Normal(mean, log.exp()), Normal(0 * one, one))
    torch.testing.assert_close(divergence(mean, log), wanted)
    assert divergence(torch.zeros(1), torch.zeros(1)) == 0


def test_values_of_a_batch_together_should_be_normal():
    z = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (divergence_together(z) < 1e-3).all()
    moved = divergence_together(z * torch.tensor([0.5, 1.0]) + torch.tensor([0.0, 2.0]))
    wanted = [math.log(2) + (0.25 - 1) / 2, 2.0]
    torch.testing.assert_close(moved, torch.tensor(wanted).double(), atol=0.03, rtol=0)


def test_quantiles_of_normal_values_are_uniform_spike_times():
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    levels = quantile_levels(z, 16)
    assert torch.equal(levels, levels.round())
    counts = torch.bincount(levels.long(), minlength=17)
    assert len(counts) == 17
    expected = len(z) / 17
    assert ((counts - expected).abs() < 5 * math.sqrt(expected)).all()
    values = centred(levels, 16)
    assert abs(values.mean()) < 0.02
    assert values.var() == pytest.approx(18 / 16, abs=0.02)  # of 17 values, not of all between


def test_gradients_pass_quantiles_as_if_nothing_were_rounded():
    z = torch.linspace(-3, 3, 41, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(quantile_levels(z, 32).sum(), z)
    torch.testing.assert_close(slope, 32 * Normal(0.0, 1.0).log_prob(z.detach()).exp())


def test_extreme_values_have_the_first_and_the_last_level():
    assert quantile_levels(torch.tensor([-40.0, 40.0]), 8).tolist() == [0, 8]


@pytest.mark.parametrize(
    ("error", "neuron"),
    [(ramp_error, lambda v: v.clamp(0, 1)), (sigmoid_error, torch.sigmoid)],
    ids=["ramp", "sigmoid"],
)
def test_the_derivative_of_an_error_is_what_is_said_minus_what_is_wanted(error, neuron):
    potential = torch.linspace(-2.1, 3.3, 55, dtype=torch.float64, requires_grad=True)
    for wanted in (0.0, 0.3, 1.0):
        aim = torch.full_like(potential, wanted)
        (slope,) = torch.autograd.grad(error(potential, aim).sum(), potential)
        torch.testing.assert_close(slope, neuron(potential.detach()) - aim)


def test_the_error_of_a_ramp_is_half_the_square_inside_and_a_line_outside():
    potential = torch.tensor([0.2, 0.9, -1.0, 3.0])
    errors = ramp_error(potential, torch.full((4,), 0.4))
    torch.testing.assert_close(errors, torch.tensor([0.02, 0.125, 0.08 + 0.4, 0.18 + 1.2]))
