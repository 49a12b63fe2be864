"""A convolutional Spiking-GAN of ramp neurons, and its dense twin, in the game of paired losses.

The generator is a dense layer and two transposed convolutions, the discriminator two convolutions
and an output layer of a pair of neurons (fake, real) for each class that it is told: the first
spike of the pair of that class is the verdict, as in a projection discriminator (Miyato and Koyama,
arXiv 1802.05637). Images are levels in 0..1, so that the padding is silence; the dense twin's are
in -1..1, as usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.models import LATENTS
from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    RampNeuron,
    SpikingNetwork,
)
from firstspike.ops import ramps
from firstspike.shape import Shape
from firstspike.training.paired import PairedAnnGan, PairedGan, RampGan
from firstspike.training.rules.relativistic import deep_step, layout_of

KERNEL = 4  # of stride 2: halves or doubles the sides
FOLDS = 4  # sides must be multiples of it
_MOVE: Any = {"kernel_size": KERNEL, "stride": 2, "padding": 1, "dtype": torch.float32}
INK = 0.1  # mean square of a pixel, about MNIST's, by which the first weights are drawn


class Ramp(nn.Module):
    """What ramp neurons say, as values 0..threshold in t_max steps.

    The same as `RampNeuron.levels` of ``potential * t_max``, times ``threshold / t_max``, with
    fewer passes over memory.
    """

    def __init__(self, neuron: RampNeuron, t_max: int) -> None:
        super().__init__()
        self.neuron, self.t_max = neuron, t_max

    def forward(self, potential: Tensor) -> Tensor:
        values: Tensor = _Values.apply(potential, self.neuron, self.t_max)
        return values


class _Values(torch.autograd.Function):
    """Potentials rounded down to steps of the threshold, and clipped; the slope is 1 inside."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, neuron: RampNeuron, t_max: int) -> Tensor:
        ctx.neuron = neuron
        ctx.save_for_backward(potential)
        end = neuron.threshold
        values: Tensor
        kernels = ramps.kernels(potential.device.type)
        values, _ = kernels.values(potential, end, t_max, 0.0, end, slopes=False)
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (potential,), (grad,), neuron = ctx.saved_tensors, grads, ctx.neuron
        window = neuron.threshold, neuron.leak, neuron.margin
        # The order of the potentials: the convolution below would else copy both, and more slowly.
        grad = grad.contiguous(memory_format=layout_of(potential))
        if not neuron.leak or torch.is_grad_enabled():
            return ramps.by_potential(grad, potential, *window), None, None
        kernels = ramps.kernels(grad.device.type)
        return kernels.by_potential_(grad.clone(), potential, *window, 1.0), None, None


class ConvGan(PairedGan):
    """What the convolutional networks of both kinds share; see the subclasses."""

    ink = 1.0  # mean square of what the discriminator sees

    def build(self) -> None:
        wide, verdicts = self.config.channels, self.outputs * self.groups + self.names
        drawing, judging = (partial(self.hidden, name) for name in ("generator", "discriminator"))
        self.generator = drawing_layers(LATENTS + self.labels, wide, self.shape, drawing)
        self.generator.insert(-1, self.last())
        self.discriminator = judging_layers(verdicts, wide, self.shape, judging)
        for network, first in ((self.generator, 1.0), (self.discriminator, self.ink)):
            draw_weights(network, first)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.turn = 0

    def hidden(self, network: str) -> nn.Module:
        """The neurons of a hidden layer of this network."""
        raise NotImplementedError

    def last(self) -> nn.Module:
        """The neurons that are pixels."""
        raise NotImplementedError

    def turns_of(self, real: Tensor, latents: Tensor, gamma: float) -> Tensor:
        seen, marks = real[:, : self.shape.pixels], real[:, self.shape.pixels :]
        classes = marks.argmax(dim=1) if self.labels else marks.new_zeros(len(marks)).long()
        networks = self.generator, self.discriminator
        given = seen, latents, classes
        return deep_step(networks, self.optimizers, *given, self.outputs, gamma, self.naming)


class ConvRampGan(ConvGan, RampGan):
    """One spike a neuron."""

    ink = INK

    def hidden(self, network: str) -> nn.Module:
        neuron = RampNeuron(getattr(self.config, f"{network}_threshold"))
        return Ramp(neuron, self.config.t_max)

    def last(self) -> nn.Module:
        return Ramp(RampNeuron(1.0, self.config.leak, self.config.margin), self.config.t_max)

    def pixels(self, images: Tensor) -> Tensor:
        return RampGan.pixels(self, images).add_(1).div_(2)

    def drawer(self, network: nn.Sequential) -> SpikingNetwork:
        return spiking_layers(network, self.config.t_max, *self.latent_map).to(self.device)

    def bare_judge(self) -> SpikingNetwork:
        return spiking_layers(self.discriminator, self.config.t_max).to(self.device)


