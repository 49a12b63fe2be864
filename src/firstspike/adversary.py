"""Spiking-GAN's default rule carried out event by event, in `firstspike.ops.adversarial`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstspike.config import GanConfig
from firstspike.event_adam import EventAdam, rows
from firstspike.nn import FirstSpikeSequential

MIN_HIDDEN = 64  # neurons that the kernels work on at once


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
        from firstspike.ops import adversarial, minibatch  # Numba takes a second to import

        layer = networks["generator"].layers[0]
        floats = (layer.threshold, layer.window, bias_limit, config.look_from, config.look_to)
        self._kernels, self._step = adversarial, minibatch.Adam
        self._rule = adversarial.Rule(layer.t_max, layer.delay, *map(np.float32, floats))
        self._networks, self._adams = {}, {}
        for name, network in networks.items():
            parameters = list(network.parameters())
            self._networks[name] = adversarial.Network(*map(rows, parameters))
            self._adams[name] = EventAdam(optimizers[name], parameters)
        self._traces = self._room(0)

    def _room(self, batch: int) -> list[Any]:
        generator, discriminator = (self._networks[n] for n in ("generator", "discriminator"))
        new = self._kernels.new_traces
        return [new(generator, batch), new(discriminator, 2 * batch), new(discriminator, batch)]

    def step(self, images: Tensor, latents: tuple[Tensor, Tensor], seed: int) -> list[float]:
        """One update of the discriminator, then one of the generator.

        Args:
            images: spike times, float32 [B, pixels].
            latents: spike times of the first and of the second turn, float32 [B, 100] each.
            seed: of those looks, below 2**31.

        Returns:
            Means of the discriminator's loss, of the generator's, of verdicts that were right about
            images, and about samples.
        """
        count = len(images)
        if count != len(self._traces[0].inputs):
            self._traces = self._room(count)
        drawn, both, fake = self._traces
        generator, discriminator = self._networks["generator"], self._networks["discriminator"]
        kernels, rule = self._kernels, self._rule
        noise, others = latents[0].numpy(), latents[1].numpy()
        first = kernels.judge_real_and_fake(
            images.numpy(), noise, 2 * seed, rule, generator, discriminator, drawn, both
        )
        self._learn("discriminator", both)
        second = kernels.judge_fake(
            others, 2 * seed + 1, rule, generator, discriminator, drawn, fake
        )
        self._learn("generator", drawn)
        loss, _ = first.mean(axis=0).tolist()
        won = first[:, 1].reshape(2, count).mean(axis=1).tolist()
        return [2 * loss, float(second[:, 0].mean()), *won]

    def _learn(self, name: str, traces: Any) -> None:
        adam = self._step(*self._adams[name].next_step())
        moments = self._adams[name].moments
        self._kernels.learn(self._networks[name], moments, traces, self._rule, adam)
