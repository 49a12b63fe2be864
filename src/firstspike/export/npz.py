"""Networks as plain NumPy arrays, for programs that know neither PyTorch nor NIR."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from firstspike.export.facts import Facts
from firstspike.nn import FirstSpikeSequential
from firstspike.runs import files


def save(
    path: str | os.PathLike[str], model: FirstSpikeSequential, *, facts: Facts | None = None
) -> None:
    """Write a network as an .npz file, which `numpy.load` reads.

    It holds, for each layer k from 1 on, ``weight_k`` [out, in], ``bias_k`` [out] (zeros where the
    layer has none), ``threshold_k``, ``t_max_k`` and ``delay_k``. ``examples/numpy_only.py`` runs
    such a file.

    Args:
        path: the file, replaced if it is there.
        model: the network.
        facts: further arrays, such as ``classes``; see `firstspike.export.facts`.

    Raises:
        ValueError: the file cannot be written.
    """
    arrays: dict[str, Any] = {name: np.array(fact) for name, fact in (facts or {}).items()}
    for number, layer in enumerate(model.layers, 1):
        weight = layer.weight.detach().cpu()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().cpu()
        arrays[f"weight_{number}"] = weight.contiguous().numpy()
        arrays[f"bias_{number}"] = bias.numpy()
        arrays[f"threshold_{number}"] = np.float64(layer.threshold)
        arrays[f"t_max_{number}"] = np.int64(layer.t_max)
        arrays[f"delay_{number}"] = np.int64(layer.delay)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path = Path(path)
    with files.explained(path, "choose another place"):
        files.replace(path, content.getvalue())
