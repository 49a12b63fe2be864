"""``firstspike evaluate`` for classifiers: what they decide, when, and at what cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from firstspike import models
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.evaluate_figures import save_classifier_figures, save_network_figures
from firstspike.data import ImageSet
from firstspike.energy import energy
from firstspike.evaluation.classifiers import (
    ClassifierReport,
    DecisionReport,
    evaluate_ann,
    evaluate_classifier,
)
from firstspike.evaluation.networks import evaluate_network
from firstspike.extras import require
from firstspike.models.networks import NetworkClassifier, at_t_max
from firstspike.models.quantized import quantize
from firstspike.models.quantized_ramps import quantize_ramps
from firstspike.nn import SpikingNetwork
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices
from firstspike.training.deep import DenseTraining
from firstspike.training.loading import load_classifier, load_trainer, load_unseen


def evaluate(request: Evaluate) -> None:
    """Measure the classifier of a run; metrics and figures go into the run's folder.

    Raises:
        ValueError: the run cannot be measured as asked.
    """
    require("report", "matplotlib", purpose="evaluate")
    if len(request.runs) > 1 or len(request.against) > 1:
        raise ValueError(f"{request.runs[0]}: a classifier; evaluate one, --against one other")
    run = RunDirectory.open(request.runs[0])
    devices.find(request.device)  # complains before work starts
    trainer = devices.moved(load_trainer(run), request.device)
    model = trainer.result()
    name = f"evaluation-{request.split}{'-int8' if request.quantized else ''}"
    if request.t_max is not None:
        model = _at_t_max(model, run, request.t_max)
        name += f"-t{request.t_max}"
    folder = request.out or run.path / name
    if request.quantized:
        model = _quantized(model, run)
    rival = _rival(model, request)
    images = load_unseen(run, trainer, request.split)
    record: dict[str, Any]
    decided: DecisionReport | None = None
    if isinstance(model, models.Classifier):
        decided = report = _measure(model, images, request)
        _draw(folder, report, model, images, request, rival)
        record = report.as_dict()
    elif isinstance(model, SpikingNetwork):
        decided = found = evaluate_network(
            model, images, model.t_max, add_pj=request.add_pj, mac_pj=request.mac_pj
        )
        save_network_figures(folder, found, model, images)
        record = found.as_dict()
    elif isinstance(trainer, DenseTraining):
        record = _dense_record(trainer, images, request)
    else:
        record = evaluate_ann(model, images, mac_pj=request.mac_pj)
    if decided is not None:
        record["fallback_accuracy"] = decided.fallback_accuracy
    files.save_json(folder / "metrics.json", record)
    if request.json:
        print(json.dumps({"folder": str(folder), **record}, indent=2))
        return
    print(json.dumps({k: v for k, v in record.items() if not isinstance(v, list)}, indent=2))
    if decided is not None:
        print(decided.decided())
    print(f"all of it, and figures: {folder}")


def _dense_record(trainer: DenseTraining, images: ImageSet, request: Evaluate) -> dict[str, Any]:
    """What a dense twin of any layers decides, and the energy of its multiply-adds."""
    figures = trainer.measure(images.images, images.labels)
    return {
        "data": images.name,
        "count": len(images),
        "accuracy": figures["accuracy"],
        "dense_macs": trainer.macs,
        "dense_energy_pj": energy(0, trainer.macs, mac_pj=request.mac_pj).dense_pj,
    }


def _quantized(model: nn.Sequential, run: RunDirectory) -> models.Classifier | SpikingNetwork:
    """The same spikes as of the int8 network, in floats that hold whole numbers."""
    if isinstance(model, SpikingNetwork):
        return quantize_ramps(model)
    if not isinstance(model, models.Classifier):
        raise ValueError(f"--quantized {run.path}: does not spike; give a spiking classifier")
    return quantize(model).as_float()


def _at_t_max(model: nn.Module, run: RunDirectory, t_max: int) -> NetworkClassifier:
    """The same network with windows of another number of steps."""
    if not isinstance(model, NetworkClassifier):
        raise ValueError(f"--t-max {run.path}: not of ramp neurons, whose clock is free to choose")
    return at_t_max(model, t_max)


def _measure(model: models.Classifier, images: ImageSet, request: Evaluate) -> ClassifierReport:
    t_max = model.layers[0].t_max
    return evaluate_classifier(model, images, t_max, add_pj=request.add_pj, mac_pj=request.mac_pj)


def _draw(
    folder: Path,
    report: ClassifierReport,
    model: models.Classifier,
    images: ImageSet,
    request: Evaluate,
    rival: models.Classifier | None,
) -> None:
    """Figures of a classifier, beside another one's if that is asked for."""
    if rival is None:
        save_classifier_figures(folder, report, model, images)
        return
    beside: dict[str, Any] = _measure(rival, images, request).as_dict()
    save_classifier_figures(
        folder,
        report,
        model,
        images,
        beside,
        compare_weight=rival.layers[0].weight,
        names=(request.runs[0].name, request.against[0].name),
    )


def _rival(model: nn.Module, request: Evaluate) -> models.Classifier | None:
    """The network that another one is shown beside. ValueError if that is not possible."""
    if not request.against:
        return None
    if not isinstance(model, models.Classifier):
        raise ValueError("--against is for networks of step neurons; leave it out")
    [against] = request.against
    rival = load_classifier(RunDirectory.open(against))
    if not isinstance(rival, models.Classifier):
        raise ValueError(f"--against {against}: does not spike; give a spiking classifier")
    return rival
