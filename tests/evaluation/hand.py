"""A network worked out by hand with images for it, and images of other sizes and classes."""

from __future__ import annotations

import itertools

import torch

from firstspike.data import ImageSet
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential

T_MAX = 10


def network(sizes=(784, 4, 2), weights=(), **options):
    """Layers without bias, with these weights and 0 elsewhere; a neuron fires above 0.5."""
    options = {"bias": False, "threshold": 0.5, "t_max": T_MAX, "init": (0, 0)} | options
    layers = [FirstSpikeLinear(*pair, **options) for pair in itertools.pairwise(sizes)]
    model = FirstSpikeSequential(*layers)
    with torch.no_grad():
        for number, to, source, weight in weights:
            model[number].weight[to, source] = weight
    return model


def hand_made():
    """Hidden 0, 1 and 3 see the pixel of their number; 0 is for class 0, 1 and, weaker, 3 for 1."""
    hidden = [(0, number, number, 1.0) for number in (0, 1, 3)]
    return network(weights=[*hidden, (1, 0, 0, 1.0), (1, 1, 1, 1.0), (1, 1, 3, 0.4)])


def image_set(rows, labels):
    """Images that are black but for these pixels."""
    images = torch.zeros(len(rows), 784, dtype=torch.uint8)
    for image, pixels in zip(images, rows, strict=True):
        for place, value in pixels.items():
            image[place] = value
    return ImageSet(images.view(-1, 28, 28), torch.tensor(labels), "hand")


# 255 spikes at 0 and 153 at 4. Decisions: 0 at step 2 (hidden 1 fires later), both at 2, none
# (black), 1 at 6, none (but the potential is for 1).
IMAGES = image_set([{0: 255, 1: 153}, {0: 255, 1: 255}, {}, {1: 153}, {3: 255}], [0, 1, 0, 1, 1])


class AnyImages(ImageSet):
    """Images of any size, with names of their classes."""

    def __init__(self, images, labels, names):
        for field, value in (("images", images), ("labels", labels), ("name", "any")):
            object.__setattr__(self, field, value)
        object.__setattr__(self, "names", names)


def pictures(classes, count=40):
    """Noise in colour, 12 pixels high and 9 wide, of so many classes with names."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, 12, 9), dtype=torch.uint8, generator=rng)
    names = tuple(f"thing {number}" for number in range(classes))
    return AnyImages(images, torch.arange(count) % classes, names)
