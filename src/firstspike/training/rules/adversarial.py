"""Spiking-GAN's default rule carried out event by event, in `firstspike.ops.cpu.adversarial`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstspike.nn import FirstSpikeSequential
from firstspike.ops.cpu import LANES
from firstspike.training.config import GanConfig
from firstspike.training.rules.event_adam import EventAdam, rows

MIN_HIDDEN = LANES  # the kernels take so many neurons at once


class AdversarialLearner:
    """Both turns of a training step: races, gradients and Adam at once (CPU, float32).

    Args:
        networks: generator and discriminator, of two layers with biases each and at least
            `MIN_HIDDEN` hidden neurons; their weights are updated in place.
        optimizers: give the learning rates and hold the moments; see `EventAdam`.
        bias_limit: biases stay below it.
        config: how long the discriminator sees an image.
    """

    def __init__(
        self,
        networks: dict[str, FirstSpikeSequential],
        optimizers: dict[str, torch.optim.Optimizer],
        bias_limit: float,
        config: GanConfig,
    ) -> None:
        from firstspike.ops.cpu import adversarial, learning  # Numba takes a second to import

        layer = networks["generator"].layers[0]
        floats = (layer.threshold, layer.window, config.look_from, config.look_to)
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

    def step(self, images: Tensor, latents: tuple[Tensor, Tensor], seed: int) -> list[float]:
        """One update of the discriminator, then one of the generator.

        Args:
            images: spike times, float32 [B, pixels].
            latents: spike times of the first and of the second turn, float32 [B, 100] each.
            seed: of how long the discriminator looks, below 2**31.

        Returns:
            Means of the discriminator's loss, of the generator's, of verdicts that were right about
            images, and about samples.
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
