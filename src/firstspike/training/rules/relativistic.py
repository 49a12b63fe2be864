"""The relativistic paired loss with zero-centred gradient penalties, for two-layer networks.

Huang et al., "The GAN is dead; long live the GAN!" (R3GAN, arXiv 2501.05441): the discriminator
learns to give each image a higher score than the sample beside it, ``softplus(s(sample) -
s(image))``, and pays ``gamma / 2`` times the squared gradient of its scores by images and by
samples. The penalties need the derivative of a gradient. That of ramp neurons is exact (eq. 11-15
hold without an approximation), and in two layers all of it can be written down: `paired_step` does,
`reference_losses` says by autograd what it computes. A step neuron has none: there the slopes of a
surrogate are penalised, as if they were constants.

A network is ``output(hidden(x))``, two layers of a weight and a bias; between them come ramps,
steps or ReLU. Values are potentials: a ramp neuron of threshold T says one of the values 0..T, in
steps of T / t_max; a step neuron 0 or 1.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstspike.nn import FirstSpikeLinear, RampNeuron
from firstspike.ops import ramps, steps


@dataclass(frozen=True)
class Neurons:
    """What the neurons of a game are, unless they are `Steps`.

    Args:
        t_max: steps of a window; 0 for the dense twin, which has ReLU and tanh.
        generator: threshold of the generator's hidden neurons.
        discriminator: threshold of the discriminator's hidden neurons.
        leak: slope of the gradient outside the window of the generator's output neurons.
        margin: up to which it leads out; see `RampNeuron`.
    """

    t_max: int
    generator: float = 8.0
    discriminator: float = 16.0
    leak: float = 0.1
    margin: float = 1.0

    bias_limit: ClassVar[float] = math.inf

    def hidden(self, network: str, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Values of hidden neurons, and the derivative by their potentials (0 or 1)."""
        if not self.t_max:
            return potential.clamp(min=0), ramps.inside(potential, math.inf)
        threshold = getattr(self, network)
        values, slope = _of_ramps(potential).values(
            potential, threshold, self.t_max, 0.0, threshold
        )
        return values, slope

    def pixels(self, potential: Tensor) -> Tensor:
        """Pixels in -1..1 of the generator."""
        if not self.t_max:
            return potential.tanh()
        pixels: Tensor
        pixels, _ = _of_ramps(potential).values(potential, 1.0, self.t_max, -1.0, 1.0, slopes=False)
        return pixels

    def error(self, signal: Tensor, potential: Tensor, pixels: Tensor) -> Tensor:
        """Gradient by the potentials of pixels, of that by pixels, whose memory it takes."""
        if not self.t_max:
            return signal.mul_(1 - pixels * pixels)
        window = 1.0, self.leak, self.margin, 2.0  # pixels reach from -1 to 1
        error: Tensor = _of_ramps(signal).by_potential_(signal, potential, *window)
        return error


