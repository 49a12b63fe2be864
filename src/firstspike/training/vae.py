"""Variational autoencoders of ramp neurons, and their dense twins in the same loop.

An encoder turns an image into two spikes a latent, of a mean and of a spread; one value is drawn
from there, and the spike that tells it, one a latent, is what the decoder draws the image from. See
`firstspike.training.rules.variational` for what travels and what is learned.

A mean of ``MEAN_REACH * (2u - 1)`` and a standard deviation of ``exp(-SHARPNESS * u)`` are told by
spikes at time t, ``u = (t_max - t) / t_max``: where the encoder knows nothing of a latent, the
neuron of the spread is silent, and the deviation 1. `firstspike.training.vae_steps` has the
autoencoder of step neurons, which tells no numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import SPREAD, decode, encode, noise_times
from firstspike.data import ImageSet, Parts
from firstspike.drawing import grids
from firstspike.nn import RampNeuron
from firstspike.runs.directory import RunDirectory
from firstspike.training.artist import Artist, check_untold
from firstspike.training.convolutional import (
    INK,
    Ramp,
    dense_layers,
    draw_weights,
    drawing_layers,
    judging_layers,
    spiking_layers,
)
from firstspike.training.rules import variational
from firstspike.training.rules.exact import rate_at
from firstspike.training.trainer import Stats, Trainer
from firstspike.training.vae_config import AnnVaeConfig, VaeConfig, VaeOptions

MEAN_REACH = 4.0  # means lie in -MEAN_REACH..MEAN_REACH
SHARPNESS = 5.0  # deviations lie in exp(-SHARPNESS)..1
LEAK = 0.1  # slope of the gradient outside the window of the encoder's output neurons
FAINT = 0.3  # of first weights that should say little yet, in usual ones
WATCHED = 2000  # images that are reconstructed after each epoch
AT_ONCE = 1000
SHOWN, MAP = 10, 20  # images of a row of pictures, and of a side of a map


class Vae(Artist):
    """What the spiking autoencoder and its twin share; see the subclasses.

    Attributes:
        encoder: from images to potentials of means, then of spreads, [N, 2 * latent]; of step
            neurons, to those of latents, [N, latent].
        decoder: from latents to potentials of pixels.
    """

    config: VaeOptions
    encoder: nn.Sequential
    decoder: nn.Sequential
    anywhere = True
    tellers = 2  # output neurons of the encoder, for each latent

    @property
    def features(self) -> int:  # type: ignore[override]
        return self.config.latent

    def build(self) -> None:
        config, pixels, told = self.config, self.shape.pixels, self.tellers * self.config.latent
        within, behind = (partial(self.hidden, name) for name in ("encoder", "decoder"))
        if config.network == "conv":
            self.encoder = judging_layers(told, config.channels, self.shape, within)
            self.decoder = drawing_layers(config.latent, config.channels, self.shape, behind)
        else:
            self.encoder = dense_layers((pixels, config.hidden, told), within)
            self.decoder = dense_layers((config.latent, config.hidden, pixels), behind)
        draw_weights(self.encoder, INK)
        draw_weights(self.decoder, 1.0)
        self.soften(_last_map(self.encoder), _last_map(self.decoder))
        for network in self.networks.values():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps, self.done = 1, 0

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        every = [*self.encoder.parameters(), *self.decoder.parameters()]
        groups = [{"params": every}]
        if self.config.last_rate != 1:
            maps = _last_map(self.encoder), _last_map(self.decoder)
            last = [parameter for layer in maps for parameter in layer.parameters()]
            known = set(map(id, last))
            groups = [{"params": [it for it in every if id(it) not in known]}, {"params": last}]
        self.optimizer = torch.optim.Adam(groups, self.config.lr, betas=(0.9, 0.99), fused=True)
        return {"both": self.optimizer}

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    def drawing(self, run: RunDirectory) -> list[str]:
        return ["decoder"]

    def tensors(self, images: ImageSet) -> tuple[Tensor, ...]:
        return (images.images,)

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        measure = super().watch(parts)
        self.steps = max(1, -(-len(parts.training) // self.config.batch))
        images = (parts.held_out or parts.training).images[:WATCHED]
        return lambda: measure() | {"reconstruction_error": self.error_of(images)}

    def start_epoch(self, epoch: int) -> None:
        self.done = (epoch - 1) * self.steps

    def step(self, images: Tensor, rng: torch.Generator) -> Stats:
        rate = self.config.lr * rate_at(self.done / (self.steps * self.config.epochs))
        shares = 1.0, self.config.last_rate
        for group, share in zip(self.optimizer.param_groups, shares, strict=False):
            group["lr"] = share * rate
        self.done += 1
        values = self.pixels(images)
        latents, divergence, of_batch = self.drawn_latents(values, rng)
        potential = self.decoder(latents)
        error = self.error(potential, values).sum() / len(images)
        told = divergence.sum() / len(images)
        price = told
        if self.config.together and len(images) > 1:
            price = told + self.config.together * of_batch().sum()
        self.optimizer.zero_grad()
        (error + self.config.beta * price).backward()
        self.optimizer.step()
        with torch.no_grad():
            squared = (self.drawn(potential.detach()) - values).square().mean()
        return {"train_error": float(squared), "divergence": float(told.detach())}

    def drawn_latents(
        self, values: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Callable[[], Tensor]]:
        """Latents that are drawn for images in training.

        Args:
            values: of the pixels, see `pixels`.
            rng: of the latents.

        Returns:
            What the decoder takes; what each latent of each image tells, in nats, [N, latent]; and
            what computes that of the batch together, [latent].
        """
        mean, log_deviation = self.posterior(values)
        noise = torch.randn(mean.shape, dtype=mean.dtype, generator=rng).to(mean.device)
        z = mean + log_deviation.exp() * noise
        divergence = variational.divergence(mean, log_deviation)
        return self.latent_values(z), divergence, lambda: variational.divergence_together(z)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Images out of what the encoder says of them, with the mean of each latent.

        Args:
            images: uint8 [N, ...], as the network was built for.

        Returns:
            Intensities in 0..1, of the same shape.
        """
        parts = [self.sample(self.means(part)) for part in images.split(AT_ONCE)]
        return torch.cat(parts)

    def further(self, unseen: Tensor, labels: Tensor, drawn: Tensor) -> dict[str, Any]:
        return {"reconstruction_error": self.error_of(unseen)}

    def pictures(self, unseen: Tensor) -> dict[str, tuple[Tensor, int]]:
        shown = unseen[: SHOWN * SHOWN // 2]
        rng = torch.Generator().manual_seed(self.config.seed)
        walks = self.sample(self.walk(SHOWN, SHOWN, rng))
        found = {"reconstructions": grids.rows_beside(shown / 255, self.reconstruct(shown))}
        found["walks"] = walks, SHOWN
        if self.config.latent == 2:
            found["map"] = self.sample(self.lattice(MAP)), MAP
        return found

    def error_of(self, images: Tensor) -> float:
        """Mean squared error of a pixel of reconstructions, of uint8 images [N, ...]."""
        errors = self.reconstruct(images) - images / 255
        return float(errors.double().square().mean())

    def lattice(self, side: int) -> Tensor:
        """Latents of a map: the middles of ``side`` times ``side`` equally likely fields.

        Returns:
            [side * side, 2], row by row.

        Raises:
            ValueError: there are more than two latents, or one.
        """
        if self.config.latent != 2:
            raise ValueError(f"latent must be 2 for a map, but this network has {self.features}")
        shares = (torch.arange(side) + 0.5) / side
        return self.at_quantiles(torch.cartesian_prod(shares, shares))

    def hidden(self, network: str) -> nn.Module:
        """The neurons of a hidden layer of this network."""
        raise NotImplementedError

    def soften(self, told: Any, pixels: Any) -> None:
        """Fit the first weights of the last maps of encoder and decoder to their neurons."""
        raise NotImplementedError

    def pixels(self, images: Tensor) -> Tensor:
        """Inputs [N, pixels] of the encoder, which the decoder should draw, for uint8 images."""
        raise NotImplementedError

    def posterior(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the deviation of each latent, [N, latent], of inputs."""
        raise NotImplementedError

    def latent_values(self, z: Tensor) -> Tensor:
        """What the decoder learns from where latents have these normal values."""
        raise NotImplementedError

    def error(self, potential: Tensor, values: Tensor) -> Tensor:
        """Loss of each pixel."""
        raise NotImplementedError

    def drawn(self, potential: Tensor) -> Tensor:
        """Intensities in 0..1 of pixels with these potentials."""
        raise NotImplementedError

    def means(self, images: Tensor) -> Tensor:
        """Latents, as of `latents`, of the means that the encoder says of uint8 images."""
        raise NotImplementedError

    def at_quantiles(self, shares: Tensor) -> Tensor:
        """Latents, as of `latents`, at these quantiles, in 0..1."""
        raise NotImplementedError


class SpikingVae(Vae):
    """One spike a neuron: 784-400-20 and 10-400-784, for ten latents, or convolutions."""

    config: VaeConfig

    @classmethod
    def fitting(cls, config: Any) -> type[Trainer]:
        if config.neuron == "ramp":
            return cls
        from firstspike.training.vae_steps import StepVae

        return StepVae

    def hidden(self, network: str) -> nn.Module:
        threshold = getattr(self.config, f"{network}_threshold")
        return Ramp(RampNeuron(threshold), self.config.t_max)

    @torch.no_grad()
    def soften(self, told: Any, pixels: Any) -> None:
        means = slice(self.features)
        told.weight[means].mul_(FAINT / (2 * MEAN_REACH))
        told.bias[means] = 0.5  # a mean of 0
        spreads = slice(self.features, None)
        told.weight[spreads].mul_(FAINT)
        told.bias[spreads] = 0.1
        pixels.weight.mul_(FAINT)

    def pixels(self, images: Tensor) -> Tensor:
        t_max = self.config.t_max
        return (t_max - encode(images.flatten(1), t_max).float()).div_(t_max)

    def posterior(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return _read(self.teller(self.encoder(values)))

    @property
    def teller(self) -> Ramp:
        """The encoder's output neurons."""
        return Ramp(RampNeuron(1.0, LEAK), self.config.t_max)

    def latent_values(self, z: Tensor) -> Tensor:
        levels = variational.quantile_levels(z, self.config.t_max)
        return variational.centred(levels, self.config.t_max)

    def error(self, potential: Tensor, values: Tensor) -> Tensor:
        return self.config.precision * variational.ramp_error(potential, values)

    def drawn(self, potential: Tensor) -> Tensor:
        t_max = self.config.t_max
        return (potential * t_max).floor_().clamp_(0, t_max).div_(t_max)

    def seen(self, images: Tensor) -> Tensor:
        """Spike times of the encoder's inputs, for uint8 images [N, ...]."""
        return encode(images.flatten(1), self.config.t_max).float().to(self.device)

    def fed(self, latents: Tensor) -> Tensor:
        """Spike times of the decoder's inputs."""
        return latents.to(self.device)

    def spiking_encoder(self) -> Any:
        """From spikes of pixels [N, pixels] to those of means and spreads, [N, 2 * latent]."""
        return spiking_layers(self.encoder, self.config.t_max).to(self.device)

    def spiking_decoder(self) -> Any:
        """From spikes of latents to those of pixels."""
        scale = [2 * SPREAD] * self.features
        shift = [-SPREAD] * self.features
        return spiking_layers(self.decoder, self.config.t_max, scale, shift).to(self.device)

    def exported(self, run: Any, name: str) -> Any:
        made = {"encoder": self.spiking_encoder, "decoder": self.spiking_decoder}
        if name not in made:
            return None
        self.restored(run, name)
        return made[name]()

    def facts(self, name: str) -> dict[str, Any]:
        facts = super().facts(name) | {"digit": self.config.digit, "labels": 0}
        if name == "encoder":
            told = {"latents_told": self.features}
            return facts | told | {"mean_reach": MEAN_REACH, "sharpness": SHARPNESS}
        latents = {"latents": self.features, "latent_last": self.config.t_max}
        return facts | latents | {"latent_silent": 0.0}

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        check_untold(digits)
        return noise_times(count, self.features, self.config.t_max, generator=rng).float()

    def on_grid(self, latents: Tensor) -> Tensor:
        return latents.round()

    @property
    def middle(self) -> float:
        return self.config.t_max / 2

    @torch.no_grad()
    def sample(self, latents: Tensor, *, averaged: bool = True) -> Tensor:
        _check_averaged(averaged)
        return self.shades(self.spiking_decoder()(self.fed(latents))).cpu()

    def shades(self, times: Tensor) -> Tensor:
        """Intensities in 0..1, [N, ...], of the spike times of pixels [N, pixels]."""
        return decode(times, self.config.t_max).unflatten(1, self.shape.image)

    @torch.no_grad()
    def means(self, images: Tensor) -> Tensor:
        t_max = self.config.t_max
        times = self.spiking_encoder()(self.seen(images))
        mean, _ = _read(decode(times, t_max))
        return (t_max - variational.quantile_levels(mean, t_max)).round().cpu()

    def at_quantiles(self, shares: Tensor) -> Tensor:
        return (self.config.t_max * (1 - shares)).round()

    @torch.no_grad()
    def spikes(self, latents: Tensor, *, averaged: bool = True) -> dict[str, float]:
        _check_averaged(averaged)
        layers = self.spiking_decoder().layer_times(self.fed(latents))
        fired = torch.cat([times.flatten(1) for times in layers], dim=1) < self.config.t_max
        return {
            "decoder_spikes": float(fired.sum(dim=1).double().mean()),
            "decoder_spikes_a_neuron": _mean(fired),
        }

    @torch.no_grad()
    def further(self, unseen: Tensor, labels: Tensor, drawn: Tensor) -> dict[str, Any]:
        t_max, rng = self.config.t_max, torch.Generator().manual_seed(self.config.seed)
        seen = self.seen(unseen[:WATCHED])
        runs = {
            "encoder": (self.spiking_encoder(), seen),
            "decoder": (self.spiking_decoder(), self.fed(self.latents(len(seen), rng))),
        }
        layers = {
            name: [times.flatten(1) < t_max for times in network.layer_times(fed)]
            for name, (network, fed) in runs.items()
        }
        fired = torch.cat([spikes for of in layers.values() for spikes in of], dim=1)
        return {
            **super().further(unseen, labels, drawn),
            "encoder_spikes": float(sum(spikes.sum() for spikes in layers["encoder"]) / len(seen)),
            "spikes_a_neuron": _mean(fired),
            **{f"{name}_activity": [*map(_mean, of)] for name, of in layers.items()},
        }


class AnnVae(Vae):
    """The dense twin: ReLU, pixels of sigmoids, and quantiles that are not rounded to steps."""

    config: AnnVaeConfig

    def hidden(self, network: str) -> nn.Module:
        return nn.ReLU()

    @torch.no_grad()
    def soften(self, told: Any, pixels: Any) -> None:
        told.weight.mul_(FAINT)
        pixels.weight.mul_(FAINT)

    def pixels(self, images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(255)

    def posterior(self, values: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(values).chunk(2, dim=1)
        return mean, log_variance / 2

    def latent_values(self, z: Tensor) -> Tensor:
        return variational.centred(torch.special.ndtr(z), 1)

    def error(self, potential: Tensor, values: Tensor) -> Tensor:
        return variational.sigmoid_error(potential, values)

    def drawn(self, potential: Tensor) -> Tensor:
        return potential.sigmoid()

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        check_untold(digits)
        drawn = torch.rand(count, self.features, dtype=torch.float32, generator=rng)
        return variational.centred(drawn, 1)

    @torch.no_grad()
    def sample(self, latents: Tensor, *, averaged: bool = True) -> Tensor:
        _check_averaged(averaged)
        drawn = self.drawn(self.decoder(latents.to(self.device)))
        return drawn.unflatten(1, self.shape.image).cpu()

    @torch.no_grad()
    def means(self, images: Tensor) -> Tensor:
        mean, _ = self.posterior(self.pixels(images.to(self.device)))
        return self.latent_values(mean).cpu()

    def at_quantiles(self, shares: Tensor) -> Tensor:
        return variational.centred(shares, 1)


def _read(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and logarithm of the deviation that the encoder's output neurons, 0..1, tell."""
    mean, spread = values.chunk(2, dim=1)
    return MEAN_REACH * (2 * mean - 1), -SHARPNESS * spread


def _last_map(network: nn.Sequential) -> Any:
    """The last of a network's layers that has weights."""
    return [module for module in network if hasattr(module, "weight")][-1]


def _mean(fired: Tensor) -> float:
    """Spikes a neuron."""
    return float(fired.double().mean())


def _check_averaged(averaged: bool) -> None:
    if not averaged:
        raise ValueError("averaged: this network keeps no average of its weights; leave it out")
