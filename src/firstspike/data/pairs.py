"""Images and what should become of them: made by the program, or two folders of pictures.

What is made out of an image set is drawn once, by a seed of its own, so that every run, whatever
its seed, learns from and is measured on the same pairs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from firstspike.data import pictures
from firstspike.data.bundled import Split, check_split
from firstspike.data.images import ImageSet
from firstspike.data.pictures import Colour

Task = Literal["noisy", "holes", "outline", "colour"]
FOLDERS = ("inputs", "targets")

NOISE = 76  # of 255, standard deviation
HOLES, HOLE = 3, 0.25  # squares that are cut out, and their share of a side
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
_AT_ONCE = 5000  # images that are worked on as floats
_SEED = 0


@dataclass(frozen=True, eq=False)
class PairSet(ImageSet):
    """Images with a target each; see `ImageSet`.

    Args:
        targets: uint8, [N, height, width] or [N, 3, height, width], as large as the images.

    Raises:
        ValueError: as for `ImageSet`, or the targets do not fit.
    """

    targets: Tensor = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        own, images = tuple(self.targets.shape), tuple(self.images.shape)
        is_image = len(own) == 3 or (len(own) == 4 and own[1] == 3)
        if self.targets.dtype != torch.uint8 or not is_image:
            raise ValueError(
                "targets must be uint8 [N, height, width] or [N, 3, height, width], "
                f"got {self.targets.dtype} {list(own)}"
            )
        if (own[0], *own[-2:]) != (images[0], *images[-2:]):
            raise ValueError(
                f"targets must be as many and as large as the images, {list(images)}, "
                f"got {list(own)}"
            )

    def part(self, chosen: Tensor, suffix: str) -> PairSet:
        of = super().part(chosen, suffix)
        return PairSet(of.images, of.labels, of.name, of.names, targets=self.targets[chosen])


def pairs_of(images: ImageSet, task: Task) -> PairSet:
    """Pairs made out of labelled images, always the same.

    Args:
        images: gray or in colour; of gray ones, ``colour`` paints each class in a colour of its
            own.
        task: ``noisy`` adds normal noise, ``holes`` cuts out squares, ``outline`` leaves the rim
            around what is bright, ``colour`` takes the colours away.

    Raises:
        ValueError: there is no such task.
    """
    if task not in get_args(Task):
        raise ValueError(f"task must be one of {', '.join(get_args(Task))}, got {task!r}")
    targets = images.images
    if task == "colour" and images.shape.channels == 1:
        targets = _by_parts(lambda part, labels, rng: painted(part, labels), images, targets)
    inputs = _by_parts(_TASKS[task], images, targets)
    name = f"{images.name}-{task}"
    return PairSet(inputs, images.labels, name, images.names, targets=targets)


def painted(images: Tensor, labels: Tensor) -> Tensor:
    """Gray images in colour: a hue for each class.

    Args:
        images: values in 0..1, [N, height, width].
        labels: int64 [N]; ten of them have hues of their own.

    Returns:
        [N, 3, height, width].
    """
    hues = labels[:, None] / 10 + torch.tensor([0.0, 1 / 3, 2 / 3])
    ink = (0.5 + 0.5 * torch.cos(2 * math.pi * hues))[:, :, None, None]
    return images[:, None] * ink


def load_pairs(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    size: int | None = None,
    colour: Colour = "auto",
) -> PairSet:
    """One split of a folder with pictures and what should become of them.

    Args:
        path: folder with the folders ``inputs`` and ``targets``, in which pictures that belong
            together have the same name; or with folders ``train`` and ``test`` above those.
        split: ``"train"`` or ``"test"``.
        size: pixels of a side to which pictures are resized, see `firstspike.data.load_images`.
        colour: ``"auto"`` keeps colours if any picture has some, input or target.

    Raises:
        ValueError: a picture has no counterpart or one of another size, or whatever else is wrong
            with the folder or its files.
    """
    check_split(split)
    folder = Path(path).expanduser()
    root = split_folder(folder, split)
    inputs, targets = matched(root, FOLDERS)
    files = deciding = inputs + targets
    if (trained := split_folder(folder, "train")) != root:
        first, second = matched(trained, FOLDERS)
        deciding = first + second
    read = torch.from_numpy(pictures.read(files, deciding, size, colour))
    pictures.check_ink(read.numpy(), root)
    images, wanted = read.chunk(2)
    labels = torch.zeros(len(inputs), dtype=torch.int64)
    return PairSet(images, labels, f"{folder.resolve().name}-{split}", ("0",), targets=wanted)


def split_folder(folder: Path, split: str) -> Path:
    """Where the pictures of a split are. ValueError if there is no such place."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if not any((folder / name).is_dir() for name in get_args(Split)):
        if split == "train":
            return folder
    elif (folder / split).is_dir():
        return folder / split
    raise ValueError(f"{folder}: has no {split} split; put its pictures into {folder / split}")


