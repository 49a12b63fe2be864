"""A trained classifier 784-400-10 to measure with, and how active it is."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import firstspike as fs
from firstspike.demo import networks
from firstspike.models import Classification, Classifier


def load(run: Path | None) -> Classifier:
    """The network of a run of ``firstspike train classifier``; if None, the bundled one."""
    try:
        model = _bundled() if run is None else fs.load_run(run)
    except ValueError as error:
        raise SystemExit(f"--run: {error}") from None
    if not isinstance(model, Classifier):
        raise SystemExit(f"--run must be a run of `firstspike train classifier`, got {run}")
    return model


def _bundled() -> object:
    runs = (offer.run for offer in networks.bundled())
    return networks.load(next(run for run in runs if run.kind == "classifier"))


def round_to_exact_sums(model: Classifier) -> None:
    """Round the parameters to multiples of a power of 2 so large that all sums have 24 bits.

    All libraries then see the same potentials, in whatever order they add.
    """
    parameters = [torch.cat([weight, bias[:, None]], dim=1) for weight, bias in layers(model)]
    largest = max(p.abs().sum(dim=1).max().item() for p in parameters)
    grid = 2.0 ** (math.ceil(math.log2(largest)) + 1 - 24)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter / grid).round() * grid)


def layers(model: Classifier) -> list[tuple[Tensor, Tensor]]:
    """Weight [out, in] and bias [out] of each layer."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for layer in model.layers:
        assert layer.bias is not None
        pairs.append((layer.weight, layer.bias))
    return pairs


def activity(decided: Classification, labels: Tensor) -> dict[str, float]:
    """Accuracy and means over images."""
    right = decided.classes == labels
    return {
        "accuracy, %": round(100 * right.double().mean().item(), 2),
        "decision step": round(decided.decisions.double().mean().item(), 1),
        "spikes until the decision": round(decided.spikes.sum(dim=1).double().mean().item(), 1),
        "additions until the decision": round(decided.additions.double().mean().item()),
    }


def multiply_adds(model: Classifier) -> int:
    """Of the dense twin, for one image."""
    return sum(layer.weight.numel() for layer in model.layers)
