"""The grid that tells boxes: there and back, what is learned, and what is left of several."""

from __future__ import annotations

import pytest
import torch

from firstspike.training.rules import boxes as rule

IMAGE, GRID = (64, 32), (8, 4)


def some_boxes(count: int) -> torch.Tensor:
    """[count, 1, 4] inside the image, the largest all of it."""
    rng = torch.Generator().manual_seed(0)
    size = torch.tensor([32.0, 64.0])
    extent = torch.rand(count, 1, 2, generator=rng) * size
    start = torch.rand(count, 1, 2, generator=rng) * (size - extent)
    found = torch.cat([start, extent], dim=-1)
    found[0, 0] = torch.tensor([0.0, 0.0, 32.0, 64.0])
    return found


def test_boxes_are_told_and_read():
    wanted = some_boxes(200)
    classes, sides = rule.targets(wanted, torch.full((200, 1), 3), IMAGE, GRID)
    assert classes.shape == (200, *GRID) and (classes > 0).sum() == 200
    assert sides.min() >= 0 and sides.max() <= 1
    here = classes.flatten(1).argmax(dim=1)
    assert (classes.flatten(1).amax(dim=1) == 4).all()
    read = rule.to_boxes(sides, IMAGE)[torch.arange(200), here]
    assert torch.allclose(read, wanted[:, 0], atol=1e-4)
    middle = wanted[:, 0, :2] + wanted[:, 0, 2:] / 2
    assert torch.equal(here // 4, (middle[:, 1] // 8).long().clamp(max=7))


def test_nothing_is_told_where_nothing_is():
    classes, sides = rule.targets(torch.zeros(2, 3, 4), torch.full((2, 3), -1), IMAGE, GRID)
    assert not classes.any() and not sides.any()


def test_the_loss_is_least_where_all_is_right():
    classes, sides = rule.targets(some_boxes(20), torch.arange(20)[:, None] % 3, IMAGE, GRID)
    right = 50.0 * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
    named, placed = rule.losses(right, sides, classes, sides)
    assert (float(named), float(placed)) == pytest.approx((0, 0), abs=1e-4)
    other, there = rule.losses(right.roll(1, dims=1), sides + 0.05, classes, sides)
    assert other > 40 and there > 0.5


def test_boxes_move_with_what_is_in_them():
    images = torch.zeros(30, 1, 64, 32)
    images[:, :, 20:30, 10:16] = 1
    there = torch.tensor([[10.0, 20, 6, 10], [0, 0, 3, 3]]).expand(30, 2, 4)
    things = torch.tensor([[4, 5]]).expand(30, 2)
    rng = torch.Generator().manual_seed(0)
    seen, boxes, kept = rule.shifted(images, there, things, 6, rng)
    for image, (left, top, width, height) in zip(seen[:, 0], boxes[:, 0].int(), strict=True):
        assert image[top : top + height, left : left + width].all() and image.sum() == 60
    assert len(boxes[:, 0].unique(dim=0)) > 10 and (kept[:, 0] == 4).all()
    gone = kept[:, 1] < 0
    assert 0 < gone.sum() < 30 and (boxes[~gone, 1, 2:].prod(dim=1) >= 4.5).all()
    assert torch.equal(rule.shifted(images, there, things, 0, rng)[0], images)


def test_overlap_is_that_of_boxes():
    one = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [-1.0, 0.5, 2.0, 0.5]])
    other = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0], [1.0, 0.5, -0.5, 0.5]])
    assert rule.overlap(one, other).tolist() == [1.0, 0.5, 0.0]


def test_of_boxes_in_the_same_place_the_surest_is_left():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 0, 10, 10], [0, 0, 10, 10]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.9])
    assert rule.suppressed(boxes, scores).tolist() == [True, False, False, True]
    [seen] = rule.found(torch.tensor([[1, 2, 0, 2]]), scores[None], boxes[None])
    assert seen.classes.tolist() == [1] and seen.boxes.tolist() == [[1, 0, 10, 10]]
    assert seen.scores.tolist() == pytest.approx([0.9])
