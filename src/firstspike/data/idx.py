"""IDX files: MNIST, Fashion-MNIST, KMNIST, EMNIST, QMNIST and whatever has their form."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from firstspike.data import emnist
from firstspike.data.images import ImageSet, image_set
from firstspike.words import counted

_NAME = re.compile(
    r"(?P<prefix>.+-)?(?P<split>train|t10k|test)-(?P<kind>images|labels)"
    r"[-.]idx(?P<form>\d-ubyte|2-int)(\.gz)?"
)
_DIMENSIONS = {"images": 3, "labels": 1}
_LARGEST = 1 << 33  # bytes of an array; more than that is a damaged header
_GZIP, _PLAIN = b"\x1f\x8b", b"\x00\x00"  # how files start
_QMNIST_MAGIC = bytes([0, 0, 12, 2])  # int32 [N, 8], the class in the first column

Kind = Literal["images", "labels"]


def recognises(folder: Path) -> bool:
    """Whether a folder holds IDX files."""
    return any(_NAME.fullmatch(file.name) for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    """Files, and in place of a folder that is named like one, as Kaggle has it, what is in it.

    Of files of one name the last counts: one outside of such folders, and 'x' rather than 'x.gz'.
    """
    found = sorted(folder.iterdir(), reverse=True)
    inside: list[Path] = []
    for place in [it for it in found if it.is_dir() and _NAME.fullmatch(it.name)]:
        own = [it for it in sorted(place.iterdir(), reverse=True) if _NAME.fullmatch(it.name)]
        if own:
            inside += own
            found.remove(place)
    return inside + found


def load(folder: Path, split: str) -> ImageSet:
    """The pair of IDX files that hold a split.

    The classes are the labels that occur in any split, by number. EMNIST's images, which its files
    hold transposed, are turned upright, see `firstspike.data.emnist`.

    Raises:
        ValueError: a file is missing, damaged, or does not fit the other one.
    """
    image_file, prefix = _find(folder, split, "images")
    label_file, _ = _find(folder, split, "labels", prefix)
    images, labels = read_idx(image_file, "images"), read_idx(label_file, "labels")
    if len(images) != len(labels):
        raise ValueError(
            f"{label_file}: {counted(len(labels), 'label')} for the "
            f"{counted(len(images), 'image')} of {image_file}: "
            "they must belong together"
        )
    if not len(images):
        raise ValueError(f"{image_file}: holds no images")
    if emnist.is_transposed(prefix, folder, images, labels):
        images = images.transpose(0, 2, 1)
    numbers = np.union1d(labels, _labels_of_the_other_split(folder, split, prefix))
    name = f"{prefix.rstrip('-') or folder.resolve().name}-{split}"
    return image_set(images, np.searchsorted(numbers, labels), name, [str(k) for k in numbers])


def read_idx(file: Path, kind: Kind) -> NDArray[Any]:
    """The array of an IDX file of bytes, plain or gzip, whatever its name says.

    Args:
        file: the file.
        kind: ``"images"`` for uint8 [N, height, width], ``"labels"`` for [N]: uint8, or the first
            column of QMNIST's int32 [N, 8].

    Raises:
        ValueError: the file cannot be read or is not such an array.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(2)
            stream.seek(0)
            if start == _PLAIN or (start != _GZIP and file.suffix != ".gz"):
                return _read(file, stream, kind)
            with gzip.open(stream) as unpacked:
                return _read(file, unpacked, kind)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ValueError(f"{file}: corrupt or truncated gzip file; download it again") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None


def _read(file: Path, stream: IO[bytes] | gzip.GzipFile, kind: Kind) -> NDArray[Any]:
    magic = stream.read(4)
    extended = kind == "labels" and magic == _QMNIST_MAGIC
    dimensions = 2 if extended else _DIMENSIONS[kind]
    start = 4 * (1 + dimensions)
    header = magic + stream.read(start - 4)
    if len(header) < start:
        raise ValueError(f"{file}: truncated: {len(header)} bytes, the header alone has {start}")
    wanted = bytes([0, 0, 8, dimensions])
    if not extended and magic != wanted:
        raise ValueError(
            f"{file}: wrong magic number 0x{magic.hex()}, IDX {kind} start with 0x{wanted.hex()}"
        )
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4", dimensions, offset=4))
    width = 4 if extended else 1
    size = int(np.prod(shape, dtype=object)) * width
    if size > _LARGEST or (kind == "images" and not all(1 <= side <= 4096 for side in shape[1:])):
        raise ValueError(f"{file}: damaged: its header says {' x '.join(map(str, shape))}")
    content = stream.read(size + 1)
    if len(content) != size:
        fault = "truncated" if len(content) < size else "too long"
        raise ValueError(
            f"{file}: {fault}: {start + len(content)} bytes, its header says "
            f"{shape[0]} {kind} = {start + size}"
        )
    if not extended:
        return np.frombuffer(content, np.uint8).reshape(shape)
    table = np.frombuffer(content, ">i4").reshape(shape)
    if not shape[1] or (table[:, 0] < 0).any():
        raise ValueError(f"{file}: damaged: holds no classes in its first column")
    return table[:, 0].astype(np.int64)


def _labels_of_the_other_split(folder: Path, split: str, prefix: str) -> NDArray[Any]:
    other = "test" if split == "train" else "train"
    try:
        return read_idx(_find(folder, other, "labels", prefix)[0], "labels")
    except ValueError:  # it is not there, or complains when it is asked for itself
        return np.zeros(0, np.uint8)


def _find(folder: Path, split: str, kind: Kind, prefix: str | None = None) -> tuple[Path, str]:
    """The one IDX file of a split and kind, and the prefix of its name.

    Where a file lies there both plain and as ``.gz``, the plain one. Only files with ``prefix``
    count, unless it is None.
    """
    names = ("train",) if split == "train" else ("t10k", "test")
    found: dict[str, Path] = {}
    for file in _files(folder):
        match = _NAME.fullmatch(file.name)
        if match is None or match["split"] not in names or match["kind"] != kind:
            continue
        if prefix is None or prefix == (match["prefix"] or ""):
            found[match["prefix"] or ""] = file
    if not found:
        wanted = f"{prefix or ''}{names[0]}-{kind}-idx{_DIMENSIONS[kind]}-ubyte"
        raise ValueError(f"{folder}: the {split} {kind} are missing; add {wanted}[.gz]")
    if len(found) > 1:
        files = ", ".join(sorted(file.name for file in found.values()))
        raise ValueError(f"{folder}: several {split} sets ({files}); give each its own folder")
    [(prefix_found, file)] = found.items()
    return file, prefix_found
