"""Spiking-GAN's step (section 2.6): a turn of the discriminator, then one of the generator.

`take_turns` defines it in plain PyTorch, for the dense twin as well. `AdversarialLearner` carries
out Spiking-GAN's default rule event by event, in `firstspike.ops.cpu.adversarial`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from firstspike.losses import LOSSES
from firstspike.nn import FirstSpikeSequential
from firstspike.ops.cpu import LANES
from firstspike.training.config import GanConfig
from firstspike.training.rules.event_adam import EventAdam, rows

FAKE, REAL = 0, 1  # the discriminator's output neurons (section 2.3)
MIN_HIDDEN = LANES  # the kernels take so many neurons at once


class Players(Protocol):
    """What `take_turns` asks of two networks."""

    def draw(self, latents: Tensor) -> Tensor:
        """Samples as the discriminator sees them."""

    def judge(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The discriminator's output."""

    def verdict(self, output: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        """Mean loss of that output where ``wanted`` is desired, and how often it won."""

    def update(self, name: str, loss: Tensor) -> None:
        """Descend the gradient of the network of this name."""


def take_turns(
    players: Players, images: Tensor, latents: tuple[Tensor, Tensor], rng: torch.Generator
) -> list[float]:
    """One update of the discriminator, then one of the generator (eq. 4-5).

    Args:
        players: the networks.
        images: as the discriminator sees them, [B, ...].
        latents: of the first and of the second turn, [B, latents] each.
        rng: of what the discriminator sees.

    Returns:
        Means of the discriminator's loss, of the generator's, of verdicts that were right about
        images, and about samples.
    """
    count = len(images)
    with torch.no_grad():
        fake = players.draw(latents[0])
    output = players.judge(torch.cat([images, fake]), rng)
    loss_real, won_real = players.verdict(output[:count], REAL)
    loss_fake, won_fake = players.verdict(output[count:], FAKE)
    players.update("discriminator", loss_real + loss_fake)
    output = players.judge(players.draw(latents[1]), rng)
    loss, _ = players.verdict(output, REAL)
    players.update("generator", loss)
    values: list[float] = torch.stack([loss_real + loss_fake, loss, won_real, won_fake]).tolist()
    return values


def spiking_verdict(output: Tensor, wanted: int, config: GanConfig) -> tuple[Tensor, Tensor]:
    """`Players.verdict` on spike times or potentials [B, 2] by the loss of these options."""
    loss, other = LOSSES[config.loss], 1 - wanted
    target = torch.full((len(output),), wanted)
    ahead = output[:, other] - output[:, wanted]
    won = ahead > 0 if loss.of == "times" else ahead < 0
    return loss.each(output, target, config.t_max, config).mean(), won.float().mean()


def dense_verdict(output: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """`Players.verdict` on logits [B, 1] by their cross-entropy."""
    won = ((output > 0) == bool(wanted)).float().mean()
    target = torch.full_like(output, wanted)
    return nn.functional.binary_cross_entropy_with_logits(output, target), won


class AdversarialLearner:
    """Both turns of `take_turns`: races, gradients and Adam at once (CPU, float32).

    Args:
        networks: generator and discriminator, of two layers with biases each and at least
            `MIN_HIDDEN` hidden neurons; their weights are updated in place.
        optimizers: give the learning rates and hold the moments; see `EventAdam`.
        bias_limit: biases stay below it.
        looks: shares of t_max between which the discriminator stops to look at an image.
    """

    def __init__(
        self,
        networks: dict[str, FirstSpikeSequential],
        optimizers: dict[str, torch.optim.Optimizer],
        bias_limit: float,
        looks: tuple[float, float],
    ) -> None:
        from firstspike.ops.cpu import adversarial, learning  # Numba takes a second to import

        layer = networks["generator"].layers[0]
        floats = (layer.threshold, layer.window, *looks)
        self._kernels, self._learning, self._bias_limit = adversarial, learning, bias_limit
        self._rule = adversarial.Rule(layer.t_max, layer.delay, *map(np.float32, floats))
        self._networks, self._adams = {}, {}
        for name, network in networks.items():
            parameters = list(network.parameters())
            self._networks[name] = adversarial.Network(*map(rows, parameters))
            self._adams[name] = EventAdam(optimizers[name], parameters)
        self._traces = self._room(0)

    def _room(self, batch: int) -> list[Any]:
        sizes = ("generator", batch), ("discriminator", 2 * batch), ("discriminator", batch)
        new, figures = self._learning.new_traces, self._kernels.FIGURES
        return [new(self._networks[name], count, figures) for name, count in sizes]

    @staticmethod
    def fits(config: GanConfig) -> bool:
        """Whether the options are those that the kernels are written for."""
        wanted = config.impl != "reference" and config.bias and config.hidden >= MIN_HIDDEN
        rules = config.gradient, config.loss, config.optimizer, config.normalize
        return wanted and rules == ("final", "potential", "adam", "none")

    def looks(self, seed: int, turn: int, count: int) -> Tensor:
        """Until which step the discriminator sees images and samples in a turn of `step`, [B, 1].

        Args:
            seed: that of `step`.
            turn: 0 for that of the discriminator, 1 for that of the generator.
            count: of images and samples.
        """
        last = [self._kernels.last_look(2 * seed + turn, b, self._rule) for b in range(count)]
        return torch.tensor(last)[:, None]

    def step(self, images: Tensor, latents: tuple[Tensor, Tensor], seed: int) -> list[float]:
        """What `take_turns` does.

        Args:
            images: spike times, float32 [B, pixels].
            latents: spike times of the first and of the second turn, float32 [B, 100] each.
            seed: of how long the discriminator looks, below 2**31.
        """
        count = len(images)
        if count != len(self._traces[0].inputs):
            self._traces = self._room(count)
        drawn, both, fake = self._traces
        generator, discriminator = self._networks["generator"], self._networks["discriminator"]
        rest = self._rule, generator, discriminator, drawn
        real, noise, others = images.numpy(), latents[0].numpy(), latents[1].numpy()
        self._kernels.judge(real, noise, 2 * seed, *rest, both)
        self._learn("discriminator", both)
        self._kernels.judge(real[:0], others, 2 * seed + 1, *rest, fake)
        self._kernels.pass_back(generator, discriminator, drawn, fake)
        self._learn("generator", drawn)
        loss, won = self._kernels.LOSS, self._kernels.WON
        losses = [2 * float(both.outcome.mean(axis=0)[loss]), float(fake.outcome[:, loss].mean())]
        return losses + both.outcome[:, won].reshape(2, count).mean(axis=1).tolist()

    def _learn(self, name: str, traces: Any) -> None:
        learning, network, adam = self._learning, self._networks[name], self._adams[name]
        moments, factors = learning.Moments(*adam.moments), learning.Adam(*adam.next_step())
        learning.learn(network, moments, traces, factors)
        for bias in (network.hidden_bias, network.output_bias):
            np.minimum(bias, np.float32(self._bias_limit), out=bias)
