"""Vectors in registers, for Numba kernels: what a loop over neurons does not become by itself.

A value of type `Vector` is a fixed number of lanes of one dtype, or of truth values, which LLVM
keeps in as many vector registers as that takes on the machine at hand. A kernel that carries such
values through its loop over spikes never stores the potentials of a tile of neurons.

Each function is given twice: what it means, on NumPy arrays, which is what runs with
``NUMBA_DISABLE_JIT=1``; and as the LLVM instructions. Memory is a one-dimensional array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic, models, register_model

Function = Callable[..., Any]


class Vector(types.Type):
    """Numba's type of ``lanes`` values of ``dtype``."""

    def __init__(self, dtype: types.Type, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        truth = kind.dtype is types.boolean
        element = ir.IntType(1) if truth else manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def means(plain: Function) -> Callable[[Function], Function]:
    """Decorator of an intrinsic that says what it does in plain Python."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda typed: plain
    return intrinsic(prefer_literal=True)


def _plain(kind):
    """The type of a value that Numba knows at compile time."""
    return getattr(kind, "literal_type", kind)


def _place(context, builder, signature, values, kind):
    """Pointer to a vector in an array: the first two arguments are the array and the index."""
    data = context.make_array(signature.args[0])(context, builder, values[0]).data
    place = builder.gep(data, [values[1]])
    return builder.bitcast(place, context.get_value_type(kind).as_pointer())


@means(lambda array, start, like: array[start : start + _lanes(like)].copy())
def load(typing, array, start, like):
    """Values from ``array[start]`` on, as many as ``like`` has or says."""
    kind = Vector(array.dtype, _lanes(like))

    def code(context, builder, signature, values):
        place = _place(context, builder, signature, values, kind)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp, like), code


def _store(array, start, vector):
    array[start : start + len(vector)] = vector


@means(_store)
def store(typing, array, start, vector):
    """Write ``vector`` to ``array[start]`` and on."""

    def code(context, builder, signature, values):
        place = _place(context, builder, signature, values, vector)
        builder.store(values[2], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), code


def _lanes(like):
    """The number of lanes of a vector, or the number itself; of values or of their types."""
    if isinstance(like, Vector):
        return like.lanes
    if isinstance(like, np.ndarray):
        return len(like)
    return getattr(like, "literal_value", like)


@means(lambda value, like: np.full(_lanes(like), value))
def spread(typing, value, like):
    """One value in all lanes, as many as ``like`` has or says."""
    kind = Vector(_plain(value), _lanes(like))

    def code(context, builder, signature, values):
        nothing = ir.Constant(context.get_value_type(kind), ir.Undefined)
        index = ir.VectorType(ir.IntType(32), kind.lanes)
        one = builder.insert_element(nothing, values[0], ir.IntType(32)(0))
        return builder.shuffle_vector(one, nothing, ir.Constant(index, [0] * kind.lanes))

    return kind(_plain(value), like), code


def _lanewise(plain: Function, emit: Function) -> Function:
    """A function of two vectors, lane by lane: ``emit(builder, a, b)``."""

    def typed(typing, a, b):
        return a(a, b), lambda context, builder, signature, values: emit(builder, *values)

    return means(plain)(typed)


def _comparison(plain: Function, sign: str) -> Function:
    """Truth values of two vectors of floats, or of integers of either kind, lane by lane."""

    def typed(typing, a, b):
        def code(context, builder, signature, values):
            if isinstance(a.dtype, types.Float):
                compare = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
                return compare(sign, *values)  # NaN differs from all numbers, as in Python
            if a.dtype.signed:
                return builder.icmp_signed(sign, *values)
            return builder.icmp_unsigned(sign, *values)

        return Vector(types.boolean, a.lanes)(a, b), code

    return means(plain)(typed)


add = _lanewise(np.add, ir.IRBuilder.fadd)
subtract = _lanewise(np.subtract, ir.IRBuilder.fsub)
multiply = _lanewise(np.multiply, ir.IRBuilder.fmul)
greater = _comparison(np.greater, ">")
at_least = _comparison(np.greater_equal, ">=")
differs = _comparison(np.not_equal, "!=")
either = _lanewise(np.logical_or, ir.IRBuilder.or_)
both = _lanewise(np.logical_and, ir.IRBuilder.and_)
minimum = _lanewise(
    np.minimum, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b)
)


@means(np.where)
def where(typing, chosen, a, b):
    """``a`` in the lanes that are chosen, ``b`` in the others."""

    def code(context, builder, signature, values):
        return builder.select(*values)

    return a(chosen, a, b), code


@means(lambda truth: sum(1 << int(lane) for lane in np.flatnonzero(truth)))
def bits(typing, truth):
    """The lanes, 64 at most, as the bits of an integer."""

    def code(context, builder, signature, values):
        whole = builder.bitcast(values[0], ir.IntType(truth.lanes))
        return builder.zext(whole, ir.IntType(64)) if truth.lanes < 64 else whole

    return types.uint64(truth), code


@means(lambda word: (int(word) & -int(word)).bit_length() - 1)
def lowest(typing, word):
    """The place of the lowest bit that is set in a word that is not 0."""

    def code(context, builder, signature, values):
        return builder.cttz(values[0], ir.IntType(1)(1))

    return types.intp(types.uint64), code


def _reduction(plain: Function, name: str, *start: float) -> Function:
    """One number from all lanes, by LLVM's ``vector.reduce``, in an order fixed when compiled."""

    def typed(typing, vector):
        def code(context, builder, signature, values):
            lane = context.get_value_type(vector.dtype)
            whole = context.get_value_type(vector)
            before = [ir.Constant(lane, value) for value in start]
            letter = {32: "f32", 64: "f64"}[vector.dtype.bitwidth]
            kinds = [lane] * len(before) + [whole]
            function = builder.module.declare_intrinsic(
                f"llvm.vector.reduce.{name}.v{vector.lanes}{letter}",
                fnty=ir.FunctionType(lane, kinds),
            )
            return builder.call(function, [*before, *values], fastmath=("reassoc", "nnan"))

        return vector.dtype(vector), code

    return means(plain)(typed)


total = _reduction(np.sum, "fadd", 0.0)
largest = _reduction(np.max, "fmax")
