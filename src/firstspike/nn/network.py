"""Networks of any layers: one clock, one kind of neuron, and a view of every layer's spikes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.nn.connections import Residual, SpikingLayer, in_levels, prepared
from firstspike.nn.neurons import in_full_precision
from firstspike.nn.pools import EarliestPool2d, MeanPool2d, SpikeDropout
from firstspike.times import check_number, check_times, check_whole

_MOVERS = (nn.Flatten, nn.Unflatten, nn.Identity)  # change the order of spikes, not their times


@dataclass(frozen=True, eq=False)
class Trace:
    """What the neurons of one layer did with a batch.

    Args:
        module: the layer; for the input of the network, None.
        inputs: spike times that it received, [B, ...]; None for the input.
        times: those that it sent, local to its window, [B, ...].
        beside: of a `Residual`, the spike times that came by the shortcut.
    """

    module: Any
    inputs: Tensor | None
    times: Tensor
    beside: Tensor | None = None


class SpikingNetwork(nn.Sequential):
    """Layers of neurons that spike at most once, and what lies between them.

    Takes `FirstSpikeLinear`, `FirstSpikeConv2d`, `FirstSpikeConvTranspose2d` and other
    `SpikingLayer` s, `Residual` branches, pools, `SpikeDropout`, and ``torch.nn``'s Flatten,
    Unflatten and Identity. A network of ramp neurons computes with levels and converts at its
    borders.

    Raises:
        ValueError: a module does not belong here, or two have another ``t_max``, ``delay`` or kind
            of neuron. Modules that are changed afterwards are checked again when `traces` looks.
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.check()

    def check(self) -> None:
        """Raise ValueError unless these modules make one network."""
        found: dict[str, tuple[str, Any]] = {}
        for name, module in self._parts():
            facts: dict[str, Any] = {"t_max": module.t_max}
            neuron = getattr(module, "neuron", None)
            if neuron is not None:
                facts["neuron"] = type(neuron).__name__
                facts["delay"] = getattr(neuron, "delay", None)
            for fact, value in facts.items():
                where, first = found.setdefault(fact, (name, value))
                if value != first:
                    raise ValueError(
                        f"{fact} must be that of all layers, but layer {where} has {first} and "
                        f"layer {name} has {value}"
                    )
        if "neuron" not in found:
            raise ValueError("modules must hold at least one layer of neurons")

    @property
    def t_max(self) -> int:
        """Number of time steps of every window."""
        return int(next(self._parts())[1].t_max)

    @property
    def windowed(self) -> bool:
        """Whether its neurons are ramps, a window a layer."""
        neurons = (getattr(part, "neuron", None) for _, part in self._parts())
        return any(neuron.windowed for neuron in neurons if neuron is not None)

    @property
    def layers(self) -> list[Any]:
        """The modules that have neurons, in order; a `Residual` is one."""
        return [module for module in self if getattr(module, "neuron", None) is not None]

    @property
    def windows(self) -> int:
        """Windows until the answer: of ramp neurons one for the input and one a layer, else 1."""
        if not self.windowed:
            return 1
        return 1 + _windows(self)

    def forward(self, times: Tensor) -> Tensor:
        """Spike times of the last layer, local to its window."""
        if not self.windowed:
            answer: Tensor = super().forward(times)
            return answer
        check_times(times, self.t_max)
        levels = self.t_max - times
        with in_full_precision(times):
            for module in self:
                levels = in_levels(module, levels)
        return self.t_max - levels

    def potentials(self, times: Tensor) -> Tensor:
        """Potentials of the last layer's neurons, had none of them fired: what losses may take."""
        *before, last = self
        if not isinstance(last, (SpikingLayer, Residual)):
            raise ValueError("the last module must be a layer of neurons")
        if not self.windowed:
            for module in before:
                times = module(times)
            assert isinstance(last, SpikingLayer)  # branches join in ramp networks only
            potential: Tensor = prepared(last, times).final_potential(times)
            return potential
        check_times(times, self.t_max)
        levels = self.t_max - times
        with in_full_precision(times):
            for module in before:
                levels = in_levels(module, levels)
            drive: Tensor = prepared(last, levels).drive(levels)
            return drive / self.t_max

    def traces(self, times: Tensor) -> list[Trace]:
        """What every layer of neurons received and sent, the network's input first.

        A `Residual` counts as its layers; its join receives the spikes of both branches, and what
        it tells are those of the last layer of its body.
        """
        self.check()
        found = [Trace(None, None, times)]
        _follow(self, times, found)
        return found

    def layer_times(self, times: Tensor) -> list[Tensor]:
        """Spike times of the input and of every layer of neurons, in order, [B, ...] each."""
        return [trace.times for trace in self.traces(times)]

    def activity(self, times: Tensor) -> list[float]:
        """Share of the neurons of each layer that spike, the input's first."""
        return [float((t < self.t_max).double().mean()) for t in self.layer_times(times)]

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """All modules with a ``t_max``, by name. ValueError for those that do not belong here."""
        yield from _parts_of(self, "")


