"""What the samples of one trained GAN are worth, beside the data that it never saw.

As many samples as there are unseen images of the class are compared with these images. The same
number of training images in the samples' place gives the *floor*: what perfect samples would have.
Samples are rounded to 8 bits, as pictures are.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from firstspike.data import SPLIT_SEED, ImageSet
from firstspike.evaluation import fidelity
from firstspike.evaluation.features import digit_probabilities, extract
from firstspike.runs.directory import epoch_generator
from firstspike.training.config import GanOptions
from firstspike.training.gan import Gan, Part

COPY = 0.01  # share of unseen images that lie as near to a training image as a copy does
SNAPSHOT, SNAPSHOT_SEED = 1000, 77  # samples that choose a snapshot, and of their latents
_LEAST = fidelity.COVERAGE_NEIGHBOURS + 1  # images that the metrics need


@dataclass(frozen=True)
class Quality:
    """A set of images measured against unseen images of the same class; every field is JSON.

    The first seven, of `firstspike.evaluation.fidelity`, compare the two sets; the others are of
    one set alone, and for the floor it is the unseen images.

    Args:
        frechet_distance: on the 64 features of `firstspike.evaluation.features`.
        kernel_distance: mean over random subsets.
        kernel_distance_sd: over these subsets.
        precision: share of the set within the data; so are the next three.
        recall: share of the data within the set.
        density: how deep the set lies in the data; 1 for the data itself.
        coverage: share of the data with some of the set around it.
        right_digit: share that an independent classifier takes for the digit that was to be drawn;
            None if that is not known or the images are not the bundled digits.
        confidence: mean probability that it gives to this digit, or to its own choice if the digit
            is not known; None if the images are not the bundled digits.
        confidence_sd: standard deviation of the confidence over images.
        nearest_training: mean distance to the nearest training image, in pixels of 0..1.
        copies: share that is nearer to a training image than all but 1 % of the unseen images.
        pixel_diversity: standard deviation of a pixel over images, mean over pixels.
        relative_diversity: pixel diversity divided by that of the unseen images.
        ink: mean number of pixels that are not black; of colours, of values in all channels.
        further: what `firstspike.evaluation.fidelity.METRICS` measures, by name.
    """

    frechet_distance: float
    kernel_distance: float
    kernel_distance_sd: float
    precision: float
    recall: float
    density: float
    coverage: float
    right_digit: float | None
    confidence: float | None
    confidence_sd: float | None
    nearest_training: float
    copies: float
    pixel_diversity: float
    relative_diversity: float
    ink: float
    further: dict[str, float] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All figures, by name."""
        record = dataclasses.asdict(self)
        return record.pop("further") | record


