"""The two neurons behind one interface: step (causal) and ramp (a window of its own).

A *step* neuron adds a weight in full when its spike arrives and fires as soon as its potential is
above the threshold (Spiking-GAN, arXiv 2106.15420, eq. 1-2). A *ramp* neuron integrates the current
that each input spike starts until the window of its inputs closes, so that a spike at step t has
added ``w * (t_max - t) / t_max``; then a clock raises its potential by ``threshold / t_max`` each
step, and it fires in the first step of its own window in which it reaches the threshold (Stanojevic
et al., Nature Communications 15:6793, 2024, "B1"). With the ramp, what the paper assumes is exact:
``t_max - t`` is a clipped ReLU of the weighted sum of the inputs' ``t_max - t`` (eq. 10), and
eq. 11-15 are its derivative, but for the rounding to whole steps.

Inside networks of ramp neurons a spike at step t is handled as its *level*, ``t_max - t``: whole
numbers from 0, silence, to t_max. Sums of whole numbers are exact, so a spike that passes through a
weight of 1 at a threshold of 1 keeps its time, layer after layer.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, Protocol, get_args

import torch
from torch import Tensor

from firstspike.ops import Silent, fire
from firstspike.ops.backends import impls
from firstspike.ops.ramps import by_potential
from firstspike.times import check_number, check_t_max, check_times, check_whole
from firstspike.torch_private import is_plain


class Neuron(Protocol):
    """What a layer asks of a neuron; see `StepNeuron` and `RampNeuron`.

    Attributes:
        windowed: whether the neurons of a layer answer in a window of their own, after that of
            their inputs.
    """

    windowed: bool

    def times(self, layer: Any, times: Tensor) -> Tensor:
        """Spike times of a layer, local to its window, from those of its inputs."""
        ...


def weight_range(in_features: float, drift: float, spread: float) -> tuple[float, float]:
    """Range of uniform initial weights by what they add up to once all inputs have fired.

    Args:
        in_features: number of inputs of a neuron.
        drift: mean of the sum of the weights, in units of the potential.
        spread: standard deviation of that sum.

    Returns:
        (low, high).
    """
    mean, reach = drift / in_features, math.sqrt(3 / in_features) * spread
    return mean - reach, mean + reach


@dataclass(frozen=True)
class StepNeuron:
    """The paper's neuron (eq. 1-2).

    Args:
        threshold: potential that must be exceeded.
        delay: steps from an input spike to its effect.
        silent: what a neuron that did not fire learns, see `firstspike.fire`.
        impl: implementation of `firstspike.fire`.

    Raises:
        ValueError: an option is none of its kind.
    """

    threshold: float = 1.0
    delay: int = 1
    silent: Silent = "zero"
    impl: str = "auto"
    windowed = False

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold)
        check_whole("delay", self.delay, 0, " of steps")
        for name, known in (("silent", get_args(Silent)), ("impl", impls())):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}")

    def first_weights(self, inputs: float) -> tuple[float, float]:
        """Range of uniform weights with which neurons fire neither all at once nor never.

        Once all its inputs have come, a neuron's potential has a mean of 1.5 thresholds and a
        standard deviation of 2. PyTorch's defaults (mean 0, deviation of half a threshold or so)
        are made for values of any sign, and leave nearly all step neurons silent, which then learn
        nothing (eq. 11). A positive mean is what S4NN starts with (arXiv 1910.09495: uniform from
        0); its spread lets neurons differ in time, and some inhibit.

        Args:
            inputs: synapses of a neuron, on the mean.
        """
        return weight_range(inputs, 1.5 * self.threshold, 2.0 * abs(self.threshold))

    def times(self, layer: Any, times: Tensor) -> Tensor:
        """First spikes, by `firstspike.fire` on the inputs that each neuron sees."""
        layer.check_inputs(times)
        patches, weight, restore = layer.patches(times)
        fired: Tensor = fire(
            patches,
            weight,
            threshold=self.threshold,
            t_max=layer.t_max,
            bias=layer.bias,
            delay=self.delay,
            silent=self.silent,
            impl=self.impl,
        )
        return restore(fired)


@dataclass(frozen=True)
class RampNeuron:
    """The neuron that computes with time: a clipped ReLU, in whole steps.

    Args:
        threshold: potential at which it would fire in its first step; 0 is silence.
        leak: slope of the gradient outside of the window, where the derivative is 0: an output
            layer may need some, to be able to come back.
        margin: thresholds from the window to where only what leads back leaks: potentials of
            neurons that are silent, or first, anyway would otherwise run away.

    Raises:
        ValueError: ``threshold`` is not positive, ``leak`` not in 0..1, or ``margin`` below 0.
    """

    threshold: float = 1.0
    leak: float = 0.0
    margin: float = 1.0
    windowed = True

    def __post_init__(self) -> None:
        limits = torch.finfo(torch.float32)
        check_number("threshold", self.threshold)
        check_number("leak", self.leak)
        if not limits.tiny <= self.threshold <= limits.max:
            raise ValueError(f"threshold must be positive in float32, got {self.threshold}")
        if not 0 <= self.leak <= 1:
            raise ValueError(f"leak must lie in 0..1, got {self.leak}")
        if self.margin != math.inf and check_number("margin", self.margin) < 0:
            raise ValueError(f"margin must not be below 0, got {self.margin}")

    def times(self, layer: Any, times: Tensor) -> Tensor:
        """Spike times, local to the layer's window. ValueError if ``times`` are none."""
        t_max = layer.t_max
        check_times(times, t_max)
        with in_full_precision(times):
            return t_max - self.levels(layer.drive(t_max - times), t_max)

    def levels(self, drive: Tensor, t_max: int, *, spent: bool = False) -> Tensor:
        """Levels 0..t_max, whole, from potentials in steps: ``t_max`` times the potential.

        Args:
            drive: potentials in steps.
            t_max: number of time steps.
            spent: whether nobody needs the potentials any more: without a gradient to come, the
                levels then take their memory.

        Raises:
            ValueError: the dtype of the potentials does not hold all levels: float16 holds them up
                to 2048, bfloat16 up to 256.
        """
        check_t_max(t_max, drive.dtype)
        plain = is_plain(drive)
        if plain and not torch.is_grad_enabled():
            return _rounded(drive, self.threshold, t_max, spent)
        if plain and self.threshold == 1 and not self.leak:
            return _clipped(drive, t_max)
        ramp = _Ramp if plain else _TransformedRamp
        levels: Tensor = ramp.apply(drive, self.threshold, t_max, self.leak, self.margin)
        return levels


