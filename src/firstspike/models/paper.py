"""The paper's networks and their dense twins of the same size (sections 3.1 and 3.2)."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from firstspike.coding import ImageLike, as_images, encode, shade_times
from firstspike.metrics import decide, spike_stats
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential, weight_range
from firstspike.torch_private import is_plain

LATENTS, HIDDEN, PIXELS = 100, 400, 784  # sizes of Spiking-GAN, section 3.2
IMAGE_DRIFT, IMAGE_SPREAD = 6.0, 1.0  # behind images, whose pixels are mostly silent
# Potentials of a GAN's layers spread around a start half-way to the threshold.
GAN_HIDDEN, GAN_OUTPUT, GAN_START = 2.3, 0.58, 0.5
# One call for what `Classifier` looks up in each layer for each image.
_OPTIONS = operator.itemgetter("threshold", "t_max", "delay", "in_features", "out_features")
_PARAMETERS = operator.itemgetter("weight", "bias")


@dataclass(frozen=True)
class Classification:
    """What a classifier decided, and at what cost, sample by sample.

    Args:
        classes: int64 [B], the first output neuron to spike; of several at once the first; where
            none spiked, the one with the largest potential.
        decisions: int64 [B], the step of the first output spike; t_max where there is none.
        spikes: int64 [B, layers + 1], the input's first, up to and including the decision step.
        additions: int64 [B], weights that were added to potentials until the decision.
    """

    classes: Tensor
    decisions: Tensor
    spikes: Tensor
    additions: Tensor


class Classifier(FirstSpikeSequential):
    """Layers whose first output spike tells the class."""

    # Where the parameters were, they as arrays, and `race`.
    _raced: tuple[object, Any, Any] = (None, None, None)

    def classify(self, images: ImageLike) -> Classification:
        """Decide on images, and stop at the first output spike.

        On a CPU the layers of an image share one clock (`firstspike.ops.cpu.race`), so that its
        cost is that of the spikes until the decision; weights that are not stored by input
        (`firstspike.nn.by_input`) are transposed first. Elsewhere, and where somebody watches what
        is computed, all spikes are computed, layer by layer, with the same result.

        Args:
            images: [B, ...], uint8 or floating point in 0..1, as for `firstspike.encode`.

        Raises:
            ValueError: ``images`` do not fit.
        """
        facts = self._facts()
        known = facts is not None and facts == self._raced[0]
        if not known:
            self.check()
        first: FirstSpikeLinear = next(iter(self._modules.values()))  # type: ignore[assignment]
        inputs, t_max = first.in_features, first.t_max
        pixels = as_images(images)
        shape = pixels.shape
        if len(shape) < 2 or math.prod(shape[1:]) != inputs:
            raise ValueError(
                f"images must be [B, ...] with {inputs} pixels each, got {list(shape)}"
            )
        network: Any = None
        race: Any = None
        if self._is_simple(pixels):
            network, race = self._raced[1:] if known else self._network(self.layers, facts)
        if network is None:
            return self._by_layers(encode(pixels, t_max).flatten(1).to(first.weight))
        if pixels.dtype == torch.uint8:
            codes = shade_times(t_max)
        else:
            pixels, codes = encode(pixels, t_max).int(), np.arange(t_max + 1, dtype=np.int32)
        here = pixels if pixels.is_cpu else pixels.cpu()
        flat = np.ascontiguousarray(here.numpy().reshape(shape[0], inputs))
        result = race(flat, codes, network, t_max, first.delay)
        return Classification(*map(torch.from_numpy, result))

    def _is_simple(self, pixels: Tensor) -> bool:
        """Whether these are numbers, and no hook wants to see the layers at work."""
        for layer in self._modules.values():
            if layer._forward_hooks or layer._forward_pre_hooks:
                return False
        return is_plain(pixels)

    def _facts(self) -> list[object] | None:
        """All that the arrays for `race` depend on but the values of the parameters; None if these
        layers have no such facts. What is known of a network need not be found out again."""
        if torch.compiler.is_compiling():
            return None
        facts: list[object] = []
        try:
            for layer in self._modules.values():
                weight, bias = _PARAMETERS(layer._parameters)
                place = None if bias is None else bias.data_ptr()
                facts += (layer, _OPTIONS(layer.__dict__), weight.data_ptr(), place)
        except (AttributeError, KeyError, RuntimeError):  # others, or parameters in no memory
            return None
        return facts

    def _network(self, layers: list[FirstSpikeLinear], facts: list[object] | None) -> Any:
        """The layers for `race`, and it: views of the parameters, kept until a fact changes.

        (None, None) if they are not on a CPU, or not of a dtype that it takes.
        """
        weight = layers[0].weight
        if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.float64):
            return None, None
        from firstspike.ops.cpu.race import Network, race  # Numba takes a second to import

        rows = [layer.weight.detach().t() for layer in layers]
        biases = [
            row.new_zeros(row.shape[1]) if layer.bias is None else layer.bias.detach()
            for layer, row in zip(layers, rows, strict=True)
        ]
        network = Network(
            tuple(row.contiguous().numpy().reshape(-1) for row in rows),
            tuple(bias.contiguous().numpy() for bias in biases),
            np.array([layer.threshold for layer in layers], rows[0].numpy().dtype),
        )
        if all(tensor.is_contiguous() for tensor in rows + biases):  # else it is a copy
            self._raced = (facts, network, race)
        return network, race

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which have parameters of their own."""
        return {key: value for key, value in self.__dict__.items() if key != "_raced"}

    @torch.no_grad()
    def _by_layers(self, times: Tensor) -> Classification:
        layer_times = self.layer_times(times)
        stats = spike_stats(layer_times, self.t_max, delay=self.delay)
        potential = self.layers[-1].final_potential(layer_times[-2])
        classes = decide(layer_times[-1], potential, self.t_max)
        return Classification(
            classes, stats.decision.long(), stats.spikes, stats.synaptic_operations
        )


