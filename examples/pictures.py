"""A folder of pictures to try things on: python pictures.py FOLDER

Circles, squares and triangles of random size, place and brightness, with noise; 800 of each to
train with and 200 to test.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

rng = np.random.default_rng(0)


def drawing(kind):
    picture = Image.new("L", (28, 28))
    draw = ImageDraw.Draw(picture)
    size, ink = rng.integers(10, 19), int(rng.integers(120, 256))
    x, y = rng.integers(1, 27 - size, 2)
    box = [(x, y), (x + size, y + size)]
    if kind == "circle":
        draw.ellipse(box, outline=ink, width=2)
    elif kind == "square":
        draw.rectangle(box, outline=ink, width=2)
    else:
        draw.polygon([(x + size / 2, y), box[1], (x, y + size)], outline=ink, width=2)
    noise = rng.integers(0, 60, (28, 28)) * (rng.random((28, 28)) < 0.1)
    return Image.fromarray(np.maximum(np.asarray(picture), noise).astype(np.uint8))


for split, count in (("train", 800), ("test", 200)):
    for kind in ("circle", "square", "triangle"):
        folder = Path(sys.argv[1], split, kind)
        folder.mkdir(parents=True)
        for number in range(count):
            drawing(kind).save(folder / f"{number:03}.png")
print(f"pictures: {sys.argv[1]}")
