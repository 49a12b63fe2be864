"""Networks as ONNX files.

ONNX has no events, so a layer becomes what its equations say for all time steps at once: inputs as
a raster, their weights added up along time, and the first step above the threshold (eq. 1-2 of
arXiv 2106.15420). Potentials add up in float64: spike times are those of `firstspike.fire`, unless
the rounding of a potential decides. The cost is that of a time-stepped simulation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from firstspike.export.facts import CODING, Facts, plain
from firstspike.extras import require
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.runs import files

OPSET, IR = 17, 8  # of 2022, which all runtimes of today read


def save(
    path: str | os.PathLike[str], model: FirstSpikeSequential, *, facts: Facts | None = None
) -> None:
    """Write a network as an ONNX file.

    Its input ``times`` [batch, in] and its outputs ``times_1``, ``times_2``, ..., one for each
    layer [batch, out], are float32 spike times; the layer's ``t_max`` means silent.

    Args:
        path: the file, replaced if it is there.
        model: the network.
        facts: further metadata, such as ``classes``; see `firstspike.export.facts`.

    Raises:
        ValueError: the package onnx is missing, or the file cannot be written.
    """
    require("onnx", "onnx", purpose="ONNX")
    import onnx

    path = Path(path)
    content = _model(onnx, model, facts or {}).SerializeToString()
    with files.explained(path, "choose another place"):
        files.replace(path, content)


def _model(onnx: Any, model: FirstSpikeSequential, facts: Facts) -> Any:
    helper, layers = onnx.helper, model.layers
    graph = _Graph(onnx)
    outputs = []
    times = "times"
    for number, layer in enumerate(layers, 1):
        times = _add_layer(graph, times, layer, number)
        outputs.append(_spikes(onnx, times, layer.out_features))
    inputs = [_spikes(onnx, "times", layers[0].in_features)]
    body = helper.make_graph(graph.nodes, "firstspike", inputs, outputs, graph.constants)
    result = helper.make_model(
        body, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=__name__
    )
    own = {"coding": CODING, "t_max": layers[0].t_max, "delay": layers[0].delay}
    helper.set_model_props(
        result, {name: str(fact) for name, fact in plain({**facts, **own}).items()}
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def _spikes(onnx: Any, name: str, count: int) -> Any:
    kind = onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, ["batch", count])


class _Graph:
    """Nodes and constants, as they come; each method returns the name of what it adds."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, dtype: Any = np.float64) -> str:
        array = np.asarray(value, dtype)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def cast(self, kind: str, value: str, output: str) -> str:
        return self.node("Cast", [value], output, to=getattr(self._onnx.TensorProto, kind))


def _add_layer(graph: _Graph, times: str, layer: FirstSpikeLinear, number: int) -> str:
    """Add a layer to the graph; the name of its spike times [batch, out]."""

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
    return graph.node(
        "Where",
        [graph.cast("BOOL", highest, at("fired")), graph.cast("FLOAT", first, at("step")), silent],
        at("times"),
    )
