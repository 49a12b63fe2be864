"""Any picture of a digit -> an image like MNIST's."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from firstspike.data import SIDE, to_gray

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
LARGEST = 64_000_000  # pixels; more would fill the memory
BOX = 20  # MNIST's digits fit into 20x20 pixels
MIDDLE = 14  # the pixel, counted from 0, on which their centre of mass lies

_WORKING = 512  # pixels that are enough for a digit
_FAINT = 0.2  # share of the strongest ink below which a pixel may be dirt


def read(content: bytes) -> NDArray[np.uint8]:
    """The digit in a picture.

    A picture of 28x28 pixels is taken as it is. Of any other, the ground becomes black and the ink,
    which may be darker or brighter than the ground, white; the digit is scaled and centred as
    MNIST's are.

    Args:
        content: a file in one of `FORMATS`.

    Returns:
        uint8 [28, 28]; all 0 for a picture without ink.

    Raises:
        ValueError: this is no such file, it is damaged, or the picture is too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height <= LARGEST:
                gray = to_gray(ImageOps.exif_transpose(picture))
    except Exception as error:  # Pillow's decoders raise a dozen types for a damaged file
        raise ValueError(
            f"not a readable picture ({type(error).__name__}); give a {', '.join(FORMATS)} file"
        ) from None
    if width * height > LARGEST:
        raise ValueError(f"the picture has {width}x{height} pixels; give one of {LARGEST} at most")
    return np.array(gray) if gray.size == (SIDE, SIDE) else _like_mnist(gray)


def _like_mnist(picture: Image.Image) -> NDArray[np.uint8]:
    """A digit of any size and place, white on black in the middle of 28x28 pixels."""
    picture.thumbnail((_WORKING, _WORKING), Image.Resampling.BOX)
    ink = _ink(np.asarray(picture, np.float32))
    rows, columns = np.nonzero(ink > _FAINT)
    if not len(rows):
        return np.zeros((SIDE, SIDE), np.uint8)
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = (max(1, round(length * BOX / max(cut.shape))) for length in cut.shape)
    small = Image.fromarray(np.rint(cut * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    return _centred(np.asarray(small))


def _ink(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each pixel is from the ground, 0..1; the ground is what the picture's edge shows."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(edge)
    ink = np.clip(pixels - ground if ground < 128 else ground - pixels, 0, None)
    strongest = ink.max()
    return np.zeros_like(ink) if strongest < 16 else ink / strongest


def _centred(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The digit, not above 20x20, on 28x28 pixels with its centre of mass where MNIST's are."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    places = []
    for axis, length in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis, dtype=np.float64)
        centre = mass @ np.arange(length) / mass.sum()
        places.append(int(np.clip(round(MIDDLE - centre), 0, SIDE - length)))
    (top, left), (height, width) = places, digit.shape
    image[top : top + height, left : left + width] = digit
    return image
