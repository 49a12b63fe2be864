"""The registry of kinds of networks: one entry holds all that the rest of the program knows of one.

To add a kind, write its options (a dataclass) and its trainer (`firstspike.training.trainer`), and
`register` a `Kind`; a package of its own may do so through the entry point group
``firstspike.kinds``. Nothing else has to be told: the command line, run directories, lists,
evaluation, export, the demo and the report look here.

This module does not import PyTorch; what a kind needs of it is named as ``"module:attribute"``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from firstspike.training.config import (
    AnnClassifierConfig,
    AnnGanConfig,
    ClassifierConfig,
    GanConfig,
    ann_classifier_defaults,
    ann_gan_defaults,
    classifier_defaults,
    gan_defaults,
)
from firstspike.training.detect_config import AnnDetectConfig, DetectConfig
from firstspike.training.options import Options
from firstspike.training.pixels_config import (
    AnnSegmentationConfig,
    AnnTranslationConfig,
    SegmentationConfig,
    TranslationConfig,
)
from firstspike.training.vae_config import (
    AnnVaeConfig,
    VaeConfig,
    ann_vae_defaults,
    vae_defaults,
)
from firstspike.words import with_article

GROUP = "firstspike.kinds"  # of entry points


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of network.

    Args:
        name: in ``firstspike train NAME`` and in ``options.json``.
        label: what tables and figures call it.
        help: one sentence for the command line.
        config: dataclass of its options.
        trainer: its `firstspike.training.trainer.Trainer`, as ``"module:Class"`` or itself.
        evaluate: what ``firstspike evaluate`` calls with its request about runs of this kind, as
            ``"module:function"`` or itself; None if there is nothing to measure.
        choices: the options that decide the defaults of the others.
        recipes: these defaults, by the values of ``choices``, or a function of a mapping of them.
        run_name: of a new run, filled with ``kind`` and its options.
        known_by: options that tell runs apart at first sight, with words around them.
        differ_in: options in which runs that belong together may differ.
        draws: whether its trainer draws images, see `firstspike.training.artist.Artist`.
        parts: of one that draws, the networks that can be exported, by what users call them.
        spikes: whether its neurons spike.
        demo: part of the demo's page that shows it, see `firstspike.demo.networks.PARTS`, or None;
            or a function of the run's options that says so.
        snapshot: what measures the samples of a trainer that draws against the images that it
            learns from, as ``"module:function"`` or itself: (trainer, images) -> distance.
        role: the part that a run plays in the paper or in what it leaves to others, filled with its
            options, or a function of them; None for none.
    """

    name: str
    label: str
    help: str
    config: type[Options]
    trainer: Any
    evaluate: Any = None
    choices: tuple[str, ...] = ()
    recipes: Mapping[Any, Options] | Callable[[Mapping[str, Any]], Options] = field(
        default_factory=dict
    )
    run_name: str = "{kind}-seed{seed}"
    known_by: Mapping[str, str] = field(default_factory=lambda: {"seed": "seed {}"})
    differ_in: tuple[str, ...] = ("seed",)
    draws: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)
    spikes: bool = True
    demo: str | Callable[[Mapping[str, Any]], str | None] | None = None
    snapshot: Any = None
    role: str | Callable[[Mapping[str, Any]], str | None] | None = None

    def defaults(self, chosen: Mapping[str, Any] | None = None) -> Options:
        """The defaults beside these choices; choices that are not given are the usual ones."""
        if callable(self.recipes):
            return self.recipes(chosen or {})
        if not self.recipes:
            return self.config()
        usual = next(iter(self.recipes.values()))
        values = [(chosen or {}).get(name, getattr(usual, name)) for name in self.choices]
        return self.recipes[values[0] if len(values) == 1 else tuple(values)]

    def read(self, options: Mapping[str, Any], place: object) -> Options:
        """The options of a run. ValueError as for `Options.from_dict`."""
        return self.config.from_dict(options, place)

    def role_of(self, options: Options) -> str | None:
        """The part that a run with these options plays in the paper, if any."""
        if callable(self.role):
            return self.role(options.as_dict())
        return self.role and self.role.format(**options.as_dict())

    def demo_of(self, options: Mapping[str, Any]) -> str | None:
        """The part of the demo's page that shows a run with these options, if any."""
        return self.demo(options) if callable(self.demo) else self.demo

    def name_of_run(self, config: Options) -> str:
        """What a new run's folder is called by default."""
        return self.run_name.format(kind=self.name, **dataclasses.asdict(config))


