"""Image sets: the bundled MNIST, IDX files (the MNIST family) and folders of pictures.

Every image is 28x28, 8-bit gray, with bright ink on a black ground as in MNIST: black costs no
spike. Whatever is wrong with the input raises one `ValueError` whose message is a single line and
names the file and the remedy.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Split = Literal["train", "test"]

SIDE = 28  # pixels
SPLIT_SEED = 0  # every run holds out the same images, so that runs can be compared
MNIST_FILE = Path(__file__).parent / "_files" / "mnist.npz"
MNIST_SHA256 = "04264ff3782eb986c503d57b901e2b943c1a26ff3bd26d26606e38e7368df925"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})

_IDX_NAME = re.compile(
    r"(?P<prefix>.+-)?(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx\d-ubyte(\.gz)?"
)
_IDX_DIMENSIONS = {"images": 3, "labels": 1}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, at least one. Treat the tensors as read-only: they may be shared.

    Args:
        images: uint8 [N, 28, 28], 0 is black.
        labels: int64 [N], not negative.
        name: what reports call the set.

    Raises:
        ValueError: a tensor has another type or shape, or there is no image.
    """

    images: Tensor
    labels: Tensor
    name: str

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 3 or shape[1:] != (SIDE, SIDE):
            raise ValueError(
                f"images must be uint8 [N, {SIDE}, {SIDE}], got {self.images.dtype} {list(shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != shape[:1]:
            raise ValueError(
                f"labels must be int64 [{shape[0]}], one for each image, "
                f"got {self.labels.dtype} {list(self.labels.shape)}"
            )
        if not len(self):
            raise ValueError("images must hold at least one image")
        if self.labels.min() < 0:
            raise ValueError("labels must not be negative")

    def __len__(self) -> int:
        return self.labels.shape[0]

    @property
    def classes(self) -> list[int]:
        """The labels that occur, ascending."""
        return [int(label) for label in self.labels.unique()]

    def select(self, digit: int) -> ImageSet:
        """The images of one class, in order. ValueError if there is none."""
        chosen = self.labels == digit
        if not chosen.any():
            raise ValueError(f"digit {digit} is not in {self.name}: its classes are {self.classes}")
        return self._part(chosen, str(digit))

    def _part(self, chosen: Tensor, suffix: str) -> ImageSet:
        """The images where ``chosen`` (bool [N]) is True, as a set of their own."""
        return ImageSet(self.images[chosen], self.labels[chosen], f"{self.name}-{suffix}")


def load_mnist(split: Split = "train") -> ImageSet:
    """The MNIST that comes with the package: 60,000 training or 10,000 test images.

    Checked against a SHA-256 and read once per process.

    Raises:
        ValueError: ``split`` is unknown, or the bundled file is missing or was changed.
    """
    _check_split(split)
    return _read_bundle(MNIST_FILE, split)


def load_images(path: str | os.PathLike[str] | None = None, split: Split = "train") -> ImageSet:
    """One split of a data set, whatever form it comes in.

    Args:
        path: None for the bundled MNIST, or a folder of one of two kinds.

            *IDX files*: the images and labels of MNIST, Fashion-MNIST or KMNIST
            (``train-images-idx3-ubyte``, ``t10k-...``) or of EMNIST
            (``emnist-letters-train-images-idx3-ubyte``, ``...-test-...``), plain or ``.gz``.
            EMNIST's files hold every image transposed; names that start with ``emnist-`` are
            turned upright here.

            *Pictures*: png, jpg, jpeg, bmp, gif or webp, made gray and resized to 28x28, with
            transparency on black. Each sub-folder is a class, in sorted order; pictures directly
            in the folder are one class 0. Folders ``train/`` and ``test/`` above that separate the
            splits; without them all pictures are for training.
        split: ``"train"`` or ``"test"``.

    Raises:
        ValueError: whatever is wrong with the folder or its files.
    """
    _check_split(split)
    if path is None:
        return load_mnist(split)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one with IDX files or pictures")
    if any(_IDX_NAME.fullmatch(file.name) for file in folder.iterdir()):
        return _load_idx_folder(folder, split)
    return _load_picture_folder(folder, split)


def load_parts(
    path: str | os.PathLike[str] | None, validation: float
) -> tuple[ImageSet, ImageSet | None]:
    """Images to train on, and those held out, if any, always the same.

    Args:
        path: as for `load_images`.
        validation: share of each class that is held out, 0 <= validation < 1.

    Raises:
        ValueError: as for `load_images` and `split_validation`.
    """
    images = load_images(path, "train")
    return split_validation(images, validation, SPLIT_SEED) if validation else (images, None)


def split_validation(image_set: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split off a validation set: the same fraction of each class, chosen by ``seed``.

    Args:
        image_set: what to split; the parts keep its order.
        fraction: validation share of each class, 0 < fraction < 1, rounded to whole images.
        seed: the same seed gives the same split.

    Returns:
        (training set, validation set).

    Raises:
        ValueError: ``fraction`` is out of range, or leaves one of the two without images.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.zeros(len(image_set), dtype=torch.bool)
    for digit in image_set.classes:
        members = (image_set.labels == digit).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        held_out[shuffled[: round(fraction * len(members))]] = True
    if held_out.all() or not held_out.any():
        raise ValueError(
            f"fraction {fraction} of {image_set.name} leaves training or validation empty"
        )
    return image_set._part(~held_out, "training"), image_set._part(held_out, "validation")


def read_idx(file: Path, kind: Literal["images", "labels"]) -> NDArray[np.uint8]:
    """The array of an IDX file of bytes, plain or gzip (by its ``.gz`` suffix).

    Args:
        file: the file.
        kind: ``"images"`` for uint8 [N, 28, 28], ``"labels"`` for uint8 [N].

    Raises:
        ValueError: the file cannot be read or is not such an array.
    """
    data = _read_bytes(file)
    dimensions = _IDX_DIMENSIONS[kind]
    magic = bytes([0, 0, 8, dimensions])
    start = 4 * (1 + dimensions)
    if len(data) < start:
        raise ValueError(f"{file}: truncated: {len(data)} bytes, the header alone has {start}")
    if data[:4] != magic:
        raise ValueError(
            f"{file}: wrong magic number 0x{data[:4].hex()}, IDX {kind} start with 0x{magic.hex()}"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    if kind == "images" and shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{file}: images are {shape[1]}x{shape[2]}, they must be {SIDE}x{SIDE}")
    expected = start + shape[0] * SIDE ** (dimensions - 1)
    if len(data) != expected:
        fault = "truncated" if len(data) < expected else "too long"
        raise ValueError(
            f"{file}: {fault}: {len(data)} bytes, its header says {shape[0]} {kind} = {expected}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _check_split(split: str) -> None:
    if split not in get_args(Split):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")


@functools.cache
def _read_bundle(file: Path, split: Split) -> ImageSet:
    """Read one split of the bundled file, after a check of the whole file."""
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != MNIST_SHA256:
        raise ValueError(f"{file}: the bundled MNIST is missing or damaged; reinstall firstspike")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return _image_set(arrays[f"{split}_images"], arrays[f"{split}_labels"], f"mnist-{split}")


def _image_set(images: NDArray[Any], labels: NDArray[Any], name: str) -> ImageSet:
    return ImageSet(torch.tensor(images), torch.tensor(labels, dtype=torch.int64), name)


def _read_bytes(file: Path) -> bytes:
    """The content of a file, unpacked if its name ends in ``.gz``."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    if file.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"{file}: corrupt or truncated gzip file; download it again") from None


def _load_idx_folder(folder: Path, split: Split) -> ImageSet:
    """The pair of IDX files that hold a split."""
    image_file, prefix = _find_idx(folder, split, "images")
    label_file, _ = _find_idx(folder, split, "labels", prefix)
    images, labels = read_idx(image_file, "images"), read_idx(label_file, "labels")
    if len(images) != len(labels):
        raise ValueError(
            f"{label_file}: {len(labels)} labels for the {len(images)} images of {image_file}: "
            "they must belong together"
        )
    if not len(images):
        raise ValueError(f"{image_file}: holds no images")
    if prefix.startswith("emnist-"):
        images = images.transpose(0, 2, 1)
    return _image_set(images, labels, f"{prefix.rstrip('-') or folder.resolve().name}-{split}")


def _find_idx(folder: Path, split: Split, kind: str, prefix: str | None = None) -> tuple[Path, str]:
    """The one IDX file of a split and kind, and the prefix of its name.

    Where a file lies there both plain and as ``.gz``, the plain one. Only files with ``prefix``
    count, unless it is None.
    """
    names = ("train",) if split == "train" else ("t10k", "test")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir(), reverse=True):  # 'x.gz' before 'x', which replaces it
        match = _IDX_NAME.fullmatch(file.name)
        if match is None or match["split"] not in names or match["kind"] != kind:
            continue
        if prefix is None or prefix == (match["prefix"] or ""):
            found[match["prefix"] or ""] = file
    if not found:
        wanted = f"{prefix or ''}{names[0]}-{kind}-idx{_IDX_DIMENSIONS[kind]}-ubyte"
        raise ValueError(f"{folder}: the {split} {kind} are missing; add {wanted}[.gz]")
    if len(found) > 1:
        files = ", ".join(sorted(file.name for file in found.values()))
        raise ValueError(f"{folder}: several {split} sets ({files}); give each its own folder")
    [(prefix_found, file)] = found.items()
    return file, prefix_found


def _load_picture_folder(folder: Path, split: Split) -> ImageSet:
    """A split of a folder of pictures."""
    roots = {name: folder / name for name in get_args(Split) if (folder / name).is_dir()}
    if not roots:
        roots = {"train": folder}
    if split not in roots:
        raise ValueError(f"{folder}: has no {split} split; put its pictures into {folder / split}")
    pictures = {name: _find_pictures(root) for name, root in roots.items()}
    if not pictures[split]:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"{roots[split]}: neither IDX files nor pictures ({suffixes}) in it")
    classes = sorted({name for found in pictures.values() for name, _ in found})
    images = np.stack([_read_picture(file) for _, file in pictures[split]])
    labels = np.array([classes.index(name) for name, _ in pictures[split]])
    return _image_set(images, labels, f"{folder.resolve().name}-{split}")


def _find_pictures(root: Path) -> list[tuple[str, Path]]:
    """(class name, file) of the pictures in ``root`` (class '') or in its sub-folders, sorted."""
    files = sorted([*root.glob("*.*"), *root.glob("*/*.*")])
    pictures = [file for file in files if _is_picture(file, root)]
    found = [("" if file.parent == root else file.parent.name, file) for file in pictures]
    names = {name for name, _ in found}
    if "" in names and len(names) > 1:
        raise ValueError(f"{root}: pictures both beside and inside sub-folders; use one of the two")
    return found


def _is_picture(file: Path, root: Path) -> bool:
    """Whether a file is named like a picture, and nothing below ``root`` is hidden on its path."""
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    return not hidden and file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()


def _read_picture(file: Path) -> NDArray[np.uint8]:
    """A picture as uint8 [28, 28], with transparency on black."""
    try:
        with Image.open(file) as picture:
            gray = to_gray(picture)
        return np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    except Exception as error:  # Pillow's decoders raise a dozen types for a damaged file
        raise ValueError(
            f"{file}: not a readable picture ({type(error).__name__}); replace or remove it"
        ) from None


def to_gray(picture: Image.Image) -> Image.Image:
    """A picture in 8-bit gray, with transparency on black. What Pillow raises if it is damaged."""
    if picture.mode.startswith("I;16"):  # convert() would clip 16 bits, not scale them
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    ink = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", ink.size, "black"), ink).convert("L")
