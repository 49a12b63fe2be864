"""What is where: the first output spike of a pixel names its class.

A pixel has an output neuron for each class, which learn by the cross-entropy of their potentials,
as a classifier's do (`firstspike.training.rules.exact`); the dense twin's the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstspike.data import Data, ImageSet, Parts, Split, canvases, load_mnist
from firstspike.data.masks import load_masked, masked
from firstspike.data.pairs import PairSet
from firstspike.metrics import decide, intersection_over_union
from firstspike.models.networks import deployed
from firstspike.training.config import DataOptions
from firstspike.training.pixels import PixelTraining
from firstspike.training.pixels_config import SegmentationOptions
from firstspike.training.trainer import Stats

FITTED = 100  # training images that decide the window of the output layer
RARE = 1e-3  # share of pixels whose winner may lie below it, or runner-up above
TEST_CANVASES = 1000


class Segmentation(PixelTraining):
    """A segmenter of ramp neurons, or its dense twin."""

    config: SegmentationOptions

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        found = [images] if held_out is None else [images, held_out]
        if not all(isinstance(one, PairSet) for one in found):
            raise ValueError("data must be a folder of images and masks, or a PairSet")
        return super().parts_of(config, images, held_out)

    def check(self, images: ImageSet) -> None:
        super().check(images)
        targets, classes = self.tensors(images)[1], len(self.shape.classes)
        if classes < 2:
            raise ValueError(f"images: {images.name} has one class, the ground; name two or more")
        if targets.ndim != 3 or targets.max() >= classes:
            raise ValueError(
                f"targets of {images.name} must be masks [N, height, width] of the classes "
                f"0..{classes - 1}, got {list(targets.shape)} up to {int(targets.max())}"
            )

    @classmethod
    def load_split(cls, config: Any, split: Split) -> PairSet:
        if config.data is not None:
            return load_masked(config.data, split, size=config.size, colour=config.colour)
        count = config.canvases if split == "train" else TEST_CANVASES
        return masked(canvases(count, digits=load_mnist(split)))

    def build(self) -> None:
        super().build()
        self.model.register_buffer("output_window", torch.tensor([0.0, 1.0]))

    @property
    def window(self) -> Tensor:
        """Potentials of silence and of step 0 of the output layer, [2]."""
        return self.model.output_window  # type: ignore[return-value]

    @property
    def outputs(self) -> int:
        return len(self.shape.classes)

    def watch(self, parts: Parts) -> Any:
        self.fitted = parts.training.images[:FITTED]
        return super().watch(parts)

    def loss(self, potential: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(potential, wanted.long())

    @torch.no_grad()
    def finish_epoch(self, rng: torch.Generator) -> None:
        """Put silence below nearly every winner, and step 0 above nearly every runner-up."""
        if self.t_max is None:
            return
        top = self.potentials(self.fitted).topk(2, dim=1).values
        low, high = top[:, 0].flatten(), top[:, 1].flatten()
        rank = max(1, int(RARE * len(low)))
        window = low.kthvalue(rank).values, high.kthvalue(len(high) - rank + 1).values
        self.window.copy_(torch.stack(window))

    def result(self) -> nn.Sequential:
        if self.t_max is None:
            return super().result()
        model: Any = self.model
        low, high = self.window.tolist()
        return deployed(model, low, high).eval().requires_grad_(False)

    def read(self, potential: Tensor, times: Tensor | None) -> Tensor:
        """The class of each pixel, uint8 [B, H, W]."""
        if times is None:
            return potential.argmax(dim=1).byte()
        assert self.t_max is not None
        spikes, potentials = (one.movedim(1, -1).flatten(0, -2) for one in (times, potential))
        classes = decide(spikes, potentials, self.t_max)
        return classes.byte().view(len(times), *times.shape[2:])

    def judged(self, said: Tensor, images: ImageSet) -> Stats:
        shares = intersection_over_union(said, self.tensors(images)[1], self.outputs)
        return {"mean_iou": float(shares.nanmean())}

    def further(self, said: Tensor, images: ImageSet) -> dict[str, Any]:
        wanted = self.tensors(images)[1]
        shares = intersection_over_union(said, wanted, self.outputs)
        by_class = zip(self.shape.classes, shares.tolist(), strict=True)
        right = float((said == wanted).double().mean())
        return {"pixel_accuracy": right, "iou": {name: s for name, s in by_class if s == s}}

    def drawn(self, images: ImageSet) -> tuple[Tensor, Tensor]:
        seen, wanted = self.tensors(images)
        return self.coloured(self.segment(seen)), self.coloured(wanted)

    def segment(self, images: Tensor) -> Tensor:
        """The class of each pixel of uint8 images [N, ...]: uint8 [N, H, W]."""
        return self.answers(images)[0]

    def coloured(self, classes: Tensor) -> Tensor:
        """Classes as colours, [N, 3, H, W] in 0..1: the ground black, the others on a circle."""
        hues = torch.arange(self.outputs - 1)[:, None] / (self.outputs - 1)
        wheel = 0.5 + 0.5 * torch.cos(2 * torch.pi * (hues + torch.tensor([0.0, 1 / 3, 2 / 3])))
        palette = torch.cat([torch.zeros(1, 3), wheel])
        return palette[classes.long()].movedim(-1, 1)
