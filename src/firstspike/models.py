"""The paper's networks and their dense twins of the same size (sections 3.1 and 3.2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from firstspike.coding import ImageLike, encode
from firstspike.metrics import decide, spike_stats
from firstspike.nn import FirstSpikeLinear, FirstSpikeSequential, weight_range

LATENTS, HIDDEN, PIXELS = 100, 400, 784  # sizes of Spiking-GAN, section 3.2
IMAGE_RANGE = weight_range(PIXELS, 6.0, 1.0)  # behind images, whose pixels are mostly silent
# Downward drift: a generator's hidden neuron fires early or never, so that each latent has a code
# of its own that stays through training.
LATENT_RANGE = weight_range(LATENTS, -20.0, 8.0)


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

    @torch.no_grad()
    def classify(self, images: ImageLike) -> Classification:
        """Decide on images, and stop at the first output spike.

        On a CPU the layers of an image share one clock (`firstspike.ops.race`), so that its cost is
        that of the spikes until the decision. Elsewhere all spikes are computed, layer by layer,
        with the same result; its ``additions`` are those that would have been enough.

        Args:
            images: [B, ...], uint8 or floating point in 0..1, as for `firstspike.encode`.

        Raises:
            ValueError: ``images`` do not fit.
        """
        layers = self.layers
        times = encode(images, layers[0].t_max).flatten(1).to(layers[0].weight)
        return self._race(times) if times.device.type == "cpu" else self._by_layers(times)

    def _race(self, times: Tensor) -> Classification:
        from firstspike.ops.race import race  # Numba takes a second to import

        layers = self.layers
        biases = [
            times.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
            for layer in layers
        ]
        result = race(
            times.contiguous().numpy(),
            [layer.weight.detach().t().contiguous().numpy() for layer in layers],
            [bias.contiguous().numpy() for bias in biases],
            [layer.threshold for layer in layers],
            layers[0].t_max,
            layers[0].delay,
        )
        assert result is not None  # `encode` gives spike times
        return Classification(*map(torch.from_numpy, result))

    def _by_layers(self, times: Tensor) -> Classification:
        layer_times = self.layer_times(times)
        stats = spike_stats(layer_times, self.layers[0].t_max)
        potential = self.layers[-1].final_potential(layer_times[-2])
        classes = decide(layer_times[-1], potential, self.layers[0].t_max)
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


def classifier(hidden: int = HIDDEN, classes: int = 10, **layer: Any) -> Classifier:
    """Classifier 784-hidden-classes (section 3.1); the first output spike tells the class."""
    return Classifier(*_layers((PIXELS, hidden, classes), layer, (IMAGE_RANGE,)))


def generator(hidden: int = HIDDEN, **layer: Any) -> FirstSpikeSequential:
    """Generator 100-hidden-784: noise as spike times in, an image as spike times out."""
    ranges = (LATENT_RANGE, weight_range(hidden, 3.0, 0.7))
    return FirstSpikeSequential(*_layers((LATENTS, hidden, PIXELS), layer, ranges))


def discriminator(hidden: int = HIDDEN, **layer: Any) -> FirstSpikeSequential:
    """Discriminator 784-hidden-2; neuron 0 means fake and neuron 1 real (section 2.3)."""
    return FirstSpikeSequential(*_layers((PIXELS, hidden, 2), layer, (IMAGE_RANGE,)))


def ann_classifier(hidden: int = HIDDEN, classes: int = 10) -> nn.Sequential:
    """Dense twin of `classifier`: ReLU between, scores out."""
    return nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def ann_generator(hidden: int = HIDDEN) -> nn.Sequential:
    """Dense twin of `generator`: images in -1..1 out (tanh), ReLU between (section 3.2)."""
    return nn.Sequential(
        nn.Linear(LATENTS, hidden), nn.ReLU(), nn.Linear(hidden, PIXELS), nn.Tanh()
    )


def ann_discriminator(hidden: int = HIDDEN) -> nn.Sequential:
    """Dense twin of `discriminator`: one output, the logit of being real.

    The paper's sigmoid is part of the loss (binary cross-entropy with logits), which is the same
    function computed without overflow.
    """
    return nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, 1))
