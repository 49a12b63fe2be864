"""``firstspike evaluate`` for networks that answer with a map: what they say, and pictures."""

from __future__ import annotations

from pathlib import Path

from firstspike.commands import evaluate_seeds
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.evaluate_seeds import Family, Record
from firstspike.data import ImageSet
from firstspike.drawing import grids
from firstspike.evaluation.features import extract
from firstspike.evaluation.fidelity import frechet_distance
from firstspike.training.pixels import COLUMNS, PixelTraining
from firstspike.training.translation import Translation

PICTURE = "pictures.png"


def evaluate(request: Evaluate) -> None:
    """Measure runs, see `firstspike.commands.evaluate_seeds.evaluate`."""
    evaluate_seeds.evaluate(request, FAMILY)


def _measured(trainer: PixelTraining, images: ImageSet, folder: Path) -> Record:
    said, spikes = trainer.answers(images.images)
    grids.save_image_grid(folder / PICTURE, trainer.pictures(images), COLUMNS)
    found = {**trainer.judged(said, images), **trainer.further(said, images), **spikes}
    if isinstance(trainer, Translation) and len(images) > 1:
        features = [extract(one) for one in (trainer.wanted(images), said)]
        found["frechet_distance"] = frechet_distance(*features)
    return found


FAMILY = Family(
    trainer=PixelTraining,
    name="a network that answers with a map",
    question=lambda trainer: trainer,  # one class trains a network and its twin
    extra=("report", "torchmetrics"),
    measured=_measured,
    titles={
        "psnr": "peak signal-to-noise ratio, dB",
        "ssim": "structural similarity",
        "frechet_distance": "Fréchet distance of answers to targets",
        "sharpness": "sharpness, targets' = 1",
        "mean_iou": "mean IoU",
        "pixel_accuracy": "right pixels",
        "spikes_a_neuron": "spikes a neuron",
        "seconds": "seconds of training",
    },
)
