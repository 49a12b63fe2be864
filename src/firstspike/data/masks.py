"""Images with index masks: for each pixel a number that names what is there; 0 is the ground."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from firstspike.data import pictures
from firstspike.data.bundled import check_split
from firstspike.data.canvas import Canvases
from firstspike.data.pairs import PairSet, matched, split_folder
from firstspike.data.pictures import Colour

FOLDERS = ("images", "masks")
NAMES = "classes.txt"
GROUND = "ground"


def masked(canvases: Canvases) -> PairSet:
    """Canvases with their masks as targets; the classes are the ground and those of the digits."""
    labels = torch.zeros(len(canvases), dtype=torch.int64)
    names = GROUND, *canvases.names
    return PairSet(canvases.images, labels, canvases.name, names, targets=canvases.masks)


def load_masked(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    size: int | None = None,
    colour: Colour = "auto",
) -> PairSet:
    """One split of a folder of images and index masks.

    Args:
        path: folder with the folders ``images`` and ``masks``, in which pictures that belong
            together have the same name, but for the suffix; or with folders ``train`` and ``test``
            above those. ``classes.txt`` in it may name the classes, one a line, the ground first;
            without it they are the numbers that occur in masks of the training set, from 0 on.
        split: ``"train"`` or ``"test"``.
        size: as for `firstspike.data.load_images`; masks take the nearest pixel.
        colour: of the images, as for `firstspike.data.load_images`.

    Returns:
        Images with their masks as targets.

    Raises:
        ValueError: an image has no mask or one of another size, a mask is no picture of indices or
            has a number that names no class, or whatever else is wrong with the folder.
    """
    check_split(split)
    folder = Path(path).expanduser()
    root, trained = split_folder(folder, split), split_folder(folder, "train")
    images, masks = matched(root, FOLDERS)
    decide = images if trained == root else matched(trained, FOLDERS)[0]
    values = torch.from_numpy(pictures.read(images, decide, size, colour))
    pictures.check_ink(values.numpy(), root / FOLDERS[0])
    numbers = list(_indices(masks, values.shape[-2:]))
    names = _names(folder, trained, values.shape[-2:])
    for file, found in zip(masks, numbers, strict=True):
        if found.max() >= len(names):
            raise ValueError(
                f"{file}: has the value {found.max()}, but the classes are 0..{len(names) - 1}; "
                f"correct it, or name more in {folder / NAMES}"
            )
    labels = torch.zeros(len(images), dtype=torch.int64)
    name, targets = f"{folder.resolve().name}-{split}", torch.from_numpy(np.stack(numbers))
    return PairSet(values, labels, name, names, targets=targets)


def _names(folder: Path, trained: Path, sides: tuple[int, ...]) -> tuple[str, ...]:
    """The classes: those that a file names, or the numbers in the training masks."""
    file = folder / NAMES
    if file.is_file():
        try:
            lines = file.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{file}: cannot be read ({error}); write UTF-8") from None
        names = tuple(name for line in lines if (name := line.strip()))
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"{file}: must name two or more classes, each once, the ground first")
        return names
    seen: dict[int, Path] = {}
    masks = matched(trained, FOLDERS)[1]
    for mask, found in zip(masks, _indices(masks, sides), strict=True):
        seen |= {int(number): mask for number in np.unique(found)}
    if (most := max(seen)) != len(seen) - 1:
        raise ValueError(
            f"{seen[most]}: has the value {most}, but there are {len(seen)} classes; number them "
            f"from 0 on, or name all in {file}"
        )
    if most == 0:
        raise ValueError(f"{trained / FOLDERS[1]}: nothing but the ground, 0, in all masks")
    return tuple(map(str, range(most + 1)))


def _indices(masks: Sequence[Path], sides: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """The numbers of masks, uint8 [height, width], at the nearest pixels if they are resized."""
    for file in masks:
        head = pictures.head(file)
        if head.format == "JPEG":  # its numbers are not those that were stored
            raise ValueError(f"{file}: a mask must be exact, which JPEG is not; store it as PNG")
        if head.mode not in ("L", "P", "1"):
            told = f"a mask must be of 8-bit indices, got mode {head.mode}"
            raise ValueError(f"{file}: {told}; convert it")
    height, width = sides
    for picture in pictures.decoded(masks):
        found = np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))
        yield found.astype(np.uint8)
