"""The private names of PyTorch that the package uses, each of which it can do without."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

_count_modes = getattr(torch._C, "_len_torch_dispatch_stack", None)
_is_tracing = getattr(torch.jit, "is_tracing", lambda: False)  # public, but on its way out
_has_transforms = getattr(torch._C, "_are_functorch_transforms_active", None)


def is_transformed() -> bool:
    """Whether a transform of `torch.func` is at work in this thread.

    A PyTorch that cannot tell is taken to transform, and to watch: slower, with the same results.
    """
    return _has_transforms is None or bool(_has_transforms())


def is_watched() -> bool:
    """Whether a dispatch mode or a function transform sees each operation in this thread."""
    return is_transformed() or _count_modes is None or bool(_count_modes())


def is_plain(*tensors: Tensor | None) -> bool:
    """Whether these are numbers in memory, and nobody records what is done with them.

    Compilers, tracers, transforms and modes must see operations instead: a number that is read from
    a tensor while they look would be the answer for ever. Tensors on the meta device have none.
    """
    if torch.compiler.is_compiling() or _is_tracing() or is_watched():
        return False
    return all(map(_is_plain, tensors))


def _is_plain(tensor: Tensor | None) -> bool:
    if tensor is None:
        return True
    own = type(tensor) in (Tensor, torch.nn.Parameter) and not tensor.is_meta
    if not own or getattr(forward_ad, "_current_level", 0) < 0:  # no level has been entered
        return own
    return forward_ad.unpack_dual(tensor).tangent is None
