"""Small data sets for tests: IDX files of the first images of MNIST, pictures of noise."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from firstspike.data import load_mnist

# Options of the smallest training.
SMALL = ("--hidden", "8", "--batch", "8", "--epochs", "2")


def idx_bytes(array: np.ndarray) -> bytes:
    """The content of an IDX file of uint8."""
    return struct.pack(f">{array.ndim + 1}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_digits(folder: Path, digits: int, **counts: int) -> str:
    """Write so many images of each of the first digits for ``train`` and ``test``; the folder."""
    for split, name in (("train", "train"), ("test", "t10k")):
        part = load_mnist(split)
        each = [(part.labels == digit).nonzero()[: counts[split], 0] for digit in range(digits)]
        chosen = torch.cat(each)
        images, labels = part.images[chosen].numpy(), part.labels[chosen].byte().numpy()
        Path(folder, f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        Path(folder, f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return str(folder)


def write_noise(folder: Path, *classes: str) -> Path:
    """Write six pictures of noise of each class, 28x28 in gray; the folder."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
