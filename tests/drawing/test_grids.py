"""Image grids and folders of pictures; files are whole or absent."""

from __future__ import annotations

import errno
import json
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from firstspike.drawing import grids
from firstspike.drawing.grids import (
    gathered,
    image_grid,
    read_image_grid,
    rows_beside,
    save_image_grid,
    save_images,
    save_parts,
    save_spikes,
)
from firstspike.runs import files

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)


def content(folder):
    """Everything in a folder, hidden files included."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def fail(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


# Grids


def test_a_grid_holds_every_image_at_its_place():
    grid = np.asarray(image_grid(IMAGES, columns=3, scale=2, gap=2))
    assert grid.shape == (2 * 58 - 2, 3 * 58 - 2)
    for number, image in enumerate(IMAGES):
        top, left = number // 3 * 58, number % 3 * 58
        assert np.array_equal(grid[top : top + 56 : 2, left : left + 56 : 2], image)
        assert np.array_equal(grid[top + 1 : top + 56 : 2, left + 1 : left + 56 : 2], image)
    assert len(np.unique(grid[:56, 56:58])) == 1
    assert (grid[58:, 2 * 58 :] == grid[0, 56]).all()


@pytest.mark.parametrize(("count", "size"), [(1, (28, 28)), (4, (56, 56)), (5, (84, 56))])
def test_a_grid_is_square_by_default(count, size):
    assert image_grid(IMAGES[:count], scale=1, gap=0).size == size


def test_fewer_images_than_columns_make_a_narrow_grid():
    assert image_grid(IMAGES[:2], columns=8, scale=1, gap=0).size == (56, 28)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floats_are_scaled_to_8_bits(dtype):
    images = (torch.from_numpy(IMAGES).double() / 255).to(dtype).requires_grad_()
    assert np.array_equal(np.asarray(image_grid(images)), np.asarray(image_grid(IMAGES)))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[0], r"\[N, height, width\]"),
        (IMAGES[:0], "not empty"),
        (np.zeros((1, 2, 4, 4), np.uint8), r"got \[1, 2, 4, 4\]"),
        (IMAGES.astype(np.int64), "got int64"),
        (torch.full((1, 28, 28), 1.5), "outside"),
        (torch.full((1, 28, 28), torch.nan), "NaN"),
    ],
)
def test_bad_images_are_refused(images, message, tmp_path):
    for make in (image_grid, lambda bad: save_images(tmp_path / "out", bad)):
        with pytest.raises(ValueError, match=f"^images must .*{message}"):
            make(images)
    assert not content(tmp_path)


@pytest.mark.parametrize("option", [{"columns": 0}, {"scale": 0}, {"gap": -1}])
def test_bad_grid_options_are_named(option):
    with pytest.raises(ValueError, match=f"^{next(iter(option))} must be at least"):
        image_grid(IMAGES, **option)


def test_a_grid_is_saved_with_its_folder_and_replaces_an_older_one(tmp_path):
    file = tmp_path / "a" / "b" / "grid.png"
    save_image_grid(file, IMAGES[:1])
    save_image_grid(str(file), IMAGES, columns=5)
    with Image.open(file) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(image_grid(IMAGES, columns=5)))
    assert content(file.parent) == ["grid.png"]


@pytest.mark.parametrize("name", ["grid", "grid.txt", "grid.npz"])
def test_an_unknown_picture_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: .*use .png"):
        save_image_grid(tmp_path / name, IMAGES)
    assert not content(tmp_path)


@pytest.mark.parametrize(("scale", "gap"), [(2, 2), (1, 0), (3, 1)])
@pytest.mark.parametrize("shape", [(5, 4, 4), (5, 3, 7), (5, 3, 32, 32), (1, 3, 2, 9)])
def test_a_saved_grid_is_read_again(tmp_path, scale, gap, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    save_image_grid(tmp_path / "grid.png", images, 3, scale, gap)
    again = read_image_grid(tmp_path / "grid.png")
    assert again.shape == shape and (again == images).all()


def test_colours_stand_in_a_grid_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 6), dtype=np.uint8)
    grid = np.asarray(image_grid(images, columns=2, scale=1, gap=1))
    assert grid.shape == (4, 13, 3)
    assert np.array_equal(grid[:, 7:], np.moveaxis(images[1], 0, -1))
    assert np.array_equal(
        np.asarray(image_grid(images[:, :1])), np.asarray(image_grid(images[:, 0]))
    )


def test_grids_of_older_versions_are_read(tmp_path):
    image_grid(IMAGES, columns=3).save(tmp_path / "old.png")
    again = read_image_grid(tmp_path / "old.png")
    assert again.shape == (6, 28, 28) and (again[:5] == IMAGES).all()
    assert (again[5] == again[5, 0, 0]).all()  # the place without an image


def test_what_is_no_grid_is_named(tmp_path):
    Image.new("L", (50, 57)).save(tmp_path / "x.png")
    (tmp_path / "y.png").write_bytes(b"no picture")
    Image.new("L", (58, 58)).save(tmp_path / "jpeg.png", "JPEG")
    for name in ("x.png", "y.png", "z.png", "jpeg.png"):
        with pytest.raises(ValueError, match=f"{name}: damaged"):
            read_image_grid(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [{"images": 9}, {"gap": -1}, {"scale": "2"}, {"width": 0}, {"columns": 1}, {"odd": 1}, None],
)
def test_notes_that_do_not_fit_the_picture_are_refused(tmp_path, change):
    layout = {"images": 5, "columns": 3, "height": 28, "width": 28, "scale": 2, "gap": 2}
    note = PngImagePlugin.PngInfo()
    note.add_text("firstspike-grid", "[" if change is None else json.dumps(layout | change))
    image_grid(IMAGES, columns=3).save(tmp_path / "grid.png", pnginfo=note)
    with pytest.raises(ValueError, match=r"grid\.png: damaged"):
        read_image_grid(tmp_path / "grid.png")


def test_a_full_disk_leaves_the_older_grid(tmp_path, monkeypatch):
    file = tmp_path / "grid.png"
    save_image_grid(file, IMAGES[:1])
    before = file.read_bytes()

    def write_half(_, path, **options):
        path.write_bytes(b"\x89PNG")
        fail()

    monkeypatch.setattr(Image.Image, "save", write_half)
    with pytest.raises(ValueError, match=r"grid\.png: cannot be written: No space left on device"):
        save_image_grid(file, IMAGES)
    assert file.read_bytes() == before
    assert content(tmp_path) == ["grid.png"]


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match=r"grid\.png: cannot be written"):
        save_image_grid(tmp_path / "a" / "grid.png", IMAGES)


# Single pictures


def test_spikes_come_in_at_most_48_frames_after_darkness(tmp_path):
    values = np.arange(1, 201, dtype=np.uint8)
    for images, frames in ((np.zeros((1, 4, 4), np.uint8), 1), (values.reshape(1, 20, 10), 49)):
        save_spikes(tmp_path / "a" / "spikes.gif", images)
        with Image.open(tmp_path / "a" / "spikes.gif") as animation:
            assert getattr(animation, "n_frames", 1) == frames
    with Image.open(tmp_path / "a" / "spikes.gif") as animation:
        animation.seek(48)
        assert (np.asarray(animation.convert("L"))[::3, ::3] == values.reshape(20, 10)).all()
        assert animation.info["duration"] == 2000
    colours = np.random.default_rng(0).random((2, 3, 4, 5))
    save_spikes(tmp_path / "colours.gif", colours)
    with Image.open(tmp_path / "colours.gif") as animation:
        assert 2 < animation.n_frames <= 49


@pytest.mark.parametrize("exists", [False, True])
def test_pictures_are_numbered(tmp_path, exists):
    folder = tmp_path / "a" / "out"
    if exists:
        folder.mkdir(parents=True)
    save_images(folder, IMAGES)
    assert content(tmp_path / "a") == ["out", *(f"out/{number:04d}.png" for number in range(5))]
    for number, image in enumerate(IMAGES):
        with Image.open(folder / f"{number:04d}.png") as picture:
            assert np.array_equal(np.asarray(picture), image)


def test_pictures_in_colour_are_numbered(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 6), dtype=np.uint8)
    save_images(tmp_path / "out", images)
    with Image.open(tmp_path / "out" / "0001.png") as picture:
        assert np.array_equal(np.asarray(picture), np.moveaxis(images[1], 0, -1))


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match=f"{path}: is not an empty folder"):
            save_images(path, IMAGES)
    assert content(tmp_path) == ["notes.txt"]


def test_a_full_disk_leaves_no_pictures(tmp_path, monkeypatch):
    save = Image.Image.save
    monkeypatch.setattr(
        Image.Image, "save", lambda im, path: fail() if path.stem == "0003" else save(im, path)
    )
    with pytest.raises(ValueError, match=r"out: cannot be written: No space left"):
        save_images(tmp_path / "out", IMAGES)
    assert not content(tmp_path)


def test_pictures_that_a_kill_left_are_cleared(tmp_path):
    files.beside(tmp_path / "out").mkdir()
    (files.beside(tmp_path / "out") / "0000.png").write_text("half")
    save_images(tmp_path / "out", IMAGES[:1])
    assert content(tmp_path) == ["out", "out/0000.png"]


def test_an_animation_that_does_not_fit_memory_is_refused(tmp_path, monkeypatch):
    images = np.tile(np.arange(256, dtype=np.uint8), (4, 4, 1))
    frames = 49
    for room, fits in ((frames * (2 * 4 * 3 + 2) * (2 * 256 * 3 + 2), True), (10**6, False)):
        monkeypatch.setattr(grids, "_MOST_MOVING", room)
        if fits:
            grids.save_spikes(tmp_path / "x.gif", images)
        else:
            with pytest.raises(ValueError, match=f"{frames} frames of 1538x26 pixels"):
                grids.save_spikes(tmp_path / "y.gif", images)
    assert [it.name for it in tmp_path.iterdir()] == ["x.gif"]


def test_rounding_takes_little_room():
    images = np.random.default_rng(0).random((4001, 28, 28), dtype=np.float32)
    tracemalloc.start()
    try:
        pixels = grids.as_pixels(images)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (pixels == np.rint(images.astype(np.float64) * 255)).all()
    assert peak < 10 * pixels.nbytes


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (7, 3), (50, 10)])
def test_rows_stand_above_the_rows_of_their_counterparts(count, columns):
    above = torch.rand(count, 3, 2) + 1
    rows, found = rows_beside(above, -above)
    assert found == columns and len(rows) % (2 * columns) == 0
    first, second = rows.unflatten(0, (-1, 2, columns)).unbind(1)
    assert torch.equal(first.flatten(0, 1)[:count], above)
    assert torch.equal(second, -first)
    assert not first.flatten(0, 1)[count:].any()


def test_a_large_grid_takes_little_more_memory_than_itself():
    images = np.zeros((10_000, 28, 28), np.uint8)
    tracemalloc.start()
    grid = image_grid(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * grid.width * grid.height


def test_names_of_many_images_sort_as_their_numbers(tmp_path):
    save_images(tmp_path / "out", np.zeros((10_001, 1, 1), np.uint8))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[0] == "00000.png" and names[-1] == "10000.png" and len(names) == 10_001


def test_images_that_come_in_parts_are_not_held(tmp_path):
    living, most = [], []

    def parts():
        for _ in range(6):
            part = np.zeros((2, 3, 3), np.float32)
            living.append(weakref.ref(part))
            most.append(sum(ref() is not None for ref in living))
            yield part

    save_parts(tmp_path / "out", parts(), 12)
    assert gathered(parts(), 12).shape == (12, 3, 3)
    assert len(list((tmp_path / "out").iterdir())) == 12 and max(most) <= 2


def test_parts_are_gathered_in_order_and_colour():
    whole = np.random.default_rng(0).random((7, 3, 4, 5), np.float32)
    found = gathered(iter([whole[:3], whole[3:6], whole[6:]]), 7)
    assert found.dtype == np.uint8 and np.array_equal(found, np.rint(whole * 255.0))
