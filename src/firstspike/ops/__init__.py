"""The one operation of the package: `fire`, a layer of neurons that spike at most once."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from firstspike.ops import reference
from firstspike.times import T_MAX, check_t_max, check_times

Silent = Literal["zero", "pull"]
Impl = Literal["auto", "reference", "numba"]

_NUMBA_DTYPES = (torch.float32, torch.float64)


def fire(
    times: Tensor,
    weight: Tensor,
    *,
    threshold: float = 1.0,
    t_max: int = T_MAX,
    bias: Tensor | None = None,
    delay: int = 1,
    silent: Silent = "zero",
    impl: Impl = "auto",
) -> Tensor:
    """First spike times of a layer of integrate-and-fire neurons (arXiv 2106.15420, eq. 1-2).

    Neuron j's potential at step t is ``bias[j]`` plus the sum of ``weight[j, i]`` over the inputs
    with ``times[b, i] + delay <= t``; it spikes at the first step in 0..t_max-1 at which that is
    strictly above ``threshold``, and never again. Step synapses: a weight counts in full from the
    arrival of its spike on. Sums are taken in the dtype of the weights, one after the other.

    The gradient is the paper's approximation (eq. 11-15): dt/dV = -1 where the neuron fired,
    dV/dw_ji = 1 and dV/dt_i = -w_ji where input i contributed, that is, arrived by the time of the
    spike. It has no second derivative.

    Args:
        times: input spike times in steps, [B, in], whole values in 0..t_max; t_max is silence and
            contributes nothing.
        weight: [out, in], of the dtype of ``times``. Fastest on a CPU if ``weight.t()`` is
            contiguous.
        threshold: potential that must be exceeded.
        t_max: number of time steps.
        bias: potential from step 0 on, [out], or None.
        delay: steps from an input spike to its effect, 0 or more. 1 makes "contributed" and
            "came before" the same set, as in S4NN's code; 0 is the paper to the letter.
        silent: what a neuron that did not fire passes back: ``"zero"``, nothing; ``"pull"``, only
            gradients that ask it to fire earlier, as if it had fired at t_max.
        impl: ``"reference"`` (plain PyTorch, any device), ``"numba"`` (event-driven, CPU, float32
            or float64), or ``"auto"``: the fastest that fits. They give the same spike times, and
            gradients that differ by rounding.

    Returns:
        Spike times [B, out] in steps, of the dtype and on the device of ``times``; t_max is
        silence.

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    _check(times, weight, bias, t_max, delay, silent, impl)
    arguments = (times, weight, bias, float(threshold), t_max, delay, silent, _choose(impl, times))
    fired: Tensor
    if not _is_plain(times, weight, bias):
        fired = torch.ops.firstspike.fire(*arguments)
    elif torch.is_grad_enabled() and _needs_grad(times, weight, bias):
        fired = _Fire.apply(*arguments)
    else:
        fired = _fire(*arguments)
    return fired


def _is_plain(*tensors: Tensor | None) -> bool:
    """Whether these are numbers in memory, and nobody records what is done with them.

    PyTorch's dispatcher, which else has to be asked, takes longer than a small layer.
    """
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    return all(tensor is None or type(tensor) in (Tensor, torch.nn.Parameter) for tensor in tensors)


