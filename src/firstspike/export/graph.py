"""An ONNX graph as it grows, and the decision at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Graph:
    """Nodes and constants, as they come; each method returns the name of what it adds."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def constant(self, name: str, value: Any, dtype: Any = np.float64) -> str:
        """An array or a number."""
        array = np.asarray(value, dtype)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """An operator of ONNX with one output."""
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def cast(self, kind: str, value: str, output: str) -> str:
        """The values in another of ONNX's types."""
        return self.node("Cast", [value], output, to=getattr(self._onnx.TensorProto, kind))

    def take(self, name: str, sizes: Sequence[int | str]) -> str:
        """An input of the graph: float32 [batch, *sizes]."""
        self.inputs.append(self._value(name, "FLOAT", sizes))
        return name

    def give(self, name: str, sizes: Sequence[int | str], kind: str = "FLOAT") -> str:
        """Make a value [batch, *sizes] an output of the graph."""
        self.outputs.append(self._value(name, kind, sizes))
        return name

    def decide(self, times: str, potentials: str, outputs: int, t_max: int) -> None:
        """Give ``potentials`` and ``class``: `firstspike.decide` in ONNX's operators.

        Args:
            times: of the output neurons, [batch, outputs].
            potentials: of the same, of any floating type.
            outputs: number of output neurons.
            t_max: silence.
        """
        spoke = self.node(
            "Less",
            [
                self.node("ReduceMin", [times], "earliest", axes=[1], keepdims=0),
                self.constant("silence", t_max, np.float32),
            ],
            "spoke",
        )
        first = self.node("ArgMin", [times], "first", axis=1, keepdims=0)
        largest = self.node("ArgMax", [potentials], "largest", axis=1, keepdims=0)
        self.give(self.cast("FLOAT", potentials, "potentials"), [outputs])
        self.give(self.node("Where", [spoke, first, largest], "class"), [], "INT64")

    def _value(self, name: str, kind: str, sizes: Sequence[int | str]) -> Any:
        made = getattr(self._onnx.TensorProto, kind)
        return self._onnx.helper.make_tensor_value_info(name, made, ["batch", *sizes])
