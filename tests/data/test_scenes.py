"""Scenes: canvases with their boxes, own data in COCO's form, and every kind of bad input."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import firstspike as fs
from firstspike.data import (
    Scenes,
    canvas_scenes,
    draw_canvases,
    load_mnist,
    load_scenes,
    split_validation,
)
from firstspike.data.canvas import NOTHING
from firstspike.drawing.canvas_files import save_canvases


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder of four canvases, as the program writes them."""
    folder = tmp_path_factory.mktemp("scenes") / "four"
    digits = load_mnist("test")
    save_canvases(folder, draw_canvases(4, 0, digits), digits.names)
    return folder


@pytest.fixture
def record(whole) -> dict[str, Any]:
    return json.loads((whole / "annotations.json").read_text())


@pytest.fixture
def complaint(whole, tmp_path):
    """What is said of the four canvases with other annotations."""
    (tmp_path / "images").symlink_to(whole / "images")
    file = tmp_path / "annotations.json"

    def say(content: Any) -> str:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(ValueError) as caught:
            load_scenes(tmp_path, "train")
        told = str(caught.value)
        assert told.startswith(str(tmp_path)) and "\n" not in told
        return told.removeprefix(f"{tmp_path}/")

    return say


def test_written_canvases_are_read_as_they_were_made(whole):
    read, made = load_scenes(whole, "train"), canvas_scenes(4, 0, load_mnist("test"))
    assert torch.equal(read.images, made.images) and read.names == made.names
    most = read.things.shape[1]
    assert torch.equal(read.boxes, made.boxes[:, :most])
    assert torch.equal(read.things, made.things[:, :most])
    assert read.present == [read.names[n] for n in sorted({*made.things.flatten().tolist()} - {-1})]


def test_pictures_of_any_size_are_brought_to_one_with_their_boxes(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 40), (200, 100, 0)).save(tmp_path / "images" / "a.png")
    box = {"image_id": 7, "category_id": 5, "bbox": [-0.4, 10, 10.4, 20]}
    image = {"id": 7, "file_name": "a.png", "width": 20, "height": 40}
    categories = [{"id": 9, "name": "cat"}, {"id": 5, "name": "dog"}]
    record = {"images": [image], "annotations": [box], "categories": categories}
    (tmp_path / "annotations.json").write_text(json.dumps(record))
    read = load_scenes(tmp_path, "train", size=80, colour="colour")
    assert read.images.shape == (1, 3, 80, 80) and read.names == ("dog", "cat")
    assert read.boxes.tolist() == [[[0, 20, 40, 40]]] and read.things.tolist() == [[0]]
    assert load_scenes(tmp_path, "train").images.shape == (1, 64, 64)


def test_splits_are_folders(whole, tmp_path):
    (tmp_path / "train").symlink_to(whole)
    assert len(load_scenes(tmp_path, "train")) == 4
    with pytest.raises(ValueError, match=r"test/annotations\.json: cannot be read"):
        load_scenes(tmp_path, "test")
    with pytest.raises(ValueError, match="has no test split"):
        load_scenes(whole, "test")


def test_a_part_keeps_the_boxes():
    all_of = canvas_scenes(40, 0, load_mnist("test"))
    training, held_out = split_validation(all_of, 0.2, 0)
    assert len(training) + len(held_out) == 40 and 0 < len(held_out) < 20
    place = int((all_of.images == held_out.images[0]).flatten(1).all(dim=1).nonzero()[0])
    assert torch.equal(held_out.boxes[0], all_of.boxes[place])  # type: ignore[attr-defined]
    assert (held_out.things[0] != NOTHING).any()  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "7", "{}", "\x00", '{"images": []}'])
def test_no_annotations_are_told(complaint, content):
    assert complaint(content).startswith("annotations.json: ")


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_empty_parts_are_told(complaint, record, name):
    assert complaint(record | {name: []}) == (
        f"annotations.json: '{name}' must be a list with at least one entry, as COCO has it"
    )


@pytest.mark.parametrize(
    ("part", "name", "value", "told"),
    [
        ("annotations", "image_id", 99, "there is no image 99"),
        ("annotations", "category_id", 99, "there is no category 99"),
        ("annotations", "category_id", "1", "'category_id' must be of type int, got '1'"),
        ("annotations", "bbox", None, "'bbox' must be of type list, got None"),
        ("annotations", "bbox", [1, 2, 3], "bbox must be left, top, width, height"),
        ("annotations", "bbox", [1, 2, 3, "4"], "bbox must be left, top, width, height"),
        ("annotations", "bbox", [60, 2, 5, 4], "not inside its image of 64x64 pixels"),
        ("annotations", "bbox", [-1, 2, 5, 4], "not inside its image of 64x64 pixels"),
        ("annotations", "bbox", [1, 2, 0, 4], "is empty or not inside"),
        ("annotations", "bbox", [1, 2, float("nan"), 4], "is empty or not inside"),
        ("images", "id", 3, "two of the images have the same id"),
        ("images", "file_name", "../x.png", "file_name must lie in images/"),
        ("images", "width", 0, "width and height must lie in 1.."),
        ("images", "width", 10**400, "width and height must lie in 1.."),
        ("annotations", "bbox", [10**400, 2, 5.5, 4], "not inside its image of 64x64 pixels"),
        ("annotations", "bbox", [1, 2, 1e-30, 4], "is empty or not inside"),
        ("images", "height", None, "'height' must be of type int, got None"),
        ("categories", "name", "3", "two of the categories have the same name"),
        ("categories", "id", 2, "two of the categories have the same id"),
    ],
)
def test_what_cannot_be_is_told(complaint, record, part, name, value, told):
    changed = copy.deepcopy(record)
    changed[part][0][name] = value
    assert told in (said := complaint(changed)) and len(said) < 200


