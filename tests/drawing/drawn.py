"""What tests of figures look at."""

from __future__ import annotations

import numpy as np
from PIL import Image

from firstspike.drawing import figures


def texts(figure):
    """Everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def pixels(figure, folder):
    """The figure as its file shows it."""
    figures.save(folder / "figure.png", figure)
    with Image.open(folder / "figure.png") as picture:
        return np.asarray(picture.convert("RGB"))