@dataclass(frozen=True)
class Steps:
    """Step neurons of a game whose inputs all come at once, so that no spike is early or late.

    Args:
        window: of the surrogate, see `firstspike.nn.final_gradient`.
    """

    window: float

    # A neuron that its bias alone makes spike does so for every input, and learns no more.
    bias_limit: ClassVar[float] = 0.95  # of the threshold

    def hidden(self, network: str, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Whether neurons spike, 0 or 1, and the surrogate of the derivative."""
        values, slope = _of_steps(potential).values(potential, self.window)
        return values, slope

    def pixels(self, potential: Tensor) -> Tensor:
        """Pixels 0 or 1 of the generator."""
        pixels: Tensor
        pixels, _ = _of_steps(potential).values(potential, self.window, slopes=False)
        return pixels

    def error(self, signal: Tensor, potential: Tensor, pixels: Tensor) -> Tensor:
        """Gradient by the potentials of pixels, of that by pixels, whose memory it takes."""
        error: Tensor = _of_steps(signal).by_potential_(signal, potential, self.window)
        return error


class Naming(NamedTuple):
    """Outputs of the discriminator, behind those of its verdict, that name the class of an image.

    They make it an auxiliary classifier (Odena et al., arXiv 1610.09585) in whose score the name
    counts: that of an image, or a sample, of class c is the verdict on images of any class plus the
    potential of the name c. A logarithm of densities, which such a score learns, is such a sum (of
    p(x) / q(x) and of p(c | x) / q(c | x); Miyato and Koyama, arXiv 1802.05637). So samples should
    have the name of their class as clearly as images have, and penalties keep both from being won
    by what nobody sees. What they name is learned from images only, by the cross-entropy of the
    potentials, of which the largest spikes first.

    Args:
        names: these outputs, one for each class.
        weight: of the cross-entropy.
    """

    names: int
    weight: float = 1.0


class Game(NamedTuple):
    """Two networks of two linear layers each, and their neurons.

    Args:
        generator: from latents to images.
        discriminator: from images to one score, or to two neurons, fake and real, whose difference
            is twice the score; to as many for each class that it judges by.
        neurons: of both.
        pixels: of an image; what follows, where images are given, tells the class.
        classes: that the discriminator judges by, each with outputs of its own; 1 for images of
            any, which it is if it names classes.
        naming: how its further outputs name classes; None if there are none.
    """

    generator: nn.Sequential
    discriminator: nn.Sequential
    neurons: Neurons | Steps
    pixels: int
    classes: int = 1
    naming: Naming | None = None


def _of_ramps(like: Tensor) -> Any:
    return ramps.kernels(like.device.type)


def _of_steps(like: Tensor) -> Any:
    return steps.kernels(like.device.type)


def signs(outputs: int, like: Tensor) -> Tensor:
    """How the outputs make a score: half of real minus fake, or the only one."""
    return _signs(outputs, like.dtype, like.device)


@functools.cache
def _signs(outputs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([-0.5, 0.5] if outputs == 2 else [1.0], dtype=dtype, device=device)


def votes(game: Game, seen: Tensor) -> Tensor:
    """How the outputs make the score of each image: those of its class only, or those of all
    classes and the name of its class.

    Args:
        game: the networks.
        seen: images, and what tells their class, [N, pixels + classes].

    Returns:
        [N, outputs], or [1, outputs] if the discriminator judges images of any class.
    """
    _, output = linear_layers(game.discriminator)
    told = (seen[:, game.pixels :] > 0).to(seen.dtype)
    if game.naming:
        sign = signs(output.out_features - game.naming.names, seen)
        return torch.cat([sign.expand(len(seen), -1), told], dim=1)
    sign = signs(output.out_features // game.classes, seen)
    if game.classes == 1:
        return sign[None]
    return (told[:, :, None] * sign).flatten(1)


def names_of(game: Game, values: Tensor) -> Tensor:
    """Potentials of the outputs that name classes, [N, names], of values of hidden neurons."""
    assert game.naming is not None
    _, output = linear_layers(game.discriminator)
    rows = slice(-game.naming.names, None)
    return functional.linear(values, output.weight[rows], output.bias[rows])


def draw(game: Game, latents: Tensor) -> Tensor:
    """Samples, in -1..1 unless neurons are steps, of latents as the hidden layer takes them."""
    hidden, output = linear_layers(game.generator)
    values, _ = game.neurons.hidden("generator", potentials(hidden, latents))
    return game.neurons.pixels(potentials(output, values))


def score(game: Game, seen: Tensor) -> Tensor:
    """How real the discriminator takes images for, [N]; ``seen`` as for `votes`."""
    scores, *_ = _judged(game, seen[:, : game.pixels], votes(game, seen))
    return scores


def _judged(game: Game, images: Tensor, vote: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The discriminator on images [N, pixels], with `votes` for each of them or one for all.

    Outputs are never computed one by one: what counts is their difference, in which a pair of
    neurons costs no more than one.

    Returns:
        Scores [N]; of the hidden neurons, [N, hidden] each, values, their derivative by
        potentials, and the gradient of each score by potentials.
    """
    hidden, output = linear_layers(game.discriminator)
    values, inside = game.neurons.hidden("discriminator", potentials(hidden, images))
    toward, bias = vote @ output.weight, vote @ output.bias
    if len(vote) == 1:
        scores = torch.addmv(bias, values, toward[0])
    else:
        scores = (values * toward).sum(dim=1).add_(bias)
    return scores, values, inside, inside * toward


@torch.no_grad()
def paired_step(
    game: Game,
    optimizers: dict[str, torch.optim.Optimizer],
    real: Tensor,
    latents: Tensor,
    *,
    gamma: float,
) -> Tensor:
    """One turn of the discriminator, then one of the generator, on the same samples.

    Args:
        game: the networks; their parameters are updated.
        optimizers: of ``"generator"`` and ``"discriminator"``.
        real: images as `draw` gives samples, with what tells their class, [N, pixels + labels].
        latents: as the generator takes them, with the same classes, [N, latents + labels].
        gamma: of the penalties; 0 leaves them out of this step.

    Returns:
        Means: the losses of discriminator and generator in the game, without penalties and names;
        how often the discriminator is right about images and about samples, as by the mean of all
        scores; where it names classes, how often it names images, and samples, right.
    """
    neurons, naming, count = game.neurons, game.naming, len(real)
    g_hidden, g_output = linear_layers(game.generator)
    d_hidden, d_output = linear_layers(game.discriminator)
    vote = votes(game, real)
    both = vote if len(vote) == 1 else vote.repeat(2, 1)

    drawn, g_inside = neurons.hidden("generator", potentials(g_hidden, latents))
    drive = potentials(g_output, drawn)
    pixels = neurons.pixels(drive)
    seen = torch.cat([real[:, : game.pixels], pixels])
    scores, values, inside, reach = _judged(game, seen, both)
    of_real, of_fake = scores[:count], scores[count:]

    push = torch.sigmoid(of_fake - of_real) / count  # dL/ds of samples, and minus that of images
    push = torch.cat([-push, push])[:, None]
    signal, error = push * reach, push * both
    right: tuple[Tensor, ...] = ()
    if naming:
        told = vote[:, -naming.names :]
        named = names_of(game, values)
        wrong = (named[:count].softmax(dim=1) - told).mul_(naming.weight / count)
        error[:count, -naming.names :] += wrong
        signal[:count] += (wrong @ d_output.weight[-naming.names :]).mul_(inside[:count])
        right = (named.argmax(dim=1) == told.repeat(2, 1).argmax(dim=1)).split(count)
    grads = _gradients(game.discriminator, (signal, seen), (error, values))
    if gamma:
        # The gradient of a score by its image is reach @ hidden.
        slopes = (reach @ d_hidden.weight).mul_(gamma / count)
        grads[0].addmm_(reach.t(), slopes)
        bent = (slopes @ d_hidden.weight.t()).mul_(inside)
        grads[2] += both.t() @ (bent.sum(dim=0, keepdim=True) if len(both) == 1 else bent)
    _descend(optimizers["discriminator"], game.discriminator, neurons.bias_limit)

    # The generator answers to the discriminator that has just learned; images keep their scores.
    again, *_, reach = _judged(game, pixels, vote)
    push = torch.sigmoid(of_real - again).mul_(-1 / count)[:, None]
    signal = neurons.error(reach.mul_(push) @ d_hidden.weight, drive, pixels)
    below = (signal @ g_output.weight).mul_(g_inside)
    grads = _gradients(game.generator, (below, latents), (signal, drawn))
    _descend(optimizers["generator"], game.generator, neurons.bias_limit)

    middle = scores.mean()
    losses = functional.softplus(of_fake - of_real), functional.softplus(of_real - again)
    told_of = (*losses, of_real > middle, of_fake < middle, *right)
    return torch.stack([row.to(scores.dtype).mean() for row in told_of])


def deep_step(
    networks: tuple[nn.Module, nn.Sequential],
    optimizers: dict[str, torch.optim.Optimizer],
    real: Tensor,
    latents: Tensor,
    classes: Tensor,
    outputs: int,
    gamma: float,
    naming: Naming | None = None,
) -> Tensor:
    """`paired_step` for networks of any depth, by autograd.

    Args:
        networks: generator, from latents to images, and discriminator, from images to ``outputs``
            neurons for each class that it judges by, or for any, and those that name classes, [N,
            classes * outputs + names]; its last module is a linear layer; updated.
        optimizers: of ``"generator"`` and ``"discriminator"``.
        real: images as the discriminator takes them, [N, pixels].
        latents: as the generator takes them.
        classes: int64 [N], of images and samples alike; 0 where there is but one.
        outputs: 1 for a score, 2 for a pair of neurons; see `signs`.
        gamma: of the penalties; 0 leaves them out of this step.
        naming: how further outputs of the discriminator name classes; None if there are none.

    Returns:
        As `paired_step`.
    """
    generator, discriminator = networks
    count, (*below, last) = len(real), discriminator

    def judged(seen: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        for module in below:
            seen = module(seen)
        return _scores(last, seen, told, outputs, naming.names if naming else 0)

    fake = generator(latents)
    seen = torch.cat([real, fake.detach()]).requires_grad_(gamma > 0)
    scores, named = judged(seen, classes.repeat(2))
    of_real, of_fake = scores[:count], scores[count:]
    lost = functional.softplus(of_fake - of_real)
    loss = lost.mean()
    if naming:
        loss = loss + naming.weight * functional.cross_entropy(named[:count], classes)
    if gamma:
        (slopes,) = torch.autograd.grad(scores.sum(), seen, create_graph=True)
        loss = loss + gamma / 2 * slopes.square().sum() / count
    follow(optimizers["discriminator"], discriminator, loss)

    again, _ = judged(fake, classes)
    missed = functional.softplus(of_real.detach() - again)
    follow(optimizers["generator"], generator, missed.mean())

    with torch.no_grad():
        middle = scores.mean()
        right = (named.argmax(dim=1) == classes.repeat(2)).split(count) if naming else ()
        told_of = (lost, missed, of_real > middle, of_fake < middle, *right)
        return torch.stack([row.to(scores.dtype).mean() for row in told_of])


def _scores(
    layer: Any, values: Tensor, told: Tensor, outputs: int, names: int
) -> tuple[Tensor, Tensor]:
    """Scores [N] of images of classes ``told``, and the names [N, names], of the last layer.

    As in `_judged`, a pair of neurons costs no more than one, as which it is computed.
    """
    verdicts = len(layer.bias) - names
    weight, bias = layer.weight[:verdicts], layer.bias[:verdicts]
    if outputs > 1:
        sign = signs(outputs, values)
        weight = sign @ weight.unflatten(0, (-1, outputs))
        bias = bias.unflatten(0, (-1, outputs)) @ sign
    scores = functional.linear(values, weight, bias)
    if names:
        named = functional.linear(values, layer.weight[verdicts:], layer.bias[verdicts:])
        return scores[:, 0] + _of_class(named, told), named
    return scores[:, 0] if scores.shape[1] == 1 else _of_class(scores, told), scores[:, :0]


def _of_class(found: Tensor, told: Tensor) -> Tensor:
    return found.gather(1, told[:, None])[:, 0]


def follow(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
    """Descend the gradient by this network's parameters alone."""
    parameters = list(network.parameters())
    for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        # The layout of the weight: fused Adam reads both in order of memory.
        parameter.grad = grad.contiguous(memory_format=layout_of(parameter))
    optimizer.step()


def layout_of(values: Tensor) -> torch.memory_format:
    """The order in which values without gaps lie in memory."""
    last = values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def reference_losses(
    game: Game, real: Tensor, latents: Tensor, gamma: float
) -> tuple[Tensor, Tensor]:
    """The losses of discriminator and generator by autograd: what `paired_step` descends.

    Args:
        game: the networks.
        real: as for `paired_step`.
        latents: as for `paired_step`.
        gamma: of the penalties.

    Returns:
        Two numbers, with the error of names; their gradients by the discriminator's and by the
        generator's parameters, each with the other network as it is, are those of `paired_step`
        before either has learned.
    """
    told = real[:, game.pixels :]
    fake = torch.cat([_differentiable_pixels(game, latents), told], dim=1)
    images = [seen.detach().requires_grad_() for seen in (real, fake)]
    scores = [_differentiable_score(game, seen) for seen in images]
    loss = functional.softplus(scores[1] - scores[0]).mean()
    for seen, scored in zip(images, scores, strict=True):
        (slopes,) = torch.autograd.grad(scored.sum(), seen, create_graph=True)
        loss = loss + gamma / 2 * slopes[:, : game.pixels].square().sum(dim=1).mean()
    if game.naming:
        names = _differentiable_outputs(game, real)[:, -game.naming.names :]
        loss = loss + game.naming.weight * functional.cross_entropy(names, told)
    against = _differentiable_score(game, fake)
    return loss, functional.softplus(scores[0].detach() - against).mean()


def _differentiable_pixels(game: Game, latents: Tensor) -> Tensor:
    """`draw` with the neurons of `firstspike.nn`, for autograd."""
    hidden, output = linear_layers(game.generator)
    neurons = game.neurons
    if isinstance(neurons, Steps):
        fired = straight(neurons, potentials(hidden, latents))
        return straight(neurons, potentials(output, fired))
    values = output(_values(hidden(latents), RampNeuron(neurons.generator), neurons.t_max))
    if not neurons.t_max:
        pixels: Tensor = values.tanh()
        return pixels
    pixel = RampNeuron(1.0, neurons.leak, neurons.margin)
    return 2 * _values(values, pixel, neurons.t_max) - 1


def _differentiable_score(game: Game, seen: Tensor) -> Tensor:
    """`score` with the neurons of `firstspike.nn`, for autograd."""
    return (_differentiable_outputs(game, seen) * votes(game, seen)).sum(dim=1)


def _differentiable_outputs(game: Game, seen: Tensor) -> Tensor:
    """Potentials of all outputs of the discriminator, likewise."""
    hidden, output = linear_layers(game.discriminator)
    neurons, potential = game.neurons, potentials(hidden, seen[:, : game.pixels])
    if isinstance(neurons, Steps):
        values = straight(neurons, potential)
    else:
        values = _values(potential, RampNeuron(neurons.discriminator), neurons.t_max)
    return potentials(output, values)


def straight(neurons: Steps, potential: Tensor) -> Tensor:
    """Steps whose derivative is the surrogate, which itself counts as a constant."""
    values, slope = neurons.hidden("", potential.detach())
    return values + slope * (potential - potential.detach())


def _values(potential: Tensor, neuron: RampNeuron, t_max: int) -> Tensor:
    if not t_max:
        return potential.relu()
    return neuron.levels(potential * t_max, t_max) * (neuron.threshold / t_max)


def linear_layers(network: nn.Sequential) -> tuple[Any, Any]:
    """The two layers of a network, each with a weight [out, in] and a bias [out]."""
    hidden, output = network
    return hidden, output


def potentials(layer: nn.Linear | FirstSpikeLinear, values: Tensor) -> Tensor:
    """Those that values [N, in] leave in the neurons of a layer: [N, out]."""
    return functional.linear(values, layer.weight, layer.bias)


def _gradients(network: nn.Sequential, *layers: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Gradients by the parameters of linear layers, in memory that later steps use again.

    New memory for so many numbers comes from the system page by page, which can take longer than
    the product that fills it.

    Args:
        network: the layers.
        layers: of each, the gradients by its potentials, [N, out], and its inputs, [N, in].
    """
    grads = []
    for layer, (signal, inputs) in zip(linear_layers(network), layers, strict=True):
        torch.mm(signal.t(), inputs, out=_grad_of(layer.weight))
        torch.sum(signal, dim=0, out=_grad_of(layer.bias))
        grads += [layer.weight.grad, layer.bias.grad]
    return grads


def _grad_of(parameter: Any) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    grad: Tensor = parameter.grad
    return grad


def _descend(optimizer: torch.optim.Optimizer, network: nn.Sequential, limit: float) -> None:
    """Descend the gradient; biases stay below ``limit``."""
    optimizer.step()
    if limit < math.inf:
        for layer in linear_layers(network):
            layer.bias.clamp_(max=limit)
