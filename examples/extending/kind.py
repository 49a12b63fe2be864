"""A kind of network of one's own: one layer that learns by temporal backpropagation.

`firstspike train one-layer` knows it once its package says so in ``pyproject.toml``:

    [project.entry-points."firstspike.kinds"]
    one-layer = "kind:ONE_LAYER"
"""

from dataclasses import dataclass

import torch

from firstspike import encode, losses, models
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training.config import DataOptions, TimeOptions
from firstspike.training.kinds import Kind
from firstspike.training.loading import load_trainer
from firstspike.training.options import above, within
from firstspike.training.trainer import Trainer


@dataclass(frozen=True)
class OneLayerOptions(TimeOptions, DataOptions):
    """Options of a network of one layer."""

    epochs: int = within(5, 1)
    """Passes over the training images."""
    batch: int = within(100, 1)
    """Images in one step of training."""
    lr: float = above(1e-3)
    """Learning rate."""


class OneLayer(Trainer):
    def build(self):
        sizes = self.shape.pixels, len(self.shape.classes)
        layer = {"t_max": self.config.t_max, "delay": self.config.delay, "silent": "pull"}
        self.model = models.Classifier(*models.spiking_network(sizes, **layer))

    def make_optimizers(self):
        return {"model": torch.optim.Adam(self.model.parameters(), self.config.lr)}

    @property
    def networks(self):
        return {"model": self.model}

    def step(self, images, labels, rng):
        times = self.model(encode(images.flatten(1), self.config.t_max))
        loss = losses.cross_entropy(times, labels, self.config.t_max).mean()
        self.optimizers["model"].zero_grad()
        loss.backward()
        self.optimizers["model"].step()
        return {"train_error": loss.item()}


def evaluate(request):
    """What `firstspike evaluate RUN` does with such a run."""
    run = RunDirectory.open(request.runs[0])
    trainer = load_trainer(run)
    images = trainer.load_unseen(trainer.config, request.split)
    right = trainer.model.classify(images.images).classes == images.labels
    record = {"strict_accuracy": right.double().mean().item()}
    files.save_json(run.path / f"evaluation-{request.split}" / "metrics.json", record)
    print(record)


ONE_LAYER = Kind(
    name="one-layer",
    label="one layer",
    help="One layer whose first spike tells the class.",
    config=OneLayerOptions,
    trainer=OneLayer,
    evaluate=evaluate,
)
