"""A trainer's call makes what its options need, and keeps hundreds of thousands of images once."""

from __future__ import annotations

import copy
import pickle

import pytest
from processes import run_python

from firstspike.nn import FirstSpikeLinear
from firstspike.training import kinds, paired
from firstspike.training.classifier import AnnTraining, SpikingTraining
from firstspike.training.config import (
    AnnGanConfig,
    ClassifierConfig,
    GanConfig,
    ann_classifier_defaults,
    classifier_defaults,
)
from firstspike.training.convolutional import ConvAnnGan, ConvRampGan
from firstspike.training.deep import DenseTraining, RampTraining
from firstspike.training.gan import AnnGan, SpikingGan


@pytest.mark.parametrize(
    ("called", "config", "made"),
    [
        (SpikingGan, GanConfig(), paired.RampGan),
        (SpikingGan, GanConfig(network="conv"), ConvRampGan),
        (AnnGan, AnnGanConfig(), paired.PairedAnnGan),
        (AnnGan, AnnGanConfig(network="conv"), ConvAnnGan),
        (AnnGan, AnnGanConfig(loss="cross-entropy"), AnnGan),
        (SpikingTraining, ClassifierConfig(), SpikingTraining),
        (SpikingTraining, classifier_defaults({"neuron": "ramp"}), RampTraining),
        (AnnTraining, ann_classifier_defaults({"network": "20-10"}), DenseTraining),
    ],
)
def test_options_choose_the_class(called, config, made):
    trainer = called(config)
    assert type(trainer) is made
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert type(other) is made


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [("gan", {"recipe": "paper"}), ("classifier", {}), ("classifier", {"loss": "s4nn"})],
)
def test_weights_of_step_networks_are_stored_for_speed(kind, chosen):
    entry = kinds.find(kind)
    trainer = kinds.load(entry.trainer)(entry.defaults(chosen))
    layers = [
        module
        for network in trainer.networks.values()
        for module in network.modules()
        if isinstance(module, FirstSpikeLinear)
    ]
    assert len(layers) >= 2
    assert all(layer.weight.t().is_contiguous() for layer in layers)


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_images_are_kept_once(kind, network):
    """Memory at the peak, beside what is kept."""
    pytest.importorskip("resource")
    run_python(
        "import dataclasses, resource, torch\n"
        "from firstspike.data import ImageSet\n"
        "from firstspike.training import kinds\n"
        f"entry, choice = kinds.find({kind!r}), {{'network': {network!r}}}\n"
        "options = {'conditional': True, 'digit': 'all', **choice}\n"
        "config = dataclasses.replace(entry.defaults(choice), **options)\n"
        "images = torch.zeros(30_000, 28, 28, dtype=torch.uint8)\n"
        "images = ImageSet(images, torch.arange(30_000) % 10, 'many')\n"
        "trainer = kinds.load(entry.trainer)(config)\n"
        "def most():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = most()\n"
        "kept = trainer.prepare(images)\n"
        "assert most() - before < 1.5 * kept.nbytes, (most() - before, kept.nbytes)\n"
    )
