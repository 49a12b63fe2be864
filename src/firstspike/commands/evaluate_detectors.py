"""``firstspike evaluate`` for detectors: COCO's scores, spikes of each layer, and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstspike.commands import evaluate_seeds
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.evaluate_seeds import Family, Record
from firstspike.data import Scenes
from firstspike.drawing import grids
from firstspike.drawing.boxes import with_boxes
from firstspike.evaluation.detection import mean_precision
from firstspike.training.detect import Detector, SpikingDetector
from firstspike.training.rules.boxes import Found

PICTURE = "detections.png"
SHOWN, COLUMNS = 20, 5  # images of a picture
WATCHED = 500  # images whose spikes are counted


def evaluate(request: Evaluate) -> None:
    """Measure runs, see `firstspike.commands.evaluate_seeds.evaluate`."""
    evaluate_seeds.evaluate(request, FAMILY)


def _measured(trainer: Detector, scenes: Scenes, folder: Path) -> Record:
    found = trainer.detect(scenes.images)
    grids.save_image_grid(folder / PICTURE, _picture(scenes, found), COLUMNS, scale=1)
    record = mean_precision(scenes, found)
    if isinstance(trainer, SpikingDetector):
        record |= trainer.activity(scenes.images[:WATCHED])
    return record


def _picture(scenes: Scenes, found: list[Found]) -> Any:
    shown = found[:SHOWN]
    names = [[scenes.names[kind] for kind in seen.classes] for seen in shown]
    return with_boxes(scenes.images[:SHOWN], [seen.boxes for seen in shown], names)


FAMILY = Family(
    trainer=Detector,
    name="a detector",
    question=lambda trainer: Detector,
    extra=("detection", "faster_coco_eval"),
    measured=_measured,
    titles={
        "map_50": "mAP at .5",
        "map": "mAP from .5 to .95",
        "recall_50": "recall at .5",
        "spikes_a_neuron": "spikes a neuron",
        "seconds": "seconds of training",
    },
)
