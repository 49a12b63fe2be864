"""The weights that S4NN's authors released give the figures they should, with `fire` alone.

Kheradpisheh and Masquelier, arXiv 1910.09495: 784-400-10, threshold 100, MNIST's test set. The
weights are not part of this repository; put them at ``../shared/data/s4nn-pretrained/weights.npz``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from firstspike import T_MAX, encode, fire
from firstspike.data import load_mnist

WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "s4nn-pretrained" / "weights.npz"
CLASSES = torch.tensor([4, 1, 0, 7, 9, 2, 3, 5, 8, 6])  # label of each output neuron
THRESHOLD = 100.0

pytestmark = pytest.mark.skipif(
    not WEIGHTS.exists(), reason="S4NN's released weights are not at ../shared/data/s4nn-pretrained"
)


@pytest.fixture(scope="module")
def weights():
    with np.load(WEIGHTS) as file:
        return [torch.from_numpy(file[name]).double() for name in ("w_hidden", "w_out")]


@pytest.mark.parametrize(("delay", "step", "spikes"), [(1, 83.16, 175.42), (0, 81.18, 174.41)])
def test_published_weights(weights, delay, step, spikes):
    test = load_mnist("test")
    layers = [encode(test.images.flatten(1)).double()]
    for weight in weights:
        layers.append(fire(layers[-1], weight, threshold=THRESHOLD, delay=delay))
    hidden, output = layers[1:]
    decision = output.amin(dim=1)

    # Where no output spikes, the largest potential at the end decides.
    potential = (hidden + delay < T_MAX).double() @ weights[1].t()
    scores = torch.where(decision[:, None] < T_MAX, -output, potential)
    right = CLASSES[scores.argmax(dim=1)] == test.labels
    among = scores == scores.amax(dim=1, keepdim=True)
    among_right = (among & (test.labels[:, None] == CLASSES)).any(dim=1)
    assert percent(right) == 96.11
    assert percent(among_right) == 96.69

    assert round(decision.mean().item(), 2) == step
    until = [(times <= decision[:, None]) & (times < T_MAX) for times in layers]
    assert round(sum(x.sum().item() for x in until) / len(decision), 2) == spikes
    assert round((hidden < T_MAX).double().sum(dim=1).mean().item(), 1) == 109.1


def percent(values):
    return round(100 * values.double().mean().item(), 2)
