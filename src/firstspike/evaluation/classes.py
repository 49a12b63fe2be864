"""What the classes of an image set are called: their names, or numbers where it has none."""

from __future__ import annotations

from firstspike.data import ImageSet


def class_names(images: ImageSet, count: int) -> list[str]:
    """Names of the classes 0..count-1, which may be more than occur."""
    names: tuple[str, ...] = getattr(images, "names", ())
    return [*names[:count], *(str(number) for number in range(len(names), count))]


def present(images: ImageSet) -> list[str]:
    """Names of the classes that occur, in the order of their labels."""
    names = class_names(images, images.classes[-1] + 1)
    return [names[label] for label in images.classes]
