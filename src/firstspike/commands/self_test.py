"""A short trial of the real thing: networks of both neurons, trained and held to the naive rule.

The naive rule is written here once more, as loops over time steps in NumPy. Trained weights are
rounded to a grid on which float64 adds them up exactly, so that every spike time must be equal.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from firstspike.coding import encode
from firstspike.data import ImageSet, Parts, load_mnist
from firstspike.demo import networks
from firstspike.models import Classifier
from firstspike.nn import FirstSpikeLinear
from firstspike.shape import MNIST
from firstspike.training import kinds

TRAINED, TESTED, SIMULATED = 5000, 1000, 10  # images
LEAST = 0.6  # of the test images after so short a training; some 80 % are usual
BUNDLED = 0.95  # of the test images, by the classifier in the package
GRID = 2.0**20

Array = NDArray[Any]
_OPTIONS: dict[str, dict[str, Any]] = {"step": {}, "ramp": {"augment": "none", "dropout": 0.0}}


def learn(neuron: str) -> str:
    """Train a classifier for an epoch as ``firstspike train`` does, and simulate it.

    Args:
        neuron: ``"step"`` or ``"ramp"``.

    Returns:
        What was found, in words.

    Raises:
        ValueError: it did not learn, or spikes at other times than the naive rule says.
    """
    train, test = load_mnist("train"), load_mnist("test")
    network = _trained(neuron, ImageSet(train.images[:TRAINED], train.labels[:TRAINED], "some"))
    right = _accuracy(network, test)
    if right < LEAST:
        raise ValueError(f"{right:.1%} of {TESTED} test images are right, too few")
    times = encode(test.images[:SIMULATED].flatten(1), t_max=_layers(network)[0].t_max)
    spikes = _compare(network, times.double())
    return f"{right:.1%} of {TESTED} test images are right; {spikes} spike times as simulated"


def use_bundled() -> str:
    """Load every network that comes with the package, and let classifiers decide.

    Returns:
        What was found, in words.

    Raises:
        ValueError: one is damaged or not what it was.
    """
    found = [networks.load(offer.run) for offer in networks.bundled()]
    test = load_mnist("test")
    rights = [_accuracy(one, test) for one in found if isinstance(one, Classifier)]
    if not rights or min(rights) < BUNDLED:
        raise ValueError(f"classifiers decide {rights} of {TESTED} test images rightly")
    return f"{len(found)}, of which the classifier decides {rights[0]:.1%} of {TESTED} rightly"


def _trained(neuron: str, images: ImageSet) -> Any:
    kind = kinds.CLASSIFIER
    options = {"hidden": 100, "epochs": 1, **_OPTIONS[neuron]}
    config: Any = dataclasses.replace(kind.defaults({"neuron": neuron}), **options)
    trainer: Any = kinds.load(kind.trainer)(config, MNIST)
    trainer.watch(Parts(images, None))
    trainer.start_epoch(1)
    rng = torch.Generator().manual_seed(config.seed)
    for batch in torch.randperm(len(images), generator=rng).split(config.batch):
        trainer.step(images.images[batch], images.labels[batch], rng)
    trainer.finish_epoch(rng)
    return trainer.result()


def _accuracy(network: Any, test: ImageSet) -> float:
    """Share of the first test images that are decided rightly."""
    right = network.classify(test.images[:TESTED]).classes == test.labels[:TESTED]
    return float(right.double().mean())


def _layers(network: Any) -> list[FirstSpikeLinear]:
    return [module for module in network.modules() if isinstance(module, FirstSpikeLinear)]


@torch.no_grad()
def _compare(network: Any, times: torch.Tensor) -> int:
    """How many spike times are those of the naive rule. ValueError unless all of them are."""
    count, naive = 0, times.numpy()
    for layer in _layers(network.double()):
        for parameter in layer.parameters():
            parameter.copy_((parameter * GRID).round() / GRID)
        times = layer(times)
        naive = (simulate_ramp if layer.neuron.windowed else simulate_step)(naive, layer)
        if wrong := int((times.numpy() != naive).sum()):
            raise ValueError(f"{wrong} of {naive.size} neurons spike at other times than simulated")
        count += naive.size
    return count


def simulate_step(times: Array, layer: FirstSpikeLinear) -> Array:
    """Spike times [B, out] of step neurons from those of their inputs [B, in], step by step."""
    weight, bias = _parameters(layer)
    potential = np.tile(bias, (len(times), 1))
    fired = np.full(potential.shape, layer.t_max)
    for step in range(layer.t_max):
        potential += (times + layer.delay == step) @ weight.T
        fired[(fired == layer.t_max) & (potential > layer.threshold)] = step
    return fired


def simulate_ramp(times: Array, layer: FirstSpikeLinear) -> Array:
    """The same of ramp neurons: currents until the window closes, then the clock."""
    weight, bias = _parameters(layer)
    current = np.tile(bias, (len(times), 1))
    potential = np.zeros_like(current)
    for step in range(layer.t_max):
        current += (times == step) @ weight.T
        potential += current
    fired = np.full(potential.shape, layer.t_max)
    for step in range(layer.t_max):
        fired[(fired == layer.t_max) & (potential >= layer.t_max * layer.threshold)] = step
        potential += layer.threshold
    return fired


def _parameters(layer: FirstSpikeLinear) -> tuple[Array, Array]:
    """Weight [out, in] and bias [out]."""
    assert layer.bias is not None
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()
