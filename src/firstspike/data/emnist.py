"""EMNIST, whose files hold every image transposed, under whatever names they come."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstspike.data.bundled import load_mnist

PARTS = ("balanced", "byclass", "bymerge", "digits", "letters")
# The largest labels of a part by the number of its images, for training and test. Digits are known
# by their looks; the part "mnist" has as many as MNIST itself.
COUNTS = {
    **dict.fromkeys((112800, 18800), (46,)),
    **dict.fromkeys((697932, 116323), (46, 61)),
    **dict.fromkeys((124800, 20800, 88800, 14800), (26,)),
}

_LOOKED_AT = 300  # images
_FEWEST = 20  # images that tell upright digits from transposed ones
_KNOWN = 2000  # of the bundled images, whose means of each class are what digits look like


def is_transposed(prefix: str, folder: Path, images: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether images must be turned; a guess, which is any but by their prefix, is told of.

    Args:
        prefix: of the files' names, such as ``"emnist-letters-"``.
        folder: that holds them.
        images: uint8 [N, height, width].
        labels: [N].
    """
    name = prefix.rstrip("-").lower()
    if "emnist" in name or name in PARTS:
        return True
    guessed = (
        "emnist" in folder.resolve().name.lower()
        or labels.max() in COUNTS.get(len(images), ())
        or _are_transposed_digits(images, labels)
    )
    if guessed:
        warnings.warn(
            f"{folder}: taken for EMNIST, whose files hold images transposed: turned upright",
            stacklevel=2,
        )
    return guessed


def _are_transposed_digits(images: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether these look like digits of their labels once they are turned, and not before.

    By the nearest mean of a class, of MNIST's images 79 % are right upright, 19 % transposed.
    """
    if images.shape[1:] != (28, 28) or labels.max(initial=0) > 9 or len(images) < _FEWEST:
        return False
    step = -(-len(images) // _LOOKED_AT)
    some, wanted = images[::step], labels[::step]
    turned, upright = _right(some.transpose(0, 2, 1), wanted), _right(some, wanted)
    return turned > len(some) / 2 and turned > 1.5 * upright


def _right(images: NDArray[Any], labels: NDArray[Any]) -> int:
    """How many digits are told by the nearest mean."""
    means = _means()
    near = images.reshape(len(images), -1) @ means.T - (means**2).sum(axis=1) / 2
    return int((near.argmax(axis=1) == labels).sum())


@functools.cache
def _means() -> NDArray[np.float64]:
    """What each digit looks like: [10, 784]."""
    known = load_mnist("train")
    images = known.images[:_KNOWN].flatten(1).double().numpy()
    labels = known.labels[:_KNOWN].numpy()
    return np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
