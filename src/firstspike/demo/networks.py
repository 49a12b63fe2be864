"""The networks on offer: those that come with the package and those of the runs that are given.

Each is a run directory; for the bundled ones see `firstspike.hub.bundled`.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstspike.data import ImageSet, idx
from firstspike.demo.answers import canvas_with_boxes, canvas_with_mask
from firstspike.hub import bundled as bundle
from firstspike.models import Classifier
from firstspike.models.networks import NetworkClassifier
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.shape import MNIST
from firstspike.training import kinds
from firstspike.training.gan import Gan
from firstspike.training.loading import build_trainer
from firstspike.training.trainer import Trainer

PARTS = {  # of the page, and what the networks are that they show
    "race": "classifier",
    "draw": "generator",
    "map": "autoencoder",
    "translate": "translator",
    "segment": "segmenter",
    "detect": "detector",
}
Network = Classifier | NetworkClassifier | Trainer


@dataclass(frozen=True)
class Offer:
    """A network that may be chosen.

    Args:
        run: where it lies.
        name: what people choose it by.
        provenance: where a bundled network comes from; None for others.
        chosen: whether it was named itself, and so is what the page opens with.
    """

    run: RunDirectory
    name: str
    provenance: dict[str, Any] | None = None
    chosen: bool = False

    @property
    def part(self) -> str | None:
        """The part of the page that shows it, one of `PARTS`."""
        return kinds.find(self.run.kind, self.run.path).demo_of(self.run.options)

    @property
    def is_centred(self) -> bool:
        """Whether its images are, like MNIST's, digits in the middle of 28x28 gray pixels."""
        data = self.run.options.get("data")
        if self.run.shape.image != MNIST.image:
            return False
        return data is None or (Path(data).is_dir() and idx.recognises(Path(data)))

    def images(self) -> ImageSet:
        """Images to try it with: test images of its data, else those held out or trained on.

        Raises:
            ValueError: its data are no longer there, or have changed.
        """
        kind = kinds.find(self.run.kind, self.run.path)
        images = _images(self.run.kind, kind.read(self.run.options, self.run.path))
        if images.shape.image != self.run.shape.image:
            raise ValueError(f"{self.name}: its data are of another size now; upload a picture")
        return images

    def scene(self, pick: int) -> tuple[Any, int]:
        """Something to find: images with masks or boxes, and which of them; see `images`.

        Without data of its own a network sees a canvas of test digits, of the seed ``pick``.
        """
        if self.run.options.get("data") is None:
            made = canvas_with_mask if self.part == "segment" else canvas_with_boxes
            return made(pick), 0
        images = self.images()
        return images, pick % len(images)

    def as_dict(self) -> dict[str, Any]:
        """What the page tells about it, as JSON values."""
        options = self.run.options
        kept = (
            "digit",
            "conditional",
            "neuron",
            "network",
            "hidden",
            "loss",
            "epochs",
            "seed",
            "recipe",
            "latent",
            "task",
        )
        return {
            "kind": self.run.kind,
            "part": self.part,
            "name": self.name,
            "shape": self.run.shape.as_dict(),
            "options": {name: options[name] for name in kept if name in options},
            "provenance": self.provenance,
            "first": self.chosen or self.provenance is not None,
        }


class Shelf:
    """Networks by their place in the list of offers; loaded when they are first asked for.

    Safe for use by several threads.
    """

    def __init__(self, offers: list[Offer]) -> None:
        self.offers = offers
        self._loaded: dict[Path, tuple[int, Network]] = {}
        self._lock = threading.Lock()

    def offer(self, number: int, part: str) -> Offer:
        """The offer with this number. ValueError if it is for another part of the page."""
        if 0 <= number < len(self.offers) and self.offers[number].part == part:
            return self.offers[number]
        raise ValueError(f"network {number}: there is no {PARTS[part]} of this number")

    def classifier(self, number: int) -> Classifier | NetworkClassifier:
        """The classifier with this number. ValueError if there is none, or it cannot be loaded."""
        network = self._network(self.offer(number, "race").run)
        assert isinstance(network, (Classifier, NetworkClassifier))
        return network

    def gan(self, number: int) -> Gan:
        """The GAN with this number, of which only ``average`` has its trained weights.

        Raises:
            ValueError: there is none, or it cannot be loaded.
        """
        network = self._network(self.offer(number, "draw").run)
        assert isinstance(network, Gan)
        return network

    def trainer(self, number: int, part: str) -> Any:
        """The network with this number, of a part of the page that asks trainers.

        Raises:
            ValueError: there is none, or it cannot be loaded.
        """
        return self._network(self.offer(number, part).run)

    def _network(self, run: RunDirectory) -> Network:
        """The network as of the newest checkpoint: a run may be in training."""
        age = _age(run)
        with self._lock:
            known = self._loaded.get(run.path)
            if known is None or known[0] != age:
                known = self._loaded[run.path] = age, load(run)
            return known[1]


def load(run: RunDirectory) -> Network:
    """The network of a run that spikes: a classifier, or the trainer of another kind.

    Of a GAN only what draws has its trained weights.

    Raises:
        ValueError: there is no checkpoint, or one of another architecture.
    """
    part = kinds.find(run.kind, run.path).demo_of(run.options)
    trainer: Any = build_trainer(run)
    trainer.restored(run, *(trainer.drawing(run) if part == "draw" else ()))
    network: Network = trainer.result() if part == "race" else trainer
    return network


@functools.lru_cache(maxsize=4)
def _images(kind: str, options: Any) -> ImageSet:
    trainer: type[Trainer] = kinds.load(kinds.find(kind).trainer)
    try:
        return trainer.load_unseen(options, "test")
    except ValueError:
        training, held_out = trainer.load_data(options)
        return held_out or training


def bundled() -> list[Offer]:
    """The networks that come with the package."""
    return [
        Offer(bundle.open_run(name), f"{name}, bundled", bundle.provenance(name))
        for name in bundle.names()
    ]


def given(paths: Iterable[Path]) -> tuple[list[Offer], list[str]]:
    """The networks in run directories, or in all run directories below a folder.

    Returns:
        The networks, and one line for each folder without a run and each run below a folder that
        was left out.

    Raises:
        ValueError: there is no such folder, or a run directory that was named itself is of no use
            here.
    """
    offers, left_out = [], []
    for path in paths:
        if (path / "options.json").exists():
            offers.append(dataclasses.replace(_given(path), chosen=True))
            continue
        folders = [file.parent for file in files.find(path, "options.json")]
        if not folders:
            fault = f"{path}: no run here nor below; name a run's folder"
            if not path.is_dir():
                raise ValueError(fault)
            left_out.append(fault)
        for folder in folders:
            try:
                offers.append(_given(folder))
            except ValueError as error:
                left_out.append(str(error))
    return offers, left_out


def _given(path: Path) -> Offer:
    run = RunDirectory.open(path)
    kind = kinds.find(run.kind, path)
    if kind.demo_of(run.options) is None:
        fault = "has no part on the page" if kind.spikes else "does not spike"
        raise ValueError(f"{path}: {run.noun}, which {fault}; give one that does")
    kind.read(run.options, path)
    if not run.has_checkpoint():
        raise ValueError(f"{path}: no checkpoint yet; wait until its first epoch has ended")
    return Offer(run, str(path))


def _age(run: RunDirectory) -> int:
    """A number that changes with each checkpoint; 0 while one is being replaced."""
    try:
        return (run.path / "checkpoint" / "state.json").stat().st_mtime_ns
    except OSError:
        return 0