def test_boxes_that_are_shares_of_the_image_are_told(complaint, record):
    for it in record["annotations"]:
        it["bbox"] = [side / 64 for side in it["bbox"]]
    assert "they must be in pixels, not in shares" in complaint(record)


def test_a_thousand_boxes_in_a_picture_are_no_list_of_things(complaint, record):
    record["annotations"] = record["annotations"][:1] * 1001
    assert "annotations.json: image 0 has 1001 boxes, more than 1000" in complaint(record)


def test_crowds_and_pictures_without_an_entry_are_left_out_with_a_word(whole, record, tmp_path):
    (tmp_path / "images").symlink_to(whole / "images")
    last = record["images"].pop()["id"]
    kept = [it for it in record["annotations"] if it["image_id"] != last]
    kept[0]["iscrowd"] = 1
    (tmp_path / "annotations.json").write_text(json.dumps(record | {"annotations": kept}))
    with pytest.warns(UserWarning) as told:
        read = load_scenes(tmp_path, "train")
    assert len(read) == 3 and int((read.things != NOTHING).sum()) == len(kept) - 1
    said = " ".join(str(one.message) for one in told)
    assert "1 picture in" in said and "such as 000003.png" in said
    assert "1 annotation of crowds (iscrowd)" in said
    for it in kept:
        it["iscrowd"] = 1
    (tmp_path / "annotations.json").write_text(json.dumps(record | {"annotations": kept}))
    with pytest.raises(ValueError, match="all annotations are of crowds"):
        load_scenes(tmp_path, "train")


def test_a_pipe_is_not_waited_for(record, tmp_path):
    os.mkfifo(tmp_path / "annotations.json")
    with pytest.raises(ValueError, match=r"annotations\.json: cannot be read"):
        load_scenes(tmp_path, "train")
    (tmp_path / "annotations.json").unlink()
    (tmp_path / "annotations.json").write_text(json.dumps(record))
    (tmp_path / "images").mkdir()
    os.mkfifo(tmp_path / "images" / "000000.png")
    with pytest.raises(ValueError, match=r"000000\.png: no readable picture \(not a file\)"):
        load_scenes(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "value"), [("size", 0), ("size", 10**6), ("size", 2.5), ("colour", "red")]
)
def test_odd_arguments_are_named(whole, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        load_scenes(whole, "train", **{name: value})


def test_pictures_that_do_not_fit_are_told(complaint, record):
    changed = copy.deepcopy(record)
    changed["images"][0]["file_name"] = "none.png"
    assert complaint(changed) == "images/none.png: no readable picture (No such file or directory)"
    changed = copy.deepcopy(record)
    changed["images"][0]["width"] = 65
    assert "has 64x64 pixels, but annotations.json says 65x64" in complaint(changed)


def test_broken_pictures_are_told(whole, tmp_path):
    for file in ("images", "annotations.json"):
        (tmp_path / file).symlink_to(whole / file) if file != "images" else (
            tmp_path / file
        ).mkdir()
    for picture in (whole / "images").iterdir():
        content = picture.read_bytes()
        short = np.frombuffer(content[: len(content) // 3], np.uint8).tobytes()
        (tmp_path / "images" / picture.name).write_bytes(short)
    with pytest.raises(ValueError, match=r"images/000000\.png: no readable picture \(") as caught:
        load_scenes(tmp_path, "train")
    assert "\n" not in str(caught.value)


def some(**changes: Any) -> Scenes:
    """Two images with a box each."""
    boxes = torch.zeros(2, 3, 4)
    boxes[:, 0] = torch.tensor([2.0, 3.0, 5.0, 6.0])
    things = torch.full((2, 3), NOTHING)
    things[:, 0] = 1
    given = {"boxes": boxes, "things": things} | changes
    images = torch.zeros(2, 10, 12, dtype=torch.uint8)
    return Scenes(images, torch.zeros(2, dtype=torch.int64), "some", ("a", "b"), **given)


BOXES, THINGS = some().boxes, some().things


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"boxes": BOXES.double()}, "boxes must be torch.float32"),
        ({"boxes": BOXES[..., :3]}, "boxes must be torch.float32"),
        ({"boxes": BOXES[:1]}, "boxes must be torch.float32"),
        ({"things": THINGS.float()}, "things must be torch.int64"),
        ({"things": THINGS[:, :2]}, "must be torch"),
        ({"things": THINGS + 1}, r"things must lie in -1\.\.1"),
        ({"things": THINGS - 1}, r"things must lie in -1\.\.1"),
        ({"boxes": BOXES * float("nan")}, "2 of 2 are not"),
        ({"boxes": BOXES / 0}, "2 of 2 are not"),
        ({"boxes": -BOXES}, "2 of 2 are not"),
        ({"boxes": 2 * BOXES}, "2 of 2 are not"),
        ({"boxes": 0 * BOXES}, "2 of 2 are not"),
    ],
)
def test_tensors_that_are_no_scenes_are_told(changes, told):
    with pytest.raises(ValueError, match=told):
        some(**changes)


def test_a_detector_is_not_trained_without_a_box():
    with pytest.raises(ValueError, match="data: some has no box in any image"):
        fs.fit("detect", some(things=torch.full((2, 3), NOTHING)), epochs=1)
