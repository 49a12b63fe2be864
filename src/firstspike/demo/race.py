"""What a classifier does with one image, spike by spike, as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.coding import encode
from firstspike.demo import windows
from firstspike.metrics import decide, spike_stats
from firstspike.models import Classifier
from firstspike.models.networks import NetworkClassifier
from firstspike.nn import FirstSpikeLinear

_DIGITS = 4  # behind the decimal point of a potential, in thresholds


@torch.no_grad()
def race(model: Classifier | NetworkClassifier, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The race of the output neurons to their first spike.

    Args:
        model: the network.
        image: uint8, of the size that the network takes, [height, width] or
            [3, height, width].

    Returns:
        ``winner`` and ``decision``, its step (t_max if no output neuron spiked, and then the
        largest potential wins); ``tied``, the classes that spiked in that step; ``spikes`` of each
        layer and ``additions`` until then; ``times``, the spike times of each layer, the input's
        first, t_max for silence; ``potentials`` of the output neurons in thresholds
        [t_max][classes], had none fired; ``macs``, multiply-adds of a dense network of this size;
        ``t_max`` and ``delay``; ``reach``, the additions of a spike of each layer but the last;
        ``window``, the steps of a layer's window, which step neurons share; ``blank``, whether no
        pixel holds any ink.
    """
    if isinstance(model, NetworkClassifier):
        return windows.race(model, image)
    layers = model.layers
    last, t_max = layers[-1], layers[0].t_max
    times = encode(image.reshape(1, -1), t_max).to(layers[0].weight)
    layer_times = model.layer_times(times)
    output = layer_times[-1]
    stats = spike_stats(layer_times, t_max, delay=last.delay)
    winner = int(decide(output, last.final_potential(layer_times[-2]), t_max))
    decision = int(stats.decision)
    return {
        "winner": winner,
        "decision": decision,
        "tied": [k for k, t in enumerate(_whole(output)) if t == decision < t_max],
        "spikes": stats.spikes[0].tolist(),
        "additions": int(stats.synaptic_operations),
        "times": [_whole(layer) for layer in layer_times],
        "potentials": _in_thresholds(output_potentials(last, layer_times[-2]), last.threshold),
        "macs": sum(layer.weight.numel() for layer in layers),
        "t_max": t_max,
        "window": t_max,
        "reach": [layer.out_features for layer in layers],
        "delay": last.delay,
        "blank": not image.any(),
    }


@torch.no_grad()
def output_potentials(layer: FirstSpikeLinear, times: Tensor) -> Tensor:
    """Potentials of a layer's neurons in each step, had none fired (eq. 1).

    Args:
        layer: the layer.
        times: spike times [1, in] of the layer before.

    Returns:
        float64 [t_max, out].
    """
    arrival = times[0] + layer.delay
    counts = arrival < layer.t_max
    charge = torch.zeros(layer.t_max, layer.out_features, dtype=torch.float64)
    if layer.bias is not None:
        charge[0] = layer.bias
    charge.index_add_(0, arrival[counts].long(), layer.weight.t()[counts].double())
    return charge.cumsum(dim=0)


def _whole(times: Tensor) -> list[int]:
    """The spike times [1, features] of a layer as whole numbers."""
    whole: list[int] = times[0].int().tolist()
    return whole


def _in_thresholds(potentials: Tensor, threshold: float) -> list[list[float]]:
    scaled: list[list[float]] = (potentials / threshold).tolist()
    return [[round(value, _DIGITS) for value in step] for step in scaled]
