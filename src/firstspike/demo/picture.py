"""Any picture -> an image as a network knows them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from firstspike.data import SIDE, fit, to_gray
from firstspike.shape import MNIST, Shape

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
LARGEST = 64_000_000  # pixels; more would fill the memory
BOX = 20  # MNIST's digits fit into 20x20 pixels
MIDDLE = 14  # the pixel, counted from 0, on which their centre of mass lies

_WORKING = 512  # pixels that are enough for a digit
_FAINT = 0.2  # share of the strongest ink below which a pixel may be dirt


def read(content: bytes, shape: Shape = MNIST, *, centred: bool = True) -> NDArray[np.uint8]:
    """A picture in the size and with the channels that a network takes.

    A picture of this size is taken as it is, and others are resized as those of a folder are. But
    where ``centred``, the ground becomes black and the ink, which may be darker or brighter than
    the ground, white; the digit is scaled and centred as MNIST's are.

    Args:
        content: a file in one of `FORMATS`.
        shape: of the network's images.
        centred: whether these are, like MNIST's, digits in the middle of 28x28 gray pixels.

    Returns:
        uint8 [height, width], or [3, height, width] in colour; where ``centred``, all 0 for a
        picture without ink.

    Raises:
        ValueError: this is no such file, it is damaged, or the picture is too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height <= LARGEST:
                upright = ImageOps.exif_transpose(picture)
                size = shape.width, shape.height
                if not centred or upright.size == size:
                    pixels = fit(upright, size, "gray" if shape.channels == 1 else "colour")
                    is_even = centred and pixels.min() == pixels.max()
                    return np.zeros_like(pixels) if is_even else pixels
                gray = to_gray(upright)
    except Exception as error:  # Pillow's decoders raise a dozen types for a damaged file
        raise ValueError(
            f"not a readable picture ({type(error).__name__}); give a {', '.join(FORMATS)} file"
        ) from None
    if width * height > LARGEST:
        raise ValueError(f"the picture has {width}x{height} pixels; give one of {LARGEST} at most")
    return _like_mnist(gray)


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
