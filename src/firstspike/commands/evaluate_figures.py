"""The figures that ``firstspike evaluate`` leaves in a folder beside its numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from firstspike.data import ImageSet
from firstspike.drawing import decisions, evolution, figures, grids
from firstspike.drawing.raster import raster
from firstspike.drawing.samples import histogram, image_rows
from firstspike.drawing.weights import filters
from firstspike.evaluation import fidelity
from firstspike.evaluation.classifiers import ClassifierReport, DecisionReport, layer_times
from firstspike.evaluation.comparison import side_names
from firstspike.evaluation.networks import NetworkReport, input_times
from firstspike.evaluation.samples import Reference, Samples
from firstspike.evaluation.sides import Evaluated, Side
from firstspike.nn import FirstSpikeSequential, SpikingNetwork

if TYPE_CHECKING:  # matplotlib is slow to import
    from matplotlib.figure import Figure

ROWS = 4  # images of each class in a figure of several
SHOWN = 64  # samples in a grid
PAIRS = 10  # samples beside the training images that they are nearest to


def save_classifier_figures(
    folder: str | os.PathLike[str],
    report: ClassifierReport,
    model: FirstSpikeSequential,
    images: ImageSet,
    compare: Mapping[str, Any] | None = None,
    *,
    compare_weight: Tensor | None = None,
    names: tuple[str, str] = ("this run", "the other"),
    example: int = 0,
    seed: int = 0,
) -> list[Path]:
    """Draw a classifier's figures into a folder.

        per-class.png    decision step and spikes of each class (Spiking-GAN, fig. 6)
        deadline.png     accuracy against latency
        filters.png      weights of 15 random hidden neurons (fig. 7)
        confusion.png    confusion matrix
        raster.png       one image racing through the network

    Args:
        folder: made if it is not there; each file is replaced as a whole or not at all.
        report: of `evaluate_classifier`.
        model: the network that it is about.
        images: where the image of the raster and the names of classes come from.
        compare: another network's report as a dict, such as the content of its ``metrics.json``;
            it is drawn beside in per-class.png and deadline.png.
        compare_weight: first weights [neurons, values of an image] of another network, drawn
            beside in filters.png.
        names: what legends call this network and the other one.
        example: number of the raster's image.
        seed: of the choice of filters.

    Returns:
        The files, in the order above.

    Raises:
        ValueError: an argument does not fit, or a file cannot be written.
    """
    name, other = names
    if name == other:
        raise ValueError(f"names must differ, got {name!r} twice")
    if not 0 <= example < len(images):
        raise ValueError(f"example must lie in 0..{len(images) - 1}, got {example}")
    reports = {name: report}
    if compare is not None:
        reports[other] = ClassifierReport.from_dict(compare)
    weights: dict[str, Tensor] = {name: model.layers[0].weight}
    if compare_weight is not None:
        weights[other] = compare_weight
    classes = [*images.names, *map(str, range(len(images.names), report.sizes[-1]))]
    shape = tuple(images.images.shape[1:])
    drawn = _draw_reports(reports, classes)
    drawn["filters"] = filters({of: _as_seen(w, shape, of) for of, w in weights.items()}, seed=seed)
    drawn["confusion"] = decisions.confusion(report.confusion, classes)
    drawn["raster"] = _draw_raster(model, images, example, report.t_max, classes)
    paths = [Path(folder, f"{stem}.png") for stem in drawn]
    for path, figure in zip(paths, drawn.values(), strict=True):
        figures.save(path, figure)
    return paths


def save_network_figures(
    folder: str | os.PathLike[str], report: NetworkReport, model: SpikingNetwork, images: ImageSet
) -> list[Path]:
    """Draw the figures of a classifier of any layers into a folder.

        per-class.png    decision step and spikes of each class
        deadline.png     accuracy against the steps of the last window
        confusion.png    confusion matrix
        raster.png       the first image racing through the network, window after window

    Args:
        folder: made if it is not there; each file is replaced as a whole or not at all.
        report: of `firstspike.evaluation.networks.evaluate_network`.
        model: the network that it is about.
        images: where the image of the raster and the names of classes come from.

    Raises:
        ValueError: a file cannot be written.
    """
    classes = list(images.names)
    drawn = _draw_reports({"this run": report}, classes)
    drawn["confusion"] = decisions.confusion(report.confusion, classes)
    drawn["raster"] = _draw_windows(model, images, classes)
    paths = [Path(folder, f"{stem}.png") for stem in drawn]
    for path, figure in zip(paths, drawn.values(), strict=True):
        figures.save(path, figure)
    return paths


def save_sample_figures(
    folder: str | os.PathLike[str], samples: Samples, reference: Reference
) -> None:
    """Draw what was measured of one generator's samples into a folder.

        samples.png    the first samples
        worst.png      those in which the classifier sees the digit least (Spiking-GAN, fig. 9b);
                       left out if the images are not the bundled digits
        nearest.png    samples above the training images that they come nearest to
        distances.png  distance to the nearest training image, of samples and of unseen images

    Raises:
        ValueError: a file cannot be written.
    """
    path = Path(folder)
    grids.save_image_grid(path / "samples.png", samples.images[:SHOWN])
    worst = samples.worst(SHOWN)
    if worst is not None:
        grids.save_image_grid(path / "worst.png", worst)
    likest = samples.likest(PAIRS)
    originals = reference.training[fidelity.nearest(likest, reference.training).places]
    pairs = torch.cat([likest, originals])
    grids.save_image_grid(path / "nearest.png", pairs, columns=len(likest))
    distances = {"samples": samples.nearest.numpy(), "unseen images": reference.nearest.numpy()}
    label = "distance to the nearest training image"
    figures.save(path / "distances.png", histogram(distances, label))


def save_training_figure(folder: Path, stats: Sequence[Mapping[str, float]]) -> None:
    """Draw how near samples came to the training images over the epochs, if that was measured.

        training.png    the distance after some epochs, and the snapshot that was kept

    Raises:
        ValueError: the file cannot be written.
    """
    drawn = evolution.distances(stats)
    if drawn is not None:
        figures.save(folder / "training.png", drawn)


def save_comparison_figures(folder: Path, side: Side, against: Side | None) -> None:
    """Draw the classes of the first seed side by side.

        digits.png     unseen images and the first samples of each side (Spiking-GAN, fig. 8)
        evolution.png  one latent of each class over the epochs (fig. 9a)
        worst.png      samples in which the classifier sees the digit least (fig. 9b); left out if
                       the images are not the bundled digits

    Raises:
        ValueError: a sample grid of a run is missing, or a file cannot be written.
    """
    firsts = [next(iter(one.values())) for one in (side, against) if one is not None]
    digits = [one.digit for one in firsts[0]]
    names = side_names(*(runs[0].run.kind for runs in firsts))
    groups = {"data": _in_rows([one.reference.unseen.images for one in firsts[0]])}
    least = {}
    for name, runs in zip(names, firsts, strict=True):
        groups[name] = _in_rows([one.samples.images for one in runs])
        worst = [one.samples.worst(ROWS) for one in runs]
        if known := [images for images in worst if images is not None]:
            least[name] = _in_rows(known)
    figures.save(folder / "digits.png", image_rows(groups, len(digits), digits))
    if least:
        figures.save(folder / "worst.png", image_rows(least, len(digits), digits))
    figures.save(folder / "evolution.png", _draw_evolution(firsts[0]))


def _draw_reports(
    reports: Mapping[str, DecisionReport], classes: Sequence[str]
) -> dict[str, Figure]:
    """The figures that show reports beside each other."""
    if len({len(report.confusion) for report in reports.values()}) > 1:
        raise ValueError("compare must be about a network with as many classes as model has")

    def of_each(field: str) -> dict[str, Any]:
        return {name: getattr(report, field) for name, report in reports.items()}

    bars = {
        "mean decision step (time steps)": of_each("class_decision_step"),
        "spikes per image until the decision": of_each("class_spikes"),
    }
    curves = of_each("accuracy_by_deadline"), of_each("decided_by_deadline")
    strict = of_each("strict_accuracy")
    return {
        "per-class": decisions.class_bars(bars, names=classes),
        "deadline": decisions.deadline(*curves, strict),
    }


def _as_seen(weight: Tensor, shape: tuple[int, ...], name: str) -> Any:
    """First weights as images: those of a dense layer [neurons, values] in the images' shape."""
    weight = weight.detach().cpu()
    if weight.ndim == 2:
        values = int(torch.Size(shape).numel())
        if weight.shape[1] != values:
            raise ValueError(
                f"weights of {name} must be [neurons, {values}] to be seen as images, "
                f"got {list(weight.shape)}"
            )
        weight = weight.unflatten(1, shape)
    return weight.numpy()


