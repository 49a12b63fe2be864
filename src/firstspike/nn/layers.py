"""Layers of neurons that spike at most once, for `torch.nn.Sequential` and any optimiser."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from firstspike.nn.connections import Patches, SpikingLayer, check_norm
from firstspike.nn.neurons import Neuron, StepNeuron, in_full_precision, neuron_of
from firstspike.ops import Silent, fire
from firstspike.ops.backends import impls
from firstspike.times import T_MAX, check_number, check_t_max, check_whole

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Normalize = Literal["l1", "l2"]
LayerGradient = Literal["temporal", "final"]


class FirstSpikeLinear(SpikingLayer):
    """A fully connected layer of neurons that spike at most once.

    With step neurons those of Spiking-GAN (arXiv 2106.15420), eq. 1-2 forward and eq. 11-15
    backward, see `firstspike.fire`; with ramp neurons see `firstspike.nn.RampNeuron`.

    Args:
        in_features: neurons of the layer before.
        out_features: neurons of this layer.
        bias: whether each neuron starts at a trained potential, as from an input that fires at 0.
        threshold: potential that must be exceeded.
        t_max: number of time steps.
        delay: steps from an input spike to its effect.
        silent: what a neuron that did not fire learns: ``"zero"`` nothing, ``"pull"`` to fire
            earlier only.
        gradient: ``"temporal"``, that of `firstspike.fire` (eq. 11-15), or ``"final"``, that of
            `final_gradient`, which reaches silent neurons, here and in the layer before.
        window: of ``"final"``, in units of the potential.
        normalize: divide each sample's error dL/dt by its L1 norm (paper section 2.5) or L2 norm
            (S4NN) before use, or None.
        init: weights start uniform in (low, high). By default, for step neurons,
            `StepNeuron.first_weights`; for ramp neurons as in `torch.nn.init.kaiming_normal_`.
        impl: implementation of `fire`.
        neuron: ``"step"``, ``"ramp"``, or a `RampNeuron` with options of its own. Of the options
            above, ramp neurons know ``threshold`` only.
        norm: of the potentials of ramp neurons in training, in place of the bias.

    Shape:
        input: spike times [B, in_features], whole values in 0..t_max; output: [B, out_features].

    Attributes:
        weight: [out_features, in_features], as in `torch.nn.Linear`. `by_input` stores it so that
            step neurons need not transpose it in each pass.
        bias: [out_features] or None.

    Raises:
        ValueError: an argument does not fit.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        threshold: float = 1.0,
        t_max: int = T_MAX,
        delay: int = 1,
        silent: Silent = "zero",
        gradient: LayerGradient = "temporal",
        window: float = 1.0,
        normalize: Normalize | None = None,
        init: tuple[float, float] | None = None,
        impl: str = "auto",
        neuron: str | Neuron = "step",
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        threshold = check_number("threshold", threshold)
        if silent not in get_args(Silent):
            raise ValueError(f"silent must be one of {get_args(Silent)}, got {silent!r}")
        if impl not in impls():
            raise ValueError(f"impl must be one of {impls()}, got {impl!r}")
        if gradient not in get_args(LayerGradient):
            raise ValueError(f"gradient must be one of {get_args(LayerGradient)}, got {gradient!r}")
        window = check_number("window", window)
        if window <= 0:
            raise ValueError(f"window must be positive, got {window}")
        if normalize not in (None, *get_args(Normalize)):
            raise ValueError(f"normalize must be 'l1', 'l2' or None, got {normalize!r}")
        self.in_features = check_whole("in_features", in_features, 1)
        self.out_features = check_whole("out_features", out_features, 1)
        self.t_max = check_t_max(t_max)
        self.delay = check_whole("delay", delay, 0, " of steps")
        self.threshold = float(threshold)
        self.silent: Silent = silent
        self.gradient: LayerGradient = gradient
        self.window = window
        self.normalize = normalize
        drawn = init is None
        if init is None:
            init = StepNeuron(self.threshold).first_weights(self.in_features)
        try:
            low, high = init
            fits = -math.inf < low <= high < math.inf
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ValueError(f"init must be (low, high) with low <= high, got {init!r}")
        self.init = low, high
        self.impl = impl
        options = {"threshold": self.threshold} if neuron == "ramp" else {}
        self._own = None if neuron == "step" else neuron_of(neuron, **options)
        check_norm(norm, self._own)
        self.norm, self._drawn = norm, drawn and self._own is not None
        self.weight = nn.Parameter(torch.empty(self.out_features, self.in_features))
        has_bias = bias and norm is None
        self.bias = nn.Parameter(torch.empty(self.out_features)) if has_bias else None
        self.reset_parameters()

    @property
    def neuron(self) -> Neuron:
        """Of the layer, as its attributes are now."""
        if self._own is not None:
            return self._own
        return StepNeuron(self.threshold, self.delay, self.silent, self.impl)

    @neuron.setter
    def neuron(self, neuron: Neuron) -> None:
        assert self._own is not None, "step neurons are made of the layer's attributes"
        self._own = neuron

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights anew, input by input; biases start at 0."""
        if self._drawn:
            nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        else:
            rows = torch.empty_like(self.weight.t()).contiguous()
            self.weight.copy_(rows.uniform_(*self.init).t())
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def linear(self, values: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.linear(values, weight)

    def biased(self, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return nn.functional.linear(values, weight, bias)

    def check_inputs(self, levels: Tensor) -> None:
        super().check_inputs(levels)
        if not levels.ndim or levels.shape[-1] != self.in_features:
            raise ValueError(
                f"times must be [B, {self.in_features}], got shape {list(levels.shape)}"
            )

    def patches(self, times: Tensor) -> Patches:
        return times, self.weight, lambda fired: fired

    def forward(self, times: Tensor) -> Tensor:
        if self._own is not None:
            return self._own.times(self, times)
        if self.gradient == "final" and torch.is_grad_enabled():
            with torch.no_grad():
                fired = self._fire(times)
            margin = self.final_potential(times) - self.threshold
            fired = final_gradient(fired, margin, self.window)
        else:
            fired = self._fire(times)
        return fired if self.normalize is None else normalize_error(fired, self.normalize)

    def _fire(self, times: Tensor) -> Tensor:
        return fire(
            times,
            self.weight,
            threshold=self.threshold,
            t_max=self.t_max,
            bias=self.bias,
            delay=self.delay,
            silent=self.silent,
            impl=self.impl,
        )

    def final_potential(self, times: Tensor) -> Tensor:
        """Membrane potentials in the last step, had nothing fired: [B, out_features].

        Decides which class wins where no output neuron spiked. Same input as the layer. In its
        gradient, ``dV/dt_i = -w_ji`` for every input, also for those that did not arrive: as if
        each came or stayed away by a little.
        """
        if self._own is not None:
            return super().final_potential(times)
        with in_full_precision(times):
            arrived: Tensor = _Arrived.apply(times, self.t_max - self.delay)
            arrived = arrived.to(self.weight.dtype)
            rows = self.weight.t()
            return arrived @ rows if self.bias is None else torch.addmm(self.bias, arrived, rows)

    def extra_repr(self) -> str:
        if self._own is not None:
            return f"{self.in_features}, {self.out_features}, {self.told()}"
        return (
            f"{self.in_features}, {self.out_features}, bias={self.bias is not None}, "
            f"threshold={self.threshold}, t_max={self.t_max}, delay={self.delay}, "
            f"silent={self.silent!r}, gradient={self.gradient!r}, normalize={self.normalize!r}"
        )


class FirstSpikeSequential(nn.Sequential):
    """`FirstSpikeLinear` layers in a row: one network, with one clock.

    Raises:
        ValueError: a module is no such layer, or two of them do not fit: a layer takes what the one
            before it gives, and all have the same ``t_max`` and ``delay``. Layers that are changed
            afterwards are checked again when the network is used.
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__(*layers)
        self.check()

    def check(self) -> None:
        """Raise ValueError unless these layers make one network."""
        for number, module in enumerate(self):
            if not isinstance(module, FirstSpikeLinear) or module._own is not None:
                raise ValueError(
                    f"layers must be FirstSpikeLinear of step neurons, but layer {number} is a "
                    f"{type(module).__name__}; use a SpikingNetwork"
                )
        for number, (before, layer) in enumerate(itertools.pairwise(self.layers), 1):
            for name in ("t_max", "delay"):
                one, other = getattr(before, name), getattr(layer, name)
                if one != other:
                    raise ValueError(
                        f"{name} must be that of all layers, but layer {number - 1} has {one} "
                        f"and layer {number} has {other}"
                    )
            if before.out_features != layer.in_features:
                raise ValueError(
                    f"in_features of layer {number} must be {before.out_features}, the neurons "
                    f"of the layer before, got {layer.in_features}"
                )

    @property
    def t_max(self) -> int:
        """Number of time steps of every layer."""
        return self.layers[0].t_max

    @property
    def delay(self) -> int:
        """Steps from a spike to its effect, in every layer."""
        return self.layers[0].delay

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer, the input's first."""
        layers = self.layers
        return layers[0].in_features, *(layer.out_features for layer in layers)

    @property
    def synapses(self) -> int:
        """Weights from one neuron to another, over all layers."""
        return sum(layer.in_features * layer.out_features for layer in self.layers)

    def layer_times(self, times: Tensor) -> list[Tensor]:
        """Spike times [B, features] of the input and of every layer, in order."""
        self.check()
        return list(itertools.accumulate(self.layers, lambda x, layer: layer(x), initial=times))

    @property
    def layers(self) -> list[FirstSpikeLinear]:
        """The layers, which are all of its modules."""
        return list(self)  # type: ignore[arg-type]


