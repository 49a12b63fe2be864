"""Layers of ramp neurons as operators of ONNX: a linear map, a floor and a clip."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from firstspike.export.facts import Facts
from firstspike.export.graph import Graph
from firstspike.export.parts import Part, compact, decides, parts
from firstspike.nn import SpikingNetwork

_IMAGE = "channels", "height", "width"
_MAPS = {"convolution": "Conv", "transposed": "ConvTranspose"}


def add(graph: Graph, model: SpikingNetwork, facts: Facts) -> None:
    """Add a network: its input, its layers, its outputs.

    Args:
        graph: grows.
        model: of ramp neurons.
        facts: tell the sizes of images where the first layer takes them.

    Raises:
        ValueError: a module cannot be said.
    """
    row, t_max = parts(model), model.t_max
    times = graph.take("times", _input_sizes(row, facts))
    full = graph.constant("t_max", t_max, np.float32)
    dtype = _dtype(row)
    graph.constant("zero", 0, dtype)
    graph.constant("top", t_max, dtype)
    levels = graph.node("Sub", [full, times], "levels_in")
    found = [graph.cast("DOUBLE" if dtype == np.float64 else "FLOAT", levels, "levels_0")]
    spiking = 0
    for number, part in enumerate(row, 1):
        drive = _add_part(graph, part, found, number, t_max)
        if part.threshold is None:
            found.append(drive)
            continue
        spiking += 1
        found.append(_add_neurons(graph, part.threshold, drive, number, dtype))
        local = graph.cast("FLOAT", found[-1], f"levels_out_{number}")
        given = graph.node("Sub", [full, local], f"times_{spiking}")
        graph.give(given, _sizes(part, spiking))
    if decides(row):
        steps = graph.constant("steps", t_max, dtype)
        potentials = graph.node("Div", [drive, steps], "final")
        weight: Any = row[-1].weight
        graph.decide(given, potentials, len(weight), t_max)


def _input_sizes(row: list[Part], facts: Facts) -> list[int | str]:
    """What the network takes of one sample: flat where a dense layer comes first."""
    first = row[1] if row[0].kind == "flatten" and len(row) > 1 else row[0]
    if first.kind == "unflatten":
        return [math.prod(first.options["shape"])]
    if first.kind == "dense" and first.weight is not None:
        return [first.weight.shape[1]]
    if row[0].kind == "flatten":
        return ["inputs"]
    channels, height, width = (facts.get(name, name) for name in _IMAGE)
    if first.weight is not None:
        inside = first.options["groups"] if first.kind == "convolution" else 1
        channels = first.weight.shape[0 if first.kind == "transposed" else 1] * inside
    return [channels, height, width]


def _sizes(part: Part, number: int) -> list[int | str]:
    """Of one sample of what the neurons of a part give."""
    places: list[int | str] = [f"height_{number}", f"width_{number}"]
    if part.weight is None:
        return [f"channels_{number}", *places]
    if part.kind == "dense":
        return [len(part.weight)]
    if part.kind == "convolution":
        return [len(part.weight), *places]
    return [part.weight.shape[1] * part.options["groups"], *places]


def _dtype(row: list[Part]) -> Any:
    """Of all calculations: that of the weights."""
    return next((part.weight.dtype for part in row if part.weight is not None), np.float32)


def _add_neurons(graph: Graph, threshold: float, drive: str, number: int, dtype: Any) -> str:
    """Levels of ramp neurons: clip(floor(drive / threshold), 0, t_max)."""
    if threshold != 1:
        high = graph.constant(f"threshold_{number}", threshold, dtype)
        drive = graph.node("Div", [drive, high], f"share_{number}")
    whole = graph.node("Floor", [drive], f"whole_{number}")
    return graph.node("Clip", [whole, "zero", "top"], f"levels_{number}")


def _add_part(graph: Graph, part: Part, found: list[str], number: int, t_max: int) -> str:
    """Add what a part calculates, without the neurons behind it; the name of that."""
    levels, name = found[part.source], f"drive_{number}"
    if part.kind == "flatten":
        return graph.node("Flatten", [levels], name, axis=1)
    if part.kind == "unflatten":
        shape = graph.constant(f"shape_{number}", [0, *part.options["shape"]], np.int64)
        return graph.node("Reshape", [levels, shape], name)
    if part.weight is None:
        sides = {
            "kernel_shape": part.options["kernel_size"],
            "strides": part.options["stride"],
        }
        if part.kind == "earliest":
            return graph.node("MaxPool", [levels], name, **sides)
        return graph.node("LpPool", [levels], name, p=1, **sides)  # sums, for levels are positive
    inputs = [levels, _weight(graph, part.weight, number)]
    if part.bias is not None:
        inputs.append(graph.constant(f"bias_{number}", part.bias * t_max, part.bias.dtype))
    own = name if part.beside is None else f"own_{number}"
    if part.kind == "dense":
        graph.node("Gemm", inputs, own, transB=1)
    else:
        graph.node(_MAPS[part.kind], inputs, own, **_sides(part))
    return own if part.beside is None else graph.node("Add", [own, found[part.beside]], name)


def _weight(graph: Graph, weight: Any, number: int) -> str:
    """Weights, as int8 in the file where they fit."""
    small = compact(weight)
    name = graph.constant(f"weight_{number}", small, small.dtype)
    if small.dtype == weight.dtype:
        return name
    wide = "DOUBLE" if weight.dtype == np.float64 else "FLOAT"
    return graph.cast(wide, name, f"weights_{number}")


def _sides(part: Part) -> dict[str, Any]:
    """The options of a convolution by ONNX's names."""
    has = part.options
    sides: dict[str, Any] = {
        "strides": has["stride"],
        "pads": [*has["padding"], *has["padding"]],
        "dilations": has["dilation"],
        "group": has["groups"],
    }
    if part.kind == "transposed":
        sides["output_padding"] = has["output_padding"]
    return sides
