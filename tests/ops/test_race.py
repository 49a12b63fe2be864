"""The race of a whole network: results of the layer-by-layer path, at the cost of its spikes."""

from __future__ import annotations

import copy
import pickle

import numba
import pytest
import torch
from processes import run_python
from untrained import classifier as network

import firstspike as fs
from firstspike.ops.cpu import threads

PLAIN = bool(numba.config.DISABLE_JIT)  # kernels as Python, hundreds of times slower
IMAGES = fs.load_mnist("test").images[: 8 if PLAIN else 150]


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("shift", [0.0, -0.01, -1.0])
@pytest.mark.parametrize("sizes", [(784, 40, 10), (784, 100, 70, 10), (784, 10), (784, 20, 130)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_decides_as_layer_by_layer(sizes, shift, delay, bias):
    model = network(sizes, shift, delay=delay, bias=bias)
    raced = model.classify(IMAGES)
    expected = model._by_layers(fs.encode(IMAGES.flatten(1)))
    for name in ("classes", "decisions", "spikes", "additions"):
        assert torch.equal(getattr(raced, name), getattr(expected, name)), name


def test_the_cases_above_hold_decisions_and_silence():
    decided = network((784, 40, 10), 0.0).classify(IMAGES).decisions
    assert (decided < 256).all() and decided.unique().numel() > 3
    silent = network((784, 40, 10), -1.0).classify(IMAGES).decisions
    assert (silent == 256).all()


def test_it_stops_at_the_first_output_spike():
    """Later spikes cost nothing: an image cut off after the decision gives the same additions."""
    model = network((784, 40, 10), 0.0)
    times = fs.encode(IMAGES.flatten(1))
    whole = model.classify(IMAGES)
    cut = torch.where(times <= whole.decisions[:, None], times, 256)
    after = model.classify(fs.decode(cut))
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


def test_floats_and_bytes_are_the_same_images():
    model = network((784, 70, 10), 0.0)
    bytes_, floats = model.classify(IMAGES), model.classify((IMAGES / 255).numpy())
    for name in ("classes", "decisions", "spikes", "additions"):
        assert torch.equal(getattr(bytes_, name), getattr(floats, name)), name


@pytest.mark.parametrize("images", [IMAGES[:, 1:], IMAGES[0, 0], torch.zeros(2, 785)])
def test_images_of_another_size_are_refused(images):
    with pytest.raises(ValueError, match=r"images must be .* with 784 pixels"):
        network((784, 10), 0.0).classify(images)


def assert_races_as_it_is(model, images=IMAGES):
    expected = model._by_layers(fs.encode(images.flatten(1)).to(model[0].weight))
    assert torch.equal(model.classify(images).spikes, expected.spikes)


def test_every_change_of_the_network_counts():
    """The parameters are seen where they lie, whoever changes them and by whatever means."""
    model = network((784, 70, 10), 0.0)
    assert_races_as_it_is(model)
    before = model.classify(IMAGES).spikes
    model[0].weight.detach().numpy()[:] *= 1.5
    assert_races_as_it_is(model)
    assert not torch.equal(model.classify(IMAGES).spikes, before)
    model[0].threshold = 0.5
    assert_races_as_it_is(model)
    model[1].bias = torch.nn.Parameter(torch.full((10,), -3.0))
    assert_races_as_it_is(model)
    model[0].weight.data = model[0].weight.detach().contiguous() + 0.01  # not the usual layout
    assert_races_as_it_is(model)
    with torch.no_grad():
        model[0].weight *= -1
    assert_races_as_it_is(model)
    assert_races_as_it_is(model.double())


def test_copies_have_parameters_of_their_own():
    model = network((784, 70, 10), 0.0)
    before = model.classify(IMAGES).spikes
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            other[0].weight.mul_(0.5)
        assert_races_as_it_is(other)
        assert torch.equal(model.classify(IMAGES).spikes, before)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 0)
    model = network((784, 70, 10), 0.0)
    before = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(model.classify(IMAGES).spikes)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_it_races_without_compilation():
    run_python(
        "import test_race as t\n"
        "t.assert_races_as_it_is(t.network((784, 70, 10), 0.0), t.IMAGES[:2])\n",
        NUMBA_DISABLE_JIT="1",
    )
