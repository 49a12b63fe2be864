"""`fire` as an operator of PyTorch: autograd, and what compilers and dispatch modes need to know.

Where nobody watches, Python calls the backend directly: PyTorch's dispatcher takes longer than a
small layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from firstspike.ops import backends, torch_private


def call(
    times: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    threshold: float,
    t_max: int,
    delay: int,
    silent: str,
    impl: str,
) -> Tensor:
    """`fire` with arguments that have been checked, by the backend of the name ``impl``."""
    arguments = (times, weight, bias, threshold, t_max, delay, silent, impl)
    fired: Tensor
    if not _is_plain(times, weight, bias):
        fired = torch.ops.firstspike.fire(*arguments)
    elif torch.is_grad_enabled() and _needs_grad(times, weight, bias):
        fired = _Fire.apply(*arguments)
    else:
        fired = _fire(*arguments)
    return fired


def _is_plain(*tensors: Tensor | None) -> bool:
    """Whether these are numbers in memory, and nobody records what is done with them."""
    if torch.compiler.is_compiling() or torch_private.is_watched():
        return False
    return all(tensor is None or type(tensor) in (Tensor, torch.nn.Parameter) for tensor in tensors)


def _needs_grad(*tensors: Tensor | None) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


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
    return backends.load(impl).forward(times, weight, bias, threshold, t_max, delay)


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
    kernels = backends.load(impl)
    return kernels.backward(grad, times, weight, fired, t_max, delay, silent, need_times)


@torch.library.register_fake("firstspike::fire", lib=_library)
def _(times: Tensor, weight: Tensor, *_: Any) -> Tensor:
    return times.new_empty(times.shape[0], weight.shape[0])


@torch.library.register_fake("firstspike::fire_backward", lib=_library)
def _(grad: Tensor, times: Tensor, weight: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    outputs, inputs = weight.shape
    grad_times = times.new_empty(times.shape if others[-1] else (0, inputs))
    return grad_times, weight.new_empty(inputs, outputs).t(), weight.new_empty(outputs)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep what `_differentiate` needs."""
    times, weight, bias, _, *ctx.settings = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(times, weight, output)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients for the arguments of the operator."""
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


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "fire has no second derivative: its gradient is the approximation of arXiv 2106.15420, "
        "eq. 11-15; do not differentiate through it with create_graph=True"
    )


class _Fire(torch.autograd.Function):
    """The operator's gradient, for plain tensors, without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        fired = _fire(*inputs)
        _remember(ctx, inputs, fired)
        return fired

    backward = staticmethod(_differentiate)


torch.library.register_autograd(
    "firstspike::fire", _differentiate, setup_context=_remember, lib=_library
)
torch.library.register_autograd("firstspike::fire_backward", _refuse, lib=_library)
