"""NIR files as networks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from firstspike.models import Classifier
from firstspike.nir_io.writing import NEVER, import_nir
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.times import T_MAX, check_t_max

Array = NDArray[Any]


def load(path: str | os.PathLike[str]) -> FirstSpikeSequential:
    """The network of a NIR file: `save`'s, or any row of Affine or Linear and IF nodes.

    Without metadata, ``t_max`` is 256 and ``delay`` 0, as NIR has none.

    Args:
        path: the file.

    Returns:
        A `Classifier` if `save` was given one, else a `FirstSpikeSequential`. Options of training
        (``silent``, ``normalize``, ``init``) are the defaults.

    Raises:
        ValueError: the package nir is missing, the file is no NIR graph, or the graph says what
            neurons that spike at most once cannot do; the message names the node.
    """
    nir, path = import_nir(), Path(path)
    graph = _read(nir, path)
    try:
        t_max, delay = _whole(graph, "t_max", T_MAX), _whole(graph, "delay", 0)
        check_t_max(t_max)
        layers = [_layer(pair, t_max, delay) for pair in _pairs(nir, graph)]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    is_classifier = graph.metadata.get("kind") == Classifier.__name__
    kind = Classifier if is_classifier else FirstSpikeSequential
    return kind(*layers)


@dataclass(frozen=True)
class _Pair:
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


def _read(nir: Any, path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a NIR file")
    try:
        graph = nir.read(path)
        if not isinstance(graph, nir.NIRGraph):
            raise ValueError(f"only {_a(graph)}")
    except Exception as error:  # h5py and nir raise whatever comes first
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: no graph that nir can read: {reason}; give another") from None
    return graph


def _whole(graph: Any, name: str, default: int) -> int:
    """A whole number from 0 on of the graph's metadata."""
    value = graph.metadata.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != value:
        raise ValueError(f"metadata: {name} must be a whole number from 0 on, got {value!r}")
    return number


def _pairs(nir: Any, graph: Any) -> Iterator[_Pair]:
    """The layers of a graph, in order."""
    nodes = graph.nodes
    for name, node in nodes.items():
        if not isinstance(node, (nir.Input, nir.Output, nir.Affine, nir.Linear, nir.IF)):
            raise ValueError(
                f"node {name!r} is {_a(node)}, which neurons that spike at most once cannot "
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
    for affine, neuron in zip(row[1:-1:2], row[2:-1:2], strict=True):
        own = [_own_weights(nodes, name) for name, around in loops.items() if around == neuron]
        inhibition = np.sum([np.zeros(nodes[neuron].r.shape), *own], axis=0)
        yield _Pair(neuron, _weight(nodes, affine), nodes[neuron], inhibition)


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
        raise _misplaced(nodes, next((name for name in after if name not in row), row[-1]))
    return row


def _check_kinds(nir: Any, nodes: Mapping[str, Any], row: list[str]) -> None:
    layers = max(1, len(row) // 2 - 1)
    kinds = [nir.Input, *[(nir.Affine, nir.Linear), nir.IF] * layers, nir.Output]
    for name, kind in zip(row, kinds, strict=False):
        if not isinstance(nodes[name], kind):
            raise _misplaced(nodes, name)
    if len(row) != len(kinds):
        raise _misplaced(nodes, row[-1])


def _misplaced(nodes: Mapping[str, Any], name: str) -> ValueError:
    return ValueError(
        f"node {name!r}, {_a(nodes[name])}, is out of place; give one row of Input, then Affine or "
        "Linear and IF for each layer, then Output"
    )


def _a(node: Any) -> str:
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


def _layer(pair: _Pair, t_max: int, delay: int) -> FirstSpikeLinear:
    """One of our layers. ValueError if its neurons might fire twice."""
    neuron, dtype = pair.neuron, pair.weight.dtype
    weight = pair.weight * neuron.r.astype(dtype)[:, None]
    highest = neuron.v_reset + neuron.r * pair.inhibition + weight.clip(min=0).sum(axis=1)
    if again := np.count_nonzero(highest > neuron.v_threshold):
        raise ValueError(
            f"node {pair.name!r} has {again} neurons that can fire again after their reset, which "
            f"cannot be expressed; give them a v_reset of {NEVER:g}"
        )
    threshold, bias = _unfolded(neuron, dtype)
    layer = FirstSpikeLinear(
        weight.shape[1],
        weight.shape[0],
        bias=bias is not None,
        threshold=threshold,
        t_max=t_max,
        delay=delay,
    ).to(torch.from_numpy(weight).dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        if isinstance(layer.bias, nn.Parameter):
            layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _unfolded(neuron: Any, dtype: Any) -> tuple[float, Array | None]:
    """One threshold for all and, where they differ, biases [out]."""
    own, exact = neuron.v_threshold, neuron.metadata
    if "threshold" in exact:
        threshold, bias = float(exact["threshold"]), exact.get("bias")
        made = np.full(own.shape, threshold) - (0.0 if bias is None else bias)
        if np.array_equal(made.astype(own.dtype), own):  # nobody has changed the thresholds since
            return threshold, bias
    threshold = float(own.max())
    if (own == threshold).all():
        return threshold, None
    return threshold, (threshold - own).astype(dtype)