def spiking_network(sizes: Sequence[int], **layer: Any) -> FirstSpikeSequential:
    """Fully connected spiking layers of these sizes, input first.

    Args:
        sizes: e.g. (784, 400, 10).
        layer: options of every `FirstSpikeLinear`. The output layer always has ``silent="pull"``,
            "as if it had fired at t_max" (section 2.4).
    """
    return FirstSpikeSequential(*_layers(sizes, layer))


def _layers(
    sizes: Sequence[int], layer: dict[str, Any], ranges: Sequence[tuple[float, float]] = ()
) -> list[FirstSpikeLinear]:
    """The layers; ``ranges`` are those of the first ones' initial weights."""
    pairs = list(itertools.pairwise(sizes))
    options = [layer.copy() for _ in pairs]
    for option, init in zip(options, ranges, strict=False):
        option.setdefault("init", init)
    options[-1]["silent"] = "pull"
    return [FirstSpikeLinear(*pair, **option) for pair, option in zip(pairs, options, strict=True)]


def classifier(
    hidden: int = HIDDEN, classes: int = 10, pixels: int = PIXELS, **layer: Any
) -> Classifier:
    """Classifier pixels-hidden-classes (section 3.1); the first output spike tells the class."""
    ranges = (weight_range(pixels, IMAGE_DRIFT, IMAGE_SPREAD),)
    return Classifier(*_layers((pixels, hidden, classes), layer, ranges))


def generator(
    hidden: int = HIDDEN, labels: int = 0, pixels: int = PIXELS, **layer: Any
) -> FirstSpikeSequential:
    """Generator 100-hidden-pixels: noise as spike times in, an image as spike times out.

    ``labels`` inputs more come after the noise, one for each class.
    """
    return _gan_network((LATENTS + labels, hidden, pixels), layer)


def discriminator(
    hidden: int = HIDDEN, labels: int = 0, pixels: int = PIXELS, pairs: int = 1, **layer: Any
) -> FirstSpikeSequential:
    """Discriminator pixels-hidden-2; neuron 0 means fake and neuron 1 real (section 2.3).

    ``labels`` inputs more come after the pixels, as for `generator`; or there is one of several
    ``pairs`` of output neurons for each class.
    """
    return _gan_network((pixels + labels, hidden, 2 * pairs), layer)


def _gan_network(sizes: tuple[int, int, int], layer: dict[str, Any]) -> FirstSpikeSequential:
    spreads = zip(sizes, (GAN_HIDDEN, GAN_OUTPUT), strict=False)
    ranges = [weight_range(inputs, 0.0, spread) for inputs, spread in spreads]
    network = FirstSpikeSequential(*_layers(sizes, layer, ranges))
    for module in network.layers:
        if module.bias is not None:
            nn.init.constant_(module.bias, GAN_START * module.threshold)
    return network


def ann_classifier(hidden: int = HIDDEN, classes: int = 10, pixels: int = PIXELS) -> nn.Sequential:
    """Dense twin of `classifier`: ReLU between, scores out."""
    return nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def ann_generator(hidden: int = HIDDEN, labels: int = 0, pixels: int = PIXELS) -> nn.Sequential:
    """Dense twin of `generator`: images in -1..1 out (tanh), ReLU between (section 3.2)."""
    return nn.Sequential(
        nn.Linear(LATENTS + labels, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Tanh()
    )


def ann_discriminator(hidden: int = HIDDEN, labels: int = 0, pixels: int = PIXELS) -> nn.Sequential:
    """Dense twin of `discriminator`: one output, the logit of being real.

    The paper's sigmoid is part of the loss (binary cross-entropy with logits), which is the same
    function computed without overflow.
    """
    return nn.Sequential(nn.Linear(pixels + labels, hidden), nn.ReLU(), nn.Linear(hidden, 1))
