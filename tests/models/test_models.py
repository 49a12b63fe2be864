"""The networks have the paper's sizes."""

from __future__ import annotations

import itertools

import pytest
import torch

from firstspike import models


def widths(network):
    linear = [module for module in network.modules() if hasattr(module, "in_features")]
    for before, after in itertools.pairwise(linear):
        assert before.out_features == after.in_features
    return [linear[0].in_features, *(module.out_features for module in linear)]


PAIRS = [
    (models.classifier, models.ann_classifier, [784, 400, 10], 10),
    (models.generator, models.ann_generator, [100, 400, 784], 784),
    (models.discriminator, models.ann_discriminator, [784, 400, 2], 1),
]


@pytest.mark.parametrize(("spiking", "dense", "sizes", "dense_outputs"), PAIRS)
def test_sizes(spiking, dense, sizes, dense_outputs):
    assert widths(spiking()) == sizes
    assert widths(dense()) == [*sizes[:-1], dense_outputs]
    assert widths(spiking(hidden=7)) == [sizes[0], 7, sizes[2]]
    assert widths(dense(hidden=7)) == [sizes[0], 7, dense_outputs]
    inputs = torch.zeros(3, sizes[0])
    assert spiking()(inputs).shape == (3, sizes[-1])
    assert dense()(inputs).shape == (3, dense_outputs)


def test_spiking_gan_has_2470_neurons():
    """Both networks with their input neurons: 100 + 400 + 784 and 784 + 400 + 2."""
    assert sum(widths(models.generator())) + sum(widths(models.discriminator())) == 2470


def test_classes():
    assert widths(models.classifier(classes=3))[-1] == 3
    assert widths(models.ann_classifier(classes=3))[-1] == 3


def test_dense_twins_end_as_the_paper_says():
    assert isinstance(models.ann_generator()[-1], torch.nn.Tanh)
    assert models.ann_generator()(torch.randn(4, 100)).abs().max() <= 1
    for dense in (models.ann_classifier, models.ann_discriminator):
        assert isinstance(dense()[-1], torch.nn.Linear)
        assert isinstance(dense()[1], torch.nn.ReLU)


def test_only_the_output_layer_pulls():
    network = models.spiking_network((6, 5, 4, 3), threshold=2.0, t_max=9, bias=False)
    assert [layer.silent for layer in network.layers] == ["zero", "zero", "pull"]
    for layer in network.layers:
        assert (layer.threshold, layer.t_max, layer.bias) == (2.0, 9, None)
    hidden = models.spiking_network((6, 5, 3), silent="pull").layers
    assert [layer.silent for layer in hidden] == ["pull", "pull"]
