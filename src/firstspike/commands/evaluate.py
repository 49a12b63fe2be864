"""``firstspike evaluate``: what trained networks are worth, measured on images they never saw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from torch import nn
from tyro.conf import Positional

from firstspike import models
from firstspike.commands import evaluate_gans
from firstspike.commands.evaluate_figures import save_classifier_figures
from firstspike.data import ImageSet, load_images
from firstspike.evaluation.classifiers import ClassifierReport, evaluate_ann, evaluate_classifier
from firstspike.evaluation.sides import draws
from firstspike.metrics import ADD_PJ, MAC_PJ
from firstspike.models.quantized import quantize
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import classifier as train_classifier
from firstspike.training.loading import load_classifier


@dataclass(frozen=True)
class Evaluate:
    """Measure trained networks: what classifiers decide and cost, how good samples of GANs are."""

    runs: Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Folder of a run; of GANs also several that differ in digit and seed, or folders of them."""
    split: Literal["validation", "test"] = "validation"
    """Images: those that training held out, to choose by, or the test set, for the final figure."""
    against: tuple[Path, ...] = ()
    """Another run of a spiking classifier, or other runs of GANs, shown beside."""
    out: Path | None = None
    """Folder for figures and numbers; evaluation-<split> in the first of the runs if not given."""
    quantized: bool = False
    """Classifiers: measure the network with its weights rounded to 8 bits."""
    add_pj: float = ADD_PJ
    """Classifiers: picojoules of an addition (Horowitz, ISSCC 2014)."""
    mac_pj: float = MAC_PJ
    """Classifiers: picojoules of a multiplication and an addition."""
    averaged: bool = True
    """GANs: draw with the average of the generator's weights over training."""

    def __call__(self) -> None:
        if not self.runs:
            raise ValueError("name at least one run")
        is_run = (self.runs[0] / "options.json").is_file() or not self.runs[0].is_dir()
        if is_run and not draws(RunDirectory.open(self.runs[0]).kind):
            _evaluate_classifier(self)
            return
        if self.quantized:
            raise ValueError(f"--quantized {self.runs[0]}: is for classifiers; leave it out")
        evaluate_gans.evaluate_gans(
            self.runs, self.against, self.split, self.out, averaged=self.averaged
        )


def _evaluate_classifier(request: Evaluate) -> None:
    """Measure a classifier; metrics and figures go into the run's folder."""
    if len(request.runs) > 1 or len(request.against) > 1:
        raise ValueError(f"{request.runs[0]}: a classifier; evaluate one, --against one other")
    run = RunDirectory.open(request.runs[0])
    model = load_classifier(run)
    images = _evaluation_images(run, request.split)
    name = f"evaluation-{request.split}{'-int8' if request.quantized else ''}"
    folder = request.out or run.path / name
    if request.quantized:
        model = _quantized(model, run)
    if isinstance(model, models.Classifier):
        report = _measure(model, images, request)
        _draw(folder, report, model, images, request)
        record = report.as_dict()
    else:
        record = evaluate_ann(model, images, mac_pj=request.mac_pj)
    files.save_json(folder / "metrics.json", record)
    print(json.dumps({k: v for k, v in record.items() if not isinstance(v, list)}, indent=2))
    print(f"all of it, and figures: {folder}")


def _quantized(model: nn.Sequential, run: RunDirectory) -> models.Classifier:
    """The same spikes as of the int8 network, which has no layers to look into."""
    if not isinstance(model, models.Classifier):
        raise ValueError(f"--quantized {run.path}: does not spike; give a spiking classifier")
    return quantize(model).as_float()


def _measure(model: models.Classifier, images: ImageSet, request: Evaluate) -> ClassifierReport:
    t_max = model.layers[0].t_max
    return evaluate_classifier(model, images, t_max, add_pj=request.add_pj, mac_pj=request.mac_pj)


def _draw(
    folder: Path,
    report: ClassifierReport,
    model: models.Classifier,
    images: ImageSet,
    request: Evaluate,
) -> None:
    """Figures of a classifier, beside another one's if that is asked for."""
    if not request.against:
        save_classifier_figures(folder, report, model, images)
        return
    [against] = request.against
    rival = load_classifier(RunDirectory.open(against))
    if not isinstance(rival, models.Classifier):
        raise ValueError(f"--against {against}: does not spike; give a spiking classifier")
    beside: dict[str, Any] = _measure(rival, images, request).as_dict()
    save_classifier_figures(
        folder,
        report,
        model,
        images,
        beside,
        compare_weight=rival.layers[0].weight,
        names=(request.runs[0].name, against.name),
    )


def _evaluation_images(run: RunDirectory, split: str) -> ImageSet:
    """The images that a run was not trained on: held out from its training set, or the test set."""
    config = train_classifier.read_config(run)
    if split == "test":
        return load_images(config.data, "test")
    held_out = train_classifier.load_parts(config)[1]
    if held_out is None:
        raise ValueError(f"{run.path}: trained on all images, none was held out; use --split test")
    return held_out
