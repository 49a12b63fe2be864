"""``firstspike data``: sets of images that the program makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from firstspike.words import counted


@dataclass(frozen=True)
class Data:
    """Make a set of images, with masks and boxes: digits on textures, partly overlapping."""

    made: Annotated[Positional[Literal["canvases"]], arg(metavar="{canvases}")]
    """What to make: 64x64 pixels, 1 to 4 digits each."""
    count: int
    """How many."""
    out: Path
    """New folder: images/, masks/ (0 is the ground, 1 the first class) and annotations.json, in
    COCO's form."""
    seed: int = 0
    """Of all randomness; the same gives the same files."""
    data: Path | None = None
    """Folder of the digits, as of train; the bundled MNIST if not given."""
    split: Literal["train", "test"] = "train"
    """Whose digits are used."""

    def __call__(self) -> None:
        from firstspike.data import draw_canvases, load_images
        from firstspike.drawing.canvas_files import save_canvases
        from firstspike.runs import files

        files.check_folder(self.out)
        digits = load_images(self.data, self.split, colour="gray")
        save_canvases(self.out, draw_canvases(self.count, self.seed, digits), digits.names)
        print(f"{self.out}: {counted(self.count, 'image')}, masks and boxes")
        print(f"digits: {digits.name}")
