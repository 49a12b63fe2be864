"""How each figure of the paper (arXiv 2106.15420) is drawn from results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.data import load_mnist
from firstspike.drawing import grids
from firstspike.drawing.decisions import class_bars
from firstspike.drawing.evolution import epochs_shown, images_of
from firstspike.drawing.weights import filters as draw_filters
from firstspike.evaluation.features import digit_probabilities
from firstspike.report import illustrations
from firstspike.report.claims import A, Claim, S
from firstspike.report.gather import STEP, Measured, Results
from firstspike.report.pictures import Picture, from_figure, from_image
from firstspike.training.loading import load_classifier, load_gan

ROWS = 4  # images of each digit in fig. 8
JUDGED = 500  # samples of each digit from which fig. 9(b) takes the worst
_NAMES = {A: "aggressive TTFS", S: "S4NN"}


@dataclass(frozen=True)
class Drawn:
    """A picture, the runs that it shows, and what else is to be known."""

    picture: Picture
    runs: list[Measured]
    note: str = ""


Draw = Callable[[Results], Drawn | None]  # None: the runs that it needs are missing


def untrained(number: str, alt: str) -> Draw:
    """A figure that needs no run."""

    def draw(_: Results) -> Drawn:
        return Drawn(from_figure(illustrations.draw(load_mnist("train"))[number], alt), [])

    return draw


def per_class(name: str, label: str, paper: Mapping[str, Claim]) -> Draw:
    """A field of the metrics by digit, mean over seeds, of both losses (fig. 6).

    Args:
        name: of the field.
        label: of the axis.
        paper: by role, the paper's mean over all digits, drawn as a line.
    """

    def draw(results: Results) -> Drawn | None:
        runs = {role: results.evaluated(role) for role in (S, A)}
        if not all(runs.values()):
            return None
        bars = {
            _NAMES[role]: _mean([run.metrics[name] for run in group])
            for role, group in runs.items()
        }
        means = {_NAMES[role]: claim.value for role, claim in paper.items()}
        picture = from_figure(
            lambda: class_bars({label: bars}, xlabel="digit", means={label: means}),
            f"{label} of each digit",
        )
        return Drawn(picture, [run for group in runs.values() for run in group])

    return draw


def _mean(values: list[list[float | None]]) -> list[float]:
    """Of each class over runs; NaN for a class without images."""
    return np.array(values, np.float64).mean(axis=0).tolist()


def filters(role: str) -> Draw:
    """Weights of 15 random hidden neurons of the first seed (fig. 7)."""

    def draw(results: Results) -> Drawn | None:
        runs = results.groups.get(role, [])[:1]
        if not runs:
            return None
        weight = _first_weight(runs[0])
        name = _NAMES[role]
        picture = from_figure(lambda: draw_filters({name: weight}), f"15 filters, {name}")
        return Drawn(picture, runs)

    return draw


def _first_weight(run: Measured) -> NDArray[Any]:
    """First weights of a classifier as images: [hidden, height, width]."""
    weight = next(load_classifier(run.run).parameters()).detach()
    return weight.unflatten(1, run.run.shape.image).numpy()


def training_images(results: Results) -> Drawn | None:
    """Fig. 8(a): the first images of each digit that a Spiking-GAN was trained on."""
    if not results.digits:
        return None
    images = load_mnist("train")
    columns = [images.select(int(digit)).images[:ROWS].numpy() for digit in results.digits]
    return Drawn(_grid(columns, "images of MNIST"), [])


def samples(role: str, name: str) -> Draw:
    """Fig. 8(b), 8(c): the first samples of each digit's generator."""

    def draw(results: Results) -> Drawn | None:
        found = [results.drawing(role, digit) for digit in results.digits]
        runs = [run for run in found if run is not None]
        if not runs:
            return None
        drawn = {run.digit: _drawn_by(run).numpy() for run in runs}
        blank = np.zeros_like(drawn[runs[0].digit])
        columns = [drawn.get(digit, blank) for digit in results.digits]
        return Drawn(_grid(columns, f"samples of {name}"), runs, _quality(runs))

    return draw


def _quality(runs: list[Measured]) -> str:
    """In words, what was measured of samples; empty if not all were measured."""
    if not all("right_digit" in run.metrics for run in runs):
        return ""
    means = {
        name: np.mean([run.metrics[name] for run in runs])
        for name in ("frechet_distance", "right_digit", "coverage")
    }
    return (
        f"Fréchet distance {means['frechet_distance']:.1f}, the right digit to an independent "
        f"classifier {means['right_digit']:.1%}, coverage {means['coverage']:.2f} (means over "
        "digits, test set)"
    )


def _drawn_by(run: Measured, count: int = ROWS) -> Tensor:
    """So many samples of a GAN, [count, height, width] in 0..1, from the first random latents."""
    gan = load_gan(run.run)
    return gan.sample(gan.latents(count, torch.Generator().manual_seed(0)))


def undesired(results: Results) -> Drawn | None:
    """Fig. 9(b): of many samples of each digit those that look least like it to a network."""
    runs = _spiking(results)
    if not runs:
        return None
    columns = []
    for run in runs:
        samples = _drawn_by(run, JUDGED)
        belief = digit_probabilities(samples)[:, int(run.digit)]
        columns.append(samples[belief.argsort()[:ROWS]].numpy())
    return Drawn(_grid(columns, "the worst samples of each digit"), runs)


def _spiking(results: Results) -> list[Measured]:
    """A Spiking-GAN of step neurons, the paper's, of each digit."""
    return [run for digit in results.digits if (run := results.drawing(STEP, digit))]


def _grid(columns: list[NDArray[Any]], alt: str) -> Picture:
    """A column for each digit."""
    rows = np.stack(columns, axis=1)
    return from_image(grids.image_grid(rows.reshape(-1, *rows.shape[2:]), len(columns)), alt)


def evolution(results: Results) -> Drawn | None:
    """Fig. 9(a): one latent of each digit after some epochs, from the grids of the runs."""
    runs = _spiking(results)
    if not runs:
        return None
    shown = epochs_shown(min(int(run.run.options["epochs"]) for run in runs))
    images = np.concatenate([images_of(run.run, shown) for run in runs])
    image = grids.image_grid(images, len(shown))
    note = "epochs " + ", ".join(map(str, shown))
    return Drawn(from_image(image, f"a sample of each digit after {note}"), runs, note)
