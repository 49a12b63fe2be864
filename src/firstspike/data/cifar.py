"""CIFAR-10 and CIFAR-100 in their binary form (A. Krizhevsky, cs.toronto.edu/~kriz/cifar.html).

An image is a record of one byte for its class (CIFAR-100: two, coarse and fine, of which the fine
class counts) and 3072 for 32x32 pixels of red, green and blue, one plane after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstspike.data.images import ImageSet, image_set

_SHAPE = (3, 32, 32)
_PIXELS = 3072


@dataclass(frozen=True)
class _Kind:
    """One of the two sets.

    Args:
        name: what reports call it.
        labels: bytes before the pixels; the last one is the class.
        classes: how many there are.
        files: patterns of the files of each split.
        names: file with the names of the classes, one a line.
    """

    name: str
    labels: int
    classes: int
    files: dict[str, str]
    names: str


_KINDS = (
    _Kind(
        "cifar-10",
        1,
        10,
        {"train": "data_batch_*.bin", "test": "test_batch.bin"},
        "batches.meta.txt",
    ),
    _Kind("cifar-100", 2, 100, {"train": "train.bin", "test": "test.bin"}, "fine_label_names.txt"),
)


def recognises(folder: Path) -> bool:
    """Whether a folder holds files of either set."""
    return any(_files(folder, kind) for kind in _KINDS)


def load(folder: Path, split: str) -> ImageSet:
    """The images of a split, all batches one after the other.

    Raises:
        ValueError: a file is missing or damaged.
    """
    kind = next(kind for kind in _KINDS if _files(folder, kind))
    files = sorted(folder.glob(kind.files[split]))
    if not files:
        wanted = kind.files[split].replace("*", "1")
        raise ValueError(f"{folder}: the {split} images are missing; add {wanted}")
    records = np.concatenate([_read(file, kind) for file in files])
    images = records[:, kind.labels :].reshape(-1, *_SHAPE)
    labels = records[:, kind.labels - 1]
    return image_set(images, labels, f"{kind.name}-{split}", _names(folder, kind))


def _files(folder: Path, kind: _Kind) -> list[Path]:
    return [file for pattern in kind.files.values() for file in folder.glob(pattern)]


def _read(file: Path, kind: _Kind) -> NDArray[np.uint8]:
    """Records [N, labels + pixels] of a file."""
    try:
        content = np.fromfile(file, np.uint8)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    size = kind.labels + _PIXELS
    if not len(content) or len(content) % size:
        raise ValueError(
            f"{file}: damaged: {len(content)} bytes are no whole number of records of {size}; "
            "download it again"
        )
    records = content.reshape(-1, size)
    if (largest := int(records[:, kind.labels - 1].max())) >= kind.classes:
        raise ValueError(f"{file}: damaged: has class {largest} of {kind.classes}")
    return records


def _names(folder: Path, kind: _Kind) -> list[str]:
    """The names of the classes, or their numbers where no file tells them."""
    file = folder / kind.names
    if not file.is_file():
        return [str(label) for label in range(kind.classes)]
    try:
        names = file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{file}: cannot be read; remove it or download it again") from None
    if len(names) != kind.classes or len(set(names)) != kind.classes:
        raise ValueError(f"{file}: must hold {kind.classes} names, one a line, got {len(names)}")
    return names
