"""Work in shares, on as many threads as PyTorch uses: on PyTorch's own, where that is possible.

After each of its own operations PyTorch's OpenMP threads stay awake for a while and look for more.
Threads of another pool would wait for a core meanwhile; those of the same pool begin at once. So a
kernel's shares are handed to the OpenMP library that PyTorch has loaded, by the call that compilers
make for ``#pragma omp parallel``. Where there is no such call (Windows, or a process that has been
forked, whose OpenMP threads are gone), the shares go to threads of Python, which sleep while they
wait.

Kernels are serial and release the GIL; their last two arguments are where their share begins and
ends. Each number is computed by one thread in a fixed order, so that results do not depend on how
many there are.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numpy.typing import NDArray

from firstspike.ops.cpu.vectors import means

_WORTH_A_THREAD = 1 << 18  # weights times samples; below that, sharing out costs more


def _openmp() -> NDArray[np.int64] | None:
    """Addresses of the three functions that `share_out` calls; None where they are missing."""
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    try:
        loaded = ctypes.CDLL(None)  # all libraries of this process: PyTorch has loaded one
        addresses = [ctypes.cast(getattr(loaded, name), ctypes.c_void_p).value for name in names]
    except (TypeError, OSError, AttributeError):  # Windows has no such list, others no such name
        return None
    return np.array(addresses, np.int64)


_team = _openmp()
_pool = ThreadPoolExecutor(os.cpu_count())  # starts its threads when they are first needed


def _forget_threads() -> None:
    global _team, _pool
    _team, _pool = None, ThreadPoolExecutor(os.cpu_count())


if hasattr(os, "register_at_fork"):  # where processes fork: a child has no threads of its parent
    os.register_at_fork(after_in_child=_forget_threads)


def in_parts(kernel: Any, shared: Any, arguments: tuple[Any, ...], count: int, cost: int) -> None:
    """``kernel(*arguments, 0, count)``, on several threads if ``cost`` is worth it.

    Args:
        kernel: compiled; it writes all results into its arguments.
        shared: compiled, ``share_out(kernel, arguments, count, threads, team)``; it must name the
            kernel, as only what is named can be kept for other processes.
        arguments: of the kernel, without the share.
        count: what is shared out.
        cost: weights times samples.
    """
    threads = min(torch.get_num_threads(), count) if cost >= _WORTH_A_THREAD else 1
    if threads <= 1:
        kernel(*arguments, 0, count)
    elif _team is not None:
        shared(arguments, count, threads, _team)
    else:
        edges = [count * k // threads for k in range(threads + 1)]
        futures = [_pool.submit(kernel, *arguments, *ends) for ends in itertools.pairwise(edges)]
        for future in futures:
            future.result()


@means(lambda kernel, arguments, count, threads, team: kernel(*arguments, 0, count))
def share_out(typing, kernel, arguments, count, threads, team):
    """``kernel(*arguments, low, high)`` for the shares low..high-1 of range(count), in parallel.

    Args:
        kernel: a compiled function without a result, which raises nothing.
        arguments: a tuple.
        count: of what is shared out.
        threads: how many there should be.
        team: addresses, as of `_openmp`.
    """
    each = [*arguments, types.intp, types.intp]
    signature = typing.resolve_function_type(kernel, each, {})
    compiled = kernel.dispatcher.get_compile_result(signature)

    def code(context, builder, _, values):
        context.active_code_library.add_linking_library(compiled.library)
        address = ir.IntType(8).as_pointer()
        parallel, number, size = _words(context, builder, team, values[4], 3)
        packed = [*cgutils.unpack_tuple(builder, values[1]), values[2], number, size]
        data = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, packed))
        one_share = _share(context, builder.module, compiled.fndesc, signature, data.type)
        kind = ir.FunctionType(
            ir.VoidType(), [address, address, ir.IntType(32), ir.IntType(32)]
        ).as_pointer()
        builder.call(
            builder.inttoptr(parallel, kind),
            [
                builder.bitcast(one_share, address),
                builder.bitcast(data, address),
                builder.trunc(values[3], ir.IntType(32)),
                ir.IntType(32)(0),
            ],
        )
        return context.get_dummy_value()

    return types.none(kernel, arguments, count, threads, team), code


def _words(context, builder, kind, array, count):
    """The first values of an array of int64."""
    data = context.make_array(kind)(context, builder, array).data
    return [builder.load(builder.gep(data, [ir.IntType(64)(k)])) for k in range(count)]


def _share(context, module, kernel, signature, data):
    """What each thread runs: a function of a pointer to the packed arguments."""
    address, word = ir.IntType(8).as_pointer(), ir.IntType(64)
    kind = ir.FunctionType(ir.VoidType(), [address])
    function = ir.Function(module, kind, module.get_unique_name("share"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    packed = builder.load(builder.bitcast(function.args[0], data))
    *arguments, count, number, size = cgutils.unpack_tuple(builder, packed)
    asks = ir.FunctionType(ir.IntType(32), []).as_pointer()
    mine, threads = (
        builder.sext(builder.call(builder.inttoptr(place, asks), []), word)
        for place in (number, size)
    )
    ends = [
        builder.sdiv(builder.mul(count, k), threads) for k in (mine, builder.add(mine, word(1)))
    ]
    context.call_internal_no_propagate(builder, kernel, signature, [*arguments, *ends])
    builder.ret_void()
    return function
