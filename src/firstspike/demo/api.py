"""What the page may ask for: one method each, from a request to JSON values."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from firstspike._version import __version__
from firstspike.demo import answers, drawing, picture
from firstspike.demo.networks import Shelf
from firstspike.demo.race import race

LONGEST = 16_000_000  # bytes of a request: a photograph fits
MOST = 64  # images at once
MAP = 10  # images of a side of a map

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
            ("GET", "/api/map"): self.map,
            ("POST", "/api/place"): self.place,
            ("GET", "/api/reconstruct"): self.reconstruct,
            ("GET", "/api/translate"): self.translate_test_image,
            ("POST", "/api/translate"): self.translate,
            ("GET", "/api/segment"): self.segment,
            ("GET", "/api/detect"): self.detect,
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

    def map(self, request: Request) -> Json:
        """What the latents of an autoencoder draw, from one end to the other; ``?network=N``."""
        with self._busy:
            vae = self.shelf.trainer(request.number("network"), "map")
            return {"side": MAP, **answers.chart(vae, MAP)}

    def place(self, request: Request) -> Json:
        """What an autoencoder draws at a place of its map: ``{"shares": [0.2, 0.9]}``."""
        asked = request.json()
        with self._busy:
            vae = self.shelf.trainer(request.number("network"), "map")
            return answers.place(vae, asked.get("shares"))

    def reconstruct(self, request: Request) -> Json:
        """What an autoencoder makes of a test image; ``?network=N&pick=M``."""
        images, index = self._test_image(request, "map")
        with self._busy:
            vae = self.shelf.trainer(request.number("network"), "map")
            told = answers.reconstruct(vae, images.images[index])
        return {"index": index, "source": images.name, **told}

    def translate(self, request: Request) -> Json:
        """What a translator makes of the picture in the body; ``?network=N``."""
        number = request.number("network")
        offer = self.shelf.offer(number, "translate")
        with self._busy:
            image = picture.read(request.body, offer.run.shape, centred=offer.is_centred)
            network = self.shelf.trainer(number, "translate")
            return answers.translate(network, torch.from_numpy(image.copy()), damaged=False)

    def translate_test_image(self, request: Request) -> Json:
        """What a translator makes of a test image, and its target; ``?network=N&pick=M``."""
        pairs, index = self._test_image(request, "translate")
        with self._busy:
            network = self.shelf.trainer(request.number("network"), "translate")
            told = answers.translate(network, pairs.images[index])
        target = pairs.targets[index].flatten().tolist()
        return {"index": index, "source": pairs.name, "target": target, **told}

    def segment(self, request: Request) -> Json:
        """What a segmenter says of a canvas, or of an image of its data; ``?network=N&pick=M``."""
        return self._find(request, "segment", answers.segment)

    def detect(self, request: Request) -> Json:
        """What a detector finds on a canvas, or on an image of its data; ``?network=N&pick=M``."""
        return self._find(request, "detect", answers.detect)

    def _find(self, request: Request, part: str, answer: Callable[..., Json]) -> Json:
        number, pick = request.number("network"), request.number("pick")
        images, index = self.shelf.offer(number, part).scene(pick)
        with self._busy:
            return answer(self.shelf.trainer(number, part), images, index)

    def _test_image(self, request: Request, part: str) -> tuple[Any, int]:
        """Images to try a network with, and which of them ``pick`` means."""
        images = self.shelf.offer(request.number("network"), part).images()
        return images, request.number("pick") % len(images)

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
