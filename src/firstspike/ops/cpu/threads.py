"""Work on slices, on as many threads as PyTorch uses.

Kernels are serial and release the GIL. Each number is computed by one thread in a fixed order, so
that results do not depend on how many there are. The threads sleep while they wait: those of an
OpenMP pool spin, which slows down PyTorch and other jobs where cores are few.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")

_WORTH_A_THREAD = 1 << 20  # weights times samples; below that, waking a thread costs more

_pool = ThreadPoolExecutor(os.cpu_count())  # starts its threads when they are first needed


def _forget_threads() -> None:
    global _pool
    _pool = ThreadPoolExecutor(os.cpu_count())


if hasattr(os, "register_at_fork"):  # where processes fork: a child has no threads of its parent
    os.register_at_fork(after_in_child=_forget_threads)


def in_parts(work: Callable[[slice], Result], count: int, cost: int) -> list[Result]:
    """``work`` on range(count), a slice for each thread if ``cost`` is worth it; in order."""
    threads = torch.get_num_threads() if cost >= _WORTH_A_THREAD else 1
    if threads == 1:
        return [work(slice(0, count))]
    edges = [count * k // threads for k in range(threads + 1)]
    mine, *others = [slice(low, high) for low, high in itertools.pairwise(edges)]
    futures = [_pool.submit(work, part) for part in others]
    return [work(mine), *(future.result() for future in futures)]
