"""Spiking-GAN of step neurons in the game with the relativistic paired loss.

All inputs of a network come at once, or never: half of the latents at step 0, and of an image what
is brighter than a level that is drawn anew for each. So all spikes of a layer come in one step, and
the potentials then, of which the surrogate gradient is one, are those that decide. Where inputs
come one after the other a neuron may spike although the rest of them would have held it back; the
discriminator tells images from samples by that, and the generator cannot learn it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from firstspike import models
from firstspike.nn import FirstSpikeSequential
from firstspike.training.artist import AtOnce
from firstspike.training.gan import SpikingGan
from firstspike.training.paired import MARK, PairedGan
from firstspike.training.rules.relativistic import Steps


class StepGan(AtOnce, PairedGan, SpikingGan):
    """100-400-784 and 784-400-2 of step neurons; samples are black and white."""

    generator: FirstSpikeSequential
    discriminator: FirstSpikeSequential
    average: FirstSpikeSequential
    anywhere = False

    @property
    def neurons(self) -> Steps:
        return Steps(self.config.window)

    def build(self) -> None:
        hidden, pixels, pairs = self.config.hidden, self.shape.pixels, max(1, self.labels)
        self.mark = 0, self.config.t_max
        self.generator = models.generator(hidden, self.labels, pixels, **self.layer)
        self.discriminator = models.discriminator(hidden, 0, pixels, pairs, **self.layer)
        with torch.no_grad():
            self.generator.layers[0].weight[:, models.LATENTS :].mul_(MARK)
            output = self.discriminator.layers[1].weight
            output[::2] = -output[1::2]
        self.turn = 0

    def seen(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """1 where a pixel has spiked when the discriminator looks, and for the class; else 0."""
        last = self.last_looks(len(real), rng).clamp(max=self.config.t_max - 1)
        return _numbers(torch.le, real, last)

    def centred(self, latents: Tensor) -> Tensor:
        """1 where a latent spikes, otherwise 0."""
        return _numbers(torch.lt, latents, self.config.t_max)

    def facts(self, name: str) -> dict[str, Any]:
        facts = super().facts(name)
        if name == "discriminator":  # it has outputs for each class, and no inputs that tell one
            return facts | {"labels": 0, "pairs": max(1, self.labels)}
        return facts


def _numbers(compare: Any, values: Tensor, limit: Tensor | float) -> Tensor:
    """1 where values compare so, otherwise 0.

    PyTorch compares to numbers in vectors, to truth values, which would then become numbers, one by
    one: a tenth of the time.
    """
    found: Tensor = compare(values, limit, out=torch.empty_like(values))
    return found
