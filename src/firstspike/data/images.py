"""Labelled images of one size in memory, and how they are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from firstspike.shape import Shape, in_short

SPLIT_SEED = 0  # every run holds out the same images, so that runs can be compared


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[tuple[Tensor, int]]):
    """Labelled images, at least one. Treat the tensors as read-only: they may be shared.

    A `torch.utils.data.Dataset`: ``images[3]`` is a uint8 image and its label, and a `DataLoader`
    takes it as it is.

    Args:
        images: uint8, [N, height, width] in gray or [N, 3, height, width] in colour; 0 is black.
        labels: int64 [N], places in ``names``.
        name: what reports call the set.
        names: of all classes of the data, also of those that do not occur in this part of it;
            by default the labels as numbers.

    Raises:
        ValueError: a tensor has another type or shape, or there is no image.
    """

    images: Tensor
    labels: Tensor
    name: str
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        is_image = len(shape) == 3 or (len(shape) == 4 and shape[1] == 3)
        if self.images.dtype != torch.uint8 or not is_image:
            raise ValueError(
                "images must be uint8 [N, height, width] or [N, 3, height, width], "
                f"got {self.images.dtype} {list(shape)}"
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
        highest = int(self.labels.max())
        if not self.names:
            object.__setattr__(self, "names", tuple(map(str, range(highest + 1))))
        if highest >= len(self.names):
            raise ValueError(f"labels must lie in 0..{len(self.names) - 1}, got {highest}")

    def __len__(self) -> int:
        return self.labels.shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image, uint8 [height, width] or [3, height, width], and its label."""
        return self.images[index], int(self.labels[index])

    @property
    def shape(self) -> Shape:
        """Size of the images, and the names of all classes."""
        channels = 3 if self.images.ndim == 4 else 1
        height, width = self.images.shape[-2:]
        return Shape(channels, height, width, self.names)

    @property
    def classes(self) -> list[int]:
        """The labels that occur, ascending."""
        return [int(label) for label in self.labels.unique()]

    @property
    def present(self) -> list[str]:
        """The names of the classes that occur."""
        return [self.names[label] for label in self.classes]

    def select(self, name: str | int) -> ImageSet:
        """The images of one class, in order.

        Args:
            name: of the class; where no name is a number, its label will do as well.

        Raises:
            ValueError: there is none.
        """
        known = {self.names[label]: label for label in self.classes}
        if not any(map(str.isdecimal, self.names)):
            known |= {str(label): label for label in self.classes}
        if str(name) not in known:
            classes = in_short(self.present)
            raise ValueError(f"digit {name} is not in {self.name}: its classes are {classes}")
        return self.part(self.labels == known[str(name)], str(name))

    def part(self, chosen: Tensor, suffix: str) -> ImageSet:
        """The images where ``chosen`` (bool [N]) is True, as a set of their own."""
        name = f"{self.name}-{suffix}"
        return ImageSet(self.images[chosen], self.labels[chosen], name, self.names)


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
    for label in image_set.classes:
        members = (image_set.labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        held_out[shuffled[: round(fraction * len(members))]] = True
    if held_out.all() or not held_out.any():
        raise ValueError(
            f"validation: a fraction of {fraction} of {image_set.name} leaves nothing to "
            f"{'train on' if held_out.all() else 'hold out'}; choose another or give more images"
        )
    return image_set.part(~held_out, "training"), image_set.part(held_out, "validation")


def image_set(
    images: NDArray[Any], labels: NDArray[Any], name: str, names: Sequence[str] = ()
) -> ImageSet:
    """An `ImageSet` of arrays, which are copied."""
    labelled = torch.tensor(labels, dtype=torch.int64)
    return ImageSet(torch.tensor(images), labelled, name, tuple(names))
