"""The classifier (section 3.1) and its dense twin: networks, optimisers, and who teaches them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from firstspike import models
from firstspike.coding import encode
from firstspike.data import Parts
from firstspike.metrics import accuracy, spike_stats
from firstspike.nn import by_input
from firstspike.training.config import ClassifierConfig, ClassifierOptions
from firstspike.training.noise import shifted
from firstspike.training.options import RuleOptions
from firstspike.training.rules.decision import DecisionLearner, DecisionRule
from firstspike.training.rules.learner import Learner
from firstspike.training.rules.online import OnlineLearner, OnlineRule
from firstspike.training.rules.temporal import TemporalLearner, TemporalRule
from firstspike.training.trainer import Stats, Trainer

THRESHOLD = 100.0  # of S4NN
# By the option ``gradient``: the rule, and which of the options are its settings.
RULES: dict[str, tuple[Callable[..., Learner], type[RuleOptions]]] = {
    "decision": (DecisionLearner, DecisionRule),
    "temporal": (TemporalLearner, TemporalRule),
    "online": (OnlineLearner, OnlineRule),
}
# Images, at most, that an epoch is measured on; those trained on only tell that all is well.
CHECKED = {"validation": 10_000, "train": 1_000}


class ClassifierTraining(Trainer):
    """A classifier and its optimiser; see the subclasses."""

    config: ClassifierOptions
    model: nn.Sequential

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.optimizer = torch.optim.Adam(self.model.parameters(), self.config.lr, fused=True)
        return {"model": self.optimizer}

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        images, held_out = parts
        part, checked = ("train", images) if held_out is None else ("validation", held_out)
        count = CHECKED[part]

        def measure() -> Stats:
            figures = self.measure(checked.images[:count], checked.labels[:count])
            return {f"{part}_set_{name}": value for name, value in figures.items()}

        return measure

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 1, along half a cosine."""
        done = (epoch - 1) / self.config.epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * (1 + math.cos(math.pi * done)) / 2

    def measure(self, images: Tensor, labels: Tensor) -> Stats:
        """Accuracy, and what it costs, on uint8 images [N, ...]."""
        raise NotImplementedError


class SpikingTraining(ClassifierTraining):
    """The classifier 784-hidden-classes of neurons that spike at most once."""

    config: ClassifierConfig
    model: models.Classifier
    _learner: Learner | None = None

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        if config.neuron == "step":
            return cls
        from firstspike.training.deep import RampTraining

        return RampTraining

    def build(self) -> None:
        config, sizes = self.config, (len(self.shape.classes), self.shape.pixels)
        options: dict[str, Any] = {"t_max": config.t_max, "delay": config.delay}
        if config.gradient != "online":
            self.model = by_input(models.classifier(config.hidden, *sizes, **options))
            return
        options |= {"bias": False, "threshold": THRESHOLD}
        self.model = by_input(models.classifier(config.hidden, *sizes, **options))
        reaches = config.hidden_reach, config.output_reach
        for layer, reach in zip(self.model.layers, reaches, strict=True):
            nn.init.uniform_(layer.weight, 0.0, reach)

    def loaded(self) -> None:
        self._learner = None  # it holds on to the optimiser's former state

    @property
    def learner(self) -> Learner:
        """The learning rule at work on the network."""
        if self._learner is None:
            learner, rule = RULES[self.config.gradient]
            self._learner = learner(self.model, self.optimizer, self.config.part(rule))
        return self._learner

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        return self.learner.step(images, labels, rng)

    def finish_epoch(self, rng: torch.Generator) -> None:
        self.learner.finish_epoch(rng)

    @torch.no_grad()
    def measure(self, images: Tensor, labels: Tensor) -> Stats:
        t_max, last = self.config.t_max, self.model.layers[-1]
        layer_times = self.model.layer_times(encode(images.flatten(1), t_max).float())
        _, hidden, output = layer_times
        stats = spike_stats(layer_times, t_max)
        right = accuracy(output, labels, last.final_potential(hidden), t_max)
        firing = hidden < t_max
        return {
            "accuracy": right.strict,
            "ties_accuracy": right.ties,
            "decision_step": float(stats.decision.mean()),
            "spikes": float(stats.total.float().mean()),
            "hidden_firing": float(firing.sum(dim=1).float().mean()),
            "dead_hidden": int((~firing.any(dim=0)).sum()),
        }


class AnnTraining(ClassifierTraining):
    """The dense twin: ReLU and cross-entropy, on pixels in 0..1."""

    model: nn.Sequential
    anywhere = True

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        if config.network == "dense":
            return cls
        from firstspike.training.deep import DenseTraining

        return DenseTraining

    def build(self) -> None:
        sizes = len(self.shape.classes), self.shape.pixels
        self.model = models.ann_classifier(self.config.hidden, *sizes)

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        if self.config.shift:
            images = shifted(images, self.config.shift, 0, rng)
        scores = self.model(images.flatten(1) / 255)
        loss = nn.functional.cross_entropy(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        right = (scores.argmax(dim=1) == labels).float().mean()
        return {"train_error": float(loss.detach()), "train_accuracy": float(right)}

    @torch.no_grad()
    def measure(self, images: Tensor, labels: Tensor) -> Stats:
        scores = self.model(images.to(self.device).flatten(1) / 255)
        right = scores.argmax(dim=1).cpu() == labels
        return {"accuracy": float(right.float().mean())}
