"""Classifiers of any depth: ramp neurons, and their dense twins in the same loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import jittered
from firstspike.counts import count
from firstspike.data import Parts
from firstspike.data.augment import preset
from firstspike.metrics import accuracy
from firstspike.models import networks
from firstspike.models.networks import NetworkClassifier
from firstspike.training.classifier import ClassifierTraining
from firstspike.training.config import ClassifierConfig, LoopOptions
from firstspike.training.rules.exact import exact_loss, parameter_groups, rate_at, scores_and_level
from firstspike.training.shards import Sharded
from firstspike.training.team import check_shards
from firstspike.training.trainer import Stats
from firstspike.words import counted

FITTED = 5000  # training images that decide the window of the output layer
BATCH = 500  # images at a time where nothing is learned


class DeepTraining(ClassifierTraining):
    """What networks of ramp neurons and their dense twins share; see the subclasses."""

    t_max: int | None = None
    earliness = 0.0
    anywhere = True
    shared = True

    @property
    def line(self) -> str:
        """The network as a line of text; ``dense`` is one hidden layer of ``hidden`` neurons."""
        config = self.config
        return str(config.hidden) if config.network == "dense" else config.network

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        if any(isinstance(module, nn.Conv2d) for module in self.model.modules()):
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.options = self.config.part(LoopOptions)
        check_shards(self.options.shards, 1)
        if self.config.batch < self.least:
            raise ValueError(f"batch {self._too_few(self.config.batch)}")
        groups = parameter_groups(self.model, self.options.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, self.config.lr, betas=(0.9, 0.99), fused=True)
        self.steps, self.done = 1, 0
        return {"model": self.optimizer}

    @property
    def least(self) -> int:
        """Images in a batch that statistics can be taken of; fewer are left to another epoch."""
        return 2 * self.options.shards

    def _too_few(self, count: int) -> str:
        parts = counted(self.options.shards, "shard")
        return f"must be at least {self.least}, to take statistics of {parts}, got {count}"

    def watch(self, parts: Parts) -> Any:
        if len(parts.training) < self.least:
            raise ValueError(f"images to train on {self._too_few(len(parts.training))}")
        self.fitted = parts.training.images[:FITTED]
        self.steps = max(1, -(-len(parts.training) // self.config.batch))
        return super().watch(parts)

    def start_epoch(self, epoch: int) -> None:
        self.done = (epoch - 1) * self.steps

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        rate = self.config.lr * rate_at(self.done / (self.steps * self.config.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.done += 1
        if len(images) < self.least:
            return {}
        if self.options.shards == 1:
            told = self.learn(images, labels, rng)
        else:
            told = self.learn_shards(images, labels, rng)
        self.optimizer.step()
        loss, right = told.tolist()
        return {"train_loss": loss, "train_accuracy": right}

    def learn(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        """Leave the gradients of a batch in the parameters; its loss and accuracy, [2]."""
        values = preset(self.options.augment)(images, rng)
        seed = int(torch.randint(2**31, (), generator=rng))
        self.model.train()
        with self.seeded(seed):
            scores, level = scores_and_level(self.model, self.encoded(values, rng), self.t_max)
        options = self.options
        loss = exact_loss(
            scores, labels, level, options.smoothing, options.sparsity, self.earliness
        )
        self.optimizer.zero_grad()
        loss.backward()
        right = (scores.argmax(dim=1) == labels).float().mean()
        return torch.stack([loss.detach(), right])

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Dropout, if there is any, follows a seed."""
        if not self.options.dropout:
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield

    def learn_shards(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        """Likewise, as the mean over the shards of a batch, which a team shares."""
        count = self.options.shards
        parts = list(zip(images.tensor_split(count), labels.tensor_split(count), strict=True))
        seeds = torch.randint(2**31, (count,), generator=rng).tolist()
        batch, vectors = Sharded(self.model, count), []
        for number in self.team.own(count):
            batch.begin()
            told = self.learn(*parts[number], torch.Generator().manual_seed(seeds[number]))
            vectors.append(batch.said(told, len(parts[number][0]) / len(images)))
        return batch.settle(self.team.sum(vectors))

    def encoded(self, values: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """What the first layer takes of images [B, C, H, W] in 0..1."""
        raise NotImplementedError

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Scores [N, classes] of uint8 images, as trained, in evaluation mode."""
        self.model.eval()
        plain = preset("none")
        parts = (part.to(self.device) for part in images.split(BATCH))
        inputs = (self.encoded(plain(part, torch.Generator())) for part in parts)
        return torch.cat([scores_and_level(self.model, one, self.t_max)[0] for one in inputs])


class RampTraining(DeepTraining):
    """A classifier of ramp neurons.

    Attributes:
        model: as it is trained, with normalisation, and the output window of the last epoch.
    """

    config: ClassifierConfig
    model: NetworkClassifier

    def build(self) -> None:
        config: Any = self.config
        self.t_max, self.earliness = config.t_max, config.earliness
        self.model = networks.spiking(
            self.line,
            self.shape,
            t_max=config.t_max,
            window=config.window,
            start=config.start,
            dropout=config.dropout,
        )
        self.model.register_buffer("output_window", torch.tensor([0.0, 1.0]))

    def encoded(self, values: Tensor, rng: torch.Generator | None = None) -> Tensor:
        # As `firstspike.encode`: a pixel of 1/255 spikes in the last step, rounding left out.
        assert self.t_max is not None
        levels = (values * self.t_max - 1e-4).ceil_()
        jitter = self.config.jitter
        if rng is None or not jitter:
            return levels
        return self.t_max - jittered(self.t_max - levels, jitter, self.t_max, rng)

    def finish_epoch(self, rng: torch.Generator) -> None:
        low, high = networks.output_window(self.scores(self.fitted))
        self.model.output_window.copy_(torch.tensor([low, high]))  # type: ignore[operator]

    def result(self) -> NetworkClassifier:
        """The network as it is used: see `firstspike.models.networks.deployed`."""
        low, high = self.model.output_window.tolist()  # type: ignore[operator]
        return networks.deployed(self.model, low, high).eval().requires_grad_(False)

    def exported(self, run: Any, name: str) -> Any:
        return self.restored(run).result() if name in self.networks else None

    @torch.no_grad()
    def measure(self, images: Tensor, labels: Tensor) -> Stats:
        network, t_max = self.result(), self.model.t_max
        found, steps, spikes, neurons = [], [], [], 1
        for part in images.split(BATCH):
            times = network.times_of(part)
            traces = network.traces(times)
            counts = count(network, traces)
            found.append((traces[-1].times, network.potentials(times)))
            steps.append(counts.decision)
            spikes.append(counts.spikes.sum(dim=1))
            neurons = sum(counts.neurons)
        output, potentials = (torch.cat([*parts]).cpu() for parts in zip(*found, strict=True))
        right = accuracy(output, labels, potentials, t_max)
        fired = float(torch.cat(spikes).double().mean())
        return {
            "accuracy": right.strict,
            "ties_accuracy": right.ties,
            "decision_step": float(torch.cat(steps).double().mean()),
            "spikes": fired,
            "spikes_a_neuron": fired / neurons,
        }


class DenseTraining(DeepTraining):
    """The dense twin, in the same loop."""

    def build(self) -> None:
        config: Any = self.config
        self.model = networks.dense_twin(self.line, self.shape, dropout=config.dropout)

    def encoded(self, values: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return values

    def result(self) -> nn.Sequential:
        """The network as it is used: see `firstspike.models.networks.plain`."""
        return networks.plain(self.model)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        counted = [0]

        def add(layer: Any, inputs: Any, output: Tensor) -> None:
            counted[0] += output[0].numel() * layer.weight[0].numel()

        hooks = [
            layer.register_forward_hook(add)
            for layer in self.model.modules()
            if isinstance(layer, (nn.Conv2d, nn.Linear))
        ]
        self.scores(torch.zeros(1, *self.shape.image, dtype=torch.uint8))
        for hook in hooks:
            hook.remove()
        return counted[0]

    @torch.no_grad()
    def measure(self, images: Tensor, labels: Tensor) -> Stats:
        right = self.scores(images).argmax(dim=1).cpu() == labels
        return {"accuracy": float(right.float().mean())}
