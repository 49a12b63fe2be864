"""U-shaped networks, from an image to a map of its size: ramp neurons, or their dense twin.

    3x3 - [ down 4x4 / 2 - [ down 4x4 / 2 - 3x3 - up 4x4 x 2 ] + - up 4x4 x 2 ] + - 3x3

Each ``[ ... ] +`` is a branch around a shortcut: what comes up is added to the spikes that went
down (Ronneberger et al., arXiv 1505.04597; joined by a sum as in LinkNet, arXiv 1707.03718), so
that it costs no layer of its own, and a spike that nothing is added to keeps its time. Going down
doubles the channels.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    Residual,
    SpikingNetwork,
    window_norm,
)
from firstspike.shape import Shape

_MOVE: Any = {"kernel_size": 4, "stride": 2, "padding": 1}  # halves or doubles the sides
_KEEP: Any = {"kernel_size": 3, "padding": 1}


def check_sides(shape: Shape, depth: int) -> None:
    """Raise ValueError unless the sides of images can be halved so many times."""
    if shape.height % 2**depth or shape.width % 2**depth:
        raise ValueError(
            f"depth {depth} needs images whose sides are multiples of {2**depth}, got "
            f"{shape.width}x{shape.height}; choose another size or depth"
        )


def spiking(
    inputs: int,
    outputs: int,
    *,
    channels: int = 16,
    depth: int = 2,
    t_max: int = 256,
    window: float = 3.0,
    start: float = -0.5,
) -> SpikingNetwork:
    """A U of ramp neurons, as it is trained: with normalisation; `firstspike.nn.fold` folds it.

    Args:
        inputs: channels of the images.
        outputs: channels of the map.
        channels: of the layers of full size.
        depth: how often the sides are halved.
        t_max: number of time steps of a window.
        window: standard deviations between silence and the threshold, see `window_norm`.
        start: mean potential at the start, in standard deviations.

    Shape:
        input: spike times [B, inputs, H, W]; output: [B, outputs, H, W]. H and W are multiples of
        ``2 ** depth``.
    """

    def layer(kind: Any, before: int, after: int, sides: Any) -> Any:
        norm = window_norm(after, 2, window, start)
        made = kind(before, after, **sides, neuron="ramp", norm=norm, t_max=t_max)
        nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
        return made

    def level(wide: int, deeper: int) -> Residual:
        inner = level(2 * wide, deeper - 1) if deeper > 1 else None
        return Residual(
            layer(FirstSpikeConv2d, wide, 2 * wide, _MOVE),
            layer(FirstSpikeConv2d, 2 * wide, 2 * wide, _KEEP) if inner is None else inner,
            layer(FirstSpikeConvTranspose2d, 2 * wide, wide, _MOVE),
        )

    return SpikingNetwork(
        layer(FirstSpikeConv2d, inputs, channels, _KEEP),
        level(channels, depth),
        FirstSpikeConv2d(channels, outputs, **_KEEP, neuron="ramp", t_max=t_max),
    )


def dense_twin(inputs: int, outputs: int, *, channels: int = 16, depth: int = 2) -> nn.Sequential:
    """The same network of ReLU, with batch normalisation; arguments as for `spiking`.

    Shape:
        input: values [B, inputs, H, W]; output: potentials [B, outputs, H, W].
    """

    def layer(kind: Any, before: int, after: int, sides: Any) -> list[nn.Module]:
        made = kind(before, after, **sides, bias=False)
        nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
        return [made, nn.BatchNorm2d(after)]

    def level(wide: int, deeper: int) -> list[nn.Module]:
        down = layer(nn.Conv2d, wide, 2 * wide, _MOVE)
        kept = [*layer(nn.Conv2d, 2 * wide, 2 * wide, _KEEP), nn.ReLU()]
        inner = level(2 * wide, deeper - 1) if deeper > 1 else kept
        up = layer(nn.ConvTranspose2d, 2 * wide, wide, _MOVE)
        return [Join(*down, nn.ReLU(), *inner, *up), nn.ReLU()]

    return nn.Sequential(
        *layer(nn.Conv2d, inputs, channels, _KEEP),
        nn.ReLU(),
        *level(channels, depth),
        nn.Conv2d(channels, outputs, **_KEEP),
    )


class Join(nn.Sequential):
    """Modules in a row whose inputs are added to what they give."""

    def forward(self, values: Any) -> Any:
        return super().forward(values) + values
