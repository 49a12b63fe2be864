"""Images and what should become of them: made by the program, or out of two folders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from firstspike.data import ImageSet, load_mnist
from firstspike.data.pairs import PairSet, load_pairs, pairs_of


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    mnist = load_mnist("train")
    return ImageSet(mnist.images[:30], mnist.labels[:30], "thirty", mnist.names)


def naive_rim(image: np.ndarray) -> np.ndarray:
    """The largest of each pixel's neighbours, itself included, less itself."""
    padded = np.pad(image, 1)
    rim = np.zeros_like(image)
    for row, column in np.ndindex(*image.shape):
        block = padded[row : row + 3, column : column + 3]
        rim[row, column] = block.max() - image[row, column]
    return rim


@pytest.mark.parametrize("task", ["noisy", "holes", "outline", "colour"])
def test_pairs_are_always_the_same_and_keep_together(digits, task):
    made, again = pairs_of(digits, task), pairs_of(digits, task)
    assert torch.equal(made.images, again.images) and made.name == f"thirty-{task}"
    assert made.images.shape == (30, 28, 28) and not torch.equal(made.images, digits.images)
    if task != "colour":
        assert torch.equal(made.targets, digits.images)
    few = made.part(torch.arange(30) % 2 == 1, "odd")
    assert isinstance(few, PairSet) and torch.equal(few.targets, made.targets[1::2])


def test_noise_is_normal(digits):
    made = pairs_of(digits, "noisy")
    gray = (digits.images > 100) & (digits.images < 160)
    moved = (made.images.float() - digits.images.float())[gray]
    assert moved.std() == pytest.approx(70, rel=0.15) and abs(moved.mean()) < 10


def test_holes_are_black_and_all_else_stays(digits):
    made = pairs_of(digits, "holes")
    changed = made.images != made.targets
    assert (made.images[changed] == 0).all()
    share = changed.flatten(1).sum(1) / (digits.images > 0).flatten(1).sum(1)
    assert 0.1 < share.mean() < 0.6 and (share > 0).all()


def test_an_outline_is_the_rim_of_what_is_bright(digits):
    made = pairs_of(digits, "outline")
    wanted = naive_rim(digits.images[3].numpy())
    assert (made.images[3].numpy() == wanted).all()


def test_what_had_colours_is_gray(digits):
    made = pairs_of(digits, "colour")
    assert made.targets.shape == (30, 3, 28, 28)
    red, green, blue = made.targets.double().unbind(1)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (made.images - gray).abs().max() <= 1  # both are rounded
    ink = [made.targets[digits.labels == d].flatten(2).amax(dim=(0, 2)).tolist() for d in range(10)]
    assert len(set(map(tuple, ink))) == 10
    own = ImageSet(made.targets, made.labels, "own", made.names)
    assert torch.equal(pairs_of(own, "colour").targets, made.targets)


def test_there_is_no_such_task(digits):
    with pytest.raises(ValueError, match="task must be one of noisy, holes, outline, colour"):
        pairs_of(digits, "blurred")


def test_targets_that_do_not_fit(digits):
    same = {"images": digits.images, "labels": digits.labels, "name": "x"}
    with pytest.raises(ValueError, match="targets must be as many and as large"):
        PairSet(**same, targets=digits.images[:, 1:])
    with pytest.raises(ValueError, match="targets must be uint8"):
        PairSet(**same, targets=digits.images.float())


@pytest.fixture
def folder(tmp_path, digits):
    """Four pairs of pictures, the targets as BMP, with a test split of two."""
    for split, first in (("train", 0), ("test", 4)):
        for name, suffix, ground in (("inputs", "png", 0), ("targets", "bmp", 9)):
            place = tmp_path / split / name
            place.mkdir(parents=True)
            for number, stem in enumerate(("x", "x.k", "y", "a")):
                pixels = digits.images[first + number].clamp(min=ground).numpy()
                Image.fromarray(pixels).save(place / f"{stem}.{suffix}")
    return tmp_path


def test_pictures_of_the_same_name_belong_together(folder, digits):
    for split, first in (("train", 0), ("test", 4)):
        made = load_pairs(folder, split)
        assert torch.equal(made.images.clamp(min=9), made.targets)
        own = {image.numpy().tobytes() for image in digits.images[first : first + 4]}
        assert {image.numpy().tobytes() for image in made.images} == own
    assert load_pairs(folder / "train").images.shape == (4, 28, 28)
    assert load_pairs(folder, size=14).targets.shape == (4, 14, 14)


def test_a_picture_in_colour_brings_all_in_colour(folder):
    Image.new("RGB", (28, 28), "red").save(folder / "train" / "targets" / "y.bmp")
    for split in ("train", "test"):
        made = load_pairs(folder, split)
        assert made.images.shape == made.targets.shape == (4, 3, 28, 28)


def lose(folder):
    (folder / "train" / "inputs" / "y.png").unlink()
    return "targets/y.bmp: has no counterpart in"


def add(folder):
    (folder / "train" / "inputs" / "z.png").write_bytes(b"")
    return "inputs/z.png: has no counterpart in"


def shrink(folder):
    Image.new("L", (28, 14)).save(folder / "train" / "targets" / "y.bmp")
    return "targets/y.bmp: 28x14 pixels, but"


def double(folder):
    Image.new("L", (28, 28)).save(folder / "train" / "inputs" / "y.gif")
    return "inputs/y.gif: another picture has the same name"


def spoil(folder):
    (folder / "train" / "targets" / "y.bmp").write_bytes(b"BM")
    return "targets/y.bmp: not a readable picture"


def empty(folder):
    for file in (folder / "train" / "inputs").iterdir():
        file.unlink()
    return "inputs: no pictures in it"


@pytest.mark.parametrize("mistake", [lose, add, shrink, double, spoil, empty])
def test_mistakes_name_the_file(folder, mistake):
    told = mistake(folder)
    with pytest.raises(ValueError) as caught:
        load_pairs(folder)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_folders_that_are_missing(folder, tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        load_pairs(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no test split"):
        load_pairs(folder / "train", "test")
    with pytest.raises(ValueError, match="inputs: no such folder"):
        load_pairs(folder / "train" / "targets")
