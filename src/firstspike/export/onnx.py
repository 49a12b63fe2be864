"""Networks as ONNX files.

ONNX has no events. A layer of step neurons becomes what its equations say for all time steps at
once: inputs as a raster, their weights added up along time, and the first step above the threshold
(eq. 1-2 of arXiv 2106.15420), in float64, at the cost of a time-stepped simulation. A layer of ramp
neurons becomes one linear map, a floor and a clip, at the cost of a dense network
(`firstspike.export.ramp_onnx`). Spike times are those of the library, unless the rounding of a
potential decides.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from firstspike.export import ramp_onnx
from firstspike.export.facts import CODING, Facts, plain
from firstspike.export.graph import Graph
from firstspike.export.parts import Exportable
from firstspike.extras import require
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential, SpikingNetwork
from firstspike.runs import files

OPSET, IR = 17, 8  # of 2022, which all runtimes of today read


def save(path: str | os.PathLike[str], model: Exportable, *, facts: Facts | None = None) -> None:
    """Write a network as an ONNX file.

    Its input ``times`` and its outputs ``times_1``, ``times_2``, ..., one for each layer of
    neurons, are float32 spike times; ``t_max`` means silent. They are [batch, neurons], or
    [batch, channels, height, width] behind and before convolutions. Where the last layer is dense,
    ``potentials`` [batch, neurons] are those of its neurons when all inputs have come, had none
    fired, and ``class`` [batch], int64, is what `firstspike.decide` makes of both: the first output
    spike, and where there is none, the largest potential.

    Args:
        path: the file, replaced if it is there.
        model: the network.
        facts: further metadata, such as ``classes``; see `firstspike.export.facts`.

    Raises:
        ValueError: the package onnx is missing, the network holds what such a file cannot say, or
            it cannot be written.
    """
    require("onnx", "onnx", purpose="ONNX")
    import onnx

    path = Path(path)
    content = _model(onnx, model, facts or {}).SerializeToString()
    with files.explained(path, "choose another place"):
        files.replace(path, content)


def _model(onnx: Any, model: Exportable, facts: Facts) -> Any:
    helper, graph = onnx.helper, Graph(onnx)
    own: dict[str, Any] = {"coding": CODING, "t_max": model.t_max}
    if isinstance(model, SpikingNetwork):
        ramp_onnx.add(graph, model, facts)
        own["neuron"] = "ramp"
    else:
        _add_steps(graph, model)
        own["delay"] = model.delay
    body = helper.make_graph(
        graph.nodes, "firstspike", graph.inputs, graph.outputs, graph.constants
    )
    result = helper.make_model(
        body, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=__name__
    )
    helper.set_model_props(
        result, {name: str(fact) for name, fact in plain({**facts, **own}).items()}
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def _add_steps(graph: Graph, model: FirstSpikeSequential) -> None:
    times = graph.take("times", [model.layers[0].in_features])
    for number, layer in enumerate(model.layers, 1):
        times, potentials = _add_layer(graph, times, layer, number)
        graph.give(times, [layer.out_features])
    graph.decide(times, potentials, layer.out_features, model.t_max)


def _add_layer(graph: Graph, times: str, layer: FirstSpikeLinear, number: int) -> tuple[str, str]:
    """Add a layer; the names of its spike times and of its last potentials, [batch, out] both."""

    def at(name: str) -> str:
        return f"{name}_{number}"

    # An input arrives at step s if times == s - delay, below t_max: a silent one never does.
    steps = np.arange(layer.t_max).reshape(1, -1, 1) - layer.delay
    weight = layer.weight.detach().cpu().t().contiguous().numpy()
    bias = np.zeros(1) if layer.bias is None else layer.bias.detach().cpu().numpy()
    axis = graph.constant(at("axis"), 1, np.int64)
    rows = graph.node("Unsqueeze", [times, axis], at("rows"))
    arrive = graph.constant(at("steps"), steps, np.float32)
    raster = graph.cast("DOUBLE", graph.node("Equal", [rows, arrive], at("arrived")), at("raster"))
    weights = graph.cast(
        "DOUBLE", graph.constant(at("weight"), weight, weight.dtype), at("weights")
    )
    added = graph.node("MatMul", [raster, weights], at("added"))
    summed = graph.node("CumSum", [added, axis], at("summed"))
    potential = graph.node("Add", [summed, graph.constant(at("bias"), bias)], at("potential"))
    threshold = graph.constant(at("threshold"), layer.threshold)
    above = graph.node("Greater", [potential, threshold], at("above"))
    flags = graph.cast("FLOAT", above, at("flags"))
    first = graph.node("ArgMax", [flags], at("first"), axis=1, keepdims=0)
    highest = graph.node("ReduceMax", [flags], at("highest"), axes=[1], keepdims=0)
    silent = graph.constant(at("t_max"), layer.t_max, np.float32)
    last = graph.constant(at("last"), layer.t_max - 1, np.int64)
    return graph.node(
        "Where",
        [graph.cast("BOOL", highest, at("fired")), graph.cast("FLOAT", first, at("step")), silent],
        at("times"),
    ), graph.node("Gather", [potential, last], at("final"), axis=1)
