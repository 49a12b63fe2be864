"""What a detector is worth: COCO's mean average precision, by faster-coco-eval.

The same evaluation is one of the backends of torchmetrics' MeanAveragePrecision, which needs
torchvision beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstspike.data import Scenes
from firstspike.training.rules.boxes import Found

PLACED = 0.5  # intersection over union from which on a box counts as found


def mean_precision(scenes: Scenes, found: Sequence[Found]) -> dict[str, Any]:
    """COCO's scores of what was found.

    Args:
        scenes: with the boxes that are there.
        found: what was seen on each image.

    Returns:
        ``map_50``, the mean over classes of average precision at an intersection over union of .5;
        ``map``, the mean of that from .5 to .95; ``map_50_by_class`` of the classes that occur; and
        ``recall_50``, the share of things that were found with their class.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_truth(scenes))
    told = _told(found)
    if not told:  # which COCO does not take
        none = dict.fromkeys(scenes.present, 0.0)
        return {"map_50": 0.0, "map": 0.0, "recall_50": 0.0, "map_50_by_class": none}
    judge = COCOeval_faster(truth, truth.loadRes(told), "bbox", print_function=_say_nothing)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    at_half = int(np.argmin(np.abs(judge.params.iouThrs - PLACED)))
    precision = judge.eval["precision"][at_half, :, :, 0, -1].mean(axis=0)  # of each class
    recall = judge.eval["recall"][at_half, :, 0, -1]
    here = precision >= 0  # -1 of classes that do not occur
    by_class = zip(scenes.names, precision.tolist(), here, strict=True)
    return {
        "map_50": float(precision[here].mean()),
        "map": float(judge.stats[0]),
        "recall_50": float(recall[here].mean()),
        "map_50_by_class": {name: value for name, value, occurs in by_class if occurs},
    }


def _truth(scenes: Scenes) -> dict[str, Any]:
    """COCO's record of what is there; categories are numbered from 1."""
    annotations = [
        {"image_id": place, "category_id": thing + 1, "bbox": box, "area": box[2] * box[3]}
        for place, (boxes, things) in enumerate(zip(scenes.boxes, scenes.things, strict=True))
        for box, thing in zip(boxes.tolist(), things.tolist(), strict=True)
        if thing >= 0
    ]
    return {
        "images": [{"id": place} for place in range(len(scenes))],
        "annotations": [it | {"id": n, "iscrowd": 0} for n, it in enumerate(annotations, start=1)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(scenes.names, start=1)],
    }


def _told(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [
        {"image_id": place, "category_id": kind + 1, "bbox": box, "score": score}
        for place, seen in enumerate(found)
        for box, kind, score in zip(*(part.tolist() for part in seen), strict=True)
    ]


def _say_nothing(*_: object) -> None:
    """Its tables are not ours."""
