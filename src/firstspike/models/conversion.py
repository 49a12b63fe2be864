"""ReLU networks to ramp neurons: the same decisions, by the time of first spikes.

A ramp neuron is a clipped ReLU in whole steps (`firstspike.nn.RampNeuron`), so that a ReLU network
becomes a spiking one by its own weights. What remains is to choose each layer's threshold, the
largest activation that images cause in it, and to divide weights by it, so that all thresholds
become 1; half a step is added to each bias, so that times are rounded instead of cut off, and what
the layers before have rounded makes no difference on the mean: each bias gets what the potentials
of images lack. Of the last layer's scores only the order matters: they are moved and stretched so
that in all images the winner spikes and in none a runner-up does so at step 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from firstspike.coding import ImageLike, encode
from firstspike.models.networks import NetworkClassifier, output_window
from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    SpikingLayer,
)
from firstspike.nn.connections import in_levels
from firstspike.times import check_t_max

_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_MEANS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6)
_MOVERS = (nn.Flatten, nn.Unflatten)
_WITHOUT_EFFECT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
_SHARES = (nn.Softmax, nn.LogSoftmax)  # at the end, where they keep the order of the scores
_BATCH = 250  # images at a time; changes the memory that is used and nothing else


@dataclass(eq=False)
class _Part:
    """A module of the ReLU network, and what is measured of it.

    Args:
        name: in the network.
        module: a copy of it, with the batch normalisation behind it folded in.
        activation: ReLU of a layer with weights; None where it gives scores.
        largest: of its outputs.
    """

    name: str
    module: Any
    activation: nn.Module | None = None
    largest: float = 0.0


@torch.no_grad()
def convert(network: nn.Module, images: ImageLike, t_max: int = 64) -> NetworkClassifier:
    """A network of ramp neurons that decides as a ReLU network does.

    Args:
        network: `torch.nn.Sequential`, nested or not, of Linear, Conv2d and ConvTranspose2d, each
            but the last followed by ReLU (or ReLU6); between them BatchNorm (before the ReLU),
            MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Flatten, Unflatten, Dropout and Identity; at
            the end Softmax or LogSoftmax. It stays as it is, and is read in evaluation mode. It
            takes pixels in 0..1.
        images: a few hundred or more to choose thresholds by, such as training images: uint8 or
            floating point in 0..1, [N, H, W], [N, C, H, W] or as the network takes them.
        t_max: number of time steps of a window; 64 keeps nearly all decisions, 256 almost any.

    Returns:
        A network whose thresholds are all 1, where the network is, in evaluation mode. It takes
        spike times of images, or images themselves by its ``classify``. Means become convolutions
        of one channel each with equal weights, so that they have a threshold of their own as well.

    Raises:
        ValueError: a module cannot be converted, or ``images`` do not fit or are not numbers.
    """
    check_t_max(t_max)
    parts = _parts(network)
    times = _arranged(encode(images, t_max), parts[0].module)
    if not len(times):
        raise ValueError("images must hold at least one image")
    values = _arranged(_values(images), parts[0].module)
    scores = _measure(parts, values)
    window = (0.0, 0.0) if scores is None else output_window(scores)
    some = slice(None, None, -(-len(values) // _BATCH))  # of all classes, should they be in order
    modules = _spiking(parts, window, values[some], t_max - times[some], t_max)
    return NetworkClassifier(*modules).eval().requires_grad_(False)


@torch.no_grad()
def agreement(network: nn.Module, converted: NetworkClassifier, images: ImageLike) -> float:
    """Share of the images, 0..1, that two networks decide alike.

    Args:
        network: the ReLU network, see `convert`.
        converted: what `convert` made of it.
        images: as for `convert`.

    Raises:
        ValueError: ``images`` do not fit.
    """
    parts = _parts(network)
    values = _arranged(_values(images), parts[0].module)
    chosen = [_run(parts, some).argmax(dim=1) for some in values.split(_BATCH)]
    return float((torch.cat(chosen) == converted.classify(images).classes).double().mean())


def _parts(network: nn.Module) -> list[_Part]:
    """The modules in a row, each ReLU with its layer. ValueError if one cannot be converted."""
    if not isinstance(network, nn.Sequential):
        network = nn.Sequential(network)
    parts: list[_Part] = []
    waiting: _Part | None = None  # for its ReLU
    for name, module in _leaves(network):
        if isinstance(module, _WITHOUT_EFFECT):
            continue
        if isinstance(module, _ACTIVATIONS):
            if waiting is not None:  # the ReLU commutes with the maxima between the two
                waiting.activation, waiting = module, None
        elif isinstance(module, _NORMS):
            _fold(module, name, waiting, parts)
        elif isinstance(module, _SHARES):
            waiting = _at_the_end(network, name, waiting)
        else:
            _check(module, name)
            if waiting is not None and isinstance(module, (*_WEIGHTED, *_MEANS)):
                raise ValueError(f"module {waiting.name} has no ReLU before module {name}")
            parts.append(_Part(name, copy.deepcopy(module).eval()))
            if isinstance(module, nn.Conv2d):
                parts[-1].module.padding = _padding(module, name)
            waiting = parts[-1] if isinstance(module, _WEIGHTED) else waiting
    weighted = [part for part in parts if isinstance(part.module, _WEIGHTED)]
    if not weighted:
        raise ValueError("network must hold at least one Linear, Conv2d or ConvTranspose2d")
    if isinstance(parts[0].module, nn.Linear):
        parts.insert(0, _Part("(input)", nn.Flatten()))
    return parts


def _leaves(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_children():
        if isinstance(module, nn.Sequential):
            yield from _leaves(module, f"{prefix}{name}.")
        else:
            yield prefix + name, module


def _at_the_end(network: nn.Module, name: str, waiting: _Part | None) -> _Part | None:
    if name != [*_leaves(network)][-1][0]:
        raise ValueError(f"module {name}: Softmax can be converted only at the end")
    return waiting


def _check(module: nn.Module, name: str) -> None:
    """Raise ValueError unless this module can be told by ramp neurons."""
    kind = type(module).__name__
    if not isinstance(module, (*_WEIGHTED, *_MEANS, *_MOVERS, nn.MaxPool2d)):
        raise ValueError(
            f"module {name} is a {kind}, which ramp neurons cannot stand for: they know layers "
            "with weights, BatchNorm, ReLU, pools, Flatten and Dropout"
        )
    wanted: dict[str, tuple[Any, ...]] = {}
    if isinstance(module, nn.MaxPool2d):
        wanted = {"padding": (0, (0, 0)), "dilation": (1, (1, 1)), "ceil_mode": (False,)}
    elif isinstance(module, nn.AvgPool2d):
        wanted = {"ceil_mode": (False,), "divisor_override": (None,)}
        if module.padding not in (0, (0, 0)):
            wanted["count_include_pad"] = (True,)
    elif isinstance(module, nn.Conv2d):
        wanted = {"padding_mode": ("zeros",)}
    elif isinstance(module, nn.ConvTranspose2d):
        wanted = {"groups": (1,), "dilation": ((1, 1),)}
    for option, values in wanted.items():
        if (value := getattr(module, option)) not in values:
            raise ValueError(f"module {name}: {option} of {kind} must be {values[0]}, got {value}")
    if isinstance(module, nn.MaxPool2d):
        for option in ("kernel_size", "stride"):
            _square(getattr(module, option), f"module {name}: {option} of {kind}")


def _padding(module: nn.Conv2d, name: str) -> tuple[int, ...]:
    """In numbers."""
    if not isinstance(module.padding, str):
        return module.padding
    if module.padding == "valid":
        return 0, 0
    spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    if any(span % 2 for span in spans):
        raise ValueError(f"module {name}: padding 'same' of an even kernel_size is not the same")
    return tuple(span // 2 for span in spans)


def _square(sides: int | tuple[int, int], what: str) -> int:
    down, right = _pair(sides)
    if down != right:
        raise ValueError(f"{what} must be the same in both directions, got {sides}")
    return down


def _pair(sides: Any) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else tuple(sides)


def _fold(norm: Any, name: str, layer: _Part | None, parts: list[_Part]) -> None:
    """Move batch normalisation into the layer before it. ValueError if that cannot be done."""
    kind = type(norm).__name__
    if layer is None:
        raise ValueError(f"module {name}: {kind} must come between a layer with weights and ReLU")
    if norm.running_mean is None:
        raise ValueError(f"module {name}: {kind} must have running statistics")
    norm = copy.deepcopy(norm).eval()
    if norm.weight is None:
        norm.weight = nn.Parameter(torch.ones_like(norm.running_mean))
        norm.bias = nn.Parameter(torch.zeros_like(norm.running_mean))
    if any(isinstance(p.module, nn.MaxPool2d) for p in parts[parts.index(layer) :]) and bool(
        (norm.weight < 0).any()
    ):
        raise ValueError(f"module {name}: {kind} behind MaxPool2d must have positive weights")
    if isinstance(layer.module, nn.Linear):
        layer.module = fuse_linear_bn_eval(layer.module, norm)
    else:
        transposed = isinstance(layer.module, nn.ConvTranspose2d)
        layer.module = fuse_conv_bn_eval(layer.module, norm, transpose=transposed)


def _values(images: ImageLike) -> Tensor:
    """Pixels in 0..1."""
    pixels = torch.as_tensor(images)
    return pixels / 255 if pixels.dtype == torch.uint8 else pixels


def _arranged(values: Tensor, first: nn.Module) -> Tensor:
    """Images [N, H, W] with a channel where a convolution takes them."""
    return values.unsqueeze(1) if values.ndim == 3 and not isinstance(first, _MOVERS) else values


def _run(parts: list[_Part], values: Tensor) -> Tensor:
    """Scores of the ReLU network; the largest output of each part is taken down."""
    weight = next(p.module.weight for p in parts if isinstance(p.module, _WEIGHTED))
    values = values.to(weight)
    for part in parts:
        if isinstance(part.module, _MEANS):  # of what is positive already
            part.module, part.activation = _as_convolution(part, values).to(weight), nn.ReLU()
        try:
            values = part.module(values)
        except (RuntimeError, ValueError) as error:
            raise _misfit(part, values, str(error)) from None
        if part.activation is not None:
            values = part.activation(values)
        largest = float(values.max())
        if not math.isfinite(largest):
            raise ValueError(f"module {part.name} gives values for these images that are no number")
        part.largest = max(part.largest, largest)
    return values


def _misfit(part: _Part, values: Tensor, reason: str) -> ValueError:
    shape = ", ".join(map(str, ("N", *values.shape[1:])))
    return ValueError(f"images do not fit module {part.name}, which got [{shape}]: {reason}")


def _measure(parts: list[_Part], values: Tensor) -> Tensor | None:
    """Run the network on all images; scores [N, classes] unless the last layer has a ReLU."""
    scores = torch.cat([_run(parts, some) for some in values.split(_BATCH)])
    last = [part for part in parts if isinstance(part.module, _WEIGHTED)][-1]
    return None if last.activation is not None else scores.movedim(1, -1).flatten(0, -2)


def _spiking(
    parts: list[_Part], window: tuple[float, float], values: Tensor, levels: Tensor, t_max: int
) -> Iterator[nn.Module]:
    """The modules of the spiking network.

    Args:
        parts: of the ReLU network, measured.
        window: scores of the last layer at silence and at step 0.
        values: some images, as the ReLU network takes them.
        levels: the same, as the spiking network takes them.
        t_max: number of time steps.
    """
    unit = 1.0  # the value that a spike at step 0 stands for
    weight = next(part.module.weight for part in parts if isinstance(part.module, _WEIGHTED))
    values, levels = values.to(weight), levels.to(weight)
    for part in parts:
        module = made = part.module
        values = module(values)
        if isinstance(module, nn.MaxPool2d):
            sides = _square(module.kernel_size, "kernel_size"), _square(module.stride, "stride")
            made = EarliestPool2d(*sides, t_max)
        elif not isinstance(module, _MOVERS):
            low, high = 0.0, part.largest or 1.0  # 1 is as good as any if no neuron is active
            if part.activation is None:
                low, high = window
            made = _neurons(module, t_max)
            made.weight.copy_(module.weight * (unit / (high - low)))
            made.bias.zero_()  # type: ignore[union-attr]
            lacking = (values - low) / (high - low) - made.drive(levels) / t_max
            half = 0.0 if part.activation is None else 0.5 / t_max
            made.bias.copy_(lacking.transpose(0, 1).flatten(1).mean(dim=1) + half)  # type: ignore[union-attr]
            unit = high - low
        if part.activation is not None:
            values = part.activation(values)
        levels = in_levels(made, levels)
        yield made


def _as_convolution(part: _Part, values: Tensor) -> nn.Conv2d:
    """Means of these values as a convolution of one channel each, with equal weights."""
    module = part.module
    if values.ndim != 4:
        raise _misfit(part, values, "means are of channels of two dimensions")
    channels, *sides = values.shape[1:]
    stride: Any
    padding: Any = 0
    if isinstance(module, nn.AdaptiveAvgPool2d):
        asked = _pair(module.output_size)
        out = [side if one is None else one for one, side in zip(asked, sides, strict=True)]
        if any(side % one for one, side in zip(out, sides, strict=True)):
            raise _misfit(part, values, f"output_size must divide sides, got {out[0]}x{out[1]}")
        kernel = stride = (sides[0] // out[0], sides[1] // out[1])
    else:
        kernel, stride, padding = _pair(module.kernel_size), module.stride, module.padding
    made = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False)
    nn.init.constant_(made.weight, 1 / math.prod(kernel))
    return made


def _neurons(module: Any, t_max: int) -> SpikingLayer:
    """A layer of ramp neurons of the sizes of a dense one, with weights that are to be set."""
    made: SpikingLayer
    if isinstance(module, nn.Linear):
        made = FirstSpikeLinear(module.in_features, module.out_features, neuron="ramp", t_max=t_max)
        return made.to(module.weight)
    sizes = module.in_channels, module.out_channels, module.kernel_size
    options: dict[str, Any] = {"stride": module.stride, "padding": module.padding}
    if isinstance(module, nn.Conv2d):
        options |= {"dilation": module.dilation, "groups": module.groups}
        made = FirstSpikeConv2d(*sizes, **options, neuron="ramp", t_max=t_max)
    else:
        options |= {"output_padding": module.output_padding}
        made = FirstSpikeConvTranspose2d(*sizes, **options, neuron="ramp", t_max=t_max)
    return made.to(module.weight)
