"""Folders of pictures, read as a person sees them."""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from firstspike.data.bundled import Split
from firstspike.data.images import ImageSet, image_set
from firstspike.times import check_whole
from firstspike.words import counted

# Only what these suffixes promise is decoded: Pillow would start programs for some other formats.
_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
IMAGE_SUFFIXES = frozenset(_FORMATS)
_BY_CONTENT = sorted(set(_FORMATS.values()))  # a suffix may name another of them
# Beside pictures nobody's loss; files of any other suffix may be pictures, and are told of.
_NO_PICTURES = {
    *(".cfg", ".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".md"),
    *(".py", ".rst", ".sh", ".toml", ".tsv", ".txt", ".url", ".xml", ".yaml", ".yml"),
}
_LEFTOVERS = {"Thumbs.db", "desktop.ini", "__MACOSX"}  # of systems, not of people
KEPT = 64  # pixels of a side up to which pictures of one size keep it
SIDE = 28  # pixels of a side of all others, as in MNIST
_DARK = 64  # of 255; below it everything is as good as black
MOST_PIXELS = 1 << 26  # of a picture; a larger one is a mistake or an attack

Colour = Literal["auto", "gray", "colour"]


def recognises(folder: Path) -> bool:
    """Any folder may hold pictures: `load` complains if this one does not."""
    return True


def load(folder: Path, split: str, size: int | None = None, colour: Colour = "auto") -> ImageSet:
    """A split of a folder of pictures.

    Args:
        folder: each sub-folder is a class, whatever is below it, numbers by value and names in
            order; pictures directly in the folder are one class. Folders ``train`` and ``test``
            above that separate the splits.
        split: ``"train"`` or ``"test"``.
        size: pixels of a side, to which pictures are resized; by default pictures of one size of
            up to `KEPT` pixels a side stay as they are, and others become `SIDE` x `SIDE`.
        colour: ``"auto"`` keeps colours if any training picture has some.

    Raises:
        ValueError: there is no such split, a picture cannot be read, or all are blank.
    """
    roots = {name: folder / name for name in get_args(Split) if (folder / name).is_dir()}
    if not roots:
        roots = {"train": folder}
    if split not in roots:
        raise ValueError(f"{folder}: has no {split} split; put its pictures into {folder / split}")
    found = {name: _find(root) for name, root in roots.items()}
    if not found[split]:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"{roots[split]}: neither IDX files nor pictures ({suffixes}) in it")
    _tell_left_out(folder, roots, found)
    names = sorted({name for pictures in found.values() for name, _ in pictures}, key=_order)
    deciding = found.get("train") or found[split]
    images = read([f for _, f in found[split]], [f for _, f in deciding], size, colour)
    check_ink(images, roots[split])
    labels = np.array([names.index(name) for name, _ in found[split]])
    return image_set(images, labels, f"{folder.resolve().name}-{split}", names or ["0"])


def read(
    files: Sequence[Path], deciding: Sequence[Path], size: int | None, colour: Colour
) -> NDArray[np.uint8]:
    """Pictures of one size, in gray or in colour.

    Args:
        files: to read.
        deciding: those of the training set, whose sizes, depths and colours decide, so that all
            splits look alike.
        size: as for `load`.
        colour: as for `load`.

    Returns:
        [N, height, width], or [N, 3, height, width] in colour.

    Raises:
        ValueError: a picture cannot be read, or an argument is none of its kind.
    """
    check_reading(size, colour)
    heads = {file: head(file) for file in deciding}
    width, height = target = (size, size) if size else _common_size(heads.values())
    deep = (_read(file)[0] for file, head in heads.items() if _is_deep(head))
    brightest = max(map(_brightest, deep), default=0.0)
    if colour == "auto":
        others = (_read(file)[0] for file, head in heads.items() if _may_colour(head))
        colour = "colour" if any(map(_has_colour, map(_seen, others))) else "gray"
    sides = (3, height, width) if colour == "colour" else (height, width)
    found = np.empty((len(files), *sides), np.uint8)  # pictures may be large: one at a time
    for place, picture in enumerate(decoded(files)):
        found[place] = _fitted(_seen(picture, brightest), target, colour)
    return found


def check_reading(size: int | None, colour: str) -> None:
    """Raise ValueError unless pictures can be brought to so many pixels a side, and so coloured."""
    if size is not None and check_whole("size", size, 1) ** 2 > MOST_PIXELS:
        raise ValueError(f"size must be at most {math.isqrt(MOST_PIXELS)}, got {size}")
    if colour not in get_args(Colour):
        raise ValueError(f"colour must be one of {', '.join(get_args(Colour))}, got {colour!r}")


def to_gray(picture: Image.Image) -> Image.Image:
    """A picture in 8-bit gray, with transparency on black. What Pillow raises if it is damaged."""
    return _seen(picture).convert("L")


