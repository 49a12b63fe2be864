"""The classifier's noise on its input, and the error of its output spikes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import firstspike as fs
from firstspike import losses
from firstspike.coding import jittered
from firstspike.runs.directory import epoch_generator
from firstspike.training.noise import shifted
from firstspike.training.rules.temporal import TemporalRule, output_error

PLAIN = TemporalRule(softness=10.0, earliness=0.0)
T_MAX = 256


def test_shifted_moves_whole_images_and_brings_in_black():
    images = torch.full((200, 5, 4), 9.0)
    images[:, 2, 1] = 3.0
    moved = shifted(images, 1, 9, epoch_generator(0, 0))
    places = {tuple(place.tolist()) for place in (moved == 3).nonzero()[:, 1:]}
    assert places == {(y, x) for y in (1, 2, 3) for x in (0, 1, 2)}
    assert ((moved == 3).sum(dim=(1, 2)) == 1).all()
    assert torch.equal(shifted(images, 0, 9, epoch_generator(0, 0)), images)


def test_only_images_with_a_black_margin_are_shifted_if_they_must_stay_whole():
    images = torch.full((40, 2, 6, 7), 9.0)
    images[:, :, 2:4, 2:5] = torch.rand(40, 2, 2, 3)
    images[::2, 1, 4, 3], images[1::4, 0, 2, 6] = 1.0, 1.0  # 6 is in the margin, row 4 is not
    moved = shifted(images, 1, 9, epoch_generator(0, 0), whole=True)
    every = shifted(images, 1, 9, epoch_generator(0, 0))
    fills = torch.arange(40) % 4 == 1
    assert torch.equal(moved[fills], images[fills]) and not torch.equal(every[fills], images[fills])
    assert torch.equal(moved[~fills], every[~fills]) and not torch.equal(moved, images)


def test_the_channels_of_an_image_are_shifted_alike():
    images = torch.rand(50, 3, 5, 4)
    moved = shifted(images, 1, 9, epoch_generator(0, 0))
    for channel in range(3):
        alone = shifted(images[:, channel], 1, 9, epoch_generator(0, 0))
        assert torch.equal(moved[:, channel], alone)


def test_jittered_moves_spikes_only():
    times = torch.tensor([[0.0, 100.0, 255.0, 256.0]]).expand(500, 4)
    moved = jittered(times, 5.0, 256, epoch_generator(0, 0))
    assert ((moved >= 0) & (moved <= 256) & (moved == moved.round())).all()
    assert (moved[:, 3] == 256).all()
    assert moved[:, 1].std().item() == pytest.approx(5.0, rel=0.2)


def test_error_of_aggressive_ttfs_by_hand():
    times = torch.tensor([[20.0, 10.0, 256.0], [10.0, 20.0, 256.0], [256.0, 256.0, 256.0]])
    target = torch.tensor([0, 0, 0])
    share = torch.softmax(-times / 10, dim=1)
    error = output_error(times, target, PLAIN, T_MAX)
    # Desired: earlier (error > 0) unless first; others: later (error < 0) unless silent.
    expected = torch.zeros(3, 3)
    expected[0, 0], expected[0, 1] = 1 - share[0, 0], -share[0, 1]
    expected[1, 1] = -share[1, 1]
    expected[2, 0] = 1 - share[2, 0]
    torch.testing.assert_close(error, expected)
    early = output_error(times, target, dataclasses.replace(PLAIN, earliness=0.5), T_MAX) - error
    torch.testing.assert_close(early[:, 0], 0.5 * times[:, 0] / 256)
    assert (early[:, 1:] == 0).all()


def test_error_of_s4nn_leaves_late_neurons_alone():
    config = dataclasses.replace(PLAIN, loss="s4nn", gamma=3.0)
    times = torch.tensor([[10.0, 12.0, 14.0]])
    error = output_error(times, torch.tensor([0]), config, T_MAX)
    assert error[0, 0] == 0 and error[0, 1] < 0 and error[0, 2] == 0


def test_error_of_cross_entropy_is_its_gradient():
    config = dataclasses.replace(PLAIN, loss="cross-entropy")
    times = torch.tensor([[10.0, 12.0, 14.0]], requires_grad=True)
    loss = fs.losses.cross_entropy(times, torch.tensor([1]), scale=10.0).sum()
    [grad] = torch.autograd.grad(loss, times)
    error = output_error(times.detach(), torch.tensor([1]), config, T_MAX)
    torch.testing.assert_close(error / 10, grad)


def test_a_loss_of_ones_own_gives_its_gradient(monkeypatch):
    own = losses.Loss(lambda times, target, t_max: times**2, ("temporal",))
    monkeypatch.setitem(losses.LOSSES, "own", own)
    error = output_error(torch.tensor([[3.0, 4.0]]), torch.tensor([1]), TemporalRule(loss="own"), 9)
    assert error.tolist() == [[6, 8]]
