"""Classifiers with 8-bit weights: a quarter of the memory, and integer arithmetic only.

Each layer has one scale ``s``: weights become ``q = round(w / s)`` in -127..127 and the bias a
32-bit multiple of ``s``. ``s`` is the threshold divided by a whole number ``n``, the largest with
which all weights fit, so that "potential above threshold" is exactly "sum of q above n" and no
rounding is left but that of the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from firstspike.coding import ImageLike, as_images, encode, shade_times
from firstspike.models import Classification, Classifier
from firstspike.nn import FirstSpikeLinear, by_input

LARGEST = 127  # of an 8-bit weight; -128 is left out, so that the range is symmetric


@dataclass(frozen=True)
class QuantizedLayer:
    """Integer weights; potentials are in units of ``scale``.

    Args:
        rows: int8 [in, out], C-contiguous: an input spike adds one row.
        bias: int32 [out], the potential at step 0.
        threshold: potential that must be exceeded.
        scale: what 1 is worth in the layer that was quantised.
    """

    rows: NDArray[np.int8]
    bias: NDArray[np.int32]
    threshold: int
    scale: float


class QuantizedClassifier:
    """An int8 classifier for inference on the CPU, made by `quantize`."""

    def __init__(self, layers: list[QuantizedLayer], t_max: int, delay: int) -> None:
        self.layers, self.t_max, self.delay = layers, t_max, delay
        self._time_of_shade = shade_times(t_max)

    def classify(self, images: ImageLike) -> Classification:
        """Decide on images, as `Classifier.classify` does.

        Args:
            images: [B, ...], uint8 or floating point in 0..1, as for `firstspike.encode`.

        Raises:
            ValueError: ``images`` do not fit.
        """
        from firstspike.ops.cpu import int8  # Numba takes a second to import

        times = self._times(images)
        inputs = len(self.layers[0].rows)
        if times.ndim != 2 or times.shape[1] != inputs:
            raise ValueError(
                f"images must be [B, ...] with {inputs} pixels each, got {list(images.shape)}"
            )
        result = int8.classify(
            times,
            [layer.rows for layer in self.layers],
            [layer.bias for layer in self.layers],
            [layer.threshold for layer in self.layers],
            self.t_max,
            self.delay,
        )
        return Classification(*map(torch.from_numpy, result))

    def _times(self, images: ImageLike) -> NDArray[np.int32]:
        """Spike times [B, pixels] of images."""
        pixels = as_images(images).cpu()
        flat = pixels.flatten(1) if pixels.ndim > 1 else pixels
        if flat.dtype == torch.uint8:
            return self._time_of_shade[flat.numpy()]
        return encode(flat, self.t_max).numpy().astype(np.int32)

    def as_float(self) -> Classifier:
        """The same network in floating point: the same spikes, for all that takes a `Classifier`.

        Its weights are the integers, so that its sums are exact as well: potentials and thresholds
        are in units of each layer's ``scale``.
        """
        model = by_input(Classifier(*map(self._float_layer, self.layers)))
        exact = all(_bound(layer) < 1 << 24 for layer in self.layers)
        return model if exact else model.double()

    def _float_layer(self, layer: QuantizedLayer) -> FirstSpikeLinear:
        result = FirstSpikeLinear(
            *layer.rows.shape,
            threshold=float(layer.threshold),
            t_max=self.t_max,
            delay=self.delay,
            init=(0.0, 0.0),
        ).requires_grad_(False)
        result.weight.copy_(torch.from_numpy(layer.rows).t())
        assert result.bias is not None
        result.bias.copy_(torch.from_numpy(layer.bias))
        return result


def quantize(model: Classifier) -> QuantizedClassifier:
    """Round a classifier's weights to 8 bits, one scale for each layer.

    Args:
        model: a trained classifier, which stays as it is. It learns nothing from this: there is no
            calibration and no fine-tuning.

    Raises:
        ValueError: a threshold or a sum of weights is out of the range of such integers.
    """
    layers = [_quantize(layer, f"layer {k}") for k, layer in enumerate(model.layers)]
    return QuantizedClassifier(layers, model.layers[0].t_max, model.layers[0].delay)


def _quantize(layer: FirstSpikeLinear, name: str) -> QuantizedLayer:
    from firstspike.ops.cpu.int8 import HEADROOM

    weight = layer.weight.detach().cpu().double().numpy()
    start = layer.weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    bias = start.detach().cpu().double().numpy()
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError(f"model must have finite weights and biases, but those of {name} are not")
    threshold, scale = threshold_and_scale(layer.threshold, float(np.abs(weight).max()), name)
    rows = np.ascontiguousarray(np.round(weight.T / scale).clip(-LARGEST, LARGEST), np.int8)
    steps = np.round(bias / scale).clip(-HEADROOM, HEADROOM).astype(np.int32)
    result = QuantizedLayer(rows, steps, threshold, scale)
    if _bound(result) >= HEADROOM:
        raise ValueError(
            f"model must have potentials below {HEADROOM} steps of its weights, but in {name} they "
            f"may reach {_bound(result)}: its bias or threshold is too large for its weights"
        )
    return result


def threshold_and_scale(threshold: float, largest: float, name: str) -> tuple[int, float]:
    """A whole number for the threshold and what 1 is worth, for weights up to ``largest``."""
    largest = largest or abs(threshold) or 1.0
    if threshold == 0:
        return 0, largest / LARGEST
    steps = math.floor(LARGEST * abs(threshold) / largest)
    if steps == 0:
        raise ValueError(
            f"model must have weights up to {LARGEST} times the threshold, but {name} has one of "
            f"{largest:g} at threshold {threshold:g}"
        )
    return int(math.copysign(steps, threshold)), abs(threshold) / steps


def _bound(layer: QuantizedLayer) -> int:
    """No potential can ever be further from 0, nor from the threshold."""
    reach = np.abs(layer.rows.astype(np.int64)).sum(axis=0) + np.abs(layer.bias.astype(np.int64))
    return int(reach.max()) + abs(layer.threshold)
