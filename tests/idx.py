"""Small data sets for tests: IDX files of the first images of MNIST."""

from __future__ import annotations

from pathlib import Path

import torch

from firstspike.data import load_mnist


def write_digits(folder: Path, digits: int, **counts: int) -> str:
    """Write so many images of each of the first digits for ``train`` and ``test``; the folder."""
    for split, name in (("train", "train"), ("test", "t10k")):
        part = load_mnist(split)
        each = [(part.labels == digit).nonzero()[: counts[split], 0] for digit in range(digits)]
        chosen = torch.cat(each)
        size = len(chosen).to_bytes(4, "big")
        header = bytes([0, 0, 8, 3]) + size + 2 * bytes([0, 0, 0, 28])
        images = header + part.images[chosen].numpy().tobytes()
        Path(folder, f"{name}-images-idx3-ubyte").write_bytes(images)
        labels = bytes([0, 0, 8, 1]) + size + bytes(part.labels[chosen].tolist())
        Path(folder, f"{name}-labels-idx1-ubyte").write_bytes(labels)
    return str(folder)
