"""The private names of PyTorch that the package uses, each of which it can do without."""

from __future__ import annotations

import torch

_count_modes = getattr(torch._C, "_len_torch_dispatch_stack", None)
_has_transforms = getattr(torch._C, "_are_functorch_transforms_active", None)


def is_watched() -> bool:
    """Whether a dispatch mode or a function transform sees each operation in this thread.

    A PyTorch that cannot tell is taken to watch, so that its dispatcher is always asked: slower,
    with the same results.
    """
    if _count_modes is None or _has_transforms is None:
        return True
    return bool(_count_modes() or _has_transforms())
