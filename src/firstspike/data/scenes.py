"""Scenes: images with boxes around what is on them, canvases or own data with COCO's JSON."""

from __future__ import annotations

import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shortened  # values from elsewhere may be long
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.data.bundled import check_split
from firstspike.data.canvas import CANVAS_SIDE, NOTHING, Canvases, canvases
from firstspike.data.images import ImageSet
from firstspike.data.pictures import (
    MOST_PIXELS,
    Colour,
    check_reading,
    files_of,
    fit,
    open_picture,
)
from firstspike.words import counted, in_a_line

ANNOTATIONS, IMAGES = "annotations.json", "images"
MOST_BOXES = 1000  # of a picture; more is a mistake or an attack
SMALLEST = 0.01  # pixels of a side of a box; float32 must tell its edges apart
SLACK = 0.5  # pixels by which a box may reach out of its image, as rounding leaves it


@dataclass(frozen=True, eq=False)
class Scenes(ImageSet):
    """Images with boxes, up to M each.

    Args:
        boxes: float32 [N, M, 4]: left, top, width, height in pixels; 0 where there is none.
        things: int64 [N, M], the class of each box, a place in ``names``, or `NOTHING`.

    The ``labels`` of the images are those of their first boxes, 0 without any.

    Raises:
        ValueError: as for `ImageSet`, or boxes or things are not such, or no boxes in the images.
    """

    boxes: Tensor = field(kw_only=True)
    things: Tensor = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self)
        for name, kind, shape in (
            ("boxes", torch.float32, (count, *self.things.shape[1:2], 4)),
            ("things", torch.int64, (count, *self.boxes.shape[1:2])),
        ):
            given = getattr(self, name)
            if given.dtype != kind or tuple(given.shape) != shape:
                wanted = "[N, M, 4]" if name == "boxes" else "[N, M]"
                raise ValueError(
                    f"{name} must be {kind} {wanted} of {count} images, got {given.dtype} "
                    f"{list(given.shape)}"
                )
        if ((self.things < NOTHING) | (self.things >= len(self.names))).any():
            raise ValueError(f"things must lie in {NOTHING}..{len(self.names) - 1}")
        height, width = self.images.shape[-2:]
        left, top, wide, high = self.boxes[self.things != NOTHING].unbind(dim=-1)
        inside = (left >= -SLACK) & (left + wide <= width + SLACK) & (wide > 0)
        inside &= (top >= -SLACK) & (top + high <= height + SLACK) & (high > 0)
        if not inside.all():
            raise ValueError(
                "boxes must be left, top, width, height in pixels, inside of their images, but "
                f"{int((~inside).sum())} of {len(inside)} are not"
            )

    def part(self, chosen: Tensor, suffix: str) -> Scenes:
        return Scenes(
            self.images[chosen],
            self.labels[chosen],
            f"{self.name}-{suffix}",
            self.names,
            boxes=self.boxes[chosen],
            things=self.things[chosen],
        )

    @property
    def present(self) -> list[str]:
        return [self.names[thing] for thing in self.things.unique().tolist() if thing != NOTHING]


def canvas_scenes(count: int, seed: int, digits: ImageSet) -> Scenes:
    """Canvases of these digits as scenes; arguments and errors as of `canvases`."""
    made: Canvases = canvases(count, seed, digits)
    return scenes(made.images, made.boxes.float(), made.labels, made.name, made.names)


def scenes(
    images: Tensor, boxes: Tensor, things: Tensor, name: str, names: Sequence[str]
) -> Scenes:
    """Scenes of tensors, see `Scenes`."""
    labels = things[:, 0].clamp(min=0)
    return Scenes(images, labels, name, tuple(names), boxes=boxes, things=things)


