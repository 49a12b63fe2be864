"""Images with boxes around what is on them, and its name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from firstspike.drawing.grids import as_pixels

COLOUR = (255, 150, 30)
SCALE = 4  # pixels of a side for each of the image


def with_boxes(
    images: Tensor, boxes: Sequence[Tensor], words: Sequence[Sequence[str]], scale: int = SCALE
) -> Tensor:
    """Enlarged images in colour, with boxes.

    Args:
        images: uint8 [N, H, W] or [N, 3, H, W].
        boxes: of each image, [n, 4]: left, top, width, height in its pixels.
        words: beside each box of each image.
        scale: pixels of a side for each of the image.

    Returns:
        uint8 [N, 3, H * scale, W * scale].
    """
    drawn = [
        _drawn(Image.fromarray(pixels), its.tolist(), said, scale)
        for pixels, its, said in zip(as_pixels(images), boxes, words, strict=True)
    ]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in drawn])).movedim(-1, 1)


def _drawn(
    image: Image.Image, boxes: Sequence[Sequence[float]], words: Sequence[str], scale: int
) -> Image.Image:
    picture = image.convert("RGB").resize(
        (image.width * scale, image.height * scale), Image.Resampling.NEAREST
    )
    pen = ImageDraw.Draw(picture)
    for (left, top, width, height), word in zip(boxes, words, strict=True):
        corners = [scale * left, scale * top, scale * (left + width), scale * (top + height)]
        pen.rectangle(corners, outline=COLOUR, width=max(1, scale // 3))
        pen.text((corners[0] + scale, corners[1]), word, fill=COLOUR, font_size=3 * scale)
    return picture