def _needs_grad(*tensors: Tensor | None) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _check(
    times: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    t_max: int,
    delay: int,
    silent: str,
    impl: str,
) -> None:
    check_t_max(t_max)
    if times.ndim != 2:
        raise ValueError(f"times must be [B, in], got shape {list(times.shape)}")
    if not times.dtype.is_floating_point:
        raise ValueError(f"times must be a floating-point tensor, got {times.dtype}")
    if weight.ndim != 2 or weight.shape[1] != times.shape[1]:
        raise ValueError(
            f"weight must be [out, in] with in = {times.shape[1]} as in times, "
            f"got shape {list(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be [out] = [{weight.shape[0]}], got {list(bias.shape)}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype, tensor.device) != (times.dtype, times.device):
            raise ValueError(
                f"{name} must be {times.dtype} on {times.device} like times, "
                f"got {tensor.dtype} on {tensor.device}"
            )
    if isinstance(delay, bool) or not isinstance(delay, int) or delay < 0:
        raise ValueError(f"delay must be a whole number of steps, 0 or more, got {delay}")
    if silent not in get_args(Silent):
        raise ValueError(f"silent must be one of {get_args(Silent)}, got {silent!r}")
    if impl not in get_args(Impl):
        raise ValueError(f"impl must be one of {get_args(Impl)}, got {impl!r}")


def _choose(impl: Impl, times: Tensor) -> Impl:
    fits = times.device.type == "cpu" and times.dtype in _NUMBA_DTYPES
    if impl == "numba" and not fits:
        raise ValueError(
            f"impl 'numba' needs float32 or float64 on a CPU, got {times.dtype} on {times.device}"
        )
    if impl == "auto":
        return "numba" if fits else "reference"
    return impl


# `torch.library.custom_op` would be shorter, but imports torch._dynamo on the first call, two
# seconds, and takes twice as long for each.
_library = torch.library.Library("firstspike", "DEF")
_library.define(
    "fire(Tensor times, Tensor weight, Tensor? bias, float threshold, int t_max, int delay, "
    "str silent, str impl) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
_library.define(
    "fire_backward(Tensor grad, Tensor times, Tensor weight, Tensor fired, int t_max, int delay, "
    "str silent, str impl, bool need_times) -> (Tensor, Tensor, Tensor)",
    tags=torch.Tag.pt2_compliant_tag,
)


@torch.library.impl(_library, "fire", "CompositeExplicitAutograd")
def _fire(
    times: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    threshold: float,
    t_max: int,
    delay: int,
    silent: str,
    impl: str,
) -> Tensor:
    if impl == "reference":
        check_times(times, t_max)
        return reference.forward(times, weight, bias, threshold, t_max, delay)
    from firstspike.ops.cpu import fire as numba_cpu  # Numba takes a second to import: not before

    start = weight.new_zeros(weight.shape[0]) if bias is None else bias.contiguous()
    fired = numba_cpu.forward(
        times.contiguous().numpy(),
        weight.t().contiguous().numpy(),
        start.numpy(),
        threshold,
        t_max,
        delay,
    )
    if fired is None:
        check_times(times, t_max)
    return torch.from_numpy(fired)


@torch.library.impl(_library, "fire_backward", "CompositeExplicitAutograd")
def _fire_backward(
    grad: Tensor,
    times: Tensor,
    weight: Tensor,
    fired: Tensor,
    t_max: int,
    delay: int,
    silent: str,
    impl: str,
    need_times: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for times (empty unless needed), weight and bias."""
    if impl == "reference":
        return reference.backward(grad, times, weight, fired, t_max, delay, silent, need_times)
    from firstspike.ops.cpu import fire as numba_cpu

    grad_times, grad_rows, grad_bias = numba_cpu.backward(
        grad.contiguous().numpy(),
        times.contiguous().numpy(),
        weight.t().contiguous().numpy(),
        fired.numpy(),
        t_max,
        delay,
        silent == "pull",
        need_times,
    )
    grad_weight = torch.from_numpy(grad_rows).t()
    return torch.from_numpy(grad_times), grad_weight, torch.from_numpy(grad_bias)


@torch.library.register_fake("firstspike::fire", lib=_library)
def _(times, weight, bias, threshold, t_max, delay, silent, impl):  # type: ignore[no-untyped-def]
    return times.new_empty(times.shape[0], weight.shape[0])


@torch.library.register_fake("firstspike::fire_backward", lib=_library)
def _(grad, times, weight, fired, t_max, delay, silent, impl, need_times):  # type: ignore[no-untyped-def]
    outputs, inputs = weight.shape
    grad_times = times.new_empty(times.shape if need_times else (0, inputs))
    return grad_times, weight.new_empty(inputs, outputs).t(), weight.new_empty(outputs)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx, times, weight, bias, threshold, *settings):  # type: ignore[no-untyped-def]
        if _is_plain(times, weight, bias):
            fired = _fire(times, weight, bias, threshold, *settings)
        else:
            with torch._C._AutoDispatchBelowAutograd():
                fired = torch.ops.firstspike.fire(times, weight, bias, threshold, *settings)
        ctx.settings, ctx.has_bias = settings, bias is not None
        ctx.save_for_backward(times, weight, fired)
        return fired

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        times, weight, fired = ctx.saved_tensors
        need_times = ctx.needs_input_grad[0]
        arguments = (grad, times, weight, fired, *ctx.settings, need_times)
        # Where this may be differentiated, the dispatcher finds that it must not.
        if torch.is_grad_enabled() or not _is_plain(grad, times, weight, fired):
            grads = torch.ops.firstspike.fire_backward(*arguments)
        else:
            grads = _fire_backward(*arguments)
        grad_times, grad_weight, grad_bias = grads
        return (
            grad_times if need_times else None,
            grad_weight,
            grad_bias if ctx.has_bias else None,
            *[None] * 5,
        )


class _FireBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *args):  # type: ignore[no-untyped-def]
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.firstspike.fire_backward(*args)

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        raise RuntimeError(
            "fire has no second derivative: its gradient is the approximation of arXiv 2106.15420, "
            "eq. 11-15; do not differentiate through it with create_graph=True"
        )


_library.impl("fire", _Fire.apply, "Autograd")
_library.impl("fire_backward", _FireBackward.apply, "Autograd")
