"""Losses against tables worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from firstspike import losses

# Rows: the desired neuron is first; another is; a tie; only another spiked; nothing spiked.
TIMES = [[10.0, 20, 100], [30, 20, 100], [20, 20, 100], [100, 40, 100], [100, 100, 100]]
TARGET = torch.zeros(5, dtype=torch.int64)
T_MAX = 100
FUNCTIONS = [losses.aggressive_ttfs, losses.relative_target, losses.cross_entropy]


def test_aggressive_targets():
    # Eq. 6-7: the first spike's time for the desired neuron, t_max for the rest; 0 if none spiked.
    targets = losses.aggressive_targets(torch.tensor(TIMES), TARGET, T_MAX)
    first = [10, 20, 20, 40, 0]
    assert targets.tolist() == [[time, 100, 100] for time in first]


def test_aggressive_loss_and_gradient():
    times = torch.tensor(TIMES, requires_grad=True)
    loss = losses.aggressive_ttfs(times, TARGET, T_MAX)
    # (t - T)^2 / 2 with T above: (10 - 10)^2 / 2, (20 - 100)^2 / 2, ...
    assert loss.tolist() == [
        [0, 3200, 0],
        [50, 3200, 0],
        [0, 3200, 0],
        [1800, 1800, 0],
        [5000, 0, 0],
    ]
    loss.sum().backward()  # t - T; targets carry no gradient
    assert times.grad.tolist() == [
        [0, -80, 0],
        [10, -80, 0],
        [0, -80, 0],
        [60, -60, 0],
        [100, 0, 0],
    ]


def test_the_desired_neuron_is_the_target_of_each_sample():
    times = torch.tensor([[5.0, 7.0], [5.0, 7.0]])
    targets = losses.aggressive_targets(times, torch.tensor([0, 1]), 8)
    assert targets.tolist() == [[5, 8], [8, 5]]


def test_relative_targets():
    # S4NN with gamma 15: others earlier than first + 15 should move there, later ones may stay.
    targets = losses.relative_targets(torch.tensor(TIMES), TARGET, T_MAX, gamma=15)
    assert targets.tolist() == [
        [10, 25, 100],
        [20, 35, 100],
        [20, 35, 100],
        [40, 55, 100],
        [85, 100, 100],
    ]


def test_relative_targets_do_not_pass_the_end():
    targets = losses.relative_targets(torch.tensor([[95.0, 97, 99]]), TARGET[:1], T_MAX, gamma=15)
    assert targets.tolist() == [[95, 100, 100]]


def test_relative_loss_and_gradient():
    times = torch.tensor(TIMES, requires_grad=True)
    loss = losses.relative_target(times, TARGET, T_MAX, gamma=15)
    assert loss.tolist() == [
        [0, 12.5, 0],
        [50, 112.5, 0],
        [0, 112.5, 0],
        [1800, 112.5, 0],
        [112.5, 0, 0],
    ]
    loss.sum().backward()
    assert times.grad.tolist() == [
        [0, -5, 0],
        [10, -15, 0],
        [0, -15, 0],
        [60, -15, 0],
        [15, 0, 0],
    ]


def test_cross_entropy():
    times = torch.tensor([[0.0, 10.0], [20.0, 10.0]], requires_grad=True)
    loss = losses.cross_entropy(times, torch.tensor([0, 0]), 30, scale=10.0)
    assert loss.tolist() == pytest.approx([math.log1p(math.exp(-1)), math.log1p(math.exp(1))])
    loss.sum().backward()
    later = 1 / (1 + math.e) / 10  # (1 - p) / scale: the desired neuron should be earlier
    assert times.grad[0].tolist() == pytest.approx([later, -later])


def test_squared_distance():
    # Eq. 4-5, element by element.
    assert losses.squared_distance(torch.tensor([3.0, 1]), torch.tensor([1.0, 2])).tolist() == [
        2,
        0.5,
    ]
    with pytest.raises(ValueError, match=r"targets must have the shape of times, \[2\], got \[3\]"):
        losses.squared_distance(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_empty_batches(function):
    assert function(torch.zeros(0, 3), TARGET[:0], T_MAX).shape[0] == 0


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("name", "times", "target", "t_max"),
    [
        ("t_max", torch.zeros(5, 3), TARGET, 0),
        ("times", torch.zeros(5), TARGET, T_MAX),
        ("times", torch.zeros(5, 3).long(), TARGET, T_MAX),
        ("target", torch.zeros(5, 3), TARGET[:4], T_MAX),
        ("target", torch.zeros(5, 3), TARGET.float(), T_MAX),
        ("target", torch.zeros(5, 3), TARGET + 3, T_MAX),
        ("target", torch.zeros(5, 3), TARGET - 1, T_MAX),
    ],
)
def test_errors_name_the_argument(function, name, times, target, t_max):
    with pytest.raises(ValueError, match=f"^{name} must"):
        function(times, target, t_max)
