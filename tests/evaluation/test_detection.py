"""COCO's scores of boxes whose scores are known by hand."""

from __future__ import annotations

import pytest
import torch

from firstspike.data.scenes import scenes
from firstspike.evaluation.detection import mean_precision
from firstspike.training.rules.boxes import Found

BOXES = torch.tensor([[[10.0, 10, 20, 20], [40, 40, 10, 20]], [[0, 0, 20, 20], [0, 0, 0, 0]]])
THINGS = torch.tensor([[0, 2], [0, -1]])
THERE = scenes(torch.zeros(2, 64, 64, dtype=torch.uint8), BOXES, THINGS, "two", ("a", "b", "c"))


SECOND = (BOXES[1, :1].tolist(), [0], [0.7])


def found(*each: tuple[list[list[float]], list[int], list[float]]) -> list[Found]:
    return [
        Found(torch.tensor(boxes).view(-1, 4), torch.tensor(kinds).long(), torch.tensor(scores))
        for boxes, kinds, scores in each
    ]


def test_all_right_is_1():
    told = mean_precision(
        THERE, found((BOXES[0].tolist(), [0, 2], [0.9, 0.8]), (BOXES[1, :1].tolist(), [0], [0.7]))
    )
    assert told["map_50"] == told["map"] == told["recall_50"] == 1
    assert told["map_50_by_class"] == {"a": 1, "c": 1}


def test_a_shift_counts_at_half_and_not_at_all_higher_overlaps():
    shifted = BOXES[0] + torch.tensor(
        [2.0, 0, 0, 0]
    )  # shares 18/22 of the first, 8/12 of the other
    told = mean_precision(
        THERE, found((shifted.tolist(), [0, 2], [0.9, 0.8]), (BOXES[1, :1].tolist(), [0], [0.7]))
    )
    assert told["map_50"] == 1 and 0.4 < told["map"] < 0.9


def test_another_class_is_no_find():
    told = mean_precision(THERE, found((BOXES[0].tolist(), [0, 1], [0.9, 0.8]), ([], [], [])))
    assert told["map_50_by_class"]["c"] == 0
    assert told["map_50_by_class"]["a"] == pytest.approx(0.5, abs=0.01)
    assert told["recall_50"] == pytest.approx(0.25)


def test_nothing_found_is_0():
    told = mean_precision(THERE, found(([], [], []), ([], [], [])))
    assert told == {"map_50": 0, "map": 0, "recall_50": 0, "map_50_by_class": {"a": 0, "c": 0}}
