"""The demo's race of ramp neurons: windows one after the other, on the same decision."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from untrained import run as untrained_run

import firstspike as fs
from firstspike.demo import networks
from firstspike.demo.api import Api, Request
from firstspike.demo.race import race
from firstspike.models.networks import NetworkClassifier
from firstspike.nn import FirstSpikeConv2d, FirstSpikeLinear, Residual

T_MAX = 16
HOW = {"neuron": "ramp", "t_max": T_MAX}
DIGITS = fs.load_mnist("test").images[:12].numpy()


def network(name: str, shift: float) -> NetworkClassifier:
    torch.manual_seed(0)
    made = {
        "dense": lambda: (nn.Flatten(), FirstSpikeLinear(784, 20, **HOW)),
        "branches": lambda: (
            FirstSpikeConv2d(1, 2, 3, 2, pool=2, **HOW),
            Residual(FirstSpikeConv2d(2, 2, 3, padding=1, **HOW)),
            nn.Flatten(),
            Residual(FirstSpikeLinear(72, 20, **HOW), shortcut=nn.Linear(72, 20, bias=False)),
        ),
    }[name]()
    network = NetworkClassifier(*made, FirstSpikeLinear(20, 10, **HOW))
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    nn.init.constant_(network[-1].bias, shift)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("shift", [0.0, -30.0])
@pytest.mark.parametrize("name", ["dense", "branches"])
def test_it_is_what_the_classifier_does(name, shift):
    model = network(name, shift)
    decided = model.classify(DIGITS)
    steps = model.windows * T_MAX
    for n, image in enumerate(DIGITS):
        told = json.loads(json.dumps(race(model, image)))
        assert (told["winner"], told["decision"]) == (decided.classes[n], decided.decisions[n])
        assert (told["t_max"], told["window"]) == (steps, T_MAX)
        spikes = decided.spikes[n].tolist()
        assert told["spikes"] == spikes and told["additions"] == decided.additions[n]
        assert spikes == [
            sum(t <= told["decision"] and t < steps for t in layer) for layer in told["times"]
        ]
        met = sum(r * s for r, s in zip(told["reach"], spikes, strict=False))
        assert met == pytest.approx(told["additions"])
    assert bool((decided.decisions == steps).all()) == (shift < 0)  # both cases are met


@pytest.mark.parametrize("name", ["dense", "branches"])
def test_layers_answer_in_their_windows_and_outputs_when_they_reach_the_threshold(name):
    model, met = network(name, 0.0), set()
    for image in DIGITS:
        told = race(model, image)
        steps = told["t_max"]
        for number, layer in enumerate(told["times"]):
            assert {t // T_MAX for t in layer if t < steps} <= {number}
        potentials = np.array(told["potentials"])
        assert potentials.shape == (steps, 10) and not potentials[: steps - 2 * T_MAX].any()
        own = potentials[-T_MAX:]
        for neuron, time in enumerate(told["times"][-1]):
            reached = (own[:, neuron] > 1 - 1e-4).nonzero()[0]
            near = abs(own[:, neuron] - 1).min() < 2e-4  # a rounding decides
            met.add(time < steps)
            assert near or time == (steps - T_MAX + reached[0] if len(reached) else steps)
    assert met == {True, False}


def test_runs_of_ramp_classifiers_are_offered_and_raced(tmp_path):
    untrained_run(tmp_path / "cnn", "classifier", neuron="ramp", network="4c3p2-8")
    offers, left_out = networks.given([tmp_path])
    assert [offer.part for offer in offers] == ["race"] and not left_out
    assert offers[0].as_dict()["options"]["network"] == "4c3p2-8"
    api = Api(networks.Shelf(offers))
    picture = api.digit(Request({"network": "0", "pick": "3"}))
    image = np.array(picture["pixels"], np.uint8).reshape(28, 28)
    image.flags.writeable = False  # as pictures of a request are
    model = api.shelf.classifier(0)
    assert isinstance(model, NetworkClassifier)
    assert race(model, image)["window"] == 64 and race(model, image)["t_max"] == 4 * 64
    assert race(model, image)["winner"] == model.classify(image[None]).classes
