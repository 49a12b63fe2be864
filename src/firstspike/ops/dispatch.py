"""`fire` as an operator of PyTorch: autograd, and what compilers and dispatch modes need to know.

Where nobody watches, Python calls the backend directly: PyTorch's dispatcher takes longer than a
small layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from firstspike import torch_private
from firstspike.ops import backends


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
    if _is_transformed():
        fired = _TransformedFire.apply(*arguments)
    elif not torch_private.is_plain(times, weight, bias):
        fired = torch.ops.firstspike.fire(*arguments)
    elif torch.is_grad_enabled() and _needs_grad(times, weight, bias):
        fired = _Fire.apply(*arguments)
    else:
        fired = _fire(*arguments)
    return fired


def _is_transformed() -> bool:
    """Whether `torch.func` must be told how; compilers know it from the operator."""
    return not torch.compiler.is_compiling() and torch_private.is_transformed()


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
    grads = _call_backward(grad, times, weight, fired, *ctx.settings, need_times)
    grad_times, grad_weight, grad_bias = grads
    return (
        grad_times if need_times else None,
        grad_weight,
        grad_bias if ctx.has_bias else None,
        *[None] * 5,
    )


def _call_backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    grads: tuple[Tensor, Tensor, Tensor]
    if _is_transformed():
        grads = _TransformedBackward.apply(*arguments)
    # Where this may be differentiated, the dispatcher finds that it must not.
    elif torch.is_grad_enabled() or not torch_private.is_plain(*arguments[:4]):
        grads = torch.ops.firstspike.fire_backward(*arguments)
    else:
        grads = _fire_backward(*arguments)
    return grads


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


class _TransformedFire(torch.autograd.Function):
    """The same for `torch.func`, which takes it through its levels one by one."""

    setup_context = staticmethod(_remember)
    backward = staticmethod(_differentiate)

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        fired: Tensor = torch.ops.firstspike.fire(*inputs)
        return fired

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        times, *others = inputs
        if in_dims[1:3] != (None, None):  # weights of their own
            return torch.stack([call(*one) for one in _one_by_one(info, in_dims, inputs)]), 0
        times = times.movedim(in_dims[0], 0)
        return call(times.flatten(0, 1), *others).unflatten(0, times.shape[:2]), 0


class _TransformedBackward(torch.autograd.Function):
    """The operator ``fire_backward`` for `torch.func`."""

    backward = staticmethod(_refuse)

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        grads: tuple[Tensor, Tensor, Tensor] = torch.ops.firstspike.fire_backward(*inputs)
        return grads

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """There is nothing to keep: it has no gradient."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, int, int]]:
        found = [_call_backward(*one) for one in _one_by_one(info, in_dims, inputs)]
        return tuple(map(torch.stack, zip(*found, strict=True))), (0, 0, 0)


def _one_by_one(
    info: Any, in_dims: tuple[int | None, ...], inputs: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    """The arguments of each member of a batch of `torch.func.vmap`."""
    pairs = list(zip(inputs, in_dims, strict=True))
    for k in range(info.batch_size):
        yield tuple(it if dim is None else it.select(dim, k) for it, dim in pairs)


torch.library.register_autograd(
    "firstspike::fire", _differentiate, setup_context=_remember, lib=_library
)
torch.library.register_autograd("firstspike::fire_backward", _refuse, lib=_library)
