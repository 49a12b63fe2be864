"""Labelled images in whatever form people have them, as one `ImageSet`.

The one place that says which types, shapes and ranges images may have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from firstspike.data.images import ImageSet

Array = Tensor | NDArray[Any]
Data = ImageSet | Dataset[Any] | DataLoader[Any] | Sequence[Array]

_CHANNELS = (1, 3)  # gray and colour
_SHAPES = "[N, H, W], [N, C, H, W] or [N, H, W, C], with C 1 or 3"
_LEVELS = 255  # the largest value of an 8-bit pixel


def as_image_set(data: Data, *, name: str = "data", names: Sequence[str] = ()) -> ImageSet:
    """Labelled images as an `ImageSet`; one of these stays as it is.

    Args:
        data: a `torch.utils.data.Dataset` or `DataLoader` of (image, label), or a pair of tensors
            or arrays (images, labels). Images are uint8, or floating point in 0..1, which is
            rounded to 8 bits; [N, H, W], [N, C, H, W] or, if only the last size can be that of
            channels, [N, H, W, C], with 1 or 3 channels; those of a data set also Pillow's. Bright
            ink on black is best. Labels are whole numbers from 0 on. Everything is read once: what
            a data set draws at random stays as it was drawn then, and variations that are drawn
            anew in each epoch are a matter of `firstspike.data.augment`.
        name: of the argument, for errors.
        names: of all classes; by default those that ``data.classes`` has, or the labels.

    Raises:
        ValueError: ``data`` are something else.
    """
    if isinstance(data, ImageSet):
        return data
    images, labels = _read(data, name)
    labelled, pixels = _labels(labels, name), _pixels(images, name)
    known = tuple(names) or _classes(data)
    try:
        return ImageSet(pixels, labelled, _title(data), known)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read(data: Any, name: str) -> tuple[Any, Any]:
    """Images and labels, each in one piece."""
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return data[0], data[1]
    if isinstance(data, DataLoader):
        return _joined(data, torch.cat, name)
    if isinstance(data, IterableDataset):
        return _joined(data, torch.stack, name)
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return _joined((data[n] for n in range(len(data))), torch.stack, name)
    raise ValueError(
        f"{name} must be a Dataset or DataLoader of (image, label), or a pair of tensors (images, "
        f"labels), got {type(data).__name__}"
    )


def _joined(items: Iterable[Any], join: Any, name: str) -> tuple[Tensor, Tensor]:
    """Images and labels of items, or of batches of them, joined."""
    images, labels = [], []
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise ValueError(f"{name} must give pairs of (image, label), got {type(item).__name__}")
        images.append(_tensor(item[0], name))
        labels.append(_tensor(item[1], name))
    if not images:
        raise ValueError(f"{name} must hold at least one image")
    shapes = {tuple(image.shape[-3:]) for image in images}
    if len({shape[-2:] for shape in shapes}) > 1:
        first, other, *_ = sorted(shapes)
        raise ValueError(
            f"{name} must have images of one size, got {list(first)} and {list(other)}"
        )
    try:
        return join(images), join(labels)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name} cannot be joined: {error}") from None


def _tensor(value: Any, name: str) -> Tensor:
    """A tensor of a tensor, an array, a number or a picture of Pillow's."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Image.Image):
        known = {"1": "L", "L": "L", "LA": "L"}
        value = np.array(value.convert(known.get(value.mode, "RGB")))
    try:
        return torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {type(value).__name__} is no tensor: {error}") from None


def _pixels(images: Any, name: str) -> Tensor:
    """uint8 [N, H, W], or [N, 3, H, W] in colour."""
    pixels = _tensor(images, name)
    if pixels.dtype != torch.uint8 and not pixels.dtype.is_floating_point:
        raise ValueError(
            f"{name}: images must be uint8 or floating point in 0..1, got {pixels.dtype}: "
            "convert 0..255 with .to(torch.uint8) in PyTorch or .astype(numpy.uint8) in NumPy"
        )
    pixels = _by_channels(pixels, name)
    if pixels.dtype == torch.uint8:
        return pixels
    if not ((pixels >= 0) & (pixels <= 1)).all():
        raise ValueError(
            f"{name}: images of floating point must lie in 0..1, but some are NaN or outside: "
            "divide by the largest value, and leave normalisation out"
        )
    return (pixels.float() * _LEVELS).round_().to(torch.uint8)


def _by_channels(pixels: Tensor, name: str) -> Tensor:
    """The same pixels, their channels before rows and columns; gray ones without channels."""
    if pixels.ndim == 3:
        return pixels
    if pixels.ndim == 4 and pixels.shape[1] not in _CHANNELS and pixels.shape[3] in _CHANNELS:
        pixels = pixels.movedim(3, 1)
    if pixels.ndim != 4 or pixels.shape[1] not in _CHANNELS:
        raise ValueError(f"{name}: images must be {_SHAPES}, got {list(pixels.shape)}")
    return (pixels[:, 0] if pixels.shape[1] == 1 else pixels).contiguous()


def _labels(labels: Any, name: str) -> Tensor:
    """int64 [N]."""
    found = _tensor(labels, name)
    whole = not (found.dtype.is_floating_point or found.dtype.is_complex)
    if found.ndim != 1 or not whole or found.dtype == torch.bool:
        raise ValueError(
            f"{name}: labels must be whole numbers [N], got {found.dtype} {list(found.shape)}"
        )
    return found.long()


def _classes(data: Any) -> tuple[str, ...]:
    """What a data set, or the one that it is made of, calls its classes; () if it does not say."""
    while data is not None:
        found = getattr(data, "classes", None)
        if isinstance(found, (tuple, list)) and len(set(map(str, found))) == len(found) > 0:
            return tuple(map(str, found))
        data = getattr(data, "dataset", None)
    return ()


def _title(data: Any) -> str:
    """What reports call the set."""
    while isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, ImageSet):
        return data.name
    return "tensors" if isinstance(data, (tuple, list, TensorDataset)) else type(data).__name__