def fit(picture: Image.Image, size: tuple[int, int], colour: Colour) -> NDArray[np.uint8]:
    """A picture as `load` would give it: transparency on black, resized.

    Args:
        picture: of any mode.
        size: width and height.
        colour: ``"gray"`` or ``"colour"``.

    Returns:
        [height, width], or [3, height, width] in colour.

    Raises:
        Exception: whatever Pillow raises for a damaged file.
    """
    return _fitted(_seen(picture), size, colour)


def open_picture(source: Path | IO[bytes]) -> Image.Image:
    """A picture of a known format, turned as its EXIF data say, its size checked first.

    Raises:
        ValueError: it has more pixels than a picture should.
        Exception: whatever Pillow raises for a damaged file.
    """
    return ImageOps.exif_transpose(_opened(source))


def _opened(source: Path | IO[bytes]) -> Image.Image:
    """A picture as it is stored, not decoded yet; raises as `open_picture` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check below is ours
        picture = Image.open(source, formats=_BY_CONTENT)
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
    return picture


def _order(name: str) -> tuple[int, int, str]:
    """Numbers by their value, before names."""
    return (0, int(name), name) if re.fullmatch(r"[0-9]{1,18}", name) else (1, 0, name)


def _find(root: Path) -> list[tuple[str, Path]]:
    """(class, file) of the pictures below ``root``; those directly in it are of class '0'."""
    files = files_of(root)
    found = [(file.relative_to(root).parts[0], file) for file in files if file.parent != root]
    beside = [("0", file) for file in files if file.parent == root]
    if found and beside:
        raise ValueError(f"{root}: pictures both beside and inside sub-folders; use one of the two")
    return found or beside


def files_of(root: Path) -> list[Path]:
    """Pictures below ``root`` at any depth, in the order of their paths."""
    return [file for file in _files_below(root) if file.suffix.lower() in IMAGE_SUFFIXES]


def _files_below(root: Path) -> list[Path]:
    """Files at any depth, without those that are hidden; links to folders are followed."""
    found, seen = [], set()
    for place, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder around it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(place, name) for name in names if not _is_hidden(name)]
    return sorted(file for file in found if file.is_file() or file.is_symlink())


def tell_other_files(folder: Path) -> None:
    """Warn of files in a folder of pictures that may be meant to be some, but are not read."""
    if told := _others(folder):
        warnings.warn(f"left out: {told}", stacklevel=2)


def _others(root: Path) -> str:
    """What is said of files below ``root`` that may be pictures; empty if there are none."""
    others = [file for file in _files_below(root) if _may_be_picture(file)]
    suffixes = ", ".join(sorted({file.suffix or "no suffix" for file in others}))
    return f"{counted(len(others), 'file')} in {root} ({suffixes})" if others else ""


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _LEFTOVERS


def _may_be_picture(file: Path) -> bool:
    return file.suffix.lower() not in _NO_PICTURES | IMAGE_SUFFIXES


def _tell_left_out(
    folder: Path, roots: Mapping[str, Path], found: Mapping[str, list[tuple[str, Path]]]
) -> None:
    """Warn of what looks as if it were meant, but is not taken."""
    told: list[str] = []
    for root in roots.values():
        told += filter(None, [_others(root)])
        used = {name for pictures in found.values() for name, _ in pictures}
        empty = [it.name for it in sorted(root.iterdir()) if it.is_dir() and it.name not in used]
        told += [f"{root / name}, which has no pictures" for name in empty if not _is_hidden(name)]
    if folder not in roots.values():
        beside = [it for it in sorted(folder.iterdir()) if it.is_dir() and it.name not in roots]
        told += [
            f"{it}, which is neither train nor test"
            for it in beside
            if any(file.suffix.lower() in IMAGE_SUFFIXES for file in _files_below(it))
        ]
    if told:
        warnings.warn(f"left out: {'; '.join(told)}", stacklevel=2)


def _common_size(heads: Collection[Head]) -> tuple[int, int]:
    """(width, height) that all pictures have if it is a small one, else MNIST's."""
    sizes = {head.size for head in heads}
    small = all(max(size) <= KEPT for size in sizes)
    return sizes.pop() if small and len(sizes) == 1 else (SIDE, SIDE)


class Head(NamedTuple):
    """What is known of a picture without decoding it.

    Args:
        size: width and height, as it is seen.
        mode: Pillow's.
        format: ``"PNG"``, ``"JPEG"`` and so on.
    """

    size: tuple[int, int]
    mode: str
    format: str | None


def head(file: Path) -> Head:
    """What the head of a picture says. ValueError if it is damaged, or the picture too large."""
    try:
        with _opened(file) as picture:
            turned = picture.getexif().get(0x0112, 1) >= 5  # EXIF orientations that lie on a side
            width, height = picture.size
            size = (height, width) if turned else (width, height)
            return Head(size, picture.mode, picture.format)
    except Exception as error:
        raise unreadable(file, error) from None


