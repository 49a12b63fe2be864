"""The paper's networks and their dense twins of the same size (sections 3.1 and 3.2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import nn

from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential

LATENTS, HIDDEN, PIXELS = 100, 400, 784  # sizes of Spiking-GAN, section 3.2


def spiking_network(sizes: Sequence[int], **layer: Any) -> FirstSpikeSequential:
    """Fully connected spiking layers of these sizes, input first.

    Args:
        sizes: e.g. (784, 400, 10).
        layer: options of every `FirstSpikeLinear`. The output layer always has ``silent="pull"``,
            "as if it had fired at t_max" (section 2.4).
    """
    pairs = list(itertools.pairwise(sizes))
    options = [layer] * (len(pairs) - 1) + [layer | {"silent": "pull"}]
    layers = [
        FirstSpikeLinear(*pair, **option) for pair, option in zip(pairs, options, strict=True)
    ]
    return FirstSpikeSequential(*layers)


def classifier(hidden: int = HIDDEN, classes: int = 10, **layer: Any) -> FirstSpikeSequential:
    """Classifier 784-hidden-classes (section 3.1); the first output spike tells the class."""
    return spiking_network((PIXELS, hidden, classes), **layer)


def generator(hidden: int = HIDDEN, **layer: Any) -> FirstSpikeSequential:
    """Generator 100-hidden-784: noise as spike times in, an image as spike times out."""
    return spiking_network((LATENTS, hidden, PIXELS), **layer)


def discriminator(hidden: int = HIDDEN, **layer: Any) -> FirstSpikeSequential:
    """Discriminator 784-hidden-2; neuron 0 means fake and neuron 1 real (section 2.3)."""
    return spiking_network((PIXELS, hidden, 2), **layer)


def ann_classifier(hidden: int = HIDDEN, classes: int = 10) -> nn.Sequential:
    """Dense twin of `classifier`: ReLU between, scores out."""
    return nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def ann_generator(hidden: int = HIDDEN) -> nn.Sequential:
    """Dense twin of `generator`: images in -1..1 out (tanh), ReLU between (section 3.2)."""
    return nn.Sequential(
        nn.Linear(LATENTS, hidden), nn.ReLU(), nn.Linear(hidden, PIXELS), nn.Tanh()
    )


def ann_discriminator(hidden: int = HIDDEN) -> nn.Sequential:
    """Dense twin of `discriminator`: one output, the logit of being real.

    The paper's sigmoid is part of the loss (binary cross-entropy with logits), which is the same
    function computed without overflow.
    """
    return nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, 1))