def matched(root: Path, folders: tuple[str, str]) -> tuple[list[Path], list[Path]]:
    """Pictures of two folders that have the same name, but for the suffix, in the same order.

    Args:
        root: of both folders.
        folders: their names.

    Returns:
        Files of the first folder, and of the second.

    Raises:
        ValueError: a folder is missing or empty, a picture has no counterpart, or one of another
            size.
    """
    named = [_by_name(root / folder) for folder in folders]
    for own, others, place in zip(named, named[::-1], folders[::-1], strict=True):
        if alone := [file for name, file in own.items() if name not in others]:
            raise ValueError(f"{alone[0]}: has no counterpart in {root / place}; add or remove one")
    first, second = [*named[0].values()], [named[1][name] for name in named[0]]
    for one, other in zip(first, second, strict=True):
        sizes = pictures.head(one).size, pictures.head(other).size
        if sizes[0] != sizes[1]:
            (width, height), (wide, high) = sizes
            raise ValueError(
                f"{other}: {wide}x{high} pixels, but {one} has {width}x{height}; make them equal"
            )
    return first, second


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures of a folder, however deep, by their path in it without the suffix."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; pairs are pictures of the same name in two")
    files = pictures.files_of(folder)
    found = {str(file.relative_to(folder).with_suffix("")): file for file in files}
    if not found:
        raise ValueError(f"{folder}: no pictures in it")
    pictures.tell_other_files(folder)
    if len(found) < len(files):
        twice = next(file for file in files if file not in found.values())
        raise ValueError(f"{twice}: another picture has the same name; rename one of them")
    return found


def _by_parts(make: Callable[..., Tensor], images: ImageSet, pixels: Tensor) -> Tensor:
    """What is made of values in 0..1 with their labels, in 8 bits, a part of the set at a time."""
    rng = torch.Generator().manual_seed(_SEED)
    both = zip(pixels.split(_AT_ONCE), images.labels.split(_AT_ONCE), strict=True)
    made = (make(part.float() / 255, labels, rng) for part, labels in both)
    return torch.cat([(one * 255).round_().clamp_(0, 255).to(torch.uint8) for one in made])


def _noisy(images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
    return images + torch.randn(images.shape, generator=rng) * (NOISE / 255)


def _with_holes(images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
    """Black squares whose middles lie anywhere in the middle of the image."""
    missing = torch.zeros_like(images, dtype=torch.bool)
    for _ in range(HOLES):
        inside = torch.ones(len(images), 1, 1, dtype=torch.bool)
        for dim in (-2, -1):
            side = images.shape[dim]
            places = torch.arange(side).view(-1, 1) if dim == -2 else torch.arange(side)
            middle = side * (0.2 + 0.6 * torch.rand(len(images), 1, 1, generator=rng))
            inside = inside & ((places + 0.5 - middle).abs() <= HOLE * side / 2)
        missing |= inside if images.ndim == 3 else inside[:, None]
    return images.masked_fill(missing, 0.0)


def _outlined(images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
    """What is dark beside something bright: the largest of 3x3 pixels without the middle one."""
    planes = images if images.ndim == 4 else images[:, None]
    rims = functional.max_pool2d(planes, 3, 1, 1) - planes
    return rims if images.ndim == 4 else rims[:, 0]


def _gray(images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
    return torch.einsum("nchw,c->nhw", images, torch.tensor(_LUMA))


_TASKS: dict[str, Any] = {
    "noisy": _noisy,
    "holes": _with_holes,
    "outline": _outlined,
    "colour": _gray,
}
