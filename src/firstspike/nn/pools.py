"""What moves or joins spikes without neurons of its own: pools and dropout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstspike.nn.connections import Synapses, check_pixels, reached
from firstspike.nn.neurons import RampNeuron
from firstspike.ops.ramps import by_potential, kernels
from firstspike.times import (
    T_MAX,
    check_number,
    check_t_max,
    check_tensor,
    check_times,
    check_whole,
)
from firstspike.torch_private import is_plain


class EarliestPool2d(nn.Module):
    """The earliest spike of each block: maximum pooling in the language of times.

    Args:
        kernel_size: sides of a block.
        stride: from block to block; by default ``kernel_size``.
        t_max: number of time steps, which is silence.

    Shape:
        input: spike times [B, C, H, W]; output: [B, C, H', W'], as of `torch.nn.MaxPool2d`.
    """

    def __init__(self, kernel_size: int, stride: int | None = None, t_max: int = T_MAX) -> None:
        super().__init__()
        check_t_max(t_max)
        self.kernel_size, self.t_max = check_whole("kernel_size", kernel_size, 1), t_max
        self.stride = check_whole("stride", kernel_size if stride is None else stride, 1)

    def levels(self, levels: Tensor) -> Tensor:
        """Of levels, the largest. ValueError if their dtype does not hold all."""
        check_t_max(self.t_max, levels.dtype)
        check_pixels(levels, None, (self.kernel_size, self.kernel_size))
        return functional.max_pool2d(levels, self.kernel_size, self.stride)

    def forward(self, times: Tensor) -> Tensor:
        check_times(times, self.t_max)
        return self.t_max - self.levels(self.t_max - times)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, t_max={self.t_max}"


class MeanPool2d(nn.Module):
    """Ramp neurons with equal fixed weights on a block: they fire at the mean of its times.

    Args:
        kernel_size: sides of a block.
        stride: from block to block; by default ``kernel_size``.
        t_max: number of time steps of a window.

    Shape:
        input: spike times [B, C, H, W]; output: [B, C, H', W'], as of `torch.nn.AvgPool2d`. The
        mean is of ``t_max - t``, silence being 0, and rounded to the later step.
    """

    def __init__(self, kernel_size: int, stride: int | None = None, t_max: int = T_MAX) -> None:
        super().__init__()
        check_t_max(t_max)
        self.kernel_size, self.t_max = check_whole("kernel_size", kernel_size, 1), t_max
        self.stride = check_whole("stride", kernel_size if stride is None else stride, 1)
        # A block's sum against a threshold of its size: whole numbers, and no rounding before.
        self.neuron = RampNeuron(float(kernel_size**2))

    def drive(self, levels: Tensor) -> Tensor:
        """Sums of blocks."""
        return functional.avg_pool2d(levels, self.kernel_size, self.stride, divisor_override=1)

    def levels(self, levels: Tensor) -> Tensor:
        """Means of blocks, rounded down. ValueError if their dtype does not hold all levels."""
        check_t_max(self.t_max, levels.dtype)
        check_pixels(levels, None, (self.kernel_size, self.kernel_size))
        # Sums are larger than levels: float32 holds what half precision would round.
        wide = levels.to(torch.promote_types(levels.dtype, torch.float32))
        if torch.is_grad_enabled() and wide.requires_grad and self._blocks_repeat(wide):
            found = _Means.apply(wide, self.kernel_size, self.t_max)
        elif self._mean_is_exact:
            means = functional.avg_pool2d(wide, self.kernel_size, self.stride)
            found = RampNeuron().levels(means, self.t_max, spent=True)
        else:
            found = self.neuron.levels(self.drive(wide), self.t_max, spent=True)
        return found.to(levels.dtype)

    @property
    def _mean_is_exact(self) -> bool:
        """Whether a mean is as exact as the sum, and saves its division: blocks of powers of 2."""
        return self.kernel_size & (self.kernel_size - 1) == 0

    def _blocks_repeat(self, levels: Tensor) -> bool:
        """Whether `_Means` takes them: each input is in one block, and gradients are exact."""
        size = self.kernel_size
        is_covered = levels.ndim == 4 and not levels.shape[2] % size and not levels.shape[3] % size
        return self._mean_is_exact and self.stride == size and is_covered and is_plain(levels)

    def forward(self, times: Tensor) -> Tensor:
        check_times(times, self.t_max)
        return self.t_max - self.levels(self.t_max - times)

    def fan_out(self, shape: tuple[int, ...]) -> Tensor:
        """Blocks that each input of one sample, of this shape, belongs to."""
        return reached(self.drive, shape)

    def synapses(self, trace: Any) -> list[Synapses]:
        """What the spikes of a `firstspike.nn.Trace` of this layer met."""
        fan_out = self.fan_out(tuple(trace.inputs.shape[1:])).to(trace.inputs.device)
        return [Synapses(trace.inputs, fan_out, False)]

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, t_max={self.t_max}"


class _Means(torch.autograd.Function):
    """Means of blocks side by side, rounded down, for plain tensors.

    One function instead of two, and a gradient that is spread by repeating it, which takes less
    time than average pooling's own backward pass.
    """

    @staticmethod
    def forward(ctx: Any, levels: Tensor, size: int, t_max: int) -> Tensor:
        means = functional.avg_pool2d(levels, size)
        ctx.save_for_backward(means)
        ctx.size, ctx.t_max = size, t_max
        last = float(t_max)
        return kernels(means.device.type).values(means, last, t_max, 0.0, last, slopes=False)[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (means,) = ctx.saved_tensors
        inside = by_potential(grads[0], means, float(ctx.t_max), leak=0.0, margin=0.0)
        spread = functional.interpolate(inside.div_(ctx.size**2), scale_factor=float(ctx.size))
        return spread, None, None


class SpikeDropout(nn.Module):
    """Spikes that are left out at random in training; those that stay come as they are.

    Times cannot be scaled up as dropout's values are, so at inference, where all spikes come,
    potentials are larger than in training by ``1 / (1 - p)``: with ``rescale`` the gradient path
    works on scaled levels, as `torch.nn.Dropout` does, and nothing differs at inference.

    Args:
        p: share of spikes left out.
        t_max: number of time steps, which is silence.
        rescale: in networks of ramp neurons, scale the levels that stay by ``1 / (1 - p)``.
    """

    def __init__(self, p: float, t_max: int = T_MAX, *, rescale: bool = True) -> None:
        super().__init__()
        check_t_max(t_max)
        if not 0 <= check_number("p", p) < 1:
            raise ValueError(f"p must lie in 0..1, below 1, got {p}")
        self.p, self.t_max, self.rescale = p, t_max, rescale

    def levels(self, levels: Tensor) -> Tensor:
        """Levels, some of which are 0."""
        if not self.training or not self.p:
            return levels
        if self.rescale:
            return functional.dropout(levels, self.p)
        return levels * (torch.rand_like(levels) >= self.p)

    def forward(self, times: Tensor) -> Tensor:
        check_tensor("times", times)
        if not self.training or not self.p:
            return times
        left_out = torch.rand_like(times) < self.p
        return torch.where(left_out, self.t_max, times)  # keeps the memory format

    def extra_repr(self) -> str:
        return f"{self.p}, t_max={self.t_max}"
