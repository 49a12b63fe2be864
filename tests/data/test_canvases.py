"""Canvases: what they hold, from which digits, and how they are written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from firstspike.data import ImageSet, canvases, draw_canvases, load_mnist
from firstspike.data.canvas import MOST_DIGITS, NOTHING


def squares(name: str = "squares", classes: int = 2) -> ImageSet:
    """Bright squares, whose ink is all of them."""
    images = torch.full((classes, 8, 8), 255, dtype=torch.uint8)
    return ImageSet(images, torch.arange(classes), name)


def test_the_boxes_are_those_of_the_masks():
    made = canvases(20, seed=1)
    assert made.names == tuple("0123456789")
    for mask, boxes, labels in zip(made.masks, made.boxes, made.labels, strict=True):
        here = labels != NOTHING
        assert 1 <= here.sum() <= MOST_DIGITS and (boxes[~here] == 0).all()
        assert set(mask.unique().tolist()) == {0, *(labels[here] + 1).tolist()}
        covered = torch.zeros_like(mask, dtype=torch.bool)
        for (left, top, width, height), label in zip(boxes[here], labels[here], strict=True):
            part = mask[top : top + height, left : left + width] == label + 1
            covered[top : top + height, left : left + width] = True
            sides = part[0], part[-1], part[:, 0], part[:, -1]
            assert all(side.any() for side in sides)  # nothing to cut off
        assert not mask[~covered].any()


def test_ink_is_brighter_than_textures_and_digits_overlap():
    made = canvases(50, seed=1)
    inside = made.masks > 0
    assert made.images[inside].float().mean() > 2 * made.images[~inside].float().mean()
    counts = (made.labels != NOTHING).sum(dim=1)
    assert set(counts.tolist()) == {1, 2, 3, 4}
    left, top, width, height = made.boxes.unbind(-1)
    apart = left[:, :1] + width[:, :1] <= left[:, 1:2], top[:, :1] + height[:, :1] <= top[:, 1:2]
    assert not (apart[0] | apart[1])[counts > 1].all()


def test_a_canvas_follows_from_seed_digits_and_its_number():
    few, more = canvases(2, 5, squares()), canvases(4, 5, squares())
    assert torch.equal(few.images, more.images[:2]) and torch.equal(few.boxes, more.boxes[:2])
    assert not torch.equal(few.images, canvases(2, 6, squares()).images)
    assert not torch.equal(few.images, canvases(2, 5, squares("others")).images)


def test_only_the_digits_that_are_given_are_used():
    test = load_mnist("test").part(torch.arange(10_000) < 1, "7")
    assert {label for canvas in draw_canvases(9, 0, test) for label in canvas.labels} == {7}


def test_digits_without_ink_are_left_out():
    blank = ImageSet(torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(1).long(), "blank")
    made = canvases(3, 0, blank)
    assert not made.masks.any() and (made.labels == NOTHING).all()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"count": 0}, "count must be"),
        ({"count": 10**40}, "count must be at most"),
        ({"count": 1, "seed": -1}, "seed must be"),
        ({"count": 1, "digits": squares(classes=256)}, "at most 255 classes"),
    ],
)
def test_what_cannot_be_is_told(arguments, told):
    with pytest.raises(ValueError, match=told):
        canvases(**arguments)


def test_colours_are_told():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="digits must be gray, but reds has colours"):
        canvases(1, 0, ImageSet(images, torch.zeros(1).long(), "reds"))


def test_the_command_writes_what_the_function_makes(firstspike, tmp_path):
    for out in ("a", "b"):
        code, told, _ = firstspike(
            *("data", "canvases", "--count", 3, "--seed", 2, "--split", "test", "--out", out)
        )
        assert code == 0 and "mnist-test" in told
    names = sorted(str(it.relative_to(tmp_path / "a")) for it in (tmp_path / "a").rglob("*.*"))
    assert names == sorted(
        [f"{kind}/{n:06d}.png" for kind in ("images", "masks") for n in range(3)]
        + ["annotations.json"]
    )
    assert all(
        (tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names
    )
    made = canvases(3, 2, load_mnist("test"))
    record = json.loads((tmp_path / "a" / "annotations.json").read_text())
    found = [(n["image_id"], n["category_id"] - 1, n["bbox"]) for n in record["annotations"]]
    places = (made.labels != NOTHING).nonzero().tolist()
    assert found == [(n, int(made.labels[n, i]), made.boxes[n, i].tolist()) for n, i in places]
    for number in range(3):
        image, mask = (
            Image.open(tmp_path / "a" / kind / f"{number:06d}.png") for kind in ("images", "masks")
        )
        assert mask.mode == "P" and np.array_equal(np.asarray(mask), made.masks[number])
        assert np.array_equal(np.asarray(image), made.images[number])
        areas = [n["area"] for n in record["annotations"] if n["image_id"] == number]
        assert sum(areas) == (made.masks[number] > 0).sum()


def test_nothing_half_written_stays(firstspike, tmp_path, monkeypatch):
    code, _, complaint = firstspike("data", "canvases", "--count", 0, "--out", "new/set")
    assert code == 2 and "count must be" in complaint and not any(tmp_path.iterdir())
    monkeypatch.setattr("firstspike.runs.files.write", _full)
    code, _, complaint = firstspike("data", "canvases", "--count", 1, "--out", "new/set")
    assert code == 2 and "set: cannot be written" in complaint and not any(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(firstspike, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    code, _, complaint = firstspike("data", "canvases", "--count", 1, "--out", "full")
    assert code == 2 and "full: is not an empty folder" in complaint
    assert [it.name for it in (tmp_path / "full").iterdir()] == ["mine"]


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")