def by_input(module: ModuleT) -> ModuleT:
    """Store the weights of every `FirstSpikeLinear` of step neurons by input, in place.

    ``weight.t()`` is contiguous then, and one input spike reads one of its rows: on a CPU each pass
    otherwise transposes the weights first. Spike times, gradients and files stay the same. Networks
    of `firstspike train` are stored so. What takes parameters apart with ``view(-1)``, as
    `torch.optim.LBFGS`, `torch.nn.utils.parameters_to_vector` and pruning do, refuses it; see
    `by_output`. Call it before an optimiser is made.

    Returns:
        The module.
    """
    for layer in module.modules():
        if isinstance(layer, FirstSpikeLinear) and layer._own is None:
            layer.weight.data = layer.weight.detach().t().contiguous().t()
    return module


def by_output(module: ModuleT) -> ModuleT:
    """Store weights of every `FirstSpikeLinear` in a module as `torch.nn.Linear` does, in place.

    Layers are made so; those of `firstspike.load_run` are stored by input. See `by_input`. Call it
    before an optimiser is made.

    Returns:
        The module.
    """
    for layer in module.modules():
        if isinstance(layer, FirstSpikeLinear):
            layer.weight.data = layer.weight.detach().contiguous()
    return module


class _Arrived(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(times, end):  # type: ignore[no-untyped-def]
        return (times < end).to(times.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        pass

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return -grad, None


class _FinalGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(fired, margin, window):  # type: ignore[no-untyped-def]
        return fired.view_as(fired)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        _, margin, ctx.window = inputs
        ctx.save_for_backward(margin)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (margin,) = ctx.saved_tensors
        near = (1 - (margin / (2 * ctx.window)).square()).clamp(min=0)
        return None, -(near.pow(4) * grad), None


def final_gradient(fired: Tensor, margin: Tensor, window: float) -> Tensor:
    """The same times, with a surrogate for eq. 11 that reaches silent neurons.

    ``dt/dV = -max(0, 1 - (margin / (2 window))^2)^4``, a bell: a neuron learns as far as its
    potential in the last step is near its threshold, on either side of it, whether it fired or not
    (a surrogate gradient, Neftci et al., arXiv 1901.09948). With eq. 11-15 a silent neuron has no
    gradient, and none comes from the layer after it, so that neurons fall silent one after the
    other and never return.

    Args:
        fired: spike times [B, features].
        margin: final potentials minus threshold, [B, features]; the gradient goes there.
        window: margin at which the slope has fallen to about a third; twice as far, it is 0.
    """
    result: Tensor = _FinalGradient.apply(fired, margin, window)
    return result


class _NormalizeError(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(times, order):  # type: ignore[no-untyped-def]
        return times.view_as(times)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        _, ctx.order = inputs

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return nn.functional.normalize(grad, p=ctx.order, dim=1), None


def normalize_error(times: Tensor, norm: Normalize) -> Tensor:
    """The same times; on the way back each sample's error is divided by its norm (section 2.5).

    Args:
        times: [B, features].
        norm: ``"l1"`` or ``"l2"``. An error that is all 0 stays 0.

    Raises:
        ValueError: ``norm`` is neither.
    """
    if norm not in get_args(Normalize):
        raise ValueError(f"norm must be 'l1' or 'l2', got {norm!r}")
    result: Tensor = _NormalizeError.apply(times, 1.0 if norm == "l1" else 2.0)
    return result
