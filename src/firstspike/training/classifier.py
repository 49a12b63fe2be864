"""The classifier (section 3.1) and its dense twin: network, optimiser and rule of one step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from firstspike import models
from firstspike.coding import encode, jittered
from firstspike.data import Parts
from firstspike.metrics import accuracy, spike_stats
from firstspike.nn import by_input
from firstspike.shape import MNIST, Shape
from firstspike.training.config import ClassifierConfig, ClassifierOptions
from firstspike.training.rules.decision import DecisionLearner
from firstspike.training.rules.temporal import output_error, shifted
from firstspike.training.trainer import Stats, Trainer

THRESHOLD = 100.0  # of S4NN
RARELY = 1000  # a neuron that fires for fewer than one in so many images is dead
# Images, at most, that an epoch is measured on; those trained on only tell that all is well.
CHECKED = {"validation": 10_000, "train": 1_000}


class ClassifierTraining(Trainer):
    """A classifier, its optimiser and the rule of one step. See the subclasses."""

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
    _learner: DecisionLearner | None = None

    @classmethod
    def make(cls, config: Any, shape: Shape = MNIST) -> Trainer:
        if config.neuron == "ramp":
            from firstspike.training.deep import RampTraining

            return RampTraining(config, shape)
        return (OnlineTraining if config.gradient == "online" else SpikingTraining)(config, shape)

    def build(self) -> None:
        config, sizes = self.config, (len(self.shape.classes), self.shape.pixels)
        clock: dict[str, Any] = {"t_max": config.t_max, "delay": config.delay}
        self.model = by_input(models.classifier(config.hidden, *sizes, **clock))

    def loaded(self) -> None:
        self._learner = None  # it holds on to the optimiser's former state

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        if self.config.gradient == "temporal":
            return self._step_back_in_time(images, labels, rng)
        if self._learner is None:
            self._learner = DecisionLearner(self.model, self.optimizer, self.config)
        seed = int(torch.randint(2**32, (), generator=rng))
        return self._learner.step(images, labels, seed)

    def _step_back_in_time(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        """Temporal backpropagation (eq. 11-15)."""
        config = self.config
        layer_times = self._forward(self.perturbed(images, rng), rng)
        output = layer_times[-1].detach()
        error = output_error(output, labels, config) / len(labels)
        self.optimizer.zero_grad()
        layer_times[-1].backward(error)
        self.optimizer.step()
        right = (output.argmin(dim=1) == labels) & (output.amin(dim=1) < config.t_max)
        return {
            "train_error": float(error.abs().sum()),
            "train_accuracy": float(right.float().mean()),
        }

    def perturbed(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Spike times [B, 784] of images, moved in space and in time."""
        config = self.config
        times = encode(images, config.t_max).float()
        if config.shift:
            times = shifted(times, config.shift, config.t_max, rng)
        if config.jitter:
            times = jittered(times, config.jitter, config.t_max, rng)
        return times.flatten(1)

    def _forward(self, times: Tensor, rng: torch.Generator) -> list[Tensor]:
        """Spike times of the input and of every layer, with hidden spikes left out at random."""
        layer_times = [times]
        for layer in self.model.layers:
            times = layer(times)
            if self.config.dropout and layer is not self.model.layers[-1]:
                left_out = torch.rand(times.shape, generator=rng) < self.config.dropout
                times = times.masked_fill(left_out, self.config.t_max)
            layer_times.append(times)
        return layer_times

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


class OnlineTraining(SpikingTraining):
    """The same network without bias, by S4NN's procedure: one image after the other."""

    def build(self) -> None:
        config, sizes = self.config, (len(self.shape.classes), self.shape.pixels)
        options: dict[str, Any] = {
            "t_max": config.t_max,
            "delay": config.delay,
            "threshold": THRESHOLD,
        }
        self.model = by_input(models.classifier(config.hidden, *sizes, bias=False, **options))
        for layer, reach in zip(self.model.layers, self._reaches, strict=True):
            nn.init.uniform_(layer.weight, 0.0, reach)
        self._firing, self._seen = torch.zeros(config.hidden, dtype=torch.int64), 0

    @property
    def _reaches(self) -> tuple[float, float]:
        return self.config.hidden_reach, self.config.output_reach

    @property
    def _rows(self) -> tuple[Tensor, Tensor]:
        hidden, output = self.model.layers
        return hidden.weight.detach().t(), output.weight.detach().t()

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        from firstspike.ops.cpu import online  # Numba takes a second to import

        config = self.config
        rate = self.optimizer.param_groups[0]["lr"]  # along the cosine
        settings = online.OnlineSettings(
            loss="s4nn" if config.loss == "s4nn" else "aggressive",
            lr=(rate, rate * config.output_lr / config.lr),
            decay=config.penalty,
            normalize=None if config.normalize == "none" else config.normalize,
            gamma=config.gamma,
            threshold=THRESHOLD,
            t_max=config.t_max,
            delay=config.delay,
        )
        times = self.perturbed(images, rng)
        order = torch.arange(len(labels))
        stats = online.train_epoch(times, labels, order, *self._rows, settings)
        self._firing += stats.hidden_firing
        self._seen += len(labels)
        return {
            "train_accuracy": float(stats.strict.float().mean()),
            "train_ties_accuracy": float(stats.ties.float().mean()),
        }

    def finish_epoch(self, rng: torch.Generator) -> None:
        """Neurons that fired for hardly any image start anew, as in S4NN."""
        from firstspike.ops.cpu import online

        init, at_least = (0.0, self.config.hidden_reach), self._seen // RARELY
        online.reset_dead(self._rows[0], self._firing, init, rng, at_least)
        self._firing, self._seen = torch.zeros_like(self._firing), 0


class AnnTraining(ClassifierTraining):
    """The dense twin: ReLU and cross-entropy, on pixels in 0..1."""

    model: nn.Sequential

    @classmethod
    def make(cls, config: Any, shape: Shape = MNIST) -> Trainer:
        if config.network != "dense":
            from firstspike.training.deep import DenseTraining

            return DenseTraining(config, shape)
        return cls(config, shape)

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
        right = self.model(images.flatten(1) / 255).argmax(dim=1) == labels
        return {"accuracy": float(right.float().mean())}