class ConvAnnGan(ConvGan, PairedAnnGan):
    """The dense twin: ReLU and tanh."""

    def named(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.discriminator(self.pixels(images).to(self.device))
        return outputs[:, -self.names :].argmax(dim=1)

    def hidden(self, network: str) -> nn.Module:
        return nn.ReLU()

    def last(self) -> nn.Module:
        return nn.Tanh()

    def drawer(self, network: nn.Sequential) -> Any:
        return network


def dense_layers(sizes: tuple[int, int, int], hidden: Callable[[], nn.Module]) -> nn.Sequential:
    """Two dense layers of these sizes, the inputs' first, with hidden neurons between."""
    inputs, between, outputs = sizes
    return nn.Sequential(
        nn.Linear(inputs, between, dtype=torch.float32),
        hidden(),
        nn.Linear(between, outputs, dtype=torch.float32),
    )


def drawing_layers(
    inputs: int, wide: int, shape: Shape, hidden: Callable[[], nn.Module]
) -> nn.Sequential:
    """A dense layer and two transposed convolutions: potentials of pixels [N, pixels].

    Args:
        inputs: of the dense layer.
        wide: channels behind it; the next have half as many.
        shape: of the images.
        hidden: makes the neurons of a hidden layer.

    Raises:
        ValueError: the sides of the images are no multiples of `FOLDS`.
    """
    narrow, inner = max(1, wide // 2), _inner(wide, shape)
    return nn.Sequential(
        nn.Linear(inputs, math.prod(inner), dtype=torch.float32),
        hidden(),
        nn.Unflatten(1, inner),
        nn.ConvTranspose2d(wide, narrow, **_MOVE),
        hidden(),
        nn.ConvTranspose2d(narrow, shape.channels, **_MOVE),
        nn.Flatten(),
    )


def judging_layers(
    outputs: int, wide: int, shape: Shape, hidden: Callable[[], nn.Module]
) -> nn.Sequential:
    """Two convolutions and a dense layer, of images [N, pixels]; arguments as `drawing_layers`."""
    narrow, inner = max(1, wide // 2), _inner(wide, shape)
    return nn.Sequential(
        nn.Unflatten(1, (shape.channels, shape.height, shape.width)),
        nn.Conv2d(shape.channels, narrow, **_MOVE),
        hidden(),
        nn.Conv2d(narrow, wide, **_MOVE),
        hidden(),
        nn.Flatten(),
        nn.Linear(math.prod(inner), outputs, dtype=torch.float32),
    )


def _inner(wide: int, shape: Shape) -> tuple[int, int, int]:
    """Channels and sides between the dense layer and the convolutions."""
    if shape.height % FOLDS or shape.width % FOLDS:
        raise ValueError(
            f"network conv needs images whose sides are multiples of {FOLDS}, got "
            f"{shape.width}x{shape.height}; choose another size"
        )
    return wide, shape.height // FOLDS, shape.width // FOLDS


def draw_weights(network: nn.Sequential, first: float) -> None:
    """Weights with which potentials have variance 1; biases 0.

    Args:
        network: what its weights are drawn for.
        first: mean square of its inputs.
    """
    square = first
    for module in network:
        if not isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            continue
        inputs = module.weight[0].numel()
        if isinstance(module, nn.ConvTranspose2d):
            inputs = module.in_channels * (KERNEL // 2) ** 2  # that reach a pixel
        nn.init.normal_(module.weight, std=(inputs * square) ** -0.5)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
        square = 0.5  # behind a ramp or ReLU half of it is left


@torch.no_grad()
def spiking_layers(
    network: nn.Sequential, t_max: int, scale: list[float] | None = None, shift: Any = None
) -> SpikingNetwork:
    """Linear maps with `Ramp` s between them as layers of ramp neurons.

    Args:
        network: as it learns; its inputs are ``scale * u + shift`` where a spike at time t says
            ``u = (t_max - t) / t_max``. Without a `Ramp` at its end, the threshold there is 1.
        t_max: number of time steps of a window.
        scale: of each input of a dense first layer; 1 if None.
        shift: of each input of a dense first layer; 0 if None.

    Returns:
        A network that takes and gives spike times, without gradients.
    """
    modules: list[Any] = list(network)
    made: list[nn.Module] = []
    before: Any = 1.0 if scale is None else modules[0].weight.new_tensor(scale)
    for place, module in enumerate(modules):
        if isinstance(module, Ramp):
            continue
        if not isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            made.append(module)
            continue
        follower = modules[place + 1] if place + 1 < len(modules) else None
        neuron = follower.neuron if isinstance(follower, Ramp) else RampNeuron(1.0)
        layer = _layer_of(module, RampNeuron(neuron.threshold), t_max)
        assert module.bias is not None and layer.bias is not None
        layer.weight.copy_(module.weight * before)
        layer.bias.copy_(module.bias)
        if place == 0 and shift is not None:
            layer.bias.add_(module.weight @ module.weight.new_tensor(shift))
        before = neuron.threshold
        made.append(layer)
    return SpikingNetwork(*made).float().requires_grad_(False).eval()


def _layer_of(module: Any, neuron: RampNeuron, t_max: int) -> Any:
    if isinstance(module, nn.Linear):
        sizes = module.in_features, module.out_features
        return FirstSpikeLinear(*sizes, neuron=neuron, t_max=t_max, init=(0.0, 0.0))
    kind = FirstSpikeConv2d if isinstance(module, nn.Conv2d) else FirstSpikeConvTranspose2d
    sizes = module.in_channels, module.out_channels
    moved = module.kernel_size, module.stride, module.padding
    return kind(*sizes, *moved, neuron=neuron, t_max=t_max)
