"""Image sets on disk, whatever form they come in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from firstspike.data import cifar, idx, pictures
from firstspike.data.bundled import Split, check_split, load_mnist
from firstspike.data.images import SPLIT_SEED, ImageSet, split_validation
from firstspike.data.pictures import Colour
from firstspike.words import counted


@dataclass(frozen=True)
class Format:
    """A form in which image sets come.

    Args:
        name: what people call it.
        recognises: whether a folder holds such files.
        load: a split of a folder: (folder, split) -> `ImageSet`; ValueError if something is wrong.
    """

    name: str
    recognises: Callable[[Path], bool]
    load: Callable[[Path, str], ImageSet]


# In the order in which they are asked; pictures come last, as they take any folder.
FORMATS: list[Format] = [
    Format("IDX files", idx.recognises, idx.load),
    Format("CIFAR in binary form", cifar.recognises, cifar.load),
]


GIVEN = "in Python: "  # what the option ``data`` of a run starts with whose data were no files

_BRIGHT = 160  # of 255, the mean of an image's border
_CONTRAST = 64  # of ink and ground


class Parts(NamedTuple):
    """Images to train on, and those held out to choose by, if any."""

    training: ImageSet
    held_out: ImageSet | None


def register(form: Format) -> None:
    """Let `load_images` read a further form of image sets, asked before those that it knows."""
    FORMATS.insert(0, form)


def load_images(
    path: str | os.PathLike[str] | None = None,
    split: Split = "train",
    *,
    size: int | None = None,
    colour: Colour = "auto",
) -> ImageSet:
    """One split of a data set, whatever form it comes in.

    Args:
        path: None for the bundled MNIST, or a folder of one of three kinds.

            *IDX files*: the images and labels of MNIST, Fashion-MNIST or KMNIST
            (``train-images-idx3-ubyte``, ``t10k-...``), of EMNIST
            (``emnist-letters-train-images-idx3-ubyte``, ``...-test-...``) or QMNIST, plain or
            gzip. EMNIST's files hold every image transposed; names that start with ``emnist-`` are
            turned upright here. The classes are the labels that occur.

            *CIFAR-10 and CIFAR-100* in their binary form (``data_batch_1.bin``, ...,
            ``test_batch.bin``; ``train.bin``, ``test.bin``, of which the fine classes), with the
            names of ``batches.meta.txt`` or ``fine_label_names.txt``.

            *Pictures*: png, jpg, jpeg, bmp, gif, webp or tiff, with transparency on black. Each
            sub-folder is a class; pictures directly in the folder are one class. Folders
            ``train/`` and ``test/`` above that separate the splits; without them all pictures are
            for training.
        split: ``"train"`` or ``"test"``.
        size: of pictures: pixels of a side, to which they are resized. By default pictures of one
            size of up to 64 pixels a side stay as they are, others become 28x28.
        colour: of pictures: ``"auto"`` keeps colours if any picture has some.

    Raises:
        ValueError: whatever is wrong with the folder or its files.
    """
    check_split(split)
    if path is None:
        return load_mnist(split)
    if str(path).startswith(GIVEN):
        raise ValueError(
            f"data {path}: given to firstspike.fit, not as a file; measure and go on in Python"
        )
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one with IDX files, CIFAR's or pictures")
    form = next((form for form in FORMATS if form.recognises(folder)), None)
    found = pictures.load(folder, split, size, colour) if form is None else form.load(folder, split)
    _tell_ground(found)
    return found


def _tell_ground(images: ImageSet) -> None:
    """Warn of gray images whose border is bright: dark ink on white says "spike" all around."""
    if images.shape.channels != 1:
        return
    pixels = images.images
    sides = pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]
    ground = torch.stack([side.float().mean(dim=1) for side in sides]).mean(dim=0)
    has_ink = pixels.flatten(1).amin(dim=1) < ground - _CONTRAST
    if count := int(((ground >= _BRIGHT) & has_ink).sum()):
        warnings.warn(
            f"{images.name}: {count} of {counted(len(images), 'image')} have a bright ground; "
            "drawings should be bright on black, as MNIST's are: invert them first",
            stacklevel=3,
        )


def load_parts(path: str | os.PathLike[str] | None, validation: float, **reading: object) -> Parts:
    """Images to train on, and those held out, if any, always the same.

    Args:
        path: as for `load_images`.
        validation: share of each class that is held out, 0 <= validation < 1.
        reading: further arguments of `load_images`.

    Raises:
        ValueError: as for `load_images` and `split_validation`.
    """
    return divide(load_images(path, "train", **reading), validation)  # type: ignore[arg-type]


def divide(images: ImageSet, validation: float) -> Parts:
    """Images to train on, and those held out, if any; ``validation`` as for `load_parts`."""
    if not validation:
        return Parts(images, None)
    return Parts(*split_validation(images, validation, SPLIT_SEED))
