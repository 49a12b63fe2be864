"""The network that tells answers from targets, patch by patch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from firstspike.nn import RampNeuron
from firstspike.training.convolutional import Ramp
from firstspike.training.rules import patches

HIDDEN: Any = {2: lambda: Ramp(RampNeuron(16.0), 256), 1: nn.ReLU}


def made(outputs: int) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    torch.manual_seed(0)
    critic = patches.layers(2, 4, outputs, HIDDEN[outputs])
    return critic, torch.optim.Adam(critic.parameters(), 1e-2, betas=(0.0, 0.99), fused=True)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Sharp targets and blurred answers, each behind the same image."""
    torch.manual_seed(1)
    seen = torch.rand(6, 1, 16, 16)
    sharp = (torch.rand(6, 1, 16, 16) > 0.5).float()
    blurred = nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
    return torch.cat([seen, sharp], dim=1), torch.cat([seen, blurred], dim=1)


@pytest.mark.parametrize("outputs", HIDDEN)
def test_it_learns_to_tell_each_patch(outputs):
    (critic, optimizer), (real, fake) = made(outputs), images()
    assert patches.scores(critic, real).shape == (6, 4, 4)
    for turn in range(40):
        of_real, told = patches.learn(critic, optimizer, real, fake, gamma=0.1 * (turn % 4 == 0))
    assert told > 0.95
    scores = patches.scores(critic, real) > patches.scores(critic, fake)
    assert scores.float().mean() > 0.95
    answers = fake.clone().requires_grad_()
    missed = patches.missed(critic, of_real, answers)
    (slope,) = torch.autograd.grad(missed, answers)
    closer = patches.missed(critic, of_real, fake - 0.1 * slope.sign())
    assert closer < missed


@pytest.mark.parametrize("outputs", HIDDEN)
def test_a_steep_critic_pays(outputs):
    slopes = {}
    for gamma in (0.0, 1000.0):
        (critic, optimizer), (real, fake) = made(outputs), images()
        for _ in range(20):
            patches.learn(critic, optimizer, real, fake, gamma)
        seen = fake.requires_grad_()
        (slope,) = torch.autograd.grad(patches.scores(critic, seen).sum(), seen)
        slopes[gamma] = float(slope.square().sum())
    assert slopes[1000.0] < 0.2 * slopes[0.0]


def test_the_answers_do_not_learn_with_it():
    (critic, optimizer), (real, fake) = made(2), images()
    answers = fake.requires_grad_()
    patches.learn(critic, optimizer, real, answers, gamma=1.0)
    assert answers.grad is None