def _rounded(drive: Tensor, threshold: float, t_max: int, spent: bool = False) -> Tensor:
    """clip(floor(drive / threshold), 0, t_max), in memory of its own unless that is ``spent``."""
    if threshold != 1:
        levels = (drive / threshold).floor_()
    else:
        levels = drive.floor_() if spent else drive.floor()
    return torch.nn.functional.hardtanh_(levels, 0.0, float(t_max))


def _clipped(drive: Tensor, t_max: int) -> Tensor:
    """`_rounded` at a threshold of 1, with its derivative, for plain tensors.

    Both are those of PyTorch's own clipping, but for the rounding, which is done where its result
    lies and which autograd does not see: a function of our own would cost Python's time each way.
    """
    levels = torch.nn.functional.hardtanh(drive, 0.0, float(t_max))
    levels.detach().floor_()
    return levels


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    drive, ctx.threshold, ctx.t_max, ctx.leak, ctx.margin = inputs
    ctx.save_for_backward(drive)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
    """The derivative of `_rounded` but for the floor."""
    (drive,) = ctx.saved_tensors
    reach = float(ctx.threshold * ctx.t_max)
    inside = by_potential(grad, drive, reach, ctx.leak, ctx.margin)
    return (inside if ctx.threshold == 1 else inside / ctx.threshold), None, None, None, None


class _Ramp(torch.autograd.Function):
    """`_rounded` with its derivative, for plain tensors: each call costs 0.1 ms less."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        _remember(ctx, inputs, None)
        return _rounded(*inputs[:3])

    backward = staticmethod(_differentiate)


class _TransformedRamp(torch.autograd.Function):
    """The same in the form that `torch.func` takes as well.

    There is no forward mode, which `torch.compile` does not accept.
    """

    generate_vmap_rule = True
    setup_context = staticmethod(_remember)
    backward = staticmethod(_differentiate)

    @staticmethod
    def forward(  # names, for torch.compile
        drive: Tensor, threshold: float, t_max: int, leak: float, margin: float
    ) -> Tensor:
        return _rounded(drive, threshold, t_max)


def in_full_precision(times: Tensor) -> AbstractContextManager[Any]:
    """Nothing is rounded in here: a potential that autocast has rounded is another decision."""
    kind = times.device.type
    if times.is_meta or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


NAMES = ("step", "ramp")


def neuron_of(neuron: str | Neuron, **options: Any) -> Neuron:
    """A neuron by its name, or as it is.

    Args:
        neuron: ``"step"``, ``"ramp"`` or a neuron.
        options: of the neuron that is named; a neuron has its own.

    Raises:
        ValueError: there is no such neuron, or it does not have such an option.
    """
    kinds = {"step": StepNeuron, "ramp": RampNeuron}
    if isinstance(neuron, str) and neuron in kinds:
        kind = kinds[neuron]
        known = [field.name for field in fields(kind)]
    elif isinstance(neuron, str) or not hasattr(neuron, "times"):
        raise ValueError(f"neuron must be one of {', '.join(NAMES)} or a neuron, got {neuron!r}")
    else:
        kind, known = None, []
    for name in options:
        if name not in known:
            raise ValueError(f"{name} is not an option of {neuron!r} neurons: {known}")
    return neuron if kind is None else kind(**options)  # type: ignore[return-value]