@dataclass(frozen=True, eq=False)
class Reference:
    """What samples are measured against; see `load_reference`.

    Args:
        unseen: images that no run with the same options was trained on.
        training: uint8 [M, ...], those that it was trained on.
        features: of the unseen images, [N, 64].
        nearest: distance of each unseen image to the nearest training image, [N].
        are_digits: whether the independent classifier knows the classes.
        stand_ins: training images, as many as unseen ones.
        floor: these measured in the place of samples.
    """

    unseen: ImageSet
    training: Tensor
    stand_ins: ImageSet
    features: Tensor
    nearest: Tensor
    are_digits: bool
    floor: Quality


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one generator with everything that was measured of them.

    Args:
        images: uint8 [N, ...], of the size of the data.
        labels: the class that each was to show, int64 [N], or None if the generator draws all.
        confidence: of each in its class, [N]; None as in `Quality`.
        nearest: distance of each to the nearest training image, [N].
        quality: the figures.
        spikes: of `Gan.spikes`; empty if the network does not spike.
    """

    images: Tensor
    labels: Tensor | None
    confidence: Tensor | None
    nearest: Tensor
    quality: Quality
    spikes: dict[str, float]

    def worst(self, count: int) -> Tensor | None:
        """The images in which the classifier sees the class least; None if it saw none of them."""
        return None if self.confidence is None else self.images[self.confidence.argsort()[:count]]

    def likest(self, count: int) -> Tensor:
        """The images that come nearest to a training image, the nearest first."""
        return self.images[self.nearest.argsort()[:count]]


def asked_of(config: GanOptions, digit: str) -> GanOptions:
    """The options that say which images samples of a class are measured against."""
    names = ("data", "size", "colour", "validation")
    return GanOptions(digit=digit, **{name: getattr(config, name) for name in names})


@functools.cache
def load_reference(options: GanOptions, part: Part) -> Reference:
    """The data to measure samples against, read and measured once per process.

    Args:
        options: of the runs: their class, or all, the images, and the share that was held out;
            see `asked_of`.
        part: ``"validation"`` or ``"test"``: which images count as unseen.

    Raises:
        ValueError: there is no such class, nothing was held out, or there are too few images or
            only equal ones.
    """
    data = options.data
    training = Gan.load_data(options).training
    unseen = Gan.load_unseen(options, part)
    count = min(len(unseen), len(training))
    if count < _LEAST:
        raise ValueError(f"{unseen.name}: {count} images to measure with, at least {_LEAST} needed")
    unseen, stand_ins = _some(unseen, count), _some(training, count)
    features, judged = extract(unseen.images), _judge(unseen.images, unseen.labels, data is None)
    nearest = fidelity.nearest(unseen.images, training.images).distances
    diversity = fidelity.pixel_diversity(unseen.images)
    if not diversity:
        raise ValueError(f"{unseen.name}: all images are equal, so no samples can be as varied")
    floor = Quality(
        **_compare(features, extract(stand_ins.images)),
        **_look_at(unseen.images, judged, nearest, nearest, diversity),
    )
    return Reference(unseen, training.images, stand_ins, features, nearest, data is None, floor)


def measure(gan: Gan, reference: Reference, part: Part, *, averaged: bool = True) -> Samples:
    """Draw samples, as many as there are unseen images, and measure them.

    Args:
        gan: the trained networks; its seed gives the latents.
        reference: of the same class.
        part: names the latents: each part has its own.
        averaged: whether the generator with the averaged weights draws.
    """
    rng = epoch_generator(gan.config.seed, gan.config.epochs, f"evaluation-{part}")
    asked = reference.unseen.labels if gan.config.conditional else None
    latents = gan.latents(len(reference.unseen), rng, asked)
    images = (255 * gan.sample(latents, averaged=averaged)).round().byte()
    labels = reference.unseen.labels if asked is not None or gan.config.digit != "all" else None
    judged = _judge(images, labels, reference.are_digits)
    nearest = fidelity.nearest(images, reference.training).distances
    quality = Quality(
        **_compare(reference.features, extract(images)),
        **_look_at(images, judged, nearest, reference.nearest, reference.floor.pixel_diversity),
    )
    spikes = gan.spikes(latents, averaged=averaged)
    return Samples(images, labels, judged.confidence, nearest, quality, spikes)


def distance_to_training(trainer: Any, images: ImageSet) -> float:
    """Fréchet distance of samples to the images that a generator learns from, of its average.

    By this, and never by unseen images, a training chooses the snapshot that it keeps.

    Args:
        trainer: draws; remembers the features of the images.
        images: those that it is trained on.
    """
    known = vars(trainer).setdefault("_features_of_training", {})
    if id(images) not in known:
        known[id(images)] = extract(images.images)
    rng = torch.Generator().manual_seed(SNAPSHOT_SEED)
    asked = None
    if trainer.config.conditional:
        chosen = torch.randint(len(images), (min(SNAPSHOT, len(images)),), generator=rng)
        asked = images.labels[chosen]
    count = SNAPSHOT if asked is None else len(asked)
    drawn = trainer.draw_average(trainer.latents(count, rng, asked))
    return fidelity.frechet_distance(known[id(images)], extract((255 * drawn).round().byte()))


def record_of(samples: Samples, reference: Reference) -> dict[str, Any]:
    """The content of ``metrics.json``: figures of the samples, and below ``floor`` of the data."""
    return {
        "data": reference.unseen.name,
        "count": len(samples.images),
        **samples.quality.as_dict(),
        **samples.spikes,
        "floor": reference.floor.as_dict(),
    }


class _Judged(NamedTuple):
    """What the independent classifier says; None where it does not apply."""

    right: Tensor | None  # bool [N]
    confidence: Tensor | None  # of each image in its class, [N]


def _judge(images: Tensor, labels: Tensor | None, are_digits: bool) -> _Judged:
    if not are_digits:
        return _Judged(None, None)
    probabilities = digit_probabilities(images)
    if labels is None:
        return _Judged(None, probabilities.amax(dim=1))
    right = probabilities.argmax(dim=1) == labels
    return _Judged(right, probabilities.gather(1, labels[:, None]).squeeze(1))


def _compare(real: Tensor, features: Tensor) -> dict[str, Any]:
    """The fields of `Quality` that compare two sets of features."""
    kernel = fidelity.kernel_distance(real, features)
    return {
        "frechet_distance": fidelity.frechet_distance(real, features),
        "kernel_distance": kernel.mean,
        "kernel_distance_sd": kernel.sd,
        **fidelity.neighbourhoods(real, features)._asdict(),
        "further": {name: metric(real, features) for name, metric in fidelity.METRICS.items()},
    }


def _look_at(
    images: Tensor, judged: _Judged, nearest: Tensor, unseen_nearest: Tensor, diversity: float
) -> dict[str, Any]:
    """The fields of `Quality` of one set alone; ``diversity`` is that of the unseen images."""
    own = fidelity.pixel_diversity(images)
    confidence = judged.confidence
    return {
        "right_digit": None if judged.right is None else _mean(judged.right),
        "confidence": None if confidence is None else _mean(confidence),
        "confidence_sd": None if confidence is None else float(confidence.std()),
        "nearest_training": _mean(nearest),
        "copies": _mean(nearest < unseen_nearest.quantile(COPY)),
        "pixel_diversity": own,
        "relative_diversity": own / diversity,
        "ink": fidelity.ink(images),
    }


def _some(images: ImageSet, count: int) -> ImageSet:
    """So many of the images, at random, but always the same; all of them in their order."""
    if count == len(images):
        return images
    rng = torch.Generator().manual_seed(SPLIT_SEED)
    chosen = torch.randperm(len(images), generator=rng)[:count]
    return dataclasses.replace(images, images=images.images[chosen], labels=images.labels[chosen])


def _mean(values: Tensor) -> float:
    return values.double().mean().item()
