"""Autoencoders of step neurons: a latent is a spike or none, and a clock tells shades.

All that comes from an image, or from latents, comes at once, or never, so that all hidden neurons
that spike do so in one step, and the potentials of the next layer then are sums of all they say.
See `firstspike.training.paired_steps` for why.

A pixel could be but black or white by such a sum. Behind it comes a clock: pulses, one a step, each
a spike of an input neuron that has a hidden neuron of its own to pass it on, raise the potentials
of all pixels. So a pixel spikes the earlier the more it had been told; the first pulses carry the
biases. Synchronisation pulses are an idea of Comsa et al. (arXiv 1907.13223); these are no more
than spikes of step neurons. Their weights are such that a pixel says the sigmoid of its potential,
times a contrast, in equal steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import noise_times
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.training.artist import AtOnce, check_untold
from firstspike.training.rules import variational
from firstspike.training.rules.relativistic import Steps, straight
from firstspike.training.vae import FAINT, SpikingVae
from firstspike.training.vae_config import DELAY

LEVEL = 0.5  # intensity from which on a pixel spikes that the encoder sees
START = 0.3  # of the potentials of hidden neurons: below the threshold 1, so that few spike
RELAY = 2.0  # weight by which a pulse makes a neuron of threshold 1 spike


class StepVae(AtOnce, SpikingVae):
    """784-400-64 and 64-400-784 of step neurons, and neurons of a clock beside them."""

    anywhere = False
    tellers = 1

    @property
    def pulses(self) -> int:
        """Of the decoder's clock, one a shade; the encoder has the first only."""
        return self.config.t_max - 2 * DELAY

    def hidden(self, network: str) -> nn.Module:
        return _Spikes(Steps(self.config.window))

    @torch.no_grad()
    def soften(self, told: Any, pixels: Any) -> None:
        pixels.weight.mul_(FAINT)
        for network in (self.encoder, self.decoder):
            first: Any = network[0]
            first.bias.fill_(START)

    def pixels(self, images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(255)

    def drawn_latents(self, values: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Any]:
        potential = self.encoder((values > LEVEL).to(values.dtype))
        signs = 2 * variational.tossed(potential, rng) - 1
        divergence = variational.fair_divergence(potential)
        return signs, divergence, lambda: variational.fair_divergence_together(potential)

    def error(self, potential: Tensor, values: Tensor) -> Tensor:
        return variational.sigmoid_error(potential, values)

    def drawn(self, potential: Tensor) -> Tensor:
        shares = (self.config.contrast * potential).sigmoid()
        return shares.mul_(self.pulses).round_().div_(self.pulses)

    def seen(self, images: Tensor) -> Tensor:
        bright = self.pixels(images) > LEVEL
        return self._with_pulses(torch.where(bright, 0.0, float(self.config.t_max)), 1)

    def fed(self, latents: Tensor) -> Tensor:
        return self._with_pulses(latents, self.pulses)

    def _with_pulses(self, times: Tensor, count: int) -> Tensor:
        pulses = torch.arange(count, dtype=times.dtype, device=times.device)
        return torch.cat([times, pulses.expand(len(times), -1)], dim=1)

    def spiking_encoder(self) -> FirstSpikeSequential:
        """From spikes of pixels and one pulse, [N, pixels + 1], to latents."""
        told = torch.zeros(1, dtype=torch.float32)
        return spiking_steps(self.encoder, told, self.config.t_max)

    def spiking_decoder(self) -> FirstSpikeSequential:
        """From latents and pulses, [N, latent + pulses], to spikes of pixels."""
        shares = (torch.arange(self.pulses, dtype=torch.float32) + 0.5) / self.pulses
        bars = shares.flip(0).logit() / self.config.contrast
        return spiking_steps(self.decoder, bars, self.config.t_max, signs=True)

    def shades(self, times: Tensor) -> Tensor:
        shades = (self.config.t_max - times) / self.pulses
        return shades.unflatten(1, self.shape.image)

    def facts(self, name: str) -> dict[str, Any]:
        facts = super(SpikingVae, self).facts(name) | {"digit": self.config.digit, "labels": 0}
        if name == "encoder":
            return facts | {"latents_told": self.features, "pulses": 1}
        latents = {"latents": self.features, "latent_last": 0, "latent_silent": 0.5}
        return facts | latents | {"pulses": self.pulses}

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        check_untold(digits)
        sizes = count, self.features, self.config.t_max
        return noise_times(*sizes, last=0, silent=0.5, generator=rng).float()

    @torch.no_grad()
    def means(self, images: Tensor) -> Tensor:
        """Latents, as of `latents`, of which each is the likelier of spike and none."""
        told = self.spiking_encoder()(self.seen(images))
        return torch.where(told < self.config.t_max, 0.0, float(self.config.t_max))

    def at_quantiles(self, shares: Tensor) -> Tensor:
        return torch.where(shares > 0.5, 0.0, float(self.config.t_max))


class _Spikes(nn.Module):
    """Step neurons that learn by a surrogate."""

    def __init__(self, neurons: Steps) -> None:
        super().__init__()
        self.neurons = neurons

    def forward(self, potential: Tensor) -> Tensor:
        return straight(self.neurons, potential)


@torch.no_grad()
def spiking_steps(
    network: nn.Sequential, bars: Tensor, t_max: int, *, signs: bool = False
) -> FirstSpikeSequential:
    """Two linear maps with step neurons between as step neurons without biases, and a clock.

    Args:
        network: as it learns; its hidden neurons have a threshold of 1.
        bars: what a potential of the output must exceed for its neuron to spike at the first pulse,
            the second and so on, falling, [pulses].
        t_max: number of time steps.
        signs: whether the network's inputs are -1 and 1, rather than 0 and 1, for none and a spike.

    Returns:
        A network of [inputs + pulses, hidden + pulses, outputs] neurons, whose inputs come in step
        0 or never, but for the pulses, one a step from then on. Without gradients.
    """
    hidden, _, output = network
    assert isinstance(hidden, nn.Linear) and isinstance(output, nn.Linear)
    pulses, (between, inputs) = len(bars), hidden.weight.shape
    layers = [
        FirstSpikeLinear(*sizes, bias=False, t_max=t_max, delay=DELAY, init=(0.0, 0.0))
        for sizes in (
            (inputs + pulses, between + pulses),
            (between + pulses, output.out_features),
        )
    ]
    first, last = (layer.weight for layer in layers)
    first[:between, :inputs] = hidden.weight * (2 if signs else 1)
    first[:between, inputs] = hidden.bias - (hidden.weight.sum(dim=1) if signs else 0)
    first[between:, inputs:].fill_diagonal_(RELAY)
    last[:, :between] = output.weight
    last[:, between:] = -bars.diff(prepend=bars.new_zeros(1))
    last[:, between] += output.bias + layers[1].threshold
    return FirstSpikeSequential(*layers).float().requires_grad_(False).eval()
