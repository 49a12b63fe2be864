"""Filters are tiles of the weights that they were given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn import pixels, texts

from firstspike.drawing.weights import filters


def test_filters_are_tiles_of_one_picture(tmp_path):
    weight = np.arange(1.0, 4 * 9 + 1).reshape(4, 3, 3)
    figure = filters({"net": weight}, count=4, columns=2)
    picture = figure.axes[0].images[0]
    shown = np.asarray(picture.get_array().filled(np.nan))
    assert shown.shape == (7, 7)
    assert np.isnan(shown[3]).all() and np.isnan(shown[:, 3]).all()
    assert np.array_equal(shown[:3, 4:], weight[1])
    assert np.array_equal(shown[4:, :3], weight[2])
    low, high = picture.get_clim()
    assert low == -high and 34 < high < 36
    assert {"net", "weight"} <= set(texts(figure))
    assert pixels(figure, tmp_path).std() > 0


def test_the_seed_chooses_the_filters():
    weight = torch.arange(40.0)[:, None, None].expand(40, 2, 2)

    def chosen(**options):
        figure = filters({"a": weight, "b": weight * 2}, **options)
        return [set(np.unique(axes.images[0].get_array().compressed())) for axes in figure.axes[:2]]

    first, second = chosen()
    assert len(first) == 15
    assert second == {2 * value for value in first}
    assert chosen() == [first, second]
    assert chosen(seed=1) != [first, second]


def test_few_or_silent_filters_are_shown():
    [axes, _] = filters({"net": np.zeros((2, 2, 2))}).axes
    assert axes.images[0].get_array().count() == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "weights must hold at least one network"),
        (({"net": np.zeros((4, 8))},), r"weights of net must be .* got \[4, 8\]"),
        (({"net": np.zeros(9)},), "weights of net must be"),
        (({"net": np.zeros((0, 3, 3))},), "weights of net must be"),
        (({"net": np.zeros((4, 3, 3))}, 0), "count must be at least 1"),
        (({"net": np.zeros((4, 3, 3))}, 1, 0, 0), "columns must be at least 1"),
    ],
)
def test_filters_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        filters(*arguments)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_channels_stand_one_below_the_other(tmp_path, channels):
    weight = np.random.default_rng(0).normal(size=(4, channels, 6, 5))
    figure = filters({"net": weight}, count=2, columns=2)
    shown = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    assert shown.shape == (channels * 6, 2 * 5 + 1)
    [first] = [neuron for neuron in weight if neuron[0, 0, 0] == shown[0, 0]]
    for channel in range(channels):
        assert np.array_equal(shown[6 * channel : 6 * channel + 6, :5], first[channel])
    assert pixels(figure, tmp_path).std() > 0
