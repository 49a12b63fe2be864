"""Networks whose answer is a map as large as their image, and their dense twins in the same loop.

What a U-shaped network (`firstspike.models.unet`) of ramp neurons learns from is what it says in
spikes but for rounding error: levels ``t_max - t`` of pixels in, potentials of pixels out. A kind
says what these should be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import encode
from firstspike.data import ImageSet, Parts
from firstspike.data.pairs import PairSet
from firstspike.models import unet
from firstspike.nn import SpikingNetwork, fold
from firstspike.training.pixels_config import PixelOptions
from firstspike.training.rules.exact import parameter_groups, rate_at, scores_and_level
from firstspike.training.trainer import Stats, Trainer

WATCHED = 1000  # images that are measured after each epoch
SHOWN, COLUMNS = 12, 6  # images with answer and target in a picture, and pictures in a row
AT_ONCE = 250  # images at a time where nothing is learned


class PixelTraining(Trainer):
    """What all such networks share; the options have a ``t_max`` if the neurons spike.

    Attributes:
        model: as it is trained, with normalisation.
        t_max: number of time steps of a window; None of a dense twin.
    """

    config: PixelOptions
    model: nn.Sequential
    anywhere = True

    def tensors(self, images: ImageSet) -> tuple[Tensor, ...]:
        assert isinstance(images, PairSet)
        return images.images, images.targets

    def build(self) -> None:
        config: Any = self.config
        self.t_max: int | None = getattr(config, "t_max", None)
        unet.check_sides(self.shape, config.depth)
        sizes: Any = {"channels": config.channels, "depth": config.depth}
        if self.t_max is None:
            self.model = unet.dense_twin(self.shape.channels, self.outputs, **sizes)
        else:
            sizes |= {"t_max": self.t_max, "window": config.window, "start": config.start}
            self.model = unet.spiking(self.shape.channels, self.outputs, **sizes)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps, self.done = 1, 0

    @property
    def outputs(self) -> int:
        """Channels of the map."""
        raise NotImplementedError

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        groups = parameter_groups(self.model, self.config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, self.config.lr, betas=(0.9, 0.99), fused=True)
        return {"model": self.optimizer}

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        self.steps = max(1, -(-len(parts.training) // self.config.batch))
        images = parts.held_out or parts.training
        self.shown = images.part(torch.arange(len(images)) < WATCHED, "shown")
        return lambda: self.measure(self.shown)

    def start_epoch(self, epoch: int) -> None:
        self.done = (epoch - 1) * self.steps

    def step(self, images: Tensor, wanted: Tensor, rng: torch.Generator) -> Stats:
        rate = self.config.lr * rate_at(self.done / (self.steps * self.config.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.done += 1
        self.model.train()
        inputs = self.encoded(images)
        potential, level = scores_and_level(self.model, inputs, self.t_max)
        loss = self.loss(potential, wanted)
        price, told = self.played(inputs, potential, wanted)
        self.optimizer.zero_grad()
        (loss + (self.config.sparsity * level + price)).backward()
        self.optimizer.step()
        return {"train_loss": float(loss.detach()), **told}

    def loss(self, potential: Tensor, wanted: Tensor) -> Tensor:
        """What is learned by, of potentials [B, outputs, H, W] and what `tensors` say of them."""
        raise NotImplementedError

    def played(self, inputs: Tensor, potential: Tensor, wanted: Tensor) -> tuple[Any, Stats]:
        """A further price of what is said of inputs as `encoded`, and what to tell of it."""
        return 0.0, {}

    def encoded(self, images: Tensor) -> Tensor:
        """What the first layer takes of uint8 images, [B, channels, H, W]: levels, or values."""
        if self.t_max is None:
            return planes_of(images).float().div_(255)
        return self.t_max - self.times_of(images)

    def times_of(self, images: Tensor) -> Tensor:
        """Spike times [B, channels, H, W] of uint8 images."""
        assert self.t_max is not None
        return encode(planes_of(images), self.t_max).float()

    @torch.no_grad()
    def potentials(self, images: Tensor) -> Tensor:
        """Potentials [N, outputs, H, W] that uint8 images lead to, as trained."""
        self.model.eval()
        parts = (self.encoded(part.to(self.device)) for part in images.split(AT_ONCE))
        return torch.cat([scores_and_level(self.model, one, self.t_max)[0] for one in parts])

    def result(self) -> nn.Sequential:
        """The network as it is used: of ramp neurons a `SpikingNetwork`, normalisation folded."""
        if self.t_max is None:
            return self.model.eval()
        made: SpikingNetwork = fold(self.model)
        return made.requires_grad_(False)

    def exported(self, run: Any, name: str) -> Any:
        return self.restored(run).result() if name == "model" else None

    @torch.no_grad()
    def answers(self, images: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """What the network as it is used says of uint8 images, see `read`, on the CPU.

        Returns:
            [N, ...], and of ramp neurons ``spikes_a_neuron``, inputs included, and ``activity``,
            that of the input and of each layer.
        """
        network: Any = self.result()
        parts = [part.to(self.device) for part in images.split(AT_ONCE)]
        if self.t_max is None:
            return torch.cat([self.read(network(self.encoded(x)), None).cpu() for x in parts]), {}
        said, fired, neurons = [], torch.zeros(()), torch.zeros(())
        for part in parts:
            traces = network.traces(self.times_of(part))
            last = traces[-1]
            said.append(self.read(network[-1].final_potential(last.inputs), last.times).cpu())
            layers = [trace.times < self.t_max for trace in traces]
            fired = fired + torch.tensor([float(spikes.sum()) for spikes in layers]).double()
            neurons = torch.tensor([float(spikes[0].numel()) for spikes in layers]).double()
        return torch.cat(said), {
            "spikes_a_neuron": float(fired.sum() / neurons.sum()) / len(images),
            "activity": (fired / neurons / len(images)).tolist(),
        }

    def read(self, potential: Tensor, times: Tensor | None) -> Tensor:
        """What pixels say that have these potentials and spike times, [B, outputs, H, W].

        ``times`` are None of a dense twin.
        """
        raise NotImplementedError

    def measure(self, images: ImageSet) -> Stats:
        """Figures of the network as it is used, on images of which we know what they should be."""
        said, spikes = self.answers(images.images)
        return self.judged(said, images) | {k: v for k, v in spikes.items() if k != "activity"}

    def judged(self, said: Tensor, images: ImageSet) -> Stats:
        """How good answers to all of these images are."""
        raise NotImplementedError

    def further(self, said: Tensor, images: ImageSet) -> dict[str, Any]:
        """What else there is to tell of answers where time is no matter, as JSON values."""
        return {}

    def picture(self) -> Tensor:
        return self.pictures(self.shown)

    def pictures(self, images: ImageSet) -> Tensor:
        """Inputs, answers and targets of the first images, one beside the other.

        Returns:
            Intensities in 0..1, [3 * N, ...] with N up to `SHOWN`; in a grid of `COLUMNS` two
            triples are in a row.
        """
        few = images.part(torch.arange(len(images)) < SHOWN, "shown")
        seen, said, wanted = self.tensors(few)[0] / 255, *self.drawn(few)
        shape = torch.broadcast_shapes(*(planes_of(one).shape for one in (seen, said, wanted)))
        three = [planes_of(one).expand(shape) for one in (seen, said, wanted)]
        return torch.stack(three, dim=1).flatten(0, 1).squeeze(1)

    def drawn(self, images: ImageSet) -> tuple[Tensor, Tensor]:
        """Answers and targets as pictures, in 0..1."""
        raise NotImplementedError


def planes_of(images: Tensor) -> Tensor:
    """Images [N, channels, H, W], of [N, H, W] or the same."""
    return images if images.ndim == 4 else images[:, None]
