"""Networks as NIR files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstspike.export.facts import CODING, Facts, plain
from firstspike.export.parts import Exportable
from firstspike.extras import require
from firstspike.models import Classifier
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential
from firstspike.runs import files

NEVER = -1e9  # a potential from which no input brings a neuron back

Array = NDArray[Any]


def save(
    path: str | os.PathLike[str],
    model: Exportable,
    *,
    portable: bool = False,
    facts: Facts | None = None,
) -> None:
    """Write a network as a NIR file.

    Args:
        path: the file, replaced if it is there.
        model: layers of step neurons, all with the same ``t_max`` and ``delay``.
        portable: write what more simulators read. Spike times stay the same but for the rounding of
            scaled weights.
        facts: further metadata, such as ``classes``; see `firstspike.export.facts`.

    Raises:
        ValueError: the package nir is missing, the network is one of ramp neurons, layers differ in
            ``t_max`` or ``delay``, a portable file cannot hold the biases, or the file cannot be
            written.
    """
    nir, path = import_nir(), Path(path)
    if not isinstance(model, FirstSpikeSequential):
        raise ValueError(
            "model must be a FirstSpikeSequential of step neurons: NIR has neither a clock nor "
            "windows, which ramp neurons need (docs/nir.md); write .npz or ONNX"
        )
    graph = _graph(nir, model, portable, facts or {})
    content = io.BytesIO()  # HDF5 ends the process if a disk is full
    nir.write(content, graph)
    if portable:
        _drop_resets(content)
    with files.explained(path, "choose another place"):
        files.replace(path, content.getvalue())


def import_nir() -> Any:
    """The package nir, an optional one. ValueError if it is not installed."""
    require("nir", "nir", purpose="NIR")
    import nir

    return nir


def _graph(nir: Any, model: FirstSpikeSequential, portable: bool, facts: Facts) -> Any:
    layers = model.layers
    model.check()
    nodes: dict[str, Any] = {"input": nir.Input(np.array([layers[0].in_features]))}
    edges, last = [], "input"
    for number, layer in enumerate(layers, 1):
        affine, neuron = f"affine_{number}", f"if_{number}"
        weight, threshold = _scaled(layer, number) if portable else _folded(layer)
        nodes[affine] = nir.Affine(weight, np.zeros_like(threshold))
        nodes[neuron] = nir.IF(
            r=np.ones_like(threshold),
            v_threshold=threshold,
            v_reset=np.full_like(threshold, 0.0 if portable else NEVER),
            metadata={} if portable else _exact(layer),
        )
        edges += [(last, affine), (affine, neuron)]
        if portable:
            once, inhibition = f"once_{number}", np.diag(np.full_like(threshold, NEVER))
            nodes[once] = nir.Affine(inhibition, np.zeros_like(threshold))
            edges += [(neuron, once), (once, neuron)]
        last = neuron
    nodes["output"] = nir.Output(np.array([layers[-1].out_features]))
    edges.append((last, "output"))
    kind = Classifier if isinstance(model, Classifier) else FirstSpikeSequential
    metadata = plain(facts) | {
        "coding": CODING,
        "kind": kind.__name__,
        "t_max": layers[0].t_max,
        "delay": layers[0].delay,
    }
    return nir.NIRGraph(nodes, edges, metadata=metadata)


def _folded(layer: FirstSpikeLinear) -> tuple[Array, Array]:
    """Weights [out, in], and thresholds [out] from which biases are taken off."""
    weight = layer.weight.detach().cpu().contiguous().numpy()
    threshold = np.full(layer.out_features, layer.threshold)
    if layer.bias is not None:
        threshold -= layer.bias.detach().cpu().numpy()
    return weight, threshold.astype(weight.dtype)


def _scaled(layer: FirstSpikeLinear, number: int) -> tuple[Array, Array]:
    """`_folded`, but each neuron's weights scaled until its threshold is the layer's."""
    weight, own = _folded(layer)
    if layer.bias is None:
        return weight, own
    scale = own / layer.threshold
    if lost := np.count_nonzero(scale <= 0):
        raise ValueError(
            f"portable: {lost} neurons of layer {number} fire by their bias alone, which one "
            "threshold for all cannot say; write the file without it"
        )
    return weight / scale[:, None], np.full_like(own, layer.threshold)


def _exact(layer: FirstSpikeLinear) -> dict[str, Any]:
    """What ``v_threshold`` was made from, for it is rounded."""
    exact: dict[str, Any] = {"threshold": layer.threshold}
    if layer.bias is not None:
        exact["bias"] = layer.bias.detach().cpu().numpy()
    return exact


def _drop_resets(file: io.BytesIO) -> None:
    """Leave v_reset to its default, 0: sinabs 3.1 brings a nir that stops at the field."""
    import h5py

    with h5py.File(file, "r+") as content:
        for node in content["node/nodes"].values():
            if "v_reset" in node:
                del node["v_reset"]
