"""The MNIST that comes with the package."""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from firstspike.data.images import ImageSet, image_set

Split = Literal["train", "test"]

MNIST_FILE = Path(__file__).parent / "_files" / "mnist.npz"
MNIST_SHA256 = "04264ff3782eb986c503d57b901e2b943c1a26ff3bd26d26606e38e7368df925"


def load_mnist(split: Split = "train") -> ImageSet:
    """The MNIST that comes with the package: 60,000 training or 10,000 test images.

    Checked against a SHA-256 and read once per process.

    Raises:
        ValueError: ``split`` is unknown, or the bundled file is missing or was changed.
    """
    check_split(split)
    return _read_bundle(MNIST_FILE, split)


def check_split(split: str) -> None:
    """Raise ValueError unless this names a split."""
    if split not in get_args(Split):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")


@functools.cache
def _read_bundle(file: Path, split: Split) -> ImageSet:
    """Read one split of the bundled file, after a check of the whole file."""
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != MNIST_SHA256:
        raise ValueError(f"{file}: the bundled MNIST is missing or damaged; reinstall firstspike")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return image_set(arrays[f"{split}_images"], arrays[f"{split}_labels"], f"mnist-{split}")
