"""Spiking-GAN of ramp neurons, and its dense twin in the same game.

Both networks learn as two linear layers with ramps (or ReLU) between, on latents of mean 0 and
variance 1 and on images in -1..1, as dense networks do. The networks that draw and judge with
spikes are the same numbers with these shifts and scales moved into weights and biases (`spiking`).
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import SPREAD, draw_times, encode
from firstspike.metrics import decide, silent_fraction, spike_stats
from firstspike.models import LATENTS
from firstspike.nn import FirstSpikeLinear, RampNeuron, SpikingNetwork
from firstspike.runs.directory import epoch_generator
from firstspike.training.artist import MEASURED, PREVIEW
from firstspike.training.gan import AT_ONCE, NAMED_STATS, STEP_STATS, Gan
from firstspike.training.rules.relativistic import (
    Game,
    Naming,
    Neurons,
    Steps,
    draw,
    linear_layers,
    names_of,
    paired_step,
    potentials,
)

EVERY = 4  # steps from one penalty, and one move of the average, to the next
MARK = 10.0  # what tells the class weighs as much as all 100 latents together


class PairedGan(Gan):
    """What the game with the relativistic paired loss is for both kinds; see the subclasses."""

    config: Any
    generator: nn.Sequential
    discriminator: nn.Sequential
    average: nn.Sequential
    mark = (MARK, 0.0)
    outputs = 1
    anywhere = True

    @property
    def neurons(self) -> Neurons | Steps:
        """Of both networks."""
        raise NotImplementedError

    def build(self) -> None:
        hidden, pixels, labels = self.config.hidden, self.shape.pixels, self.labels
        verdicts = self.outputs * self.groups
        self.generator = nn.Sequential(
            nn.Linear(LATENTS + labels, hidden, dtype=torch.float32),
            nn.Linear(hidden, pixels, dtype=torch.float32),
        )
        self.discriminator = nn.Sequential(
            nn.Linear(pixels, hidden, dtype=torch.float32),
            nn.Linear(hidden, verdicts + self.names, dtype=torch.float32),
        )
        for layer in (*self.generator, *self.discriminator):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)  # potentials of variance 1
            nn.init.zeros_(layer.bias)
        if self.outputs == 2:  # the score starts as that of one output
            _, output = linear_layers(self.discriminator)
            with torch.no_grad():
                for first in (output.weight[:verdicts], output.bias[:verdicts]):
                    first[::2] = -first[1::2]
        self.turn = 0

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            network.parameters(), lr, betas=(self.config.beta1, 0.99), fused=True
        )

    @property
    def game(self) -> Game:
        """The networks that learn."""
        return self.game_of(self.generator)

    def game_of(self, generator: nn.Sequential) -> Game:
        """The game with this generator in the place of the one that learns."""
        sizes = self.shape.pixels, self.groups
        return Game(generator, self.discriminator, self.neurons, *sizes, self.naming)

    @property
    def naming(self) -> Naming | None:
        """How the discriminator names classes, if it does."""
        config = self.config
        return Naming(self.names, config.naming) if self.names else None

    def start_epoch(self, epoch: int) -> None:
        super().start_epoch(epoch)
        self.turn = 0

    def step(self, real: Tensor, rng: torch.Generator) -> dict[str, float]:
        latents = self.centred(self.latents_for(real, rng))
        real = self.seen(real, rng)
        is_due = self.turn % EVERY == 0
        gamma = self.config.gamma * EVERY if is_due else 0.0
        values = self.turns_of(real, latents, gamma)
        if is_due:
            self.follow()
        self.turn += 1
        names = STEP_STATS + (NAMED_STATS if self.names else ())
        return dict(zip(names, values.tolist(), strict=True))

    def turns_of(self, real: Tensor, latents: Tensor, gamma: float) -> Tensor:
        """Both turns of a step; arguments and values of `paired_step`."""
        return paired_step(self.game, self.optimizers, real, latents, gamma=gamma)

    def names_of(self, images: Tensor) -> Tensor:
        """Classes that the discriminator, an auxiliary classifier, names uint8 images: [N]."""
        return torch.cat([self.named(part).cpu() for part in images.split(AT_ONCE)])

    def named(self, images: Tensor) -> Tensor:
        """As `names_of`, of so many images as fit."""
        raise NotImplementedError

    @torch.no_grad()
    def further(self, unseen: Tensor, labels: Tensor, drawn: Tensor) -> dict[str, Any]:
        found = super().further(unseen, labels, drawn)
        if self.names:
            for name, images in (("images", unseen), ("samples", drawn)):
                right = self.names_of(images) == labels
                found[f"{name}_named_right"] = float(right.double().mean())
        return found

    @torch.no_grad()
    def follow(self) -> None:
        keep = self.config.average**EVERY
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for mean, new in pairs:
            mean.lerp_(new, 1 - keep)

    def seen(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """What the discriminator sees of prepared images, [N, pixels], and of their class."""
        return real

    def centred(self, latents: Tensor) -> Tensor:
        """Latents as they are learned from: mean 0 and variance 1, and what tells the class."""
        raise NotImplementedError


class RampGan(PairedGan):
    """Spiking-GAN of ramp neurons: 100-400-784 and 784-400-2, one spike a neuron."""

    outputs = 2

    @functools.cached_property
    def neurons(self) -> Neurons:
        config = self.config
        thresholds = config.generator_threshold, config.discriminator_threshold
        return Neurons(config.t_max, *thresholds, config.leak, config.margin)

    def pixels(self, images: Tensor) -> Tensor:
        t_max = self.config.t_max
        return (t_max - encode(images.flatten(1), t_max).float()).mul_(2 / t_max).sub_(1)

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        t_max = self.config.t_max
        return draw_times((count, LATENTS), t_max, t_max, 0.0, rng, torch.float32)

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        """Spike times [count, 100], and an input more for each class: at once, or never."""
        told = super().latents(count, rng, digits)
        marks = told[:, LATENTS:]
        return torch.cat([told[:, :LATENTS], self.config.t_max * (1 - marks / MARK)], dim=1)

    def centred(self, latents: Tensor) -> Tensor:
        start, step = _centring(self.config.t_max, self.labels, latents.device)
        return torch.addcmul(start, latents, step)

    def on_grid(self, latents: Tensor) -> Tensor:
        return latents.round()

    @property
    def middle(self) -> float:
        return float(self.config.t_max / 2)

    def facts(self, name: str) -> dict[str, Any]:
        facts = super().facts(name) | {"digit": self.config.digit}
        if name == "discriminator":  # it has outputs for each class, and no inputs that tell one
            return facts | {"labels": 0, "pairs": self.groups, "names": self.names}
        latents = {"latents": LATENTS, "latent_last": self.config.t_max, "latent_silent": 0.0}
        return facts | {"labels": self.labels} | latents

    def exported(self, run: Any, name: str) -> Any:
        if name != "discriminator":
            return self.restored(run, *self.drawing(run)).artist(averaged=True)
        self.restored(run)
        return self.judge_network()

    @property
    def latent_map(self) -> tuple[list[float], list[float]]:
        """Scale and shift of each latent, see `spiking`."""
        scale = [2 * SPREAD] * LATENTS + [MARK] * self.labels
        return scale, [-SPREAD] * LATENTS + [0.0] * self.labels

    def drawer(self, network: nn.Sequential) -> SpikingNetwork:
        thresholds = self.config.generator_threshold, 1.0
        return spiking(network, *self.latent_map, thresholds, self.config.t_max)

    def images(self, output: Tensor) -> Tensor:
        return (1 - output / self.config.t_max).unflatten(1, self.shape.image)

    def bare_judge(self) -> SpikingNetwork:
        """The discriminator as ramp neurons, before the outputs' window is set."""
        pixels = self.shape.pixels
        scale, shift = [2.0] * pixels, [-1.0] * pixels
        thresholds = self.config.discriminator_threshold, 1.0
        return spiking(self.discriminator, scale, shift, thresholds, self.config.t_max)

    def judge_network(self) -> SpikingNetwork:
        """The discriminator that judges with spikes: its outputs' window holds all potentials."""
        if not hasattr(self, "preview"):
            self.preview = self.latents(PREVIEW, epoch_generator(self.config.seed, 0, "preview"))
        judge = self.bare_judge()
        seen = self.artist(averaged=True)(self.preview.to(self.device))
        with torch.no_grad():
            reach = 2.2 * judge.potentials(seen).abs().max().clamp(min=1e-3)
            last: Any = judge[-1]
            last.weight.div_(reach)
            last.bias.div_(reach).add_(0.5)
        return judge

    def named(self, images: Tensor) -> Tensor:
        judge, t_max = self.judge_network(), self.config.t_max
        times = encode(images.flatten(1), t_max).float().to(self.device)
        fired, reached = (of(times)[:, -self.names :] for of in (judge, judge.potentials))
        return decide(fired, reached, t_max)

    @torch.no_grad()
    def further(self, unseen: Tensor, labels: Tensor, drawn: Tensor) -> dict[str, Any]:
        rng = epoch_generator(self.config.seed, self.config.epochs, "activity")
        generated = self.artist(averaged=True).layer_times(
            self.latents(MEASURED, rng).to(self.device)
        )
        judged = self.judge_network().layer_times(generated[-1].flatten(1))
        layers = {
            name: [times.flatten(1) < self.config.t_max for times in of]
            for name, of in (("generator", generated), ("discriminator", judged))
        }
        fired = torch.cat([spikes for of in layers.values() for spikes in of], dim=1)
        return {
            **super().further(unseen, labels, drawn),
            "spikes_a_neuron": float(fired.double().mean()),
            **{
                f"{name}_activity": [float(spikes.double().mean()) for spikes in of]
                for name, of in layers.items()
            },
        }

    @torch.no_grad()
    def spikes(self, latents: Tensor, *, averaged: bool = True) -> dict[str, float]:
        latents = latents.to(self.device)
        drawn = self.artist(averaged).layer_times(latents)
        judged = self.judge_network().layer_times(drawn[-1].flatten(1))
        t_max = self.config.t_max
        return {
            "generator_spikes": _mean_spikes(drawn, t_max),
            "discriminator_spikes": _mean_spikes(judged[:-1], t_max) + 1,  # the verdict is one
            "generator_hidden_silent": _silent(drawn[1:-1], t_max),
            "generator_output_silent": _silent(drawn[-1:], t_max),
            "discriminator_hidden_silent": _silent(judged[1:-1], t_max),
        }


