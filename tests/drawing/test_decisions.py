"""Figures of decisions hold what they were given, for any number of classes."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import pixels, texts

from firstspike.drawing.decisions import class_bars, confusion, deadline


def test_bars_of_runs_stand_side_by_side(tmp_path):
    steps = {"ours": [10.0, None, 30], "theirs": [40.0, 50, 60]}
    figure = class_bars({"steps": steps, "spikes": {"ours": [1, 2, 3]}}, "digit")
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
        class_bars(panels)


def test_accuracy_is_drawn_against_the_deadline(tmp_path):
    figure = deadline({"a": [0, 0.5, 0.9], "b": [0, 0.1, 0.2]}, {"a": [0, 0.6, 1]})
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


def test_a_dot_at_the_last_step_has_what_potentials_decide():
    figure = deadline({"a": [0, 0.5, 0.9]}, strict={"a": 0.95})
    [dot] = figure.axes[0].collections
    assert dot.get_offsets().tolist() == [[2, 95]]
    assert "a: right, silence by potentials" in texts(figure)


@pytest.mark.parametrize(
    ("right", "decided", "strict"),
    [({}, None, None), ({"a": [0.5]}, {"b": [0.5]}, None), ({"a": [0.5]}, None, {"b": 0.5})],
)
def test_deadlines_of_no_run_are_refused(right, decided, strict):
    with pytest.raises(ValueError, match=r"^right must hold"):
        deadline(right, decided, strict)


def test_a_confusion_matrix_shows_counts_and_shares(tmp_path):
    figure = confusion([[8, 0, 0], [1, 7, 0], [0, 0, 0]])
    [axes] = figure.axes
    shades = np.asarray(axes.images[0].get_array())
    assert shades == pytest.approx(np.cbrt([[1, 0, 0], [1 / 8, 7 / 8, 0], [0, 0, 0]]))
    assert [text.get_text() for text in axes.texts] == ["8", "0", "0", "1", "7", "0", "0", "0", "0"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("decided class", "true class")
    assert pixels(figure, tmp_path).std() > 0


def test_many_classes_are_shown_without_counts():
    assert not confusion(np.eye(47, dtype=int)).axes[0].texts


@pytest.mark.parametrize("matrix", [[1, 2], [[1, 2]], np.zeros((0, 0)), [[1, 0], [-1, 2]]])
def test_what_is_no_confusion_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match=r"^matrix must"):
        confusion(matrix)


# Classes with names

LETTERS = [chr(ord("a") + place) for place in range(26)]
THINGS = ["airplane", "a$b$", *(f"thing {number}" for number in range(10))]


@pytest.mark.parametrize(("names", "rotation"), [(LETTERS, 0), (THINGS, 90)])
def test_classes_are_called_by_their_names(tmp_path, names, rotation):
    counts = np.arange(len(names) ** 2).reshape(len(names), -1)
    matrix = confusion(counts, names)
    bars = class_bars({"steps": {"ours": [1.0] * len(names)}}, names=names)
    for figure in (matrix, bars):
        [axes] = figure.axes
        labels = axes.get_xticklabels()
        assert [label.get_text() for label in labels] == names
        assert labels[0].get_rotation() == rotation
        assert pixels(figure, tmp_path).std() > 0
    assert [label.get_text() for label in matrix.axes[0].get_yticklabels()] == names
    assert len(matrix.axes[0].texts) == len(names) ** 2
    assert matrix.get_figwidth() <= 10.5


def test_many_names_find_room(tmp_path):
    names = [f"class {number}" for number in range(47)]
    assert pixels(confusion(np.eye(47, dtype=int), names), tmp_path).std() > 0


def test_names_are_as_many_as_classes():
    for draw in (
        lambda: confusion(np.eye(3), ["a", "b"]),
        lambda: class_bars({"steps": {"ours": [1, 2, 3]}}, names=["a", "b"]),
    ):
        with pytest.raises(ValueError, match=r"^names must be 3, one for each class, got 2"):
            draw()
