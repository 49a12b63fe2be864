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
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from firstspike.ops import fire
from firstspike.times import check_t_max, check_times


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


@dataclass(frozen=True)
class StepNeuron:
    """The paper's neuron (eq. 1-2).

    Args:
        threshold: potential that must be exceeded.
        delay: steps from an input spike to its effect.
        silent: what a neuron that did not fire learns, see `firstspike.fire`.
        impl: implementation of `firstspike.fire`.
    """

    threshold: float = 1.0
    delay: int = 1
    silent: Literal["zero", "pull"] = "zero"
    impl: str = "auto"
    windowed = False

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
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise ValueError(f"threshold must be positive, got {self.threshold}")
        if not 0 <= self.leak <= 1:
            raise ValueError(f"leak must lie in 0..1, got {self.leak}")
        if not self.margin >= 0:
            raise ValueError(f"margin must not be below 0, got {self.margin}")

    def times(self, layer: Any, times: Tensor) -> Tensor:
        """Spike times, local to the layer's window. ValueError if ``times`` are none."""
        t_max = layer.t_max
        check_times(times, t_max)
        with in_full_precision(times):
            return t_max - self.levels(layer.drive(t_max - times), t_max)

    def levels(self, drive: Tensor, t_max: int) -> Tensor:
        """Levels 0..t_max, whole, from potentials in steps: ``t_max`` times the potential.

        Raises:
            ValueError: the dtype of the potentials does not hold all levels: float16 holds them up
                to 2048, bfloat16 up to 256.
        """
        check_t_max(t_max, drive.dtype)
        levels: Tensor = _Ramp.apply(drive, self.threshold, t_max, self.leak, self.margin)
        return levels


def leaking(grad: Tensor, potential: Tensor, threshold: float, margin: float) -> Tensor:
    """The part of gradients outside of the window that leaks; see `RampNeuron`.

    Args:
        grad: by potentials, 0 inside the window.
        potential: of the same shape.
        threshold: up to which the window reaches.
        margin: in thresholds.
    """
    beyond = potential - threshold / 2
    is_near = beyond.abs() < (0.5 + margin) * threshold
    return torch.where(is_near | (grad * beyond > 0), grad, 0)


class _Ramp(torch.autograd.Function):
    """clip(floor(drive / threshold), 0, t_max), and its derivative but for the floor.

    ``hardtanh_backward`` is the derivative in one pass over memory; it can be differentiated again,
    so that penalties on gradients work. The form is the one that `torch.func` takes as well; there
    is no forward mode, which `torch.compile` does not accept.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(drive, threshold, t_max, leak, margin):  # type: ignore[no-untyped-def]
        levels = drive.floor() if threshold == 1 else (drive / threshold).floor_()
        return torch.nn.functional.hardtanh_(levels, 0.0, float(t_max))

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        drive, ctx.threshold, ctx.t_max, ctx.leak, ctx.margin = inputs
        ctx.save_for_backward(drive)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (drive,) = ctx.saved_tensors
        reach = float(ctx.threshold * ctx.t_max)
        inside = torch.ops.aten.hardtanh_backward(grad, drive, 0.0, reach)
        if ctx.leak:
            inside = inside + ctx.leak * leaking(grad - inside, drive, reach, ctx.margin)
        return (inside if ctx.threshold == 1 else inside / ctx.threshold), None, None, None, None


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
