"""What the page may ask for: one method each, from a request to JSON values."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstspike._version import __version__
from firstspike.demo import drawing, picture
from firstspike.demo.networks import Shelf
from firstspike.demo.race import race

LONGEST = 16_000_000  # bytes of a request: a photograph fits
MOST = 64  # images at once

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request for ``/api/...``, its query and its body."""

    query: Mapping[str, str]
    body: bytes = b""

    def number(self, name: str) -> int:
        """A whole number of the query. ValueError if it is none."""
        text = self.query.get(name, "")
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise ValueError(f"{name} must be a whole number, got {text[:40]!r}")
        return int(text)

    def json(self) -> Json:
        """The body as a JSON object. ValueError if it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise ValueError("the request is no JSON") from None
        if not isinstance(value, dict):
            raise ValueError("the request is no JSON object")
        return value


class Api:
    """The functions behind the page. Wrong requests raise ValueError with one line for people."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.routes: dict[tuple[str, str], Callable[[Request], Json]] = {
            ("GET", "/api/networks"): self.networks,
            ("GET", "/api/digit"): self.digit,
            ("POST", "/api/race"): self.race,
            ("POST", "/api/sample"): self.sample,
            ("POST", "/api/walk"): self.walk,
        }
        self._busy = threading.Lock()  # one computation at a time

    def networks(self, request: Request) -> Json:
        """All networks on offer, in the order of their numbers."""
        return {
            "version": __version__,
            "largest": LONGEST,
            "networks": [offer.as_dict() for offer in self.shelf.offers],
        }

    def digit(self, request: Request) -> Json:
        """An image that a classifier was not trained on, if any; ``?network=N&pick=M``."""
        images = self.shelf.offer(request.number("network"), "race").images()
        index = request.number("pick") % len(images)
        return {
            "pixels": images.images[index].flatten().tolist(),
            "label": images.names[images.labels[index]],
            "index": index,
            "source": images.name,
        }

    def race(self, request: Request) -> Json:
        """A classifier's race for the picture in the body; ``?network=N``."""
        number = request.number("network")
        offer = self.shelf.offer(number, "race")
        with self._busy:  # a large picture takes a gigabyte while it is read
            image = picture.read(request.body, offer.run.shape, centred=offer.is_centred)
            result = race(self.shelf.classifier(number), image)
        return {"pixels": image.flatten().tolist(), **result}

    def sample(self, request: Request) -> Json:
        """Images of a generator: ``{"count": 24, "seed": 7}``; ``?network=N``.

        ``"digit"``, the name of a class, may be asked of a conditional one, which else draws all.
        """
        asked = request.json()
        digit = asked.get("digit")
        if not isinstance(digit, str | None):
            raise ValueError(f"digit must be a name, got {digit!r:.40}")
        count, seed = _whole(asked, "count", 1, MOST), _whole(asked, "seed", 0, 2**32 - 1)
        with self._busy:
            gan = self.shelf.gan(request.number("network"))
            return drawing.sample(gan, count, seed, digit)

    def walk(self, request: Request) -> Json:
        """Images between two latents: ``{"ends": [[...], [...]], "steps": 16}``; ``?network=N``."""
        asked = request.json()
        steps = _whole(asked, "steps", 2, MOST)
        with self._busy:
            gan = self.shelf.gan(request.number("network"))
            return drawing.walk(gan, asked.get("ends"), steps)

    def warm_up(self) -> None:
        """Compile the kernels, so that nobody waits for the first answer."""
        for number, offer in enumerate(self.shelf.offers):
            if offer.part == "race":
                with self._busy, contextlib.suppress(ValueError):  # told when it is asked for
                    black = np.zeros(offer.run.shape.image, np.uint8)
                    race(self.shelf.classifier(number), black)
                return


def _whole(asked: Json, name: str, low: int, high: int) -> int:
    value = asked.get(name)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number in {low}..{high}, got {value!r:.40}")
    return value
