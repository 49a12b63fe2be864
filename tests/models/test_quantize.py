"""int8 classifiers: the kernel against a naive oracle and against the same network in floats."""

from __future__ import annotations

import naive
import pytest
import torch
from untrained import classifier as network

import firstspike as fs
from firstspike.models.quantized import quantize

IMAGES = fs.load_mnist("test").images[:60]


def assert_equal(actual, expected, *names):
    for name in names:
        assert torch.equal(getattr(actual, name), getattr(expected, name)), name


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("shift", [0.0, -1.0])
@pytest.mark.parametrize("bias", [True, False])
def test_it_decides_as_plain_integers_do(delay, shift, bias):
    """Weights rounded one by one, then `naive.fire` on integers, layer after layer."""
    images = torch.randint(0, 256, (20, 12), dtype=torch.uint8)
    model = network((12, 9, 4), shift, t_max=20, delay=delay, bias=bias)
    expected = [fs.encode(images, 20)]
    for layer in model.layers:
        weight = layer.weight.tolist()
        steps = int(127 * layer.threshold / max(abs(w) for row in weight for w in row))
        rounded = [[round(w * steps) for w in row] for row in weight]
        start = [round(b * steps) for b in layer.bias.tolist()] if bias else None
        fired = naive.fire(expected[-1].tolist(), rounded, steps, 20, start, delay)
        expected.append(torch.tensor(fired, dtype=torch.float32))
    decided = quantize(model).classify(images)
    stats = fs.spike_stats(expected, 20, delay=delay)
    assert torch.equal(decided.additions, stats.synaptic_operations)
    assert torch.equal(decided.decisions, stats.decision.long())
    assert torch.equal(decided.spikes, stats.spikes)
    spoke = decided.decisions < 20
    assert torch.equal(decided.classes[spoke], expected[-1].argmin(dim=1)[spoke])
    assert spoke.float().mean() == 0 if shift < 0 else spoke.float().mean() > 0.3


@pytest.mark.parametrize("shift", [0.0, -0.01, -1.0])
@pytest.mark.parametrize("sizes", [(784, 10), (784, 40, 10), (784, 30, 20, 10)])
def test_it_decides_as_the_same_network_in_floats(sizes, shift):
    quantized = quantize(network(sizes, shift))
    model = quantized.as_float()
    decided = quantized.classify(IMAGES)
    assert_equal(decided, model.classify(IMAGES), "classes", "decisions", "spikes", "additions")
    assert_equal(
        decided,
        model._by_layers(fs.encode(IMAGES.flatten(1))),
        "classes",
        "decisions",
        "spikes",
    )


def test_rounding_moves_no_weight_by_more_than_half_a_step():
    model = network((784, 40, 10))
    quantized = quantize(model)
    for layer, original in zip(quantized.layers, model.layers, strict=True):
        assert layer.rows.dtype == "int8" and layer.bias.dtype == "int32"
        assert layer.threshold * layer.scale == pytest.approx(original.threshold, rel=1e-12)
        error = torch.from_numpy(layer.rows).t() * layer.scale - original.weight
        assert error.abs().max() <= layer.scale / 2 * 1.001
        assert abs(layer.rows).max() > 120  # the range is used
    decided, rounded = model.classify(IMAGES), quantized.classify(IMAGES)
    assert (decided.decisions - rounded.decisions).abs().float().mean() < 2


def test_float_images_one_image_none_and_threads():
    quantized = quantize(network((784, 40, 10)))
    expected = quantized.classify(IMAGES)
    assert_equal(quantized.classify(IMAGES / 255), expected, "classes", "spikes", "additions")
    assert quantized.classify(IMAGES[7:8]).classes == expected.classes[7]
    assert quantized.classify(IMAGES[:0].numpy()).spikes.shape == (0, 3)
    many = IMAGES.repeat(2, 1, 1)
    threads = torch.get_num_threads()
    try:
        for torch_threads in (1, 2):
            torch.set_num_threads(torch_threads)
            twice = quantized.classify(many)
            assert torch.equal(twice.spikes, expected.spikes.repeat(2, 1))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 100.0])
def test_other_thresholds(threshold):
    model = network((784, 20, 10))
    with torch.no_grad():
        for layer in model.layers:
            layer.threshold = threshold
            layer.bias.sub_(1.0)
    quantized = quantize(model)
    assert {layer.threshold > 0 for layer in quantized.layers} == {threshold > 0}
    decided = quantized.classify(IMAGES)
    assert_equal(decided, quantized.as_float().classify(IMAGES), "classes", "decisions", "spikes")
    assert decided.spikes[:, 1].float().mean() > 1 or threshold == 100


def test_sums_beyond_float32_are_compared_in_float64():
    model = network((784, 20, 10))
    with torch.no_grad():
        model.layers[0].bias.fill_(-2e5)
    quantized = quantize(model)
    assert quantized.as_float().layers[0].weight.dtype == torch.float64
    decided = quantized.classify(IMAGES)
    assert_equal(decided, quantized.as_float().classify(IMAGES), "classes", "decisions", "spikes")


def test_weights_of_zero_stay_zero():
    model = network((784, 20, 10), bias=False)
    with torch.no_grad():
        model.layers[0].weight.zero_()
    quantized = quantize(model)
    assert not quantized.layers[0].rows.any()
    assert (quantized.classify(IMAGES).decisions == 256).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.weight[0, 0].fill_(float("nan")), "layer 1 are not"),
        (lambda layer: layer.bias[0].fill_(float("inf")), "layer 1 are not"),
        (lambda layer: layer.weight[0, 0].fill_(1000.0), "layer 1 has one of 1000 at threshold 1"),
        (lambda layer: layer.bias[0].fill_(1e9), "bias or threshold is too large"),
        (lambda layer: layer.weight.mul_(1e-9), "bias or threshold is too large"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    model = network((784, 40, 10))
    with torch.no_grad():
        change(model.layers[1])
    with pytest.raises(ValueError, match=message):
        quantize(model)


def test_wrong_images():
    quantized = quantize(network((784, 40, 10)))
    for images in (IMAGES[:, :27], IMAGES[0, 0], torch.zeros(3, 784, dtype=torch.int32)):
        with pytest.raises(ValueError, match="images"):
            quantized.classify(images)
