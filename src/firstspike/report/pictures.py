"""Figures as data that a page can hold, in the colours of a light and of a dark one."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure
    from PIL import Image

_INK = {"light": "#1d2733", "dark": "#d8dee6"}
_LINES = {
    "light": ["#2563a8", "#d97706", "#15803d", "#c2333a"],
    "dark": ["#6cb0f5", "#f5a742", "#5cc98a", "#f2777c"],
}


@dataclass(frozen=True)
class Picture:
    """Data URIs of a picture, and what it shows in words."""

    light: str
    dark: str
    alt: str


def from_figure(draw: Callable[[], Figure], alt: str) -> Picture:
    """A figure with axes, drawn twice as SVG on a transparent ground."""
    return Picture(_svg(draw, "light"), _svg(draw, "dark"), alt)


def from_image(image: Image.Image, alt: str) -> Picture:
    """A picture of images, which is the same on every ground."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    uri = _uri("image/png", stream.getvalue())
    return Picture(uri, uri, alt)


def _svg(draw: Callable[[], Figure], scheme: str) -> str:
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context(_style(scheme)):
        draw().savefig(stream, format="svg", metadata={"Date": None})
    return _uri("image/svg+xml", stream.getvalue())


def _style(scheme: str) -> Any:  # Matplotlib types each key
    """Matplotlib settings; the salt makes the same figure the same bytes."""
    from cycler import cycler

    ink = _INK[scheme]
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    clear = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        **dict.fromkeys(inked, ink),
        **dict.fromkeys(clear, "none"),
        "grid.color": ink,
        "grid.alpha": 0.2,
        "axes.prop_cycle": cycler(color=_LINES[scheme]),
        "svg.hashsalt": "firstspike",
    }


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
