"""Networks as plain NumPy arrays, for programs that know neither PyTorch nor NIR."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from firstspike.export.facts import Facts
from firstspike.export.parts import Exportable, compact, parts
from firstspike.nn import FirstSpikeSequential, SpikingNetwork
from firstspike.runs import files


def save(path: str | os.PathLike[str], model: Exportable, *, facts: Facts | None = None) -> None:
    """Write a network as an .npz file, which `numpy.load` reads.

    Of step neurons it holds, for each layer k from 1 on, ``weight_k`` [out, in], ``bias_k`` [out]
    (zeros where the layer has none), ``threshold_k``, ``t_max_k`` and ``delay_k``;
    ``examples/numpy_only.py`` runs such a file.

    Of ramp neurons it holds ``neuron``, which is ``ramp``, ``t_max``, the number of ``parts``, and
    for each `firstspike.export.parts.Part` k from 1 on ``kind_k``, ``source_k`` and whatever else
    it has: ``weight_k``, ``bias_k``, ``threshold_k``, ``beside_k``, ``stride_k`` and so on;
    ``examples/numpy_ramp.py`` runs it. Weights are int8 where they fit.

    Args:
        path: the file, replaced if it is there.
        model: the network.
        facts: further arrays, such as ``classes``; see `firstspike.export.facts`.

    Raises:
        ValueError: the network holds what such a file cannot say, or it cannot be written.
    """
    arrays: dict[str, Any] = {name: np.array(fact) for name, fact in (facts or {}).items()}
    arrays |= _ramp_arrays(model) if isinstance(model, SpikingNetwork) else _step_arrays(model)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path = Path(path)
    with files.explained(path, "choose another place"):
        files.replace(path, content.getvalue())


def _step_arrays(model: FirstSpikeSequential) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for number, layer in enumerate(model.layers, 1):
        weight = layer.weight.detach().cpu()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().cpu()
        arrays[f"weight_{number}"] = weight.contiguous().numpy()
        arrays[f"bias_{number}"] = bias.numpy()
        arrays[f"threshold_{number}"] = np.float64(layer.threshold)
        arrays[f"t_max_{number}"] = np.int64(layer.t_max)
        arrays[f"delay_{number}"] = np.int64(layer.delay)
    return arrays


def _ramp_arrays(model: SpikingNetwork) -> dict[str, Any]:
    row = parts(model)
    arrays: dict[str, Any] = {"neuron": "ramp", "t_max": model.t_max, "parts": len(row)}
    for number, part in enumerate(row, 1):
        has = {name: value for name, value in vars(part).items() if name != "options"}
        for name, value in (has | part.options).items():
            if value is not None:
                arrays[f"{name}_{number}"] = compact(value) if name == "weight" else value
    return {name: np.asarray(value) for name, value in arrays.items()}
