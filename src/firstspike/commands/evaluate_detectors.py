"""``firstspike evaluate`` for detectors: COCO's scores, spikes of each layer, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firstspike.commands.evaluate import Evaluate, refuse_for_classifiers
from firstspike.data import Scenes
from firstspike.drawing import grids
from firstspike.drawing.boxes import with_boxes
from firstspike.evaluation.detection import mean_precision
from firstspike.extras import require
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import devices
from firstspike.training.detect import Detector, SpikingDetector
from firstspike.training.loading import load_trainer
from firstspike.training.rules.boxes import Found

SHOWN, COLUMNS = 20, 5  # images of a picture
WATCHED = 500  # images whose spikes are counted


def evaluate(request: Evaluate) -> None:
    """Measure the detector of a run, beside another one's if that is asked for.

    Raises:
        ValueError: the run cannot be measured as asked.
    """
    require("detection", "faster_coco_eval", purpose="evaluate")
    _check(request)
    folder = request.out or request.runs[0] / f"evaluation-{request.split}"
    record, pictures = _measured(request.runs[0], request)
    if request.against:
        rival, beside = _measured(request.against[0], request)
        record["against"] = rival
        record["map_50_beyond"] = record["map_50"] - rival["map_50"]
        pictures |= {f"against-{name}": picture for name, picture in beside.items()}
    files.save_json(folder / "metrics.json", record)
    for name, picture in pictures.items():
        grids.save_image_grid(folder / f"{name}.png", picture, COLUMNS, scale=1)
    if request.json:
        record = {"folder": str(folder), **record}
    print(json.dumps(record, indent=2))
    if not request.json:
        print(f"all of it, and pictures: {folder}")


def _check(request: Evaluate) -> None:
    first = request.runs[0]
    if len(request.runs) > 1 or len(request.against) > 1:
        raise ValueError(f"{first}: a detector; evaluate one, --against one other")
    refuse_for_classifiers(request)
    devices.find(request.device)


def _measured(place: Path, request: Evaluate) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is to be told of a run, and pictures by name."""
    run = RunDirectory.open(place)
    trainer = devices.moved(load_trainer_of(run), request.device)
    try:
        scenes = trainer.load_unseen(trainer.config, request.split)
        trainer.check(scenes)
    except ValueError as error:
        raise ValueError(f"{run.path}: {error}") from None
    assert isinstance(scenes, Scenes)
    found = trainer.detect(scenes.images)
    record = {"kind": run.kind, "data": scenes.name, "count": len(scenes)}
    record |= mean_precision(scenes, found)
    if isinstance(trainer, SpikingDetector):
        record |= trainer.activity(scenes.images[:WATCHED])
    return record, {"detections": _picture(scenes, found)}


def load_trainer_of(run: RunDirectory) -> Detector:
    """The detector of a run. ValueError if it is none."""
    trainer = load_trainer(run)
    if not isinstance(trainer, Detector):
        raise ValueError(f"{run.path}: a {run.kind} run; give the run of a detector")
    return trainer


def _picture(scenes: Scenes, found: list[Found]) -> Any:
    shown = found[:SHOWN]
    names = [[scenes.names[kind] for kind in seen.classes] for seen in shown]
    return with_boxes(scenes.images[:SHOWN], [seen.boxes for seen in shown], names)
