"""What a network must know of its images: their size, and the names of their classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from firstspike.words import in_a_line

_LARGEST = 4096  # pixels of a side, channels and classes: far beyond what these networks can learn


@dataclass(frozen=True)
class Shape:
    """Size and classes of an image set; by default those of MNIST.

    Args:
        channels: 1 for gray, 3 for colour.
        height: pixels.
        width: pixels.
        classes: their names, in the order of labels and output neurons.

    Raises:
        ValueError: a size is out of its range, or the names are none or not unique.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    classes: tuple[str, ...] = tuple("0123456789")

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width"):
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= _LARGEST:
                raise ValueError(f"{name} must be a whole number in 1..{_LARGEST}, got {size!r}")
        names = self.classes
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise ValueError("classes must be names, each of them once")
        if not 1 <= len(names) <= _LARGEST:
            raise ValueError(f"classes must be 1..{_LARGEST} names, got {len(names)}")

    @property
    def pixels(self) -> int:
        """Values of an image, those of all channels."""
        return self.channels * self.height * self.width

    @property
    def image(self) -> tuple[int, ...]:
        """Sizes of an image tensor: (height, width) in gray, else (channels, height, width)."""
        size = self.height, self.width
        return size if self.channels == 1 else (self.channels, *size)

    def label(self, name: str) -> int:
        """The label of a class. ValueError if there is none of this name."""
        if name not in self.classes:
            known = in_short(self.classes)
            raise ValueError(f"digit must be one of {known}, got {name!r}")
        return self.classes.index(name)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, for ``options.json``."""
        return dataclasses.asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The opposite of `as_dict`. ValueError if a field is unknown, missing or not valid."""
        names = {field.name for field in dataclasses.fields(cls)}
        if odd := sorted(names ^ record.keys()):
            raise ValueError(f"shape: unknown or missing field {odd[0]!r}")
        if not isinstance(record["classes"], list):
            raise ValueError("classes must be a list of names")
        return cls(**{**record, "classes": tuple(record["classes"])})


MNIST = Shape()


def in_short(names: Iterable[str]) -> str:
    """Names of classes in a line that stays readable, whatever control characters they have."""
    shown = list(names)
    return in_a_line(", ".join(shown[:40])) + (
        f" and {len(shown) - 40} more" if len(shown) > 40 else ""
    )
