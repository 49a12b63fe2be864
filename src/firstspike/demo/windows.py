"""What a classifier of ramp neurons does with one image, window after window, as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstspike.counts import count
from firstspike.metrics import decide
from firstspike.models.networks import NetworkClassifier
from firstspike.nn import Trace


@torch.no_grad()
def race(model: NetworkClassifier, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The race of the output neurons, as `firstspike.demo.race.race` tells it.

    Args:
        model: the network.
        image: uint8, of the size that the network takes.

    Returns:
        As of step neurons, all steps counted from the start of the first window: ``t_max`` are
        those of all windows and mean silence. Beside them ``window``, the steps of one.
    """
    window = model.t_max
    traces = model.traces(model.times_of(image[None]))
    counts, output = count(model, traces), traces[-1].times
    winner = int(decide(output, potential(traces[-1], window, window), window))
    earliest = int(output.min())
    steps = model.windows * window
    spikes, additions = counts.spikes[0].tolist(), counts.additions[0].tolist()
    return {
        "winner": winner,
        "decision": int(counts.decision),
        "tied": [k for k, t in enumerate(output[0].tolist()) if t == earliest < window],
        "spikes": spikes,
        "additions": sum(additions),
        "reach": [
            added / fired if fired else 0
            for fired, added in zip(spikes, additions[1:], strict=False)
        ],
        "times": [
            _global(trace.times, number, window, steps) for number, trace in enumerate(traces)
        ],
        "potentials": output_potentials(model, traces).tolist(),
        "macs": counts.macs,
        "t_max": steps,
        "window": window,
        "delay": 0,
        "blank": not image.any(),
    }


def output_potentials(model: NetworkClassifier, traces: list[Trace]) -> Tensor:
    """Potentials of the output neurons in thresholds, float64 [all steps, classes], had none fired.

    They are 0 until the window of their inputs, whose currents raise or lower them, and then climb
    by the clock through their own.
    """
    window, last = model.t_max, traces[-1]
    waiting = (model.windows - 2) * window
    rises = torch.cat([potential(last, step, window) for step in range(window)])
    reached = potential(last, window, window)
    threshold = last.module.neuron.threshold
    clock = torch.arange(window, dtype=reached.dtype).unsqueeze(1) / window
    before = torch.zeros(waiting, reached.shape[1], dtype=reached.dtype)
    potentials = torch.cat([before, rises / threshold, reached / threshold + clock])
    return potentials.double().mul(1e4).round().div(1e4)


def potential(trace: Trace, step: int, window: int) -> Tensor:
    """Potentials [1, out] of a layer after so many steps of its inputs' window.

    An input spike at step t has added ``w * (step - t) / t_max`` by then.
    """
    module = trace.module
    assert trace.inputs is not None
    if trace.beside is None:
        drive: Tensor = module.drive((step - trace.inputs).clamp(min=0))
    else:
        beside = (step - trace.beside).clamp(min=0)
        joined = beside if module.shortcut is None else module.shortcut(beside)
        drive = module.last.drive((step - trace.inputs).clamp(min=0)) + joined
    return drive / window


def _global(times: Tensor, number: int, window: int, steps: int) -> list[int]:
    """Spike times of a layer, counted from the start of the first window; ``steps`` is silence."""
    local = times[0].flatten().long()
    told: list[int] = torch.where(local < window, number * window + local, steps).tolist()
    return told
