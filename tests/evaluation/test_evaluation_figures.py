"""The figures that an evaluation leaves: in a folder, whole, and for images of any kind."""

from __future__ import annotations

import pytest
import torch
from hand import IMAGES, T_MAX, hand_made, network, pictures
from PIL import Image

from firstspike.commands.evaluate_figures import save_classifier_figures
from firstspike.drawing import figures
from firstspike.evaluation.classifiers import evaluate_classifier

FIGURES = ["per-class", "deadline", "filters", "confusion", "raster"]


@pytest.fixture(scope="module")
def report():
    return evaluate_classifier(hand_made(), IMAGES, T_MAX)


def test_figures_are_written(tmp_path, report):
    paths = save_classifier_figures(tmp_path / "figures", report, hand_made(), IMAGES)
    assert [path.name for path in paths] == [f"{name}.png" for name in FIGURES]
    assert sorted(paths) == sorted((tmp_path / "figures").iterdir())
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 250


def test_another_network_stands_beside(tmp_path, report, monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "save", lambda path, figure: drawn.update({path.stem: figure}))
    save_classifier_figures(
        tmp_path,
        report,
        hand_made(),
        IMAGES,
        report.as_dict(),
        compare_weight=torch.ones(7, 784, requires_grad=True),
        names=("ours", "S4NN"),
        example=3,
    )
    legend = drawn["per-class"].axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "S4NN"]
    assert [axes.get_title() for axes in drawn["filters"].axes[:2]] == ["ours", "S4NN"]
    assert [line.get_label() for line in drawn["deadline"].axes[0].lines] == [
        "ours: decided right",
        "ours: decided at all",
        "S4NN: decided right",
        "S4NN: decided at all",
    ]
    dots = [dot.get_offsets()[0] for dot in drawn["deadline"].axes[0].collections]
    assert [list(dot) for dot in dots] == [[report.t_max, 100 * report.strict_accuracy]] * 2
    picture, *panels = drawn["raster"].axes
    assert picture.get_title() == "true class 1"
    assert [axes.lines[0].get_xdata()[0] for axes in panels] == [6, 6, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compare": {}}, "record lacks 'data'"),
        ({"names": ("a", "a")}, "names must differ, got 'a' twice"),
        ({"example": 5}, r"example must lie in 0\.\.4, got 5"),
        ({"compare_weight": torch.ones(5, 783)}, "weights of the other must be"),
    ],
)
def test_figures_that_cannot_be_drawn_leave_nothing(tmp_path, report, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        save_classifier_figures(tmp_path, report, hand_made(), IMAGES, **options)
    assert not list(tmp_path.iterdir())


def test_networks_of_other_classes_are_not_compared(tmp_path, report):
    other = evaluate_classifier(network((784, 3)), IMAGES, T_MAX).as_dict()
    with pytest.raises(ValueError, match=r"^compare must be about a network with as many classes"):
        save_classifier_figures(tmp_path, report, hand_made(), IMAGES, other)


@pytest.mark.parametrize("classes", [12, 26])
def test_pictures_in_colour_of_named_classes_are_drawn(tmp_path, classes, monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "save", lambda path, figure: drawn.update({path.stem: figure}))
    images = pictures(classes)
    model = network((3 * 12 * 9, 6, classes), init=None, bias=True)
    report = evaluate_classifier(model, images, T_MAX)
    save_classifier_figures(tmp_path, report, model, images, example=1)
    names = list(images.names)
    for name in ("per-class", "confusion"):
        assert [text.get_text() for text in drawn[name].axes[0].get_xticklabels()] == names
    tiles = drawn["filters"].axes[0].images[0].get_array()
    assert tiles.shape == (2 * (3 * 12 + 1) - 1, 5 * (9 + 1) - 1)
    picture = drawn["raster"].axes[0]
    assert picture.get_title() == "true class thing 1"
    assert picture.images[0].get_array().shape == (12, 9, 3)
