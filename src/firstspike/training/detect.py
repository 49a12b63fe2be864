"""Detectors of ramp neurons, and their dense twins in the same loop.

Convolutions with strides end in a grid of cells; see `firstspike.training.rules.boxes` for what the
neurons of a cell say, and what is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import encode
from firstspike.data import (
    Data,
    ImageSet,
    Parts,
    Scenes,
    Split,
    canvas_scenes,
    divide,
    load_images,
)
from firstspike.data import load_scenes as load_folder
from firstspike.metrics import decide
from firstspike.models import networks
from firstspike.models.networks import LayerPlan
from firstspike.nn import FirstSpikeConv2d, RampNeuron, SpikingNetwork, fold
from firstspike.training.convolutional import Ramp
from firstspike.training.detect_config import AnnDetectConfig, DetectConfig, DetectOptions
from firstspike.training.rules import boxes
from firstspike.training.rules.boxes import SHARPNESS, SIDES, Found
from firstspike.training.rules.exact import parameter_groups, rate_at, scores_and_level
from firstspike.training.trainer import Stats, Trainer

LEAK = 0.1  # slope of the gradient outside the window of the output neurons
FAINT = 0.3  # of first weights that should say little yet, and of first potentials
BATCH = 250  # images at a time where nothing is learned
TEST = 2000  # canvases to measure with
TEST_SEED = 0  # of them, so that all runs are measured on the same


class Detector(Trainer):
    """What the spiking detector and its twin share; see the subclasses.

    Attributes:
        model: from images to the output neurons of cells, [B, 1 + classes + 4, rows, columns].
    """

    config: DetectOptions
    model: nn.Sequential
    anywhere = True
    t_max: int | None = None

    @classmethod
    def load_data(cls, config: Any) -> Parts:
        if config.data is not None or not config.validation:
            return super().load_data(config)
        digits = divide(load_images(None, "train"), config.validation)
        training = canvas_scenes(config.canvases, config.seed, digits.training)
        count = max(1, round(config.validation * config.canvases))
        assert digits.held_out is not None
        return Parts(training, canvas_scenes(count, TEST_SEED, digits.held_out))

    @classmethod
    def load_split(cls, config: Any, split: Split) -> Scenes:
        if config.data is not None:
            return load_folder(Path(config.data), split, config.size, config.colour)
        count, seed = (config.canvases, config.seed) if split == "train" else (TEST, TEST_SEED)
        return canvas_scenes(count, seed, load_images(None, split))

    @classmethod
    def parts_of(cls, config: Any, images: Data, held_out: Data | None = None) -> Parts:
        for given in filter(None, (images, held_out)):
            if not isinstance(given, Scenes):
                raise ValueError(f"data must be Scenes, with boxes, got {type(given).__name__}")
        if not images.present:  # type: ignore[union-attr]
            raise ValueError(f"data: {images.name} has no box in any image")  # type: ignore[union-attr]
        return super().parts_of(config, images, held_out)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    @property
    def outputs(self) -> int:
        """Output neurons of a cell: 'nothing', the classes, and the sides of a box."""
        return 1 + len(self.shape.classes) + SIDES

    @property
    def image(self) -> tuple[int, int]:
        """Height and width."""
        return self.shape.height, self.shape.width

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        size = self.image
        for layer in self.layers:
            size = networks.size_after(layer, size, self.config.network)
        return size

    @property
    def layers(self) -> list[LayerPlan]:
        """The convolutions before the output neurons. ValueError if there are other layers."""
        line = self.config.network
        layers = networks.plan(line, self.shape)
        if not all(layer.kernel and not layer.residual for layer in layers):
            raise ValueError(f"network {line}: a detector is made of plain convolutions")
        return layers

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = parameter_groups(self.model, self.config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, self.config.lr, betas=(0.9, 0.99), fused=True)
        self.steps, self.done = 1, 0
        return {"model": self.optimizer}

    def tensors(self, images: ImageSet) -> tuple[Tensor, ...]:
        assert isinstance(images, Scenes)
        return images.images, images.boxes, images.things

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        self.steps = max(1, -(-len(parts.training) // self.config.batch))
        if parts.held_out is None:
            return dict
        tensors = self.tensors(parts.held_out)
        return lambda: {"validation_set_loss": self.loss_of(*tensors)}

    def start_epoch(self, epoch: int) -> None:
        self.done = (epoch - 1) * self.steps

    def step(self, images: Tensor, where: Tensor, things: Tensor, rng: torch.Generator) -> Stats:
        rate = self.config.lr * rate_at(self.done / (self.steps * self.config.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.done += 1
        if len(images) < 2:  # nothing to take statistics of
            return {}
        drawn = self.with_channels(images), where, things
        seen, *there = boxes.shifted(*drawn, self.config.shift, rng)
        self.model.train()
        said, level = scores_and_level(self.model, self.encoded(seen), self.t_max)
        named, placed = boxes.losses(*self.read(said), *self.aims(*there))
        self.optimizer.zero_grad()
        (named + placed + self.price * level).backward()
        self.optimizer.step()
        return {"class_loss": float(named.detach()), "box_loss": float(placed.detach())}

    @property
    def price(self) -> float:
        """Of the mean level of hidden neurons."""
        return 0.0

    def aims(self, where: Tensor, things: Tensor) -> tuple[Tensor, Tensor]:
        """What cells should say of these boxes, see `firstspike.training.rules.boxes.targets`."""
        return boxes.targets(where, things, self.image, self.grid)

    @torch.no_grad()
    def loss_of(self, images: Tensor, where: Tensor, things: Tensor) -> float:
        """Mean loss of a thing, of tensors as `tensors` has them."""
        self.model.eval()
        total = 0.0
        for part in zip(*(one.split(BATCH) for one in (images, where, things)), strict=True):
            seen, *there = (one.to(self.device) for one in part)
            said, _ = scores_and_level(self.model, self.encoded(seen), self.t_max)
            classes, sides = self.aims(*there)
            loss = sum(boxes.losses(*self.read(said), classes, sides))
            total += float(loss) * int((classes > 0).sum())
        return total / max(1, int((things >= 0).sum()))

    @torch.no_grad()
    def detect(self, images: Tensor) -> list[Found]:
        """What is on uint8 images [N, ...], as the network was built for."""
        seen: list[Found] = []
        for names, scores, values in self.answers(images):
            odds = scores.flatten(2).softmax(dim=1).gather(1, names[:, None]).squeeze(1)
            seen += boxes.found(names, odds, boxes.to_boxes(values, self.image))
        return seen

    def answers(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of a few images at a time, what their cells say, on the CPU.

        Yields:
            Classes int64 [B, cells], 0 for nothing; scores and values as `read` gives them.
        """
        raise NotImplementedError

    def encoded(self, images: Tensor) -> Tensor:
        """What the first layer takes of uint8 images: [B, C, H, W]."""
        raise NotImplementedError

    def read(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of classes, and u of the sides of boxes, of what output neurons have collected."""
        raise NotImplementedError

    def with_channels(self, images: Tensor) -> Tensor:
        """[B, C, H, W] of [B, H, W], too."""
        return images.view(len(images), self.shape.channels, *self.image)


class SpikingDetector(Detector):
    """One spike a neuron."""

    config: DetectConfig

    def build(self) -> None:
        self.t_max = t_max = self.config.t_max
        how: dict[str, Any] = {"window": self.config.window, "start": self.config.start}
        inputs, modules = self.shape.channels, []
        for layer in self.layers:
            modules.append(networks.convolution(inputs, layer, t_max=t_max, **how))
            inputs = layer.size
        last = FirstSpikeConv2d(inputs, self.outputs, 1, neuron="ramp", t_max=t_max)
        nn.init.kaiming_normal_(last.weight, nonlinearity="linear")
        _settle(last, FAINT, 2 * FAINT, FAINT)
        self.model = SpikingNetwork(*modules, last)

    @property
    def price(self) -> float:
        return self.config.sparsity

    def encoded(self, images: Tensor) -> Tensor:
        t_max = self.config.t_max
        return t_max - encode(self.with_channels(images), t_max).float()

    def read(self, said: Tensor) -> tuple[Tensor, Tensor]:
        values = Ramp(RampNeuron(1.0, LEAK), self.config.t_max)(said)
        return SHARPNESS * values[:, :-SIDES], values[:, -SIDES:]

    def answers(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        network, t_max = self.result(), self.config.t_max
        for part in images.split(BATCH):
            times = encode(self.with_channels(part), t_max).float().to(self.device)
            said = network.potentials(times).cpu()
            scores, values = self.read(said)
            # The race of each cell, by the one function that decides everywhere.
            potentials = said[:, :-SIDES].flatten(2).movedim(1, -1)
            fired = (t_max * (1 - scores / SHARPNESS)).round().flatten(2).movedim(1, -1)
            names = decide(fired.flatten(0, 1), potentials.flatten(0, 1), t_max)
            yield names.view(len(part), -1), scores, values

    def result(self) -> SpikingNetwork:
        """The network as it is used, its normalisation folded."""
        folded: SpikingNetwork = fold(self.model).requires_grad_(False)
        return folded

    @torch.no_grad()
    def activity(self, images: Tensor) -> dict[str, Any]:
        """Spikes a neuron, of all layers and of each, the input's first, on uint8 images."""
        times = encode(self.with_channels(images), self.config.t_max).float().to(self.device)
        fired = [layer < self.config.t_max for layer in self.result().layer_times(times)]
        spikes = sum(int(layer.sum()) for layer in fired) / len(images)
        return {
            "spikes": spikes,
            "spikes_a_neuron": spikes / sum(layer[0].numel() for layer in fired),
            "activity": [float(layer.double().mean()) for layer in fired],
        }

    def exported(self, run: Any, name: str) -> Any:
        return self.restored(run).result() if name in self.networks else None


class AnnDetector(Detector):
    """The dense twin: ReLU, scores of any size, and sigmoids for sides."""

    config: AnnDetectConfig

    def build(self) -> None:
        inputs, modules = self.shape.channels, []
        for layer in self.layers:
            modules += [*networks.dense_convolution(inputs, layer), nn.ReLU()]
            inputs = layer.size
        last = nn.Conv2d(inputs, self.outputs, 1)
        _settle(last, 0.0, SHARPNESS * FAINT, -1.0)
        self.model = nn.Sequential(*modules, last)

    def encoded(self, images: Tensor) -> Tensor:
        return self.with_channels(images).float().div_(255)

    def read(self, said: Tensor) -> tuple[Tensor, Tensor]:
        return said[:, :-SIDES], said[:, -SIDES:].sigmoid()

    def answers(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        self.model.eval()
        for part in images.split(BATCH):
            scores, values = self.read(self.model(self.encoded(part.to(self.device))).cpu())
            yield scores.flatten(2).argmax(dim=1), scores, values


@torch.no_grad()
def _settle(last: Any, classes: float, nothing: float, sides: float) -> None:
    """First biases of output neurons, and weights that say little beside them."""
    last.weight.mul_(FAINT)
    last.bias.fill_(classes)
    last.bias[0] = nothing
    last.bias[-SIDES:] = sides
