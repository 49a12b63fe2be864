"""Runs of GANs together: means over digits, spread over seeds, other runs and the data beside.

Means over digits come first, seed by seed; what is said of several seeds is the mean of these and
its standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.data import ImageSet
from firstspike.evaluation.features import extract
from firstspike.evaluation.fidelity import classification_accuracy_score, frechet_distance
from firstspike.evaluation.samples import asked_of
from firstspike.evaluation.sides import Evaluated, Side
from firstspike.training.gan import Gan, Part
from firstspike.training.kinds import find

COLLAPSED = 0.5  # relative diversity below which a generator has collapsed
_NOT_FIGURES = {"digit", "seed", "count"}

Summary = dict[str, Any]


def compare(side: Side, against: Side | None, part: Part) -> Summary:
    """Figures of one side, and of another one if there is one, for ``comparison.json``.

    Args:
        side: runs of one kind, of the same digits for each seed.
        against: other runs, of one kind and of the same digits.
        part: of the data that they were measured on.

    Returns:
        JSON values: the digits; ``headline``, what matters most; ``runs``, ``against`` and
        ``floor`` (the data), each with the ``mean`` over digits of every figure and with single
        ``digits``. A figure is its mean over seeds, their standard deviation (None for a single
        one) and its values seed by seed.
    """
    first = next(iter(side.values()))
    digits = [one.digit for one in first]
    whole = _all_classes(first, part)
    own = _summarize(side, digits, whole)
    other = None if against is None else _summarize(against, digits, whole)
    floor = _figures([[one.record["floor"] for one in first]], digits)
    if whole is not None:
        stand_ins = [one.reference.stand_ins for one in first]
        sets = [(images.images, images.labels) for images in stand_ins]
        floor["mean"] |= _spreads([_together(sets, whole)])
    return {
        "split": part,
        "digits": digits,
        "headline": _headline(own, other),
        "runs": own,
        "against": other,
        "floor": floor,
    }


def side_names(*kinds: str) -> list[str]:
    """What sides are called, by their kinds."""
    names = [find(kind).label for kind in kinds]
    return names if len(set(names)) == len(names) else [f"{n} {i}" for i, n in enumerate(names, 1)]


def _summarize(side: Side, digits: Sequence[str], whole: _Whole | None) -> Summary:
    summary = _figures([[one.record for one in runs] for runs in side.values()], digits)
    if whole is not None:
        sets = [[(one.samples.images, one.samples.labels) for one in of] for of in side.values()]
        summary["mean"] |= _spreads([_together(of, whole) for of in sets])
    kind = next(iter(side.values()))[0].run.kind
    return {"kind": kind, "seeds": [*side], **summary}


def _figures(records: Sequence[Sequence[Summary]], digits: Sequence[str]) -> Summary:
    """Every number that all records have, over digits and of each; records [seeds][digits]."""
    everything = [record for of_seed in records for record in of_seed]
    names = [
        name
        for name in everything[0]
        if name not in _NOT_FIGURES
        and all(isinstance(record.get(name), int | float) for record in everything)
        and not isinstance(everything[0][name], bool)
    ]
    values = {
        name: np.array([[record[name] for record in of_seed] for of_seed in records])
        for name in names
    }
    return {
        "mean": {name: _spread(table.mean(axis=1)) for name, table in values.items()},
        "digits": {
            digit: {name: _spread(table[:, n]) for name, table in values.items()}
            for n, digit in enumerate(digits)
        },
    }


def _spread(values: Sequence[float] | NDArray[Any]) -> dict[str, Any]:
    by_seed = [float(value) for value in values]
    sd = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None
    return {"mean": float(np.mean(by_seed)), "sd": sd, "by_seed": by_seed}


def _headline(own: Summary, other: Summary | None) -> Summary:
    """The figures by which a set of digits is judged; None where they could not be measured."""
    mean = own["mean"]
    diversity = [digit["relative_diversity"]["by_seed"] for digit in own["digits"].values()]
    return {
        "frechet_ratio": _ratio("frechet_distance", own, other),
        "reconstruction_error_ratio": _ratio("reconstruction_error", own, other),
        "coverage_ratio": _ratio("coverage", own, other),
        "training_seconds_ratio": _ratio("training_seconds", own, other),
        "right_digit": mean.get("right_digit"),
        "classification_accuracy": mean.get("classification_accuracy"),
        "generator_spikes": mean.get("generator_spikes"),
        "collapsed": int((np.array(diversity) < COLLAPSED).sum()),
    }


def _ratio(name: str, own: Summary, other: Summary | None) -> dict[str, Any] | None:
    """A mean over digits and seeds over that of the other side; with single seeds if both have."""
    if other is None or name not in own["mean"] or name not in other["mean"]:
        return None
    mean, twin = own["mean"][name], other["mean"][name]
    if not twin["mean"]:
        return None
    ratio = {"mean": mean["mean"] / twin["mean"]}
    if own["seeds"] != other["seeds"] or not all(twin["by_seed"]):
        return ratio
    pairs = zip(mean["by_seed"], twin["by_seed"], strict=True)
    return ratio | {"by_seed": [a / b for a, b in pairs]}


def _spreads(records: Sequence[dict[str, float]]) -> Summary:
    return {name: _spread([record[name] for record in records]) for name in records[0]}


class _Whole(NamedTuple):
    """Unseen images of all classes and their features."""

    images: ImageSet
    features: Tensor


def _all_classes(runs: Sequence[Evaluated], part: Part) -> _Whole | None:
    """Data of all classes, if these runs draw each of them by its label; else None."""
    labels = [one.samples.labels for one in runs if one.samples.labels is not None]
    if len(labels) < len(runs):
        return None
    run = runs[0].run
    config: Any = find(run.kind).read(run.options, run.path)
    every = asked_of(config, "all")
    test = Gan.load_unseen(every, part)
    if torch.cat(labels).unique().tolist() != test.classes:
        return None
    return _Whole(test, extract(test.images))


def _together(sets: Sequence[tuple[Tensor, Tensor | None]], whole: _Whole) -> dict[str, float]:
    """What can be measured of samples of all classes only."""
    images, labels = (torch.cat([*part]) for part in zip(*sets, strict=True))
    return {
        "joint_frechet_distance": frechet_distance(whole.features, extract(images)),
        "classification_accuracy": classification_accuracy_score(images, labels, whole.images),
    }
