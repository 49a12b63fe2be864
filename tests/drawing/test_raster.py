"""A raster shows every spike up to the decision, and says what came of it."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import pixels, texts

from firstspike.drawing.raster import raster

LAYERS = [np.array([0.0, 3, 9, 10]), np.array([2.0, 7, 5]), np.array([10.0, 5])]


def test_a_raster_ends_with_the_decision(tmp_path):
    figure = raster(np.zeros((2, 2), np.uint8), LAYERS, 10, label=1)
    panels = figure.axes[1:]
    shown = [axes.collections[0].get_offsets().tolist() for axes in panels]
    assert shown == [[[0, 0], [3, 1]], [[2, 0], [5, 2]], [[5, 1]]]
    assert [axes.lines[0].get_xdata()[0] for axes in panels] == [5, 5, 5]
    assert panels[-1].get_xlabel() == "time step"
    words = {"true class 1", "decision at step 5 of 10: class 1"}
    assert words | {"hidden: 2 of 3 neurons have spiked"} <= set(texts(figure))
    assert pixels(figure, tmp_path).std() > 0


def test_a_tie_and_silence_are_told():
    tied = [*LAYERS[:2], np.array([4.0, 7, 4])]
    assert "decision at step 4 of 10: class 0 and 2" in texts(raster([[0]], tied, 10))
    silent = raster([[0]], [*LAYERS[:2], np.array([10.0, 10])], 10)
    assert any("no output spike in 10 time steps" in text for text in texts(silent))
    assert [len(axes.collections[0].get_offsets()) for axes in silent.axes[1:]] == [3, 3, 0]


def test_windows_follow_one_another(tmp_path):
    figure = raster([[0]], LAYERS, 10, windowed=True)
    panels = figure.axes[1:]
    shown = [axes.collections[0].get_offsets().tolist() for axes in panels]
    assert shown == [[[0, 0], [3, 1], [9, 2]], [[12, 0], [17, 1], [15, 2]], [[25, 1]]]
    spans = [axes.patches[0].get_corners()[[0, 2], 0].tolist() for axes in panels]
    assert spans == [[0, 10], [10, 20], [20, 30]]
    assert [axes.lines[0].get_xdata()[0] for axes in panels] == [25, 25, 25]
    assert "decision at step 25 of 30: class 1" in texts(figure)
    assert pixels(figure, tmp_path).std() > 0
    silent = raster([[0]], [*LAYERS[:2], np.array([10.0, 10])], 10, windowed=True)
    assert any("no output spike in 30 time steps" in text for text in texts(silent))


def test_deep_networks_get_room():
    layers = [LAYERS[0], *[LAYERS[1]] * 18, LAYERS[2]]
    figure = raster([[0]], layers, 10, windowed=True)
    assert figure.get_figheight() > 20 > raster([[0]], LAYERS, 10).get_figheight()
    assert "decision at step 195 of 200: class 1" in texts(figure)


def test_a_network_without_hidden_neurons_has_a_raster():
    assert len(raster([[0]], [LAYERS[0], LAYERS[2]], 10).axes) == 3


@pytest.mark.parametrize(
    ("image", "layers", "message"),
    [
        ([0], LAYERS, r"image must be \[height, width\] or \[3, height, width\], got \[1\]"),
        ([[0]], LAYERS[:1], "layer_times must be"),
        ([[0]], [LAYERS[0][None], *LAYERS[1:]], "layer_times must be"),
        ([[0]], [LAYERS[0] + 1, *LAYERS[1:]], r"layer_times must lie in 0\.\.10"),
        ([[0]], [LAYERS[0] * np.nan, *LAYERS[1:]], r"layer_times must lie in 0\.\.10"),
    ],
)
def test_races_that_cannot_be_drawn_are_refused(image, layers, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        raster(image, layers, 10)


def test_a_raster_in_colour_calls_classes_by_their_names(tmp_path):
    image = np.full((3, 4, 5), 0.5)
    figure = raster(image, LAYERS, 10, label=0, names=["cat", "tree"])
    picture, *_, output = figure.axes
    assert picture.images[0].get_array().shape == (4, 5, 3)
    assert {"true class cat", "decision at step 5 of 10: class tree"} <= set(texts(figure))
    assert [label.get_text() for label in output.get_yticklabels()] == ["cat", "tree"]
    assert pixels(figure, tmp_path).std() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 2}, r"label must lie in 0\.\.1, got 2"),
        ({"names": ["a"]}, "names must be 2, one for each output, got 1"),
    ],
)
def test_other_classes_than_outputs_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        raster([[0]], LAYERS, 10, **options)