def _draw_windows(model: SpikingNetwork, images: ImageSet, classes: Sequence[str]) -> Figure:
    with torch.no_grad():
        times = model.layer_times(input_times(model, images.images[:1]))
    return raster(
        images.images[0].numpy(),
        [layer[0].flatten().cpu().numpy() for layer in times],
        model.t_max,
        int(images.labels[0]),
        classes,
        windowed=model.windowed,
    )


def _draw_raster(
    model: FirstSpikeSequential,
    images: ImageSet,
    example: int,
    t_max: int,
    classes: Sequence[str],
) -> Figure:
    times = layer_times(model, images.images[example : example + 1], t_max)
    return raster(
        images.images[example].numpy(),
        [layer[0].flatten().cpu().numpy() for layer in times],
        t_max,
        int(images.labels[example]),
        classes,
    )


def _in_rows(columns: Sequence[Tensor]) -> Tensor:
    """The first images of each column, row by row."""
    return torch.stack([images[:ROWS] for images in columns], dim=1).flatten(0, 1)


def _draw_evolution(runs: Sequence[Evaluated]) -> Figure:
    """One row a class: the first of its samples that a run leaves after each epoch."""
    epochs = evolution.epochs_shown(min(int(one.run.options["epochs"]) for one in runs))
    rows = {one.digit: evolution.images_of(one.run, epochs, _place(one)) for one in runs}
    return image_rows(rows, len(epochs), [str(epoch) for epoch in epochs])


def _place(one: Evaluated) -> int:
    """Of a class in a run's grids: a conditional network draws one class after the other."""
    labels = one.samples.labels
    return 0 if labels is None or not one.run.options.get("conditional") else int(labels[0])
