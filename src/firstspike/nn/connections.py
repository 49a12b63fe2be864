"""Layers of any linear map: dense, convolution, transposed convolution, and branches that join.

Each layer takes spike times and gives spike times, local to its window (`firstspike.nn.neurons`). A
network of ramp neurons handles spikes as levels, ``t_max - t``, and converts at its borders only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstspike.nn.neurons import Neuron, RampNeuron, StepNeuron, in_full_precision, neuron_of
from firstspike.times import T_MAX, check_t_max, check_tensor, check_times, check_whole

Patches = tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]


class Synapses(NamedTuple):
    """One connection of a layer, for counting.

    Args:
        times: spike times of its inputs, [B, ...].
        fan_out: int64 [...], neurons that each input reaches.
        weighted: whether a dense network would multiply here, by weights that are not fixed.
    """

    times: Tensor
    fan_out: Tensor
    weighted: bool


def reached(
    linear: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: torch.device | None = None
) -> Tensor:
    """Neurons that each input reaches through a linear map whose weights are all 1.

    Args:
        linear: the map, of float32.
        shape: of one sample of the inputs, without the batch.
        device: of the inputs.

    Returns:
        int64, of this shape.
    """
    inputs = torch.zeros((1, *shape), dtype=torch.float32, device=device, requires_grad=True)
    with torch.enable_grad():
        total = linear(inputs).sum()
    return torch.autograd.grad(total, inputs)[0][0].round().long()


def check_sizes(least: int, **sizes: Any) -> None:
    """Raise ValueError unless these, or each of a pair, are whole numbers, not below ``least``."""
    for name, size in sizes.items():
        for side in size if isinstance(size, tuple) else (size,):
            check_whole(name, side, least)


def in_steps(norm: nn.Module, potential: Tensor, t_max: int) -> Tensor:
    """``norm(potential) * t_max``, by batch normalisation of images itself while it learns.

    Its own scale and shift take the factor, which saves two passes over memory: only where that
    gives the same numbers (powers of 2), and in training, which no two threads share: the module
    has other parameters during the call.
    """
    own = dict(norm.named_parameters())
    plain = type(norm) is nn.BatchNorm2d and own.keys() == {"weight", "bias"}
    if plain and norm.training and t_max & (t_max - 1) == 0:
        scaled = {name: value * t_max for name, value in own.items()}
        steps: Tensor = torch.func.functional_call(norm, scaled, (potential,))
        return steps
    normal: Tensor = norm(potential)
    # Not even the gradient of batch normalisation needs what it gave.
    spare = isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    return normal.mul_(t_max) if spare else normal * t_max


def check_norm(norm: Any, neuron: Neuron | None) -> None:
    """Raise ValueError unless ``norm`` is None, or a module beside ramp neurons."""
    if norm is None:
        return
    if not isinstance(norm, nn.Module):
        raise ValueError(f"norm must be a module or None, got {norm!r}")
    if not isinstance(neuron, RampNeuron):
        raise ValueError("norm is for ramp neurons: a step neuron has no window to measure in")


class SpikingLayer(nn.Module):
    """What all layers of neurons have in common; a base for layers of one's own.

    A layer has ``weight``, ``bias`` (or None), and `linear`, its map without the bias.

    Attributes:
        neuron: step or ramp.
        t_max: number of time steps of a window.
        norm: batch normalisation of the potentials of ramp neurons in training, or None;
            `firstspike.nn.fold` moves it into weights and biases.
    """

    weight: Tensor
    bias: Tensor | None
    neuron: Neuron
    t_max: int
    norm: nn.Module | None
    pool: int = 1

    def set_up(
        self, neuron: str | Neuron, t_max: int, norm: nn.Module | None, pool: int = 1, **step: Any
    ) -> None:
        """Keep what the neurons need. ValueError if it does not fit."""
        self.pool = check_whole("pool", pool, 1)
        check_t_max(t_max)
        self.t_max = int(t_max)
        self.neuron = neuron_of(neuron, **step)
        check_norm(norm, self.neuron)
        self.norm = norm

    @torch.no_grad()
    def draw_step_weights(self, inputs: float) -> None:
        """Draw the weights of step neurons of so many inputs anew; biases start at 0."""
        assert isinstance(self.neuron, StepNeuron)
        nn.init.uniform_(self.weight, *self.neuron.first_weights(inputs))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, times: Tensor) -> Tensor:
        """Spike times, local to this layer's window, of those of the layer before."""
        sent = self.neuron.times(self, times)
        if self.pool > 1 and not self.neuron.windowed:
            return -functional.max_pool2d(-sent, self.pool)
        return sent

    def unpooled(self, times: Tensor) -> Tensor:
        """Spike times of all neurons, also of those that are not the earliest of their block."""
        pool, self.pool = self.pool, 1
        try:
            return self.neuron.times(self, times)
        finally:
            self.pool = pool

    def linear(self, values: Tensor, weight: Tensor) -> Tensor:
        """The map of these values through these weights, without a bias."""
        raise NotImplementedError

    def patches(self, times: Tensor) -> Patches:
        """For step neurons: the inputs of each neuron [M, in], weights [out, in], and the way back.

        The way back takes spike times [M, out] to the layer's own shape.
        """
        raise NotImplementedError

    def drive(self, levels: Tensor) -> Tensor:
        """Potentials in steps, ``t_max * V``, when the window of the inputs closes.

        Args:
            levels: of the inputs.

        Raises:
            ValueError: ``levels`` are of another dtype than the weights, or on another device.
        """
        self.check_inputs(levels)
        with in_full_precision(levels):
            if self.norm is None:
                bias = None if self.bias is None else self.bias * self.t_max
                return self._earliest(self.biased(levels, self.weight, bias))
            # Statistics are kept in potentials, so that they hold for any number of steps.
            potential = self._earliest(self._potential(levels))
            return in_steps(self.norm, potential, self.t_max)

    def _potential(self, levels: Tensor) -> Tensor:
        """Potentials of ramp neurons, without a bias.

        A dense layer's weights are more than its potentials; these are scaled instead, where that
        gives the same numbers (powers of 2).
        """
        if self.weight.ndim == 2 and self.t_max & (self.t_max - 1) == 0:
            return self.linear(levels, self.weight) * (1 / self.t_max)
        return self.linear(levels, self.weight / self.t_max)

    def biased(self, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The map of these values with a bias; PyTorch's own adds it without another pass."""
        drive = self.linear(values, weight)
        return drive if bias is None else drive + self._shaped(bias)

    def check_inputs(self, levels: Tensor) -> None:
        """Raise ValueError unless these, or times, are such as the weights take."""
        check_tensor("times", levels)
        own = self.weight.dtype, self.weight.device
        if (levels.dtype, levels.device) != own:
            raise ValueError(
                f"times must be {own[0]} on {own[1]} like the weights, "
                f"got {levels.dtype} on {levels.device}"
            )

    def _earliest(self, drive: Tensor) -> Tensor:
        """Of each block the largest potential, which spikes first: the same as pooling spikes."""
        return functional.max_pool2d(drive, self.pool) if self.pool > 1 else drive

    def levels(self, levels: Tensor) -> Tensor:
        """Levels of ramp neurons, of those of the layer before."""
        assert isinstance(self.neuron, RampNeuron)
        return self.neuron.levels(self.drive(levels), self.t_max, spent=True)

    def final_potential(self, times: Tensor) -> Tensor:
        """Potentials when all inputs have come, had nothing fired; they decide where none did."""
        if isinstance(self.neuron, RampNeuron):
            with in_full_precision(times):
                return self.drive(self.t_max - times) / self.t_max
        assert isinstance(self.neuron, StepNeuron)
        arrived = (times < self.t_max - self.neuron.delay).to(self.weight.dtype)
        with in_full_precision(times):
            return self._earliest(self.biased(arrived, self.weight, self.bias))

    def fan_out(self, shape: tuple[int, ...]) -> Tensor:
        """Neurons that each input reaches, that is, its synapses.

        Args:
            shape: of one sample of the inputs, without the batch.
        """
        ones = torch.ones_like(self.weight, dtype=torch.float32)
        return reached(lambda values: self.linear(values, ones), shape, ones.device)

    def synapses(self, trace: Any) -> list[Synapses]:
        """What the spikes of a `firstspike.nn.Trace` of this layer met."""
        return [Synapses(trace.inputs, self.fan_out(tuple(trace.inputs.shape[1:])), True)]

    def _shaped(self, bias: Tensor) -> Tensor:
        """A bias that fits potentials [B, out, ...]."""
        dense = self.weight.ndim == 2
        return bias if dense else bias.view(-1, *[1] * (self.weight.ndim - 2))

    def told(self) -> str:
        """What `extra_repr` says of the neurons."""
        return f"neuron={self.neuron}, t_max={self.t_max}"


def check_pixels(values: Tensor, channels: int | None, least: tuple[int, int]) -> None:
    """Raise ValueError unless values are [B, channels, H, W], H and W as large as ``least``."""
    wanted = "C" if channels is None else channels
    fits = values.ndim in (3, 4) and (channels is None or values.shape[-3] == channels)
    if not fits or values.shape[-2] < least[0] or values.shape[-1] < least[1]:
        raise ValueError(
            f"times must be [B, {wanted}, H, W] of at least {least[0]} x {least[1]}, "
            f"got shape {list(values.shape)}"
        )


def _check_batch(times: Tensor) -> None:
    """Raise ValueError unless images come in a batch, as step neurons take them."""
    if times.ndim != 4:
        raise ValueError(f"times must be [B, C, H, W], got shape {list(times.shape)}")


class FirstSpikeConv2d(SpikingLayer, nn.Conv2d):
    """A convolution of neurons that spike at most once.

    Args:
        in_channels: of the layer before.
        out_channels: of this layer.
        kernel_size: as of `torch.nn.Conv2d`; so are ``stride``, ``padding`` (with silence),
            ``dilation`` and ``groups``.
        bias: whether each channel has a trained potential of its own.
        neuron: ``"step"``, ``"ramp"``, or a neuron with options of its own.
        norm: of the potentials of ramp neurons in training: a module such as `window_norm` gives,
            which then stands for the bias.
        pool: sides of blocks of neurons of which only the earliest spike goes on, as through an
            `EarliestPool2d` behind the layer.
        t_max: number of time steps of a window.
        step: options of `StepNeuron`; ``threshold`` also of `RampNeuron`.

    Shape:
        input: spike times [B, in_channels, H, W]; output: [B, out_channels, H', W'].

    Raises:
        ValueError: an argument does not fit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        *,
        bias: bool = True,
        neuron: str | Neuron = "step",
        norm: nn.Module | None = None,
        pool: int = 1,
        t_max: int = T_MAX,
        **step: Any,
    ) -> None:
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, groups=groups)
        check_sizes(1, kernel_size=kernel_size, stride=stride, dilation=dilation)
        check_sizes(0, padding=padding)
        nn.Conv2d.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias and norm is None,
        )
        self.set_up(neuron, t_max, norm, pool, **step)
        if isinstance(self.neuron, StepNeuron):
            if groups != 1:
                raise ValueError(f"groups must be 1 for step neurons, got {groups}")
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew: for ramp neurons as PyTorch, for step neurons so that they fire.

        See `StepNeuron.first_weights`.
        """
        if isinstance(getattr(self, "neuron", None), StepNeuron):  # none yet in PyTorch's own hands
            self.draw_step_weights(self.in_channels * math.prod(self.kernel_size))
        else:
            nn.Conv2d.reset_parameters(self)

    def check_inputs(self, levels: Tensor) -> None:
        super().check_inputs(levels)
        assert not isinstance(self.padding, str)
        sides = zip(self.dilation, self.kernel_size, self.stride, self.padding, strict=True)
        high, wide = (
            max(1, span * (kernel - 1) + 1 + (self.pool - 1) * stride - 2 * int(padding))
            for span, kernel, stride, padding in sides
        )
        check_pixels(levels, self.in_channels, (high, wide))

    def linear(self, values: Tensor, weight: Tensor) -> Tensor:
        return self.biased(values, weight, None)

    def biased(self, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.conv2d(
            values, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )

    def patches(self, times: Tensor) -> Patches:
        """Patches by unfolding; inputs outside of the image are silent."""
        _check_batch(times)
        assert not isinstance(self.padding, str)
        down, right = (int(side) for side in self.padding)
        padded = functional.pad(times, (right, right, down, down), value=self.t_max)
        options = {"dilation": self.dilation, "stride": self.stride}
        patches = functional.unfold(padded, self.kernel_size, **options)
        batch, inputs, places = patches.shape
        heights, widths = (
            (size - span * (kernel - 1) - 1) // stride + 1
            for size, span, kernel, stride in zip(
                padded.shape[2:], self.dilation, self.kernel_size, self.stride, strict=True
            )
        )

        def restore(fired: Tensor) -> Tensor:
            return fired.unflatten(0, (batch, places)).mT.unflatten(2, (heights, widths))

        return patches.mT.reshape(-1, inputs), self.weight.flatten(1), restore

    def extra_repr(self) -> str:
        return f"{nn.Conv2d.extra_repr(self)}, {self.told()}"


class FirstSpikeConvTranspose2d(SpikingLayer, nn.ConvTranspose2d):
    """A transposed convolution of neurons that spike at most once; as `FirstSpikeConv2d`.

    Args:
        in_channels: of the layer before.
        out_channels: of this layer.
        kernel_size: as of `torch.nn.ConvTranspose2d`; so are ``stride``, ``padding`` and
            ``output_padding``.
        bias: whether each channel has a trained potential of its own.
        neuron: ``"step"``, ``"ramp"``, or a neuron with options of its own.
        norm: of the potentials of ramp neurons in training, in place of the bias.
        t_max: number of time steps of a window.
        step: options of `StepNeuron`; ``threshold`` also of `RampNeuron`.

    Raises:
        ValueError: an argument does not fit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        *,
        bias: bool = True,
        neuron: str | Neuron = "step",
        norm: nn.Module | None = None,
        t_max: int = T_MAX,
        **step: Any,
    ) -> None:
        check_sizes(1, in_channels=in_channels, out_channels=out_channels)
        check_sizes(1, kernel_size=kernel_size, stride=stride)
        check_sizes(0, padding=padding, output_padding=output_padding)
        sizes = in_channels, out_channels, kernel_size, stride, padding, output_padding
        nn.ConvTranspose2d.__init__(self, *sizes, bias=bias and norm is None)
        self.set_up(neuron, t_max, norm, **step)
        if any(out >= by for out, by in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(
                f"output_padding must be below stride, {self.stride}, got {self.output_padding}"
            )
        if isinstance(self.neuron, StepNeuron):
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, as `FirstSpikeConv2d` does; inputs are a stride apart."""
        if isinstance(getattr(self, "neuron", None), StepNeuron):
            sides = zip(self.kernel_size, self.stride, strict=True)
            met = math.prod(max(1.0, side / stride) for side, stride in sides)
            self.draw_step_weights(self.in_channels * met)
        else:
            nn.ConvTranspose2d.reset_parameters(self)

    def check_inputs(self, levels: Tensor) -> None:
        super().check_inputs(levels)
        assert not isinstance(self.padding, str)
        sides = zip(self.kernel_size, self.stride, self.padding, self.output_padding, strict=True)
        high, wide = (  # the least of which something is left within the padding
            max(1, 1 - (kernel + more - 2 * int(padding) - 1) // stride)
            for kernel, stride, padding, more in sides
        )
        check_pixels(levels, self.in_channels, (high, wide))

    def linear(self, values: Tensor, weight: Tensor) -> Tensor:
        return self.biased(values, weight, None)

    def biased(self, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        assert not isinstance(self.padding, str)
        return functional.conv_transpose2d(
            values, weight, bias, self.stride, self.padding, self.output_padding
        )

    def patches(self, times: Tensor) -> Patches:
        """As a convolution of the inputs with silence between and around them."""
        _check_batch(times)
        assert not isinstance(self.padding, str)
        (high, wide), (tall, broad) = self.stride, self.kernel_size
        (down, right), (below, beside) = self.padding, self.output_padding
        batch, channels, height, width = times.shape
        size = (height - 1) * high + 1, (width - 1) * wide + 1
        spread = times.new_full((batch, channels, *size), self.t_max)
        spread[:, :, ::high, ::wide] = times
        top, left = tall - 1 - int(down), broad - 1 - int(right)
        sides = [left, left + int(beside), top, top + int(below)]
        padded = functional.pad(spread, sides, value=self.t_max)
        patches = functional.unfold(padded, (tall, broad))
        places = padded.shape[2] - tall + 1, padded.shape[3] - broad + 1
        weight = self.weight.flip(2, 3).transpose(0, 1).flatten(1)

        def restore(fired: Tensor) -> Tensor:
            return fired.unflatten(0, (batch, places[0] * places[1])).mT.unflatten(2, places)

        return patches.mT.reshape(-1, patches.shape[1]), weight, restore

    def forward(self, times: Tensor, output_size: Any = None) -> Tensor:
        return SpikingLayer.forward(self, times)

    def extra_repr(self) -> str:
        return f"{nn.ConvTranspose2d.extra_repr(self)}, {self.told()}"


class Residual(nn.Module):
    """Layers of ramp neurons, the last of which also adds the spikes of the first's inputs.

    A branch of its own for the shortcut is a connection without neurons: `torch.nn.Conv2d` and the
    like, without a bias; without one, every input adds its own time, with a weight of 1.

    Args:
        layers: ramp layers in a row; the last one's neurons join both branches.
        shortcut: linear module for the inputs, or None.

    Raises:
        ValueError: there is no layer, the last one has no ramp neurons or pools them, or the
            shortcut has a bias.
    """

    def __init__(self, *layers: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        last = layers[-1] if layers else None
        if not isinstance(last, SpikingLayer) or not isinstance(last.neuron, RampNeuron):
            raise ValueError(
                "layers must end with a layer of ramp neurons, which join the branches"
            )
        if last.pool != 1:
            raise ValueError(f"pool must be 1 where branches join, got {last.pool}")
        if getattr(shortcut, "bias", None) is not None:
            raise ValueError("shortcut must have no bias; the last of layers has one")
        self.body, self.last, self.shortcut = nn.Sequential(*layers[:-1]), last, shortcut
        self.t_max = last.t_max

    @property
    def neuron(self) -> Neuron:
        """Of the join."""
        return self.last.neuron

    def drive(self, levels: Tensor) -> Tensor:
        """Potentials of the join, in steps."""
        inner = levels
        for module in self.body:
            inner = in_levels(module, inner)
        beside = levels
        if self.shortcut is not None:
            with in_full_precision(levels):
                beside = self.shortcut(levels)
        drive = prepared(self.last, inner).drive(inner)
        if drive.shape != beside.shape:  # PyTorch would repeat the smaller one
            raise ValueError(
                f"layers and shortcut must give the same shape, got {list(drive.shape)} and "
                f"{list(beside.shape)}"
            )
        return drive + beside

    def levels(self, levels: Tensor) -> Tensor:
        """Levels of the join, of those of the inputs."""
        neuron = self.last.neuron
        assert isinstance(neuron, RampNeuron)
        return neuron.levels(self.drive(levels), self.t_max, spent=True)

    def forward(self, times: Tensor) -> Tensor:
        check_times(times, self.t_max)
        with in_full_precision(times):
            return self.t_max - self.levels(self.t_max - times)

    def synapses(self, trace: Any) -> list[Synapses]:
        """What the spikes of a `firstspike.nn.Trace` of the join met, on both branches."""
        beside = trace.beside
        reach = torch.ones(beside.shape[1:], dtype=torch.int64, device=beside.device)
        if self.shortcut is not None:
            if not isinstance(self.shortcut, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                raise ValueError(
                    "shortcut must be a Linear, Conv2d or ConvTranspose2d, so that its synapses "
                    f"can be counted, got {type(self.shortcut).__name__}"
                )
            ones = copy.deepcopy(self.shortcut).float()
            nn.init.ones_(ones.weight)
            reach = reached(ones, tuple(beside.shape[1:]), beside.device)
        return [*self.last.synapses(trace), Synapses(beside, reach, self.shortcut is not None)]


def _has_hooks(module: nn.Module) -> bool:
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_hooks
    return any(hooks) or bool(module._backward_pre_hooks)


def prepared(layer: Any, inputs: Tensor) -> Any:
    """A layer that is used without a call, once the hooks that come before one are done.

    Those of `torch.nn.utils.prune` make the weights there.
    """
    for number, hook in layer._forward_pre_hooks.items():
        with_names = number in layer._forward_pre_hooks_with_kwargs
        hook(layer, (inputs,), {}) if with_names else hook(layer, (inputs,))
    return layer


def in_levels(module: nn.Module, levels: Tensor) -> Tensor:
    """A module of a ramp network on levels.

    Those that only move spikes take levels as they are; one that has a ``t_max`` and knows nothing
    of levels, or has hooks, takes and gives times. Dropout that scales levels gives no times, so
    that its hooks are not called.
    """
    step, t_max = getattr(module, "levels", None), getattr(module, "t_max", None)
    if step is not None and (getattr(module, "rescale", False) or not _has_hooks(module)):
        moved: Tensor = step(levels)
    elif t_max is not None:
        moved = t_max - module(t_max - levels)
    else:
        moved = module(levels)
    return moved
