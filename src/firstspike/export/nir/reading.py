"""NIR files as networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from firstspike.export.nir.rows import Array, Pair, described, pairs
from firstspike.export.nir.writing import NEVER, import_nir
from firstspike.models import Classifier
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential, by_input
from firstspike.times import T_MAX, check_t_max

_LARGEST = 1 << 31  # bytes of all arrays of a file, unpacked
_EXACT = ("threshold", "bias")  # of our metadata
_DEEPEST = 16  # groups within groups


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
        layers = [_layer(pair, t_max, delay) for pair in pairs(nir, graph)]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    is_classifier = graph.metadata.get("kind") == Classifier.__name__
    kind = Classifier if is_classifier else FirstSpikeSequential
    return by_input(kind(*layers))


def _read(nir: Any, path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a NIR file")
    try:
        _check_file(path)
        graph = nir.read(path, type_check=False)  # parameters may be one for all neurons
        if not isinstance(graph, nir.NIRGraph):
            raise ValueError(f"only {described(graph)}")
    except Exception as error:  # h5py and nir raise whatever comes first
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: no graph that nir can read: {reason}; give another") from None
    return graph


def _check_file(path: Path) -> None:
    """ValueError unless all of a file is in it, and fits into memory unpacked."""
    import h5py

    def check(group: Any, depth: int) -> int:
        if depth > _DEEPEST:
            raise ValueError("groups within groups within groups")
        total = 0
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
                raise ValueError(f"{name!r} is a link to elsewhere")
            item = group[name]
            if isinstance(item, h5py.Group):
                total += check(item, depth + 1)
                continue
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                raise ValueError(f"{name!r} has its data elsewhere")
            total += item.size * item.dtype.itemsize if item.size else 0
        return total

    with h5py.File(path, "r") as content:
        if (size := check(content, 0)) > _LARGEST:
            raise ValueError(f"{size} bytes unpacked, more than {_LARGEST}")


def _whole(graph: Any, name: str, default: int) -> int:
    """A whole number from 0 on of the graph's metadata."""
    value = graph.metadata.get(name, default)
    try:
        number = int(value)
    except (OverflowError, TypeError, ValueError):
        number = -1
    if number < 0 or number != value:
        raise ValueError(f"metadata: {name} must be a whole number from 0 on, got {value!r}")
    return number


def _layer(pair: Pair, t_max: int, delay: int) -> FirstSpikeLinear:
    """One of our layers. ValueError if its neurons might fire twice, or a value is none."""
    for name, values in (("weights", pair.weight), *_values(pair.neuron)):
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"node {pair.name!r} has {name} that are no finite numbers")
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


def _values(neuron: Any) -> list[tuple[str, Array]]:
    """The arrays of an IF node, those of ours beside its metadata included."""
    found = [(name, np.asarray(getattr(neuron, name))) for name in ("r", "v_threshold", "v_reset")]
    exact = (np.asarray(neuron.metadata[name]) for name in _EXACT if name in neuron.metadata)
    return found + [("metadata", values) for values in exact]


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
