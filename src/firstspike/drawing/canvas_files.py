"""Canvases as files: pictures, index masks, and annotations in COCO's JSON.

    images/000000.png     8-bit gray
    masks/000000.png      indices: 0 for the ground, 1 for the first class, and so on
    annotations.json      as COCO has it for detection: images, annotations, categories

The number of a category is that of its pixels in the masks. See https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstspike.data import Canvas
from firstspike.runs import files

IMAGES, MASKS, ANNOTATIONS = "images", "masks", "annotations.json"


def save_canvases(folder: Path, canvases: Iterable[Canvas], names: Sequence[str]) -> None:
    """Write canvases into a new or empty folder, which appears with all of them or not at all.

    Args:
        folder: where.
        canvases: at least one.
        names: of the classes.

    Raises:
        ValueError: the folder holds something or cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with files.saving_folder(folder) as place:
        for kind in (IMAGES, MASKS):
            (place / kind).mkdir()
        for number, canvas in enumerate(canvases):
            file = f"{number:06d}.png"
            Image.fromarray(canvas.image).save(place / IMAGES / file)
            _mask(canvas.mask, len(names)).save(place / MASKS / file)
            height, width = canvas.image.shape
            images.append({"id": number, "file_name": file, "width": width, "height": height})
            annotations += [
                {"id": len(annotations) + n, "image_id": number} | annotation
                for n, annotation in enumerate(_annotations(canvas), start=1)
            ]
        categories = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
        record = {"images": images, "annotations": annotations, "categories": categories}
        files.write(place / ANNOTATIONS, files.to_json(record, folder / ANNOTATIONS, indent=None))


def _annotations(canvas: Canvas) -> Iterable[dict[str, Any]]:
    """What COCO says of each digit of a canvas."""
    for label, box, area in zip(canvas.labels, canvas.boxes, canvas.areas, strict=True):
        yield {
            "category_id": int(label) + 1,
            "bbox": box.tolist(),
            "area": int(area),
            "iscrowd": 0,
        }


def _mask(mask: NDArray[np.uint8], classes: int) -> Image.Image:
    """A picture of indices, in colours that tell them apart."""
    picture = Image.fromarray(mask)
    hues = [colorsys.hsv_to_rgb(n / classes, 0.8, 1.0) for n in range(classes)]
    picture.putpalette([0, 0, 0, *(round(255 * part) for hue in hues for part in hue)])
    return picture
