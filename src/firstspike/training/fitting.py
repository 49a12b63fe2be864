"""Training from Python: the loop of the commands, with data and networks as programs have them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firstspike.data import Data, ImageSet, Parts, as_image_set, load_mnist
from firstspike.data.sets import GIVEN
from firstspike.models.networks import NetworkClassifier
from firstspike.nn import FirstSpikeLinear, SpikingNetwork
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.runs.nowhere import Nowhere
from firstspike.shape import Shape
from firstspike.training import devices, kinds, loop
from firstspike.training.config import ClassifierConfig
from firstspike.training.deep import RampTraining
from firstspike.training.kinds import Kind
from firstspike.training.options import Options, absolute
from firstspike.training.progress import TrainingBar
from firstspike.training.trainer import Stats, Trainer

Place = str | os.PathLike[str]

# Options that say what network is made: a given one is made already.
_MAKING = ("neuron", "network", "hidden", "t_max", "window", "start", "dropout", "gradient", "loss")


class Callback:
    """Something that is told how training goes; a base with nothing in it.

    Everything that a callback may look at is the trainer's: its ``networks``, ``config`` and, of
    GANs, ``sample``.
    """

    def on_fit_start(self, trainer: Trainer, parts: Parts) -> None:
        """Before the first step: the images to train on, and those held out, if any."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, stats: Stats) -> None:
        """After an epoch, counted from 1, with its statistics."""

    def on_fit_end(self, trainer: Trainer, summary: dict[str, Any]) -> None:
        """After the last epoch, with what ``summary.json`` of a run holds."""


class OwnTraining(RampTraining):
    """The rule of ramp classifiers on a network that somebody made.

    Args:
        config: the options; those that say how a network is made do not count.
        shape: of the images.
        network: of ramp neurons, one output neuron for each class; its modules learn in place.
    """

    def __init__(self, config: ClassifierConfig, shape: Shape, network: SpikingNetwork) -> None:
        self.given = network
        super().__init__(config, shape)

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        return cls

    def build(self) -> None:
        self.t_max, self.earliness = self.given.t_max, self.config.earliness
        modules: list[nn.Module] = list(self.given)
        if isinstance(modules[0], FirstSpikeLinear):
            modules.insert(0, nn.Flatten())
        self.model = NetworkClassifier(*modules)
        self.model.register_buffer("output_window", torch.tensor([0.0, 1.0]))


def fit(
    network: str | SpikingNetwork,
    data: Data | Place,
    /,
    *,
    held_out: Data | None = None,
    run: Place | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    device: str = "cpu",
    **options: Any,
) -> Any:
    """Train a network, as ``firstspike train`` does.

    Args:
        network: a kind, ``"classifier"``, ``"gan"``, ``"ann-classifier"``, ``"ann-gan"`` or one
            that was registered; or a classifier of ramp neurons of your own, a
            `firstspike.nn.SpikingNetwork` whose modules learn in place.
        data: to train on: labelled images as `firstspike.data.as_image_set` takes them, of
            detectors `Scenes`, of segmenters a `PairSet`; or a folder as ``--data`` names one.
        held_out: images that every epoch is measured on; by default the share ``validation`` of
            ``data``.
        run: folder of the run, a new one or one of the same options, which goes on from its
            checkpoint; None to keep nothing on disk.
        callbacks: told in their order how training goes.
        progress: whether to show it.
        device: where to train, see `firstspike.training.devices.find`.
        options: those of ``firstspike train KIND``, in Python's spelling; the others as usual.

    Returns:
        The trained network, as `firstspike.load_run` gives it: of a network of your own a
        `firstspike.models.networks.NetworkClassifier`, its normalisation folded and its output
        window set, as it is used.

    Raises:
        ValueError: an argument does not fit.
    """
    devices.find(device)  # complains before data are read
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ValueError(f"callbacks must be of fs.Callback, got {type(callback).__name__}")
    folder = absolute(os.fspath(data)) if isinstance(data, (str, os.PathLike)) else None
    kind, config = _settle(network, options, folder, held_out is not None)
    parts, config = _data(kinds.load(kind.trainer), config, data, held_out)
    shape = parts.training.shape
    trainer = devices.moved(_trainer(network, kind, config, shape), device)
    for images in filter(None, parts):
        trainer.check(images)
    place, beginning = _place(run, network, kind, config, shape)
    with (
        beginning,
        place.writing(),
        loop.few_threads(kind),
        _shown(progress, config.epochs) as report,
    ):
        for callback in callbacks:
            callback.on_fit_start(trainer, parts)

        def log(epoch: int, stats: Mapping[str, float]) -> None:
            for callback in callbacks:
                callback.on_epoch_end(trainer, epoch, dict(stats))

        summary = loop.train(place, trainer, parts, report, log)
        for callback in callbacks:
            callback.on_fit_end(trainer, summary)
    return trainer.result()