def decoded(files: Sequence[Path]) -> Iterator[Image.Image]:
    """Pictures as they are stored, upright, one after the other; warns of files with several.

    Raises:
        ValueError: a picture cannot be read.
    """
    several = []
    for file in files:
        picture, count = _read(file)
        several += [file] if count > 1 else []
        yield picture
    if several:
        warnings.warn(
            f"left out: all but the first picture of {counted(len(several), 'file')} with several, "
            f"such as {several[0]}",
            stacklevel=3,
        )


def _read(file: Path) -> tuple[Image.Image, int]:
    """The first picture of a file, upright, and how many there are."""
    try:
        stored = _opened(io.BytesIO(file.read_bytes()))
        count = getattr(stored, "n_frames", 1)
        stored.seek(0)
        return ImageOps.exif_transpose(stored), count
    except Exception as error:  # Pillow's decoders raise a dozen types for a damaged file
        raise unreadable(file, error) from None


def unreadable(file: Path, error: Exception) -> ValueError:
    """What to raise of a picture that Pillow raised this error of."""
    reason = str(error) if type(error) is ValueError else type(error).__name__
    return ValueError(f"{file}: not a readable picture ({reason}); replace or remove it")


def _seen(picture: Image.Image, brightest: float | None = None) -> Image.Image:
    """A picture in 8 bits, gray ("L") or in colour ("RGB"), with transparency on black.

    Where that leaves next to nothing, as of black ink on a transparent ground, the ink is what is
    opaque.

    Args:
        picture: of any mode.
        brightest: `_brightest` of the set that it belongs to, by default its own.
    """
    if _is_deep(picture):
        values = np.nan_to_num(np.asarray(picture))
        return Image.fromarray(_eight_bits(values, brightest or _brightest(picture)))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    ink = picture.convert("RGBA")
    seen = Image.alpha_composite(Image.new("RGBA", ink.size, "black"), ink).convert("RGB")
    alpha, strongest = ink.getchannel("A"), np.asarray(seen.convert("L")).max(initial=0)
    if strongest < _DARK and alpha.getextrema() != (255, 255):
        return alpha
    red, green, blue = (np.asarray(channel) for channel in seen.split())
    is_gray = np.array_equal(red, green) and np.array_equal(green, blue)
    return seen.convert("L") if is_gray or picture.mode in ("LA", "La") else seen


def _is_deep(picture: Image.Image | Head) -> bool:
    """Whether its gray values have more than 8 bits."""
    return picture.mode.startswith("I") or picture.mode == "F"


def _brightest(picture: Image.Image) -> float:
    """The largest gray value of a picture of more than 8 bits, and 0 of others."""
    return float(np.nan_to_num(np.asarray(picture)).max(initial=0)) if _is_deep(picture) else 0.0


def _eight_bits(values: NDArray[Any], brightest: float) -> NDArray[np.uint8]:
    """Gray values of 8, 12 or 16 bits or in 0..1, as the largest of them all tells, in 8 bits."""
    if values.dtype.kind == "f" and brightest <= 1:
        return (values.clip(0, 1) * 255).round().astype(np.uint8)
    shift = next(
        shift for shift, limit in ((0, 1 << 8), (4, 1 << 12), (8, math.inf)) if brightest < limit
    )
    return np.asarray(values.astype(np.int64) >> shift).clip(0, 255).astype(np.uint8)


def _may_colour(head: Head) -> bool:
    """Whether a picture of this mode may have colours."""
    return not (_is_deep(head) or head.mode in ("1", "L", "LA", "La"))


def _has_colour(picture: Image.Image) -> bool:
    return picture.mode == "RGB"


def _fitted(picture: Image.Image, size: tuple[int, int], colour: Colour) -> NDArray[np.uint8]:
    """uint8 [height, width], or [3, height, width] in colour."""
    picture = picture.convert("RGB" if colour == "colour" else "L")
    pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    return pixels.transpose(2, 0, 1) if colour == "colour" else pixels


def check_ink(images: NDArray[np.uint8], root: Path) -> None:
    """Blank pictures are told; nothing but them is refused."""
    flat = images.reshape(len(images), -1)
    shades = {"black": flat.max(axis=1) == 0, "white": flat.min(axis=1) == 255}
    for shade, is_blank in shades.items():
        if is_blank.all() and len(images) > 1:
            raise ValueError(
                f"{root}: all {len(images)} pictures are {shade}; bright ink on black is needed"
            )
        if blank := int(is_blank.sum()):
            warnings.warn(f"{root}: {blank} of {len(images)} pictures are {shade}", stacklevel=2)