def load_scenes(
    folder: Path, split: str, size: int | None = None, colour: Colour = "auto"
) -> Scenes:
    """Own data: a folder with ``images/`` and ``annotations.json``, as of COCO.

    Args:
        folder: with these, or with folders ``train`` and ``test`` that have them each.
        split: ``"train"`` or ``"test"``.
        size: pixels of a side to which pictures, and their boxes, are brought; `CANVAS_SIDE` if
            None.
        colour: ``"gray"`` or ``"colour"``; ``"auto"`` is gray.

    Raises:
        ValueError: names the file that is missing, cannot be read, or says what cannot be.
    """
    check_split(split)
    folder = Path(folder).expanduser()
    root = folder / split if any((folder / name).is_dir() for name in ("train", "test")) else folder
    if root == folder and split == "test":
        raise ValueError(f"{folder}: has no test split; put one into {folder / 'test'}")
    check_reading(size, colour)
    file = root / ANNOTATIONS
    names, images, annotations = _read(file)
    side = size or CANVAS_SIDE
    boxes, things = _placed(images, _singles(annotations, file), list(names), side)
    kept: Colour = "gray" if colour == "auto" else colour
    pictures = [_picture(root / IMAGES / it["file_name"], it, side, kept) for it in images]
    _tell_left_out(root / IMAGES, images)
    return scenes(
        torch.from_numpy(np.stack(pictures)),
        boxes,
        things,
        f"{folder.resolve().name}-{split}",
        tuple(names.values()),
    )


def _tell_left_out(folder: Path, images: Sequence[Any]) -> None:
    """Warn of pictures that are there, but that no entry names."""
    named = {folder / image["file_name"] for image in images}
    if others := [file for file in files_of(folder) if file not in named]:
        told = f"{counted(len(others), 'picture')} in {folder} that {ANNOTATIONS} does not name"
        warnings.warn(f"left out: {told}, such as {others[0].name}", stacklevel=3)


def _singles(annotations: Sequence[Any], file: Path) -> list[Any]:
    """Annotations of single things; warns of boxes around crowds, as COCO calls them."""
    singles = [it for it in annotations if it.get("iscrowd") != 1]
    if not singles:
        raise ValueError(f"{file}: all annotations are of crowds (iscrowd), none of single things")
    if crowds := len(annotations) - len(singles):
        told = f"{counted(crowds, 'annotation')} of crowds (iscrowd)"
        warnings.warn(f"left out: {told} in {file}", stacklevel=3)
    return singles


def _placed(
    images: Sequence[Any], annotations: Sequence[Any], categories: Sequence[int], side: int
) -> tuple[Tensor, Tensor]:
    """Boxes and things, see `Scenes`, of images that are brought to ``side`` pixels a side."""
    places = {image["id"]: place for place, image in enumerate(images)}
    order = {number: place for place, number in enumerate(categories)}
    most = int(np.bincount([places[it["image_id"]] for it in annotations]).max())
    boxes = np.zeros((len(images), most, 4), np.float32)
    things = np.full((len(images), most), NOTHING)
    filled = [0] * len(images)
    for it in annotations:
        place = places[it["image_id"]]
        image, slot = images[place], filled[place]
        scale = side / np.array([image["width"], image["height"]] * 2)
        boxes[place, slot] = _clipped(it["bbox"], image) * scale
        things[place, slot] = order[it["category_id"]]
        filled[place] += 1
    return torch.from_numpy(boxes), torch.from_numpy(things)