def _classifier(options: Mapping[str, Any]) -> str | None:
    """The paper has two dense layers; the exact gradient of ramp neurons has one loss only."""
    if options["network"] != "dense":
        return None
    return ("ramp-{hidden}" if options["neuron"] == "ramp" else "{loss}-{hidden}").format(**options)


def _ann_classifier(options: Mapping[str, Any]) -> str:
    """Twins of step neurons are called by their size, those of ramp neurons by their layers."""
    size = options["hidden"] if options["network"] == "dense" else options["network"]
    return f"ann-{size}"


def _gan(options: Mapping[str, Any]) -> str:
    """Of GANs those with an auxiliary classifier are beyond the paper."""
    return ("auxiliary-gan" if options["auxiliary"] else "{neuron}-gan").format(**options)


def _ann_gan(options: Mapping[str, Any]) -> str:
    return ("auxiliary-ann-gan" if options["auxiliary"] else "{loss}-ann-gan").format(**options)


def _map(options: Mapping[str, Any]) -> str | None:
    """Latents of step neurons, a spike or none, are no places on a map."""
    return None if options.get("neuron") == "step" else "map"


def _vae(options: Mapping[str, Any]) -> str | None:
    """Autoencoders of all classes; those of step neurons are called by that."""
    form = "step" if options.get("neuron") == "step" else options["network"]
    return f"vae-{form}" if options["digit"] == "all" else None


