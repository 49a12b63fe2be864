"""Images with index masks: canvases, or pictures in two folders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from firstspike.data import canvases, draw_canvases, load_mnist
from firstspike.data.masks import load_masked, masked
from firstspike.drawing.canvas_files import save_canvases


def test_canvases_come_with_their_masks():
    made = canvases(3)
    found = masked(made)
    assert torch.equal(found.images, made.images) and torch.equal(found.targets, made.masks)
    assert found.names == ("ground", *"0123456789")


def test_files_of_canvases_are_read_again(tmp_path):
    save_canvases(tmp_path / "set", draw_canvases(20, 1, load_mnist()), load_mnist().names)
    made, found = canvases(20, 1), load_masked(tmp_path / "set")
    assert torch.equal(found.images, made.images) and torch.equal(found.targets, made.masks)
    assert found.names == tuple(map(str, range(11))) and found.name == "set-train"


@pytest.fixture
def folder(tmp_path):
    """Two training pairs in colour, the masks with a palette, and one of the test split."""
    rng = np.random.default_rng(0)
    for split, stems in (("train", "ab"), ("test", "a")):
        for name in ("images", "masks"):
            (tmp_path / split / name).mkdir(parents=True)
        for stem in stems:
            pixels = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / "images" / f"{stem}.png")
            mask = Image.fromarray(rng.permutation(48).reshape(8, 6).astype(np.uint8) % 3)
            mask.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
            mask.save(tmp_path / split / "masks" / f"{stem}.png")
    return tmp_path


def test_masks_are_indices_whatever_their_colours(folder):
    found = load_masked(folder)
    assert found.images.shape == (2, 3, 8, 6) and found.names == ("0", "1", "2")
    assert sorted(found.targets.unique().tolist()) == [0, 1, 2]
    assert load_masked(folder, "test").targets.shape == (1, 8, 6)
    (folder / "classes.txt").write_text("ground\ncat\n\ndog\ntree\n")
    assert load_masked(folder).names == ("ground", "cat", "dog", "tree")


def test_masks_are_never_between_two_classes(folder):
    mask = Image.fromarray(np.repeat(np.array([[0, 2]], np.uint8), 8, 0).repeat(3, 1))
    mask.save(folder / "train" / "masks" / "a.png")
    found = load_masked(folder, size=16)
    assert found.targets.shape == (2, 16, 16)
    assert found.targets[0].unique().tolist() == [0, 2]


def test_masks_are_turned_as_their_images_are(folder):
    """By their EXIF data: here a quarter."""
    file, exif = folder / "train" / "masks" / "a.png", Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as picture:
        expected = torch.from_numpy(np.array(picture))
        picture.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    assert torch.equal(load_masked(folder).targets[0], expected)


def test_a_mark_of_the_byte_order_is_no_part_of_a_name(folder):
    (folder / "classes.txt").write_text("ground\ncat\ndog\n", encoding="utf-8-sig")
    assert load_masked(folder).names == ("ground", "cat", "dog")


def test_files_that_may_be_meant_are_told(folder):
    (folder / "train" / "masks" / "c.npy").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"left out: 1 file in .*masks \(\.npy\)"):
        load_masked(folder)


def write_mask(folder, split, value):
    Image.new("L", (6, 8), value).save(folder / split / "masks" / "a.png")


def unknown_to_training(folder):
    write_mask(folder, "test", 3)
    return "test", "test/masks/a.png: has the value 3, but the classes are 0..2"


def unnamed(folder):
    (folder / "classes.txt").write_text("ground\ncat\n")
    return "train", "a.png: has the value 2, but the classes are 0..1"


def a_gap(folder):
    write_mask(folder, "train", 255)
    return "train", "train/masks/a.png: has the value 255, but there are 4 classes"


def a_colour_picture(folder):
    Image.new("RGB", (6, 8)).save(folder / "train" / "masks" / "a.png")
    return "train", "train/masks/a.png: a mask must be of 8-bit indices, got mode RGB"


def another_size(folder):
    Image.new("L", (6, 6)).save(folder / "train" / "masks" / "a.png")
    return "train", "train/masks/a.png: 6x6 pixels, but"


def no_mask(folder):
    (folder / "train" / "masks" / "b.png").unlink()
    return "train", "train/images/b.png: has no counterpart"


def damaged(folder):
    file = folder / "train" / "masks" / "b.png"
    file.write_bytes(file.read_bytes()[:60])
    return "train", "train/masks/b.png: not a readable picture"


def only_ground(folder):
    for stem in "ab":
        Image.new("L", (6, 8)).save(folder / "train" / "masks" / f"{stem}.png")
    return "train", "train/masks: nothing but the ground"


def inexact(folder):
    Image.new("L", (6, 8)).save(folder / "train" / "masks" / "a.png", format="JPEG")
    return "train", "train/masks/a.png: a mask must be exact, which JPEG is not"


def all_black(folder):
    for stem in "ab":
        Image.new("L", (6, 8)).save(folder / "train" / "images" / f"{stem}.png")
    return "train", "train/images: all 2 pictures are black"


def one_name(folder):
    (folder / "classes.txt").write_text("ground\n")
    return "train", "classes.txt: must name two or more classes"


MISTAKES = [
    unknown_to_training,
    unnamed,
    a_gap,
    a_colour_picture,
    another_size,
    no_mask,
    damaged,
    only_ground,
    inexact,
    all_black,
    one_name,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_name_the_file(folder, mistake):
    split, told = mistake(folder)
    with pytest.raises(ValueError) as caught:
        load_masked(folder, split)
    assert told in str(caught.value) and "\n" not in str(caught.value)
