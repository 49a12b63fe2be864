"""The row of layers in a NIR graph, or the name of the node that is out of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """A layer as NIR has it.

    Args:
        name: of its IF node.
        weight: [out, in].
        neuron: the IF node.
        inhibition: [out], what each neuron's spike adds to its own potential.
    """

    name: str
    weight: Array
    neuron: Any
    inhibition: Array


def pairs(nir: Any, graph: Any) -> Iterator[Pair]:
    """The layers of a graph, in order."""
    nodes = graph.nodes
    if not nodes:
        raise ValueError("a graph without nodes; give a row of Affine or Linear and IF nodes")
    for name, node in nodes.items():
        if not isinstance(node, (nir.Input, nir.Output, nir.Affine, nir.Linear, nir.IF)):
            raise ValueError(
                f"node {name!r} is {described(node)}, which neurons that spike at most once cannot "
                "express; give a row of Affine or Linear and IF nodes"
            )
    after = {name: [b for a, b in graph.edges if a == name] for name in nodes}
    before = {name: [a for a, b in graph.edges if b == name] for name in nodes}
    loops = {
        name: targets[0]
        for name, targets in after.items()
        if len(targets) == 1 and targets == before[name] and isinstance(nodes[targets[0]], nir.IF)
    }
    row = _row(nodes, {a: [b for b in after[a] if b not in loops] for a in nodes if a not in loops})
    _check_kinds(nir, nodes, row)
    before_it = row[0]
    sent = int(np.prod(nodes[before_it].input_type["input"]))
    for affine, neuron in zip(row[1:-1:2], row[2:-1:2], strict=True):
        weight = _weight(nodes, affine)
        _check_sizes(before_it, sent, affine, weight.shape[1])
        own = [_own_weights(nodes, name) for name, around in loops.items() if around == neuron]
        inhibition = np.sum([np.zeros(len(weight)), *own], axis=0)
        yield Pair(neuron, weight, _spread(neuron, nodes[neuron], len(weight)), inhibition)
        before_it, sent = neuron, len(weight)
    taken = int(np.prod(nodes[row[-1]].output_type["output"]))
    _check_sizes(before_it, sent, row[-1], taken)


def _row(nodes: Mapping[str, Any], after: Mapping[str, list[str]]) -> list[str]:
    """Names of nodes that follow one another. ValueError where some do not."""
    starts = after.keys() - {name for targets in after.values() for name in targets}
    for name, targets in after.items():
        if len(targets) > 1 or (name in starts and len(starts) > 1):
            raise _misplaced(nodes, name)
    row: list[str] = list(starts)
    while row and after[row[-1]] and len(row) <= len(after):
        row += after[row[-1]]
    if len(row) != len(after):  # some go round in a circle, or two lead into one
        left_out = [name for name in after if name not in row]
        raise _misplaced(nodes, (left_out or row)[-1])
    return row


def _check_kinds(nir: Any, nodes: Mapping[str, Any], row: list[str]) -> None:
    layers = max(1, len(row) // 2 - 1)
    kinds = [nir.Input, *[(nir.Affine, nir.Linear), nir.IF] * layers, nir.Output]
    for name, kind in zip(row, kinds, strict=False):
        if not isinstance(nodes[name], kind):
            raise _misplaced(nodes, name)
    if len(row) != len(kinds):
        raise _misplaced(nodes, row[-1])


def _check_sizes(one: str, sent: int, other: str, taken: int) -> None:
    if sent != taken:
        raise ValueError(f"node {one!r} gives {sent} values, but node {other!r} takes {taken}")


def _spread(name: str, node: Any, count: int) -> Any:
    """An IF node with a value for each neuron, also where it has one for all of them."""
    spread = copy.copy(node)
    for field in ("r", "v_threshold", "v_reset"):
        value = np.asarray(getattr(node, field))
        if value.size != 1 and value.shape != (count,):
            raise ValueError(
                f"node {name!r} has {field} of shape {list(value.shape)} for {count} neurons"
            )
        setattr(spread, field, np.broadcast_to(value.reshape(-1), count))
    return spread


def _misplaced(nodes: Mapping[str, Any], name: str) -> ValueError:
    return ValueError(
        f"node {name!r}, {described(nodes[name])}, is out of place; give one row of Input, then "
        "Affine or Linear and IF for each layer, then Output"
    )


def described(node: Any) -> str:
    """A node by its kind, with its article."""
    name = type(node).__name__
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name} node"


def _weight(nodes: Mapping[str, Any], name: str) -> Array:
    """Weights [out, in] of an Affine or Linear node."""
    if np.any(getattr(nodes[name], "bias", 0)):
        raise ValueError(
            f"node {name!r} has a bias, a current in every step, which a step synapse cannot "
            "express; fold what acts once into v_threshold"
        )
    weight = np.asarray(nodes[name].weight)
    if weight.ndim != 2:
        raise ValueError(f"node {name!r} must have weights [out, in], got {list(weight.shape)}")
    if weight.dtype.kind not in "fiub" or not weight.size:
        raise ValueError(
            f"node {name!r} must have weights that are real numbers, at least one, got "
            f"{weight.dtype} {list(weight.shape)}"
        )
    return weight if weight.dtype == np.float64 else weight.astype(np.float32)


def _own_weights(nodes: Mapping[str, Any], name: str) -> Array:
    """Weights [out] of a node between neurons and themselves."""
    weight = _weight(nodes, name)
    own = weight.diagonal()
    if np.count_nonzero(weight) != np.count_nonzero(own):
        raise ValueError(
            f"node {name!r} joins neurons of one layer, which cannot be expressed; only a neuron's "
            "inhibition of itself can"
        )
    return own