def _parts_of(modules: nn.Sequential, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, module in modules.named_children():
        if isinstance(module, Residual):
            yield from _parts_of(module.body, f"{prefix}{name}.body.")
            yield f"{prefix}{name}.last", module.last
        elif isinstance(module, (SpikingLayer, EarliestPool2d, MeanPool2d, SpikeDropout)):
            yield prefix + name, module
        elif not isinstance(module, _MOVERS) and not hasattr(module, "t_max"):
            raise ValueError(
                f"module {prefix}{name} is a {type(module).__name__}, which neither spikes nor "
                "moves spikes; give it a t_max and spike times to take and to give"
            )
        elif hasattr(module, "t_max"):
            yield prefix + name, module


def _windows(modules: Any) -> int:
    """Layers with neurons, one after the other; of a `Residual` those of its body and the join."""
    return sum(
        1 + (_windows(module.body) if isinstance(module, Residual) else 0)
        for module in modules
        if getattr(module, "neuron", None) is not None
    )


def _follow(modules: Any, times: Tensor, found: list[Trace]) -> Tensor:
    """Spike times behind modules; what their neurons did is added to ``found``."""
    for module in modules:
        if isinstance(module, Residual):
            inner = _follow(module.body, times, found)
            joined = module(times)
            found.append(Trace(module, inner, joined, times))
            times = joined
            continue
        sent = module(times)
        if getattr(module, "neuron", None) is not None:
            spikes = module.unpooled(times) if getattr(module, "pool", 1) > 1 else sent
            found.append(Trace(module, times, spikes))
        times = sent
    return times


def window_norm(channels: int, dimensions: int, window: float = 3.0, start: float = -0.5) -> Any:
    """Batch normalisation that fits potentials into the window of ramp neurons.

    Potentials get a standard deviation of ``1 / window`` thresholds, which stays fixed, and a
    trained mean; `fold` moves both into weights and biases.

    Args:
        channels: neurons of a dense layer, or channels.
        dimensions: 1 for dense layers, 2 for images.
        window: standard deviations between silence and the threshold.
        start: the mean at the start, in standard deviations: -0.5 leaves 31 % of the neurons to
            spike, -1 leaves 16 %.

    Raises:
        ValueError: ``dimensions`` is neither 1 nor 2, or another argument is none of its kind.
    """
    if dimensions not in (1, 2):
        raise ValueError(f"dimensions must be 1 or 2, got {dimensions}")
    if check_number("window", window) <= 0:
        raise ValueError(f"window must be positive, got {window}")
    check_number("start", start)
    check_whole("channels", channels, 1)
    norm = (nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d)(channels)
    nn.init.constant_(norm.weight, 1 / window).requires_grad_(False)
    nn.init.constant_(norm.bias, start / window)
    return norm


@torch.no_grad()
def fold(network: Any) -> Any:
    """A copy without normalisation: it has moved into weights and biases.

    Spike times can differ where a potential lies within rounding error of a step, so that some come
    a step earlier or later: in float32, of a small convolutional network on MNIST's test images, 3
    in a million, and no decision; in float64 none.

    Args:
        network: a module with ramp layers in it, with trained statistics; stays as it is.

    Raises:
        ValueError: a layer's ``norm`` is not one that can be moved.
    """
    folded = copy.deepcopy(network).eval()
    for name, layer in folded.named_modules():
        norm = getattr(layer, "norm", None)
        if isinstance(layer, SpikingLayer) and norm is not None:
            _check_norm(norm, layer, name)
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            layer.weight *= scale.view(
                [-1 if d == outputs else 1 for d in range(layer.weight.ndim)]
            )
            layer.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
            layer.norm = None
    return folded


def _check_norm(norm: Any, layer: SpikingLayer, name: str) -> None:
    known = isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    if not known or norm.running_var is None or norm.weight is None:
        raise ValueError(
            f"norm of layer {name} must be a batch normalisation with statistics and weights, "
            f"got {norm}"
        )
    if layer.pool > 1 and (norm.weight < 0).any():
        raise ValueError(
            f"norm of layer {name} must have no negative weight: it would turn the earliest spike "
            "of a block into the latest"
        )