def _settle(
    network: Any, options: dict[str, Any], folder: str | None, has_held_out: bool
) -> tuple[Kind, Any]:
    """The kind of a network, and its options; checked."""
    if isinstance(network, str):
        kind = kinds.find(network, "network")
    elif isinstance(network, SpikingNetwork) and network.windowed:
        kind = kinds.CLASSIFIER
        if idle := [name for name in options if name in _MAKING]:
            raise ValueError(f"{idle[0]} is for networks that are made here; this one is given")
        options = {**options, "neuron": "ramp", "t_max": network.t_max}
    else:
        known = ", ".join(kind.name for kind in kinds.every())
        raise ValueError(
            f"network must be one of {known} or a SpikingNetwork of ramp neurons, "
            f"got {type(network).__name__}"
        )
    if has_held_out:
        if "validation" in options:
            raise ValueError("validation does nothing beside held_out; leave one of them out")
        options = {**options, "validation": 0.0}
    config: Any = kind.defaults({n: options[n] for n in kind.choices if n in options})
    known_options = {field.name for field in dataclasses.fields(config)} - {"data"}
    if unknown := sorted(options.keys() - known_options):
        raise ValueError(
            f"{unknown[0]} is no option of {kind.name}; see firstspike train {kind.name} --help"
        )
    config = dataclasses.replace(config, **options, data=folder)
    config.check()
    return kind, config


def _data(
    trainer: type[Trainer], config: Any, data: Data | Place, held_out: Data | None
) -> tuple[Parts, Any]:
    """The images to train on and those held out, and options that say where they came from."""
    if isinstance(data, (str, os.PathLike)):
        if held_out is None:
            return trainer.load_data(config), config
        data = trainer.load_split(config, "train")
    elif not _is_bundled(data):
        data = as_image_set(data)
        config = dataclasses.replace(config, data=f"{GIVEN}{data.name}")
    return trainer.parts_of(config, data, held_out), config


def _is_bundled(data: Any) -> bool:
    """Whether these are the images that a command would take by itself."""
    return isinstance(data, ImageSet) and data.name == "mnist-train" and data is load_mnist("train")


def _trainer(network: str | SpikingNetwork, kind: Kind, config: Any, shape: Shape) -> Trainer:
    """The networks and their rule."""
    if isinstance(network, str):
        made: Trainer = kinds.load(kind.trainer)(config, shape)
        return made
    last: Any = network[-1]
    if getattr(last, "out_features", None) != len(shape.classes):
        raise ValueError(
            f"network must end with a dense layer of {len(shape.classes)} neurons, one for each "
            f"class of the images, got {last}"
        )
    return OwnTraining(config, shape, network)


def _place(
    run: Place | None, network: Any, kind: Kind, config: Options, shape: Shape
) -> tuple[RunDirectory | Nowhere, contextlib.AbstractContextManager[None]]:
    """Where statistics and checkpoints go: a new run, or one of these options, which goes on.

    With it, what takes a new one away again if it fails at once.
    """
    if run is None:
        return Nowhere(kind.name), contextlib.nullcontext()
    if not isinstance(network, str):
        raise ValueError(
            "run: its options cannot say how a network of your own is made; leave it out, and keep "
            "what was trained with firstspike.save"
        )
    path = Path(run).expanduser()
    if not (path / "options.json").exists():
        made = files.missing(path)
        created = RunDirectory.create(path, kind.name, config.as_dict(), shape)
        return created, created.beginning(made)
    found = RunDirectory.open(path)
    asked = kind.name, config, shape
    if (found.kind, kind.read(found.options, path), found.shape) != asked:
        raise ValueError(
            f"run {path}: holds a run of other options or data; give the same, or another folder"
        )
    return found, contextlib.nullcontext()


@contextlib.contextmanager
def _shown(progress: bool, epochs: int) -> Iterator[loop.Report]:
    """What the loop reports to."""
    if not progress:
        yield lambda progress: None
        return
    with TrainingBar(epochs) as bar:
        yield bar
