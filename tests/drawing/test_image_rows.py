"""Figures of sets of images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from firstspike.drawing.figures import save
from firstspike.drawing.grids import image_grid
from firstspike.drawing.samples import histogram, image_rows


def test_histograms_share_their_intervals():
    drawn = histogram({"a": [0, 0, 1], "b": [4.0]}, "distance", bins=4)
    [axes] = drawn.axes
    assert axes.get_xlabel() == "distance"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    heights = [patch.get_xy()[:, 1].max() for patch in axes.patches]
    assert heights == pytest.approx([2 / 3, 1.0])
    for bad in ({}, {"a": []}, {"a": [np.nan]}):
        with pytest.raises(ValueError, match="samples must hold at least one set"):
            histogram(bad, "x")


def test_image_rows_name_groups_and_columns():
    images = np.linspace(0, 1, 6)[:, None, None] * np.ones((6, 4, 4))
    drawn = image_rows({"data": images[:2], "samples": images[2:]}, 2, ["3", "5"])
    top, bottom = drawn.axes
    assert [top.get_ylabel(), bottom.get_ylabel()] == ["data", "samples"]
    assert [text.get_text() for text in top.get_xticklabels()] == ["3", "5"]
    pixels = bottom.images[0].get_array()
    assert pixels.shape == (10, 10) and pixels[0, 0] == 102 and pixels[-1, -1] == 255
    for groups in ({}, {"a": images[:3]}, {"a": images[:0]}):
        with pytest.raises(ValueError, match="rows of 2 images"):
            image_rows(groups, 2)


def test_pixels_of_images_are_squares_of_three_in_the_picture(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
    groups = {"data": images[:4], "samples": images[4:]}
    save(tmp_path / "rows.png", image_rows(groups, 2, ["a", "Ankle boot"]))
    with Image.open(tmp_path / "rows.png") as picture:
        found = np.asarray(picture.convert("L")).astype(int)
    for shown in groups.values():
        grid = np.asarray(image_grid(shown, 2, scale=1)).repeat(3, 0).repeat(3, 1).astype(int)
        places = np.lib.stride_tricks.sliding_window_view(found, grid.shape)
        assert (np.abs(places - grid).max(axis=(2, 3)) <= 1).sum() == 1


def test_image_rows_hold_any_size_in_colour():
    images = np.random.default_rng(0).random((6, 3, 4, 7))
    [axes] = image_rows({"samples": images}, 3, ["cat", "tree", "$x$"]).axes
    assert axes.images[0].get_array().shape == (10, 25, 3)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "tree", "$x$"]