class PairedAnnGan(PairedGan):
    """The dense twin in the same game: ReLU, tanh and one score; normal latents."""

    neurons = Neurons(0)

    def pixels(self, images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(127.5).sub_(1)

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, LATENTS, dtype=torch.float32, generator=rng)

    def centred(self, latents: Tensor) -> Tensor:
        return latents

    def named(self, images: Tensor) -> Tensor:
        seen = self.pixels(images).to(self.device)
        hidden, _ = linear_layers(self.discriminator)
        values, _ = self.neurons.hidden("discriminator", potentials(hidden, seen))
        return names_of(self.game, values).argmax(dim=1)

    def drawer(self, network: nn.Sequential) -> Any:
        game = self.game_of(network)
        return lambda latents: draw(game, latents)

    def images(self, output: Tensor) -> Tensor:
        return (output.unflatten(1, self.shape.image) + 1) / 2


@functools.cache
def _centring(t_max: int, labels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What turns latents u into ``start + u * step``; marks stay as they are."""
    how: dict[str, Any] = {"dtype": torch.float32, "device": device}
    start = [SPREAD] * LATENTS + [0.0] * labels
    step = [-2 * SPREAD / t_max] * LATENTS + [1.0] * labels
    return torch.tensor(start, **how), torch.tensor(step, **how)


def _mean_spikes(layers: list[Tensor], t_max: int) -> float:
    flat = [times.flatten(1) for times in layers]
    return float(spike_stats(flat, t_max, until="end").total.float().mean())


def _silent(layers: list[Tensor], t_max: int) -> float:
    return silent_fraction(torch.cat([times.flatten(1) for times in layers], dim=1), t_max)


@torch.no_grad()
def spiking(
    network: nn.Sequential,
    scale: list[float],
    shift: list[float],
    thresholds: tuple[float, float],
    t_max: int,
) -> SpikingNetwork:
    """Two linear layers with ramps as ramp neurons.

    Args:
        network: as it learns: its inputs are ``scale * u + shift`` where a spike at time t says
            ``u = (t_max - t) / t_max``, and hidden values are 0..threshold.
        scale: of each input.
        shift: of each input.
        thresholds: of hidden and of output neurons.
        t_max: number of time steps of a window.

    Returns:
        A network that takes and gives spike times, without gradients.
    """
    hidden, output = linear_layers(network)
    layers = [
        FirstSpikeLinear(
            layer.in_features,
            layer.out_features,
            neuron=RampNeuron(threshold),
            t_max=t_max,
            init=(0.0, 0.0),
        ).to(layer.weight.device)
        for layer, threshold in zip((hidden, output), thresholds, strict=True)
    ]
    factor, offset = hidden.weight.new_tensor(scale), hidden.weight.new_tensor(shift)
    first, last = layers
    assert first.bias is not None and last.bias is not None
    first.weight.copy_(hidden.weight * factor)
    first.bias.copy_(hidden.bias + hidden.weight @ offset)
    last.weight.copy_(output.weight * thresholds[0])
    last.bias.copy_(output.bias)
    return SpikingNetwork(*layers).to(hidden.weight.dtype).requires_grad_(False).eval()