def _ann_vae(options: Mapping[str, Any]) -> str | None:
    role = _vae(options)
    return role and f"ann-{role}"


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known. ValueError if another one has its name."""
    if kind.name in KINDS:
        raise ValueError(f"name: there is a kind {kind.name!r} already")
    KINDS[kind.name] = kind
    return kind


def every() -> list[Kind]:
    """All kinds, those of other packages included."""
    _load_entry_points()
    return list(KINDS.values())


def find(name: str, place: object = "kind") -> Kind:
    """The kind of this name. ValueError that begins with ``place`` if there is none."""
    if name not in KINDS:
        _load_entry_points()
    if name not in KINDS:
        raise ValueError(
            f"{place}: {with_article(name)} run, of a kind that is not known here "
            f"({', '.join(KINDS)}); install the package that defines it, or update firstspike"
        )
    return KINDS[name]


def load(reference: Any) -> Any:
    """What ``"module:attribute"`` names, imported now; anything else as it is."""
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


@functools.cache
def _load_entry_points() -> None:
    for point in entry_points(group=GROUP):
        kind = point.load()
        if kind.name not in KINDS:
            register(kind)


GAN = register(
    Kind(
        name="gan",
        label="Spiking-GAN",
        help="Spiking-GAN: a spiking generator and a spiking discriminator that learn to draw.",
        config=GanConfig,
        trainer="firstspike.training.gan:SpikingGan",
        evaluate="firstspike.commands.evaluate_gans:evaluate",
        choices=("neuron", "recipe", "network", "loss", "digit", "auxiliary"),
        recipes=gan_defaults,
        run_name="{kind}-{digit}-seed{seed}",
        known_by={
            "digit": "digit {}",
            "neuron": "{}",
            "network": "{}",
            "hidden": "{} hidden",
            "seed": "seed {}",
        },
        differ_in=("seed", "digit"),
        draws=True,
        parts={"generator": "average", "discriminator": "discriminator"},
        demo="draw",
        snapshot="firstspike.evaluation.samples:distance_to_training",
        role=_gan,
    )
)
ANN_GAN = register(
    dataclasses.replace(
        GAN,
        name="ann-gan",
        label="dense twin",
        help="The dense twin of Spiking-GAN: the same sizes, ReLU and tanh.",
        config=AnnGanConfig,
        trainer="firstspike.training.gan:AnnGan",
        choices=("loss", "network", "digit", "auxiliary"),
        recipes=ann_gan_defaults,
        spikes=False,
        demo=None,
        role=_ann_gan,
    )
)
CLASSIFIER = register(
    Kind(
        name="classifier",
        label="spiking classifier",
        help="A classifier whose first output spike tells the class.",
        config=ClassifierConfig,
        trainer="firstspike.training.classifier:SpikingTraining",
        evaluate="firstspike.commands.evaluate_classifier:evaluate",
        choices=("neuron", "network", "recipe", "loss"),
        recipes=classifier_defaults,
        run_name="{kind}-{hidden}-seed{seed}",
        known_by={
            "neuron": "{}",
            "loss": "{}",
            "network": "{}",
            "hidden": "{} hidden",
            "seed": "seed {}",
        },
        demo="race",
        role=_classifier,
    )
)
ANN_CLASSIFIER = register(
    dataclasses.replace(
        CLASSIFIER,
        name="ann-classifier",
        label="dense classifier",
        help="The dense twin of the classifier: the same sizes, ReLU.",
        config=AnnClassifierConfig,
        trainer="firstspike.training.classifier:AnnTraining",
        choices=("network",),
        recipes=ann_classifier_defaults,
        known_by={"network": "{}", "hidden": "{} hidden", "seed": "seed {}"},
        spikes=False,
        demo=None,
        role=_ann_classifier,
    )
)
VAE = register(
    Kind(
        name="vae",
        label="spiking autoencoder",
        help="A variational autoencoder: images through a few spikes, and drawn from them.",
        config=VaeConfig,
        trainer="firstspike.training.vae:SpikingVae",
        evaluate="firstspike.commands.evaluate_gans:evaluate",
        choices=("neuron", "network"),
        recipes=vae_defaults,
        run_name="{kind}-{digit}-seed{seed}",
        known_by={
            "digit": "digit {}",
            "neuron": "{}",
            "network": "{}",
            "latent": "{} latents",
            "seed": "seed {}",
        },
        differ_in=("seed", "digit"),
        draws=True,
        parts={"encoder": "encoder", "decoder": "decoder"},
        demo=_map,
        role=_vae,
    )
)
ANN_VAE = register(
    dataclasses.replace(
        VAE,
        name="ann-vae",
        label="dense autoencoder",
        help="The dense twin of the autoencoder: the same sizes, ReLU and sigmoids.",
        config=AnnVaeConfig,
        trainer="firstspike.training.vae:AnnVae",
        choices=("network",),
        recipes=ann_vae_defaults,
        demo=None,
        role=_ann_vae,
        spikes=False,
    )
)
DETECT = register(
    Kind(
        name="detect",
        label="spiking detector",
        help="A detector: what is where, boxes by the times of first spikes.",
        config=DetectConfig,
        trainer="firstspike.training.detect:SpikingDetector",
        evaluate="firstspike.commands.evaluate_detectors:evaluate",
        known_by={"network": "{}", "seed": "seed {}"},
        demo="detect",
        role="detect",
    )
)
ANN_DETECT = register(
    dataclasses.replace(
        DETECT,
        name="ann-detect",
        label="dense detector",
        help="The dense twin of the detector: the same sizes, ReLU and sigmoids.",
        config=AnnDetectConfig,
        trainer="firstspike.training.detect:AnnDetector",
        spikes=False,
        demo=None,
        role="ann-detect",
    )
)
TRANSLATION = register(
    Kind(
        name="translate",
        label="spiking translator",
        help="A U-shaped network that turns images into others: clean, whole, in colour.",
        config=TranslationConfig,
        trainer="firstspike.training.translation:Translation",
        evaluate="firstspike.commands.evaluate_pixels:evaluate",
        run_name="{kind}-{task}-seed{seed}",
        known_by={"task": "{}", "channels": "{} channels", "seed": "seed {}"},
        demo="translate",
        role="translate-{task}",
    )
)
ANN_TRANSLATION = register(
    dataclasses.replace(
        TRANSLATION,
        name="ann-translate",
        label="dense translator",
        help="The dense twin of the translator: the same sizes, ReLU.",
        config=AnnTranslationConfig,
        spikes=False,
        demo=None,
        role="ann-translate-{task}",
    )
)
SEGMENTATION = register(
    Kind(
        name="segment",
        label="spiking segmenter",
        help="A U-shaped network in which the first output spike of a pixel names its class.",
        config=SegmentationConfig,
        trainer="firstspike.training.segmentation:Segmentation",
        evaluate="firstspike.commands.evaluate_pixels:evaluate",
        known_by={"channels": "{} channels", "seed": "seed {}"},
        demo="segment",
        role="segment",
    )
)
ANN_SEGMENTATION = register(
    dataclasses.replace(
        SEGMENTATION,
        name="ann-segment",
        label="dense segmenter",
        help="The dense twin of the segmenter: the same sizes, ReLU.",
        config=AnnSegmentationConfig,
        spikes=False,
        demo=None,
        role="ann-segment",
    )
)