def _read(file: Path) -> tuple[dict[int, str], list[Any], list[Any]]:
    """Categories by number, images and annotations of a file. ValueError if something is wrong."""
    if not file.is_file():  # a pipe or a device would be read for ever
        raise ValueError(f"{file}: cannot be read: no such file")
    try:
        record = json.loads(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: no JSON ({error})") from None
    parts = [_list(record, name, file) for name in ("categories", "images", "annotations")]
    fields: tuple[Mapping[str, type], ...] = (
        {"id": int, "name": str},
        {"id": int, "file_name": str, "width": int, "height": int},
        {"image_id": int, "category_id": int, "bbox": list},
    )
    for name, entries, wanted in zip(_PARTS, parts, fields, strict=True):
        for number, entry in enumerate(entries):
            _check_fields(entry, wanted, f"{file}: {name}[{number}]")
    categories, images, annotations = parts
    for name, entries in zip(_PARTS[:2], parts[:2], strict=True):
        if len({entry["id"] for entry in entries}) < len(entries):
            raise ValueError(f"{file}: two of the {name} have the same id")
    names = {it["id"]: it["name"] for it in sorted(categories, key=lambda it: int(it["id"]))}
    if len(set(names.values())) < len(names):
        raise ValueError(f"{file}: two of the categories have the same name")
    known = {it["id"]: it for it in images}
    for number, it in enumerate(images):
        _check_image(it, f"{file}: images[{number}]")
    for number, it in enumerate(annotations):
        _check_annotation(it, known, names, f"{file}: annotations[{number}]")
    _check_boxes(annotations, file)
    return names, images, annotations


_PARTS = "categories", "images", "annotations"


def _list(record: Any, name: str, file: Path) -> list[Any]:
    found = record.get(name) if isinstance(record, dict) else None
    if not isinstance(found, list) or not found:
        raise ValueError(f"{file}: {name!r} must be a list with at least one entry, as COCO has it")
    return found


def _check_fields(entry: Any, wanted: Mapping[str, type], place: str) -> None:
    for name, kind in wanted.items():
        value = entry.get(name) if isinstance(entry, dict) else None
        if type(value) is not kind:
            raise ValueError(
                f"{place}: {name!r} must be of type {kind.__name__}, got {shortened(value)}"
            )


def _check_image(image: Mapping[str, Any], place: str) -> None:
    if not all(1 <= image[side] <= MOST_PIXELS for side in ("width", "height")):
        raise ValueError(f"{place}: width and height must lie in 1..{MOST_PIXELS}")
    name = Path(image["file_name"])
    if name.is_absolute() or ".." in name.parts:
        raise ValueError(
            f"{place}: file_name must lie in {IMAGES}/, got {shortened(image['file_name'])}"
        )


def _check_annotation(
    it: Mapping[str, Any], images: Mapping[int, Any], names: Mapping[int, str], place: str
) -> None:
    if it["image_id"] not in images:
        raise ValueError(f"{place}: there is no image {shortened(it['image_id'])}")
    if it["category_id"] not in names:
        raise ValueError(f"{place}: there is no category {shortened(it['category_id'])}")
    box, image = it["bbox"], images[it["image_id"]]
    if len(box) != 4 or any(type(side) not in (int, float) for side in box):
        raise ValueError(f"{place}: bbox must be left, top, width, height, got {shortened(box)}")
    left, top, width, height = box
    inside = all(-SLACK <= side <= MOST_PIXELS for side in box)  # before they are added
    inside = inside and left + width <= image["width"] + SLACK
    inside = inside and top + height <= image["height"] + SLACK
    if not (width >= SMALLEST and height >= SMALLEST and inside):
        size = f"{image['width']}x{image['height']}"
        raise ValueError(
            f"{place}: bbox {shortened(box)} is empty or not inside its image of {size} pixels"
        )


def _check_boxes(annotations: Sequence[Any], file: Path) -> None:
    """Raise ValueError if a picture has too many boxes, or they seem to be shares of pictures."""
    number, most = Counter(it["image_id"] for it in annotations).most_common(1)[0]
    if most > MOST_BOXES:
        raise ValueError(
            f"{file}: image {shortened(number)} has {most} boxes, more than {MOST_BOXES}"
        )
    boxes = [it["bbox"] for it in annotations]
    if all(left + width <= 1 and top + height <= 1 for left, top, width, height in boxes):
        raise ValueError(
            f"{file}: no bbox reaches beyond the first pixel; they must be in pixels, not in "
            "shares of the image"
        )


def _clipped(box: Sequence[float], image: Mapping[str, Any]) -> NDArray[np.float64]:
    """A box without what the slack lets reach out of its image."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right = min(image["width"], box[0] + box[2])
    bottom = min(image["height"], box[1] + box[3])
    return np.array([left, top, right - left, bottom - top])


def _unreadable(file: Path, reason: object) -> ValueError:
    return ValueError(in_a_line(f"{file}: no readable picture ({reason})"))


def _picture(file: Path, image: Mapping[str, Any], side: int, colour: Colour) -> NDArray[np.uint8]:
    """uint8 [side, side] or [3, side, side]."""
    if file.exists() and not file.is_file():  # a pipe would be read for ever
        raise _unreadable(file, "not a file")
    try:
        picture = open_picture(io.BytesIO(file.read_bytes()))
        pixels = fit(picture, (side, side), colour)
    except OSError as error:
        raise _unreadable(file, error.strerror or error) from None
    except Exception as error:  # Pillow's decoders raise a dozen types for a damaged file
        raise _unreadable(file, type(error).__name__) from None
    if picture.size != (image["width"], image["height"]):
        told = f"{image['width']}x{image['height']}"
        own = f"{picture.width}x{picture.height}"
        raise ValueError(in_a_line(f"{file}: has {own} pixels, but {ANNOTATIONS} says {told}"))
    return pixels
