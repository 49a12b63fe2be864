"""Spiking-GAN of step neurons and its dense twin: networks, latents, optimisers.

The two networks of a GAN take turns (arXiv 2106.15420, section 2.6): the discriminator learns to
tell images from samples while the generator stays, then the generator learns to deceive it while
the discriminator stays; see `firstspike.training.rules.adversarial`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from firstspike import models
from firstspike.coding import decode, draw_times, encode, seen_until
from firstspike.data import Data, ImageSet, Parts
from firstspike.losses import LOSSES
from firstspike.metrics import silent_fraction, spike_stats
from firstspike.nn import FirstSpikeSequential, by_input
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.artist import Artist, check_untold
from firstspike.training.config import AnnGanConfig, DataOptions, GanConfig, GanOptions
from firstspike.training.rules.adversarial import (
    AdversarialLearner,
    dense_verdict,
    spiking_verdict,
    take_turns,
)
from firstspike.training.trainer import Stats, Trainer

BIAS_LIMIT = 0.95  # of the threshold
Part = Literal["train", "validation", "test"]

AT_ONCE = 2_000  # images that are prepared together
UNSEEN = 1e9  # a distance larger than any
NAMED_STATS = ("real_named", "fake_named")  # with an auxiliary classifier
STEP_STATS = ("discriminator_loss", "generator_loss", "real_wins", "fake_wins")


class Gan(Artist):
    """The networks of a GAN and their optimisers; see the subclasses.

    Attributes:
        average: the generator with the moving average of its weights.
        best: that average as of the epoch in which its samples were nearest to the training
            images; it draws. None with ``snapshots`` 0, where the last average does.
    """

    config: GanOptions
    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    best: nn.Module | None = None
    held_out: ImageSet | None = None
    features = models.LATENTS
    mark: tuple[float, float]  # inputs that tell the class: of this one, of the others

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        assert isinstance(config, GanOptions)
        parts = super().parts_of(config, images, held_out)
        if config.snapshots and len(parts.training) < 2:
            raise ValueError(
                f"snapshots: {parts.training.name} has 1 image, and at least 2 are needed to "
                "choose the snapshot that draws; give more images, or 0 snapshots"
            )
        return parts

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        if self.config.snapshots:
            self.best = copy.deepcopy(self.average)
            self.best.register_buffer("distance", torch.tensor(UNSEEN))
        return {
            "generator": self.optimizer(self.generator, self.config.generator_lr),
            "discriminator": self.optimizer(self.discriminator, self.config.discriminator_lr),
        }

    @property
    def labels(self) -> int:
        """Inputs of both networks that tell the class."""
        return len(self.shape.classes) if self.config.conditional else 0

    @property
    def groups(self) -> int:
        """Classes that the discriminator judges by, each with outputs of its own; 1 for any."""
        return 1 if self.config.auxiliary else max(1, self.labels)

    @property
    def names(self) -> int:
        """Further outputs of the discriminator, which name the class."""
        return self.labels if self.config.auxiliary else 0

    @property
    def networks(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        networks = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }
        return networks if self.best is None else {**networks, "best": self.best}

    def drawing(self, run: RunDirectory) -> list[str]:
        saved = run.saved_networks()
        return [name for name in ("average", "best") if name in self.networks and name in saved]

    def tensors(self, images: ImageSet) -> tuple[Tensor, ...]:
        return (self.prepare(images),)

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        self.training_images, self.held_out = parts
        return super().watch(parts)

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, counted from 1."""
        self.epoch = epoch
        left = 1 - (epoch - 1) / self.config.epochs
        for name, lr in (
            ("generator", self.config.generator_lr),
            ("discriminator", self.config.discriminator_lr),
        ):
            falls = self.config.decay in (name, "both")
            for group in self.optimizers[name].param_groups:
                group["lr"] = min(1.0, 2 * left) * lr if falls else lr

    def step(self, real: Tensor, rng: torch.Generator) -> Stats:
        """One update of the discriminator, then one of the generator; their losses and verdicts."""
        latents = self.latents_for(real, rng), self.latents_for(real, rng)
        values = self.turns(real, latents, rng)
        self.follow()
        return dict(zip(STEP_STATS, values, strict=True))

    def turns(
        self, real: Tensor, latents: tuple[Tensor, Tensor], rng: torch.Generator
    ) -> list[float]:
        """Both turns of a step; arguments and values of `take_turns`."""
        return take_turns(self, real, latents, rng)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averaged weights towards those of the generator."""
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for mean, new in pairs:
            mean.lerp_(new, 1 - self.config.average)

    @torch.no_grad()
    def finish_epoch(self, rng: torch.Generator) -> Stats:
        """Keep the snapshot that is nearest to the training images, never to unseen ones.

        Settings are chosen by the distance to held-out images, if there are any.
        """
        if self.best is None or not self.is_looked_at(self.epoch):
            return {}
        distance_to = kinds.load(kinds.GAN.snapshot)
        distance = float(distance_to(self, self.training_images))
        if distance < self.best_distance:
            self.best.load_state_dict(self.average.state_dict(), strict=False)
            self.best.get_buffer("distance").fill_(distance)
        told = {
            "training_frechet_distance": distance,
            "best_training_frechet_distance": self.best_distance,
        }
        if self.held_out is not None and len(self.held_out) > 1:
            told["validation_set_frechet_distance"] = float(distance_to(self, self.held_out))
        return told

    def is_looked_at(self, epoch: int) -> bool:
        """Whether an epoch is one of the ``snapshots``: the last, or in the last two thirds."""
        epochs = self.config.epochs
        pause, left = max(1, round(epochs * 2 / 3 / self.config.snapshots)), epochs - epoch
        return left == 0 or (left % pause == 0 and epoch >= epochs / 3)

    @property
    def best_distance(self) -> float:
        """Of the snapshot that draws to the training images; `UNSEEN` before the first look."""
        return UNSEEN if self.best is None else float(self.best.get_buffer("distance"))

    def update(self, name: str, loss: Tensor) -> None:
        """Descend the gradient of one network; the other one stays as it is."""
        self.optimizers[name].zero_grad()
        loss.backward(inputs=list(self.networks[name].parameters()))
        self.optimizers[name].step()

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        """Input of the generator for ``count`` samples.

        Args:
            count: number of samples.
            rng: of the noise.
            digits: class of each, int64 [count], for a conditional network only; all in turn if
                None.

        Returns:
            [count, 100], and an input more for each class that a conditional network can be told.

        Raises:
            ValueError: ``digits`` are given to another network, or are no classes.
        """
        noise = self.noise(count, rng)
        if not self.config.conditional:
            check_untold(digits)
            return noise
        digits = self.in_turn(count) if digits is None else digits
        return torch.cat([noise, self.marks(digits)], dim=1)

    def prepare(self, images: ImageSet) -> Tensor:
        """What the discriminator sees of images: [N, pixels], and the classes if conditional."""
        pixels = self.shape.pixels
        seen = torch.empty(len(images), pixels + self.labels, dtype=torch.float32, device="cpu")
        for low in range(0, len(images), AT_ONCE):  # hundreds of thousands are kept once only
            part = slice(low, low + AT_ONCE)
            seen[part, :pixels] = self.pixels(images.images[part])
            if self.labels:
                seen[part, pixels:] = self.marks(images.labels[part])
        return seen

    def marks(self, digits: Tensor) -> Tensor:
        """Inputs [N, classes] that tell classes [N]: as spikes, that of the class at once."""
        if ((digits < 0) | (digits >= self.labels)).any():
            raise ValueError(f"digits must lie in 0..{self.labels - 1}")
        on, off = self.mark
        chosen = nn.functional.one_hot(digits, self.labels).bool()
        return torch.where(chosen, float(on), float(off))

    def latents_for(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """Latents of the class of each prepared image."""
        noise = self.noise(len(real), rng).to(real.device)
        told = real[:, self.shape.pixels :]
        return torch.cat([noise, told], dim=1) if self.labels else noise

    def draw(self, latents: Tensor) -> Tensor:
        """Samples as the discriminator sees them, which is told the class as well."""
        return torch.cat([self.generator(latents), latents[:, models.LATENTS :]], dim=1)

    @torch.no_grad()
    def sample(self, latents: Tensor, *, averaged: bool = True) -> Tensor:
        """Images drawn from latents.

        Args:
            latents: [count, 100] from `latents`, or spike times of your own.
            averaged: whether the best snapshot of the averaged weights draws, or, without
                snapshots, the last; otherwise the generator as it is being trained.

        Returns:
            Intensities in 0..1, [count, height, width], in colour [count, 3, height, width].
        """
        return self.images(self.artist(averaged)(latents.to(self.device))).cpu()

    def artist(self, averaged: bool) -> Any:
        """The generator that draws; ``averaged`` as for `sample`."""
        chosen = self.best if self.best_distance < UNSEEN else self.average
        return self.drawer(chosen if averaged else self.generator)

    def drawer(self, network: Any) -> Any:
        """What draws, out of a generator as it learns."""
        return network

    @torch.no_grad()
    def draw_average(self, latents: Tensor) -> Tensor:
        """Images that the average as it is now draws, as for `sample`."""
        return self.images(self.drawer(self.average)(latents.to(self.device))).cpu()

    def exported(self, run: Any, name: str) -> Any:
        if name != "average":
            return super().exported(run, name)
        draws = [name] if self.best is None else [name, "best"]
        return self.restored(run, *draws).artist(averaged=True)

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        """The optimiser of one network."""
        betas = (self.config.beta1, 0.999)
        return torch.optim.Adam(network.parameters(), lr, betas=betas, fused=True)

    def pixels(self, images: Tensor) -> Tensor:
        """Inputs [N, pixels] of the discriminator for uint8 images [N, ...]."""
        raise NotImplementedError

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """Random inputs of the generator: [count, 100]."""
        raise NotImplementedError

    def images(self, output: Tensor) -> Tensor:
        """Intensities in 0..1, [N, ...], of the generator's output [N, pixels]."""
        raise NotImplementedError

    def judge(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The discriminator's output in training."""
        raise NotImplementedError

    def verdict(self, output: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        """Loss of the discriminator's output where ``wanted`` is desired, and how often it won."""
        raise NotImplementedError


class SpikingGan(Gan):
    """Generator 100-400-784 and discriminator 784-400-2 of neurons that spike at most once.

    784 are MNIST's pixels; other images have theirs.
    """

    config: GanConfig
    generator: FirstSpikeSequential
    discriminator: FirstSpikeSequential
    _learner: AdversarialLearner | None = None

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        if config.neuron == "ramp":
            from firstspike.training import convolutional, paired

            return paired.RampGan if config.network == "dense" else convolutional.ConvRampGan
        if config.loss == "relativistic":
            from firstspike.training.paired_steps import StepGan

            return StepGan
        return cls

    @property
    def layer(self) -> dict[str, Any]:
        """Options of every layer."""
        config = self.config
        return {
            "bias": config.bias,
            "t_max": config.t_max,
            "delay": config.delay,
            "silent": config.silent,
            "gradient": config.gradient,
            "window": config.window,
            "normalize": None if config.normalize == "none" else config.normalize,
            "impl": config.impl,
        }

    def build(self) -> None:
        config = self.config
        if config.neuron != "step" or config.loss == "relativistic":
            raise ValueError(
                "neuron must be step, and loss another than relativistic, of a SpikingGan itself"
            )
        self.mark = 0, config.t_max
        sizes = config.hidden, self.labels, self.shape.pixels
        self.generator = by_input(models.generator(*sizes, **self.layer))
        self.discriminator = by_input(models.discriminator(*sizes, **self.layer))

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        if self.config.optimizer == "sgd":
            decay = 2 * self.config.weight_decay  # of lambda * sum of w^2
            return torch.optim.SGD(network.parameters(), lr, weight_decay=decay)
        return super().optimizer(network, lr)

    def pixels(self, images: Tensor) -> Tensor:
        return encode(images.flatten(1), self.config.t_max).float()

    def loaded(self) -> None:
        self._learner = None  # it holds on to the optimisers' former states

    def facts(self, name: str) -> dict[str, Any]:
        config = self.config
        facts = super().facts(name) | {"digit": config.digit, "labels": self.labels}
        if name == "discriminator":
            return facts
        last = config.t_max if config.latent_last is None else config.latent_last
        recipe = {"latent_last": last, "latent_silent": config.latent_silent}
        return facts | {"latents": models.LATENTS} | recipe

    def warn(self, epoch: int, before: Stats, after: Stats) -> None:
        if after["generator_output_silent"] < 1:
            return
        if epoch == 1 or before["generator_output_silent"] < 1:
            warnings.warn(
                f"epoch {epoch}: the generator has fallen silent, no image has a spike. A silent "
                "image silences the discriminator, so neither learns any more; try recipe best",
                RuntimeWarning,
                stacklevel=2,
            )

    def turns(
        self, real: Tensor, latents: tuple[Tensor, Tensor], rng: torch.Generator
    ) -> list[float]:
        if not AdversarialLearner.fits(self.config):
            return super().turns(real, latents, rng)
        seed = int(torch.randint(2**31, (), generator=rng))
        return self.learner.step(real, latents, seed)

    @property
    def learner(self) -> AdversarialLearner:
        """The event-driven rule at work on the networks."""
        if self._learner is None:
            networks = {"generator": self.generator, "discriminator": self.discriminator}
            limit = BIAS_LIMIT * self.generator.layers[0].threshold
            looks = self.config.look_from, self.config.look_to
            self._learner = AdversarialLearner(networks, self.optimizers, limit, looks)
        return self._learner

    @torch.no_grad()
    def update(self, name: str, loss: Tensor) -> None:
        with torch.enable_grad():
            super().update(name, loss)
        # A neuron that its bias alone makes fire does so for every input, and learns no more.
        network = self.generator if name == "generator" else self.discriminator
        for layer in network.layers:
            if layer.bias is not None:
                layer.bias.clamp_(max=BIAS_LIMIT * layer.threshold)

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        config = self.config
        last = config.t_max if config.latent_last is None else config.latent_last
        shape, silent = (count, models.LATENTS), config.latent_silent
        return draw_times(shape, config.t_max, last, silent, rng, torch.float32)

    def on_grid(self, latents: Tensor) -> Tensor:
        return latents.round()

    def truncated(self, latents: Tensor, share: float) -> Tensor:
        silent = latents > 2 * self.middle  # stays so
        return torch.where(silent, latents, super().truncated(latents, share))

    @property
    def middle(self) -> float:
        last = self.config.latent_last
        return (self.config.t_max if last is None else last) / 2

    def images(self, output: Tensor) -> Tensor:
        return decode(output, self.config.t_max).unflatten(1, self.shape.image)

    def last_looks(self, count: int, rng: torch.Generator) -> Tensor:
        """The steps until which the discriminator sees each image's spikes, [count, 1]."""
        low, high = self.config.look_from, self.config.look_to
        share = low + (high - low) * torch.rand(count, 1, generator=rng)
        return (share * self.config.t_max).floor()

    def judge(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The discriminator's outputs [N, 2]: spike times, or potentials in the last step."""
        images = seen_until(images, self.last_looks(len(images), rng), self.config.t_max)
        if LOSSES[self.config.loss].of == "times":
            return self.discriminator(images)
        hidden, output = self.discriminator.layers
        return output.final_potential(hidden(images))

    def verdict(self, output: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        return spiking_verdict(output, wanted, self.config)

    @torch.no_grad()
    def spikes(self, latents: Tensor, *, averaged: bool = True) -> dict[str, float]:
        drawn = self.artist(averaged).layer_times(latents)
        shown = torch.cat([drawn[-1], latents[:, models.LATENTS :]], dim=1)
        inputs = self.discriminator.layers[0].in_features  # those that tell the class may be none
        judged = self.discriminator.layer_times(shown[:, :inputs])
        t_max = self.config.t_max
        return {
            "generator_spikes": _mean_spikes(drawn, t_max, "end"),
            "discriminator_spikes": _mean_spikes(judged, t_max, "decision"),
            "generator_hidden_silent": silent_fraction(drawn[1], t_max),
            "generator_output_silent": silent_fraction(drawn[2], t_max),
            "discriminator_hidden_silent": silent_fraction(judged[1], t_max),
            "discriminator_output_silent": silent_fraction(judged[2], t_max),
        }


class AnnGan(Gan):
    """The dense twin: ReLU, tanh and one logit; images in -1..1, normal latents."""

    config: AnnGanConfig
    anywhere = True

    mark = 1, 0

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        if config.loss != "relativistic":
            return cls
        from firstspike.training import convolutional, paired

        return paired.PairedAnnGan if config.network == "dense" else convolutional.ConvAnnGan

    def build(self) -> None:
        sizes = self.config.hidden, self.labels, self.shape.pixels
        self.generator = models.ann_generator(*sizes)
        self.discriminator = models.ann_discriminator(*sizes)

    def pixels(self, images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(127.5).sub_(1)

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, models.LATENTS, dtype=torch.float32, generator=rng)

    def images(self, output: Tensor) -> Tensor:
        return (output.unflatten(1, self.shape.image) + 1) / 2

    def judge(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self.discriminator(images)

    def verdict(self, output: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        return dense_verdict(output, wanted)


def _mean_spikes(layers: list[Tensor], t_max: int, until: Literal["decision", "end"]) -> float:
    return float(spike_stats(layers, t_max, until=until).total.float().mean())
