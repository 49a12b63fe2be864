import numpy as np
import torch

from firstspike.data import ImageSet, load_mnist
from firstspike.report import illustrations


def test_refractory_periods_leave_the_spikes_that_the_titles_say():
    panels = illustrations.refractory_traces().axes
    # Unit input exceeds 10 in 11 steps: 256 // 11 spikes without rest, one with a rest of 256.
    assert panels[0].get_title("left").endswith("0: 23 spikes")
    assert panels[3].get_title("left").endswith("256: 1 spike")


def test_peak_rates_start_at_the_charging_time():
    line, marked = illustrations.peak_rates().axes[0].get_lines()
    assert line.get_ydata()[0] == 1 / 11 and line.get_ydata()[256] == 1 / 267
    assert list(marked.get_xdata()) == [0, 10, 100, 256]


def test_the_encoder_shows_each_lit_pixel_once():
    image = torch.zeros(28, 28, dtype=torch.uint8)
    image[3, 4], image[5, 6] = 255, 51
    [points] = [
        axes.collections[0].get_offsets()
        for axes in illustrations.encoder(image).axes
        if axes.collections
    ]
    assert sorted(map(tuple, np.asarray(points))) == [(0.0, 88.0), (204.0, 146.0)]


def test_loss_vectors_are_the_errors_of_the_loss():
    a, b = illustrations.loss_vectors().axes
    errors = [[text.get_text() for text in axes.texts if text.get_text()] for axes in (a, b)]
    assert errors == [["error +60", "error −166"], ["error 0", "error −106"]]  # noqa: RUF001


def test_all_figures_can_be_drawn():
    drawn = illustrations.draw(load_mnist("test"))
    assert list(drawn) == ["1a", "1b", "2", "3", "5"]
    assert all(draw().axes for draw in drawn.values())


def test_spikes_are_those_that_a_loop_counts():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (3, 28, 28), dtype=np.uint8))
    images[images < 60] = 0
    sets = [
        ImageSet(images[:1], torch.zeros(1).long(), "a"),
        ImageSet(images[1:], torch.ones(2).long(), "b"),
    ]
    counts = illustrations.count_spikes(sets)
    pixels = [int(pixel) for pixel in images.flatten()]
    assert counts["images"] == 3 and counts["pixels"] == 784
    assert np.isclose(counts["count"], sum(pixels) / 3)
    assert np.isclose(counts["count_inverted"], sum(255 - pixel for pixel in pixels) / 3)
    assert np.isclose(counts["first_spike"], sum(pixel > 0 for pixel in pixels) / 3)


def test_the_papers_counts_of_mnist():
    counts = illustrations.count_spikes([load_mnist("train"), load_mnist("test")])
    assert (round(counts["count_inverted"]), round(counts["count"])) == (173_745, 26_175)
