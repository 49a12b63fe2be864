"""What a variational autoencoder learns by (Kingma and Welling, arXiv 1312.6114), with spike times.

The encoder says of each latent a mean and a spread: a normal distribution, of which one value z is
drawn. Its quantile ``Phi(z)``, a number in 0..1, is a spike time, and the decoder starts from it.
If z has the normal distribution N(0, 1) that it should have, its quantile is uniform: spike times
that images are drawn from after training are those of Spiking-GAN's latents, U{0..t_max} (arXiv
2106.15420, section 2.3). A map that can be inverted changes no divergence, so what the encoder pays
for each latent is the divergence of two normal distributions, and gradients reach it through z.

Step neurons have no use for times: there a latent is a spike or none, a coin that the encoder
weighs and that should be fair.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from firstspike.coding import SPREAD


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normal distributions to N(0, 1), in nats.

    Args:
        mean: of any shape.
        log_deviation: logarithm of the standard deviation, of the same shape.

    Returns:
        Unreduced, of the same shape; 0 for a mean of 0 and a deviation of 1.
    """
    variance = (2 * log_deviation).exp()
    return 0.5 * (mean.square() + variance - 1) - log_deviation


def divergence_together(z: Tensor) -> Tensor:
    """Divergence to N(0, 1) of what the values of a batch are together, were that normal, in nats.

    Each image may pay little and all of them still leave gaps, or lie closer than what samples are
    drawn from; this is the price of that.

    Args:
        z: values [N, latents], N at least 2.

    Returns:
        [latents].
    """
    return divergence(z.mean(dim=0), 0.5 * z.var(dim=0).log())


def fair_divergence(potential: Tensor) -> Tensor:
    """Divergence of coins, which show a spike with probability sigmoid(potential), from fair ones.

    Args:
        potential: logarithm of the odds, any shape.

    Returns:
        Unreduced, in nats, of the same shape; 0 for a potential of 0, log(2) for a coin that
        always falls on the same side.
    """
    chance = potential.sigmoid()
    return math.log(2) + chance * potential + functional.logsigmoid(-potential)


def fair_divergence_together(potential: Tensor) -> Tensor:
    """That of a coin that is as often a spike as those of a batch, [N, latents]: [latents]."""
    return fair_divergence(potential.sigmoid().mean(dim=0).logit(eps=1e-6))


def tossed(potential: Tensor, rng: torch.Generator) -> Tensor:
    """Coins that show a spike with probability sigmoid(potential), tossed.

    Logistic noise on the potential decides, and the gradient is that of the sigmoid of their sum
    (the concrete distribution at temperature 1, straight through: Maddison et al., arXiv
    1611.00712; Jang et al., arXiv 1611.01144).

    Args:
        potential: any shape.
        rng: of the noise, on the CPU.

    Returns:
        0 or 1, of the same shape.
    """
    share = torch.rand(potential.shape, dtype=potential.dtype, generator=rng)
    noisy = potential + share.to(potential.device).logit(eps=1e-6)
    soft = noisy.sigmoid()
    return (noisy > 0).to(potential.dtype) + soft - soft.detach()


def quantile_levels(z: Tensor, t_max: int) -> Tensor:
    """Levels ``t_max - t`` of the spikes that tell normal values, each of 0..t_max as likely.

    Args:
        z: values, any shape.
        t_max: number of time steps.

    Returns:
        Whole numbers, of the shape of ``z``; gradients pass as if nothing were rounded.
    """
    quantile = torch.special.ndtr(z)
    place = quantile.detach()
    levels = (place * (t_max + 1)).floor_().clamp_(max=t_max)
    return t_max * quantile + (levels - t_max * place)


def centred(levels: Tensor, t_max: int) -> Tensor:
    """Levels of latents as values of mean 0 and variance 1, which a network learns from."""
    return (levels * (2 / t_max) - 1) * SPREAD


def ramp_error(potential: Tensor, wanted: Tensor) -> Tensor:
    """The loss that matches ramp neurons: its derivative is what they say minus what is wanted.

    Half the squared error inside of the window; outside, where what a neuron says does not change
    any more, it goes on as a line, so that a neuron which is wrong always learns. It stands to the
    clipped ramp as the cross-entropy to the sigmoid (matching losses: Auer, Herbster and Warmuth,
    NeurIPS 1995).

    Args:
        potential: of neurons whose threshold is 1, any shape.
        wanted: intensities in 0..1, of the same shape.

    Returns:
        Unreduced, of the same shape; 0 where the potential is what is wanted.
    """
    said = potential.clamp(0, 1)
    error = said - wanted
    return 0.5 * error.square() + error * (potential - said)


def sigmoid_error(potential: Tensor, wanted: Tensor) -> Tensor:
    """The same of sigmoids: the cross-entropy, in nats; arguments as for `ramp_error`."""
    return functional.binary_cross_entropy_with_logits(potential, wanted, reduction="none")
