"""The race of a whole network: results of the layer-by-layer path, at the cost of its spikes."""

from __future__ import annotations

import pytest
import torch

import firstspike as fs
from firstspike import models

IMAGES = fs.load_mnist("test").images[:150]


def network(sizes: tuple[int, ...], shift: float, **layer: object) -> models.Classifier:
    """Random layers; ``shift`` moves the weights of the last one."""
    torch.manual_seed(0)
    model = models.Classifier(*models.spiking_network(sizes, **layer))
    with torch.no_grad():
        model.layers[-1].weight += shift
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(-0.3, 0.5)
    return model


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("shift", [0.0, -0.01, -1.0])
@pytest.mark.parametrize("sizes", [(784, 40, 10), (784, 30, 20, 10), (784, 10)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_decides_as_layer_by_layer(sizes, shift, delay, bias):
    model = network(sizes, shift, delay=delay, bias=bias)
    raced = model.classify(IMAGES)
    expected = model._by_layers(fs.encode(IMAGES.flatten(1)))
    for name in ("classes", "decisions", "spikes"):
        assert torch.equal(getattr(raced, name), getattr(expected, name)), name
    # A spike on its way when the decision falls is counted there, but was never added here.
    assert (raced.additions <= expected.additions).all()
    if delay == 0:
        assert torch.equal(raced.additions, expected.additions)


def test_the_cases_above_hold_decisions_and_silence():
    decided = network((784, 40, 10), 0.0).classify(IMAGES).decisions
    assert (decided < 256).all() and decided.unique().numel() > 3
    silent = network((784, 40, 10), -1.0).classify(IMAGES).decisions
    assert (silent == 256).all()


def test_it_stops_at_the_first_output_spike():
    """Later spikes cost nothing: an image cut off after the decision gives the same additions."""
    model = network((784, 40, 10), 0.0)
    times = fs.encode(IMAGES.flatten(1))
    whole = model._race(times)
    cut = torch.where(times <= whole.decisions[:, None], times, 256)
    after = model._race(cut)
    for name in ("classes", "decisions", "spikes", "additions"):
        assert torch.equal(getattr(whole, name), getattr(after, name)), name
    end = fs.spike_stats(model.layer_times(times), until="end").synaptic_operations
    assert whole.additions.sum() < 0.5 * end.sum()


def test_float64_one_image_and_none():
    model = network((784, 40, 10), 0.0)
    all_of_them = model.classify(IMAGES)
    one = model.classify(IMAGES[7:8])
    assert one.classes.tolist() == all_of_them.classes[7:8].tolist()
    assert model.classify(IMAGES[:0]).spikes.shape == (0, 3)
    double = model.double().classify(IMAGES)
    assert torch.equal(double.decisions, all_of_them.decisions)
