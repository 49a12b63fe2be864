"""Figures hold what they were given; their files are whole or absent."""

from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from firstspike.drawing import figures

STATS = [{"epoch": e, "loss": 1 / (e + 1), "fid": e or None, "note": None} for e in range(4)]


def texts(figure):
    """Everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def pixels(figure, folder):
    """The figure as its file shows it."""
    figures.save(folder / "figure.png", figure)
    with Image.open(folder / "figure.png") as picture:
        return np.asarray(picture.convert("RGB"))


# Files


def test_a_figure_is_saved_with_its_folder_and_replaces_an_older_one(tmp_path):
    file = tmp_path / "a" / "b" / "figure.png"
    figures.save(file, Figure(figsize=(1, 1)))
    figures.save(str(file), Figure(figsize=(4, 2)))
    with Image.open(file) as picture:
        assert picture.size == (600, 300)
    assert [path.name for path in file.parent.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_an_unknown_figure_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: no figure format has this suffix; use .png"):
        figures.save(tmp_path / name, Figure())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_older_figure(tmp_path, monkeypatch):
    file = tmp_path / "figure.png"
    file.write_bytes(b"old")

    def write_half(_, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", write_half)
    with pytest.raises(ValueError, match=r"figure\.png: cannot be written: No space left"):
        figures.save(file, Figure())
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    assert file.read_bytes() == b"old"


def test_matplotlib_is_imported_when_something_is_drawn_and_pyplot_never(tmp_path):
    code = (
        "import sys; from firstspike.drawing import figures; "
        "assert 'matplotlib' not in sys.modules; "
        "figures.save(sys.argv[1], figures.confusion([[1, 2], [3, 4]])); "
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], check=True)


# Learning curves


def test_learning_curves_show_the_fields_that_records_have(tmp_path):
    figure = figures.learning_curves(STATS, {"Loss": ["loss"], "Both": ["fid", "loss"]})
    above, below = figure.axes
    assert [list(line.get_xdata()) for line in below.lines] == [[1, 2, 3], [0, 1, 2, 3]]
    assert above.lines[0].get_ydata()[1] == 0.5
    assert {"Loss", "Both", "fid", "epoch"} <= set(texts(figure))
    assert len(np.unique(pixels(figure, tmp_path).reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({}, "series must name"),
        ({"Loss": []}, "series must name"),
        ({"Loss": ["los"]}, r"series: no record of stats has 'los'; .*'loss'"),
        ({"Note": ["note"]}, "series: no record of stats has 'note'"),
    ],
)
def test_curves_of_nothing_are_refused(series, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        figures.learning_curves(STATS, series)


# Bars of each class


def test_bars_of_runs_stand_side_by_side(tmp_path):
    steps = {"ours": [10.0, None, 30], "theirs": [40.0, 50, 60]}
    figure = figures.class_bars({"steps": steps, "spikes": {"ours": [1, 2, 3]}}, "digit")
    left, right = figure.axes
    ours, theirs = left.containers
    assert [bar.get_height() for bar in theirs] == [40, 50, 60]
    assert [bar.get_height() for bar in ours][::2] == [10, 30]
    assert np.isnan(ours[1].get_height())
    ends = [bar.get_x() + bar.get_width() for bar in ours]
    assert ends == pytest.approx([bar.get_x() for bar in theirs])
    assert (left.get_ylabel(), right.get_ylabel(), left.get_xlabel()) == (
        "steps",
        "spikes",
        "digit",
    )
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["ours", "theirs"]
    assert right.get_legend() is None
    assert pixels(figure, tmp_path).std() > 0


@pytest.mark.parametrize("panels", [{}, {"a": {}}, {"a": {"x": [1], "y": [1, 2]}}])
def test_bars_that_do_not_fit_are_refused(panels):
    with pytest.raises(ValueError, match=r"^panels must hold runs"):
        figures.class_bars(panels)


# Filters


def test_filters_are_tiles_of_one_picture(tmp_path):
    weight = np.arange(1.0, 4 * 9 + 1).reshape(4, 9)
    figure = figures.filters({"net": weight}, count=4, columns=2)
    picture = figure.axes[0].images[0]
    shown = np.asarray(picture.get_array().filled(np.nan))
    assert shown.shape == (7, 7)
    assert np.isnan(shown[3]).all() and np.isnan(shown[:, 3]).all()
    assert np.array_equal(shown[:3, 4:], weight[1].reshape(3, 3))
    assert np.array_equal(shown[4:, :3], weight[2].reshape(3, 3))
    low, high = picture.get_clim()
    assert low == -high and 34 < high < 36
    assert {"net", "weight"} <= set(texts(figure))
    assert pixels(figure, tmp_path).std() > 0


def test_the_seed_chooses_the_filters():
    weight = torch.arange(40.0)[:, None].expand(40, 4)

    def chosen(**options):
        figure = figures.filters({"a": weight, "b": weight * 2}, **options)
        return [set(np.unique(axes.images[0].get_array().compressed())) for axes in figure.axes[:2]]

    first, second = chosen()
    assert len(first) == 15
    assert second == {2 * value for value in first}
    assert chosen() == [first, second]
    assert chosen(seed=1) != [first, second]


def test_few_or_silent_filters_are_shown():
    [axes, _] = figures.filters({"net": np.zeros((2, 4))}).axes
    assert axes.images[0].get_array().count() == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "weights must hold at least one network"),
        (({"net": np.zeros((4, 8))},), r"weights of net must be .* got \[4, 8\]"),
        (({"net": np.zeros(9)},), "weights of net must be"),
        (({"net": np.zeros((0, 9))},), "weights of net must be"),
        (({"net": np.zeros((4, 9))}, 0), "count must be at least 1"),
        (({"net": np.zeros((4, 9))}, 1, 0, 0), "columns must be at least 1"),
    ],
)
def test_filters_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        figures.filters(*arguments)


# Accuracy against latency


def test_accuracy_is_drawn_against_the_deadline(tmp_path):
    figure = figures.deadline({"a": [0, 0.5, 0.9], "b": [0, 0.1, 0.2]}, {"a": [0, 0.6, 1]})
    [axes] = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [
        [0, 50, 90],
        [0, 60, 100],
        [0, 10, 20],
    ]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() != axes.lines[2].get_color()
    assert "time steps" in axes.get_xlabel() and "%" in axes.get_ylabel()
    assert {"a: decided right", "a: decided at all", "b: decided right"} <= set(texts(figure))
    assert pixels(figure, tmp_path).std() > 0


@pytest.mark.parametrize(("right", "decided"), [({}, None), ({"a": [0.5]}, {"b": [0.5]})])
def test_deadlines_of_no_run_are_refused(right, decided):
    with pytest.raises(ValueError, match=r"^right must hold"):
        figures.deadline(right, decided)


# Rasters

LAYERS = [np.array([0.0, 3, 9, 10]), np.array([2.0, 7, 5]), np.array([10.0, 5])]


def test_a_raster_ends_with_the_decision(tmp_path):
    figure = figures.raster(np.zeros((2, 2), np.uint8), LAYERS, 10, label=1)
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
    assert "decision at step 4 of 10: class 0 and 2" in texts(figures.raster([[0]], tied, 10))
    silent = figures.raster([[0]], [*LAYERS[:2], np.array([10.0, 10])], 10)
    assert any("no output spike in 10 time steps" in text for text in texts(silent))
    assert [len(axes.collections[0].get_offsets()) for axes in silent.axes[1:]] == [3, 3, 0]


def test_a_network_without_hidden_neurons_has_a_raster():
    assert len(figures.raster([[0]], [LAYERS[0], LAYERS[2]], 10).axes) == 3


@pytest.mark.parametrize(
    ("image", "layers", "message"),
    [
        ([0], LAYERS, r"image must be \[height, width\], got \[1\]"),
        ([[0]], LAYERS[:1], "layer_times must be"),
        ([[0]], [LAYERS[0][None], *LAYERS[1:]], "layer_times must be"),
        ([[0]], [LAYERS[0] + 1, *LAYERS[1:]], r"layer_times must lie in 0\.\.10"),
        ([[0]], [LAYERS[0] * np.nan, *LAYERS[1:]], r"layer_times must lie in 0\.\.10"),
    ],
)
def test_races_that_cannot_be_drawn_are_refused(image, layers, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        figures.raster(image, layers, 10)


# Confusion matrices


def test_a_confusion_matrix_shows_counts_and_shares(tmp_path):
    figure = figures.confusion([[8, 0, 0], [1, 7, 0], [0, 0, 0]])
    [axes] = figure.axes
    shades = np.asarray(axes.images[0].get_array())
    assert shades == pytest.approx(np.cbrt([[1, 0, 0], [1 / 8, 7 / 8, 0], [0, 0, 0]]))
    assert [text.get_text() for text in axes.texts] == ["8", "0", "0", "1", "7", "0", "0", "0", "0"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("decided class", "true class")
    assert pixels(figure, tmp_path).std() > 0


def test_many_classes_are_shown_without_counts():
    assert not figures.confusion(np.eye(47, dtype=int)).axes[0].texts


@pytest.mark.parametrize("matrix", [[1, 2], [[1, 2]], np.zeros((0, 0)), [[1, 0], [-1, 2]]])
def test_what_is_no_confusion_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match=r"^matrix must"):
        figures.confusion(matrix)


# Sets of samples


def test_histograms_share_their_intervals():
    drawn = figures.histogram({"a": [0, 0, 1], "b": [4.0]}, "distance", bins=4)
    [axes] = drawn.axes
    assert axes.get_xlabel() == "distance"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    heights = [patch.get_xy()[:, 1].max() for patch in axes.patches]
    assert heights == pytest.approx([2 / 3, 1.0])
    for bad in ({}, {"a": []}, {"a": [np.nan]}):
        with pytest.raises(ValueError, match="samples must hold at least one set"):
            figures.histogram(bad, "x")


def test_image_rows_name_groups_and_columns():
    images = np.linspace(0, 1, 6)[:, None, None] * np.ones((6, 4, 4))
    drawn = figures.image_rows({"data": images[:2], "samples": images[2:]}, 2, ["3", "5"])
    top, bottom = drawn.axes
    assert [top.get_ylabel(), bottom.get_ylabel()] == ["data", "samples"]
    assert [text.get_text() for text in top.get_xticklabels()] == ["3", "5"]
    pixels = bottom.images[0].get_array()
    assert pixels.shape == (10, 10) and pixels[0, 0] == 102 and pixels[-1, -1] == 255
    for groups in ({}, {"a": images[:3]}, {"a": images[:0]}):
        with pytest.raises(ValueError, match="rows of 2 images"):
            figures.image_rows(groups, 2)
