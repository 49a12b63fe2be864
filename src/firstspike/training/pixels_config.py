"""Options of U-shaped networks, with their defaults; see `firstspike.training.pixels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from firstspike.times import T_MAX
from firstspike.training.config import FASTEST, DataOptions, RampOnly, check_steps
from firstspike.training.options import MOST, above, within


@dataclass(frozen=True)
class PixelOptions(DataOptions):
    """What all of them share."""

    channels: int = within(8, 1, 1024)
    """Channels of the layers of full size; going down doubles them."""
    depth: int = within(2, 1, 6)
    """How often the network halves the sides of its images."""
    epochs: int = within(2, 1, MOST)
    """Passes over the training images."""
    batch: int = within(64, 1, MOST)
    """Images in one step of training."""
    lr: float = above(0.016, high=FASTEST)
    """Largest learning rate; it rises in the first steps and falls to 0 along a cosine."""
    weight_decay: float = within(0.0, 0.0)
    """AdamW's decay of weights."""
    sparsity: float = within(0.0, 0.0)
    """Price of what hidden neurons say, which asks for fewer spikes."""


@dataclass(frozen=True)
class RampPixelOptions(RampOnly, DataOptions):
    """Of ramp neurons."""

    t_max: int = T_MAX
    """Time steps of a window."""
    window: float = above(3.0)
    """Standard deviations of a potential between silence and the threshold."""
    start: float = within(-0.5, -10.0, 10.0)
    """Mean potential at the start, in standard deviations; lower is sparser."""

    def check_ranges(self) -> None:
        super().check_ranges()
        check_steps(self.t_max)


@dataclass(frozen=True)
class TranslationOptions(PixelOptions):
    """From image to image."""

    task: Literal["noisy", "holes", "outline", "colour", "pairs"] = "noisy"
    """What is to be undone: noise, holes, all but the outline, or the loss of colours; or pairs:
    pictures in the folders inputs and targets of the data."""
    adversarial: float = within(0.0, 0.0)
    """Price of what a second network, which learns beside, tells from targets: for sharper answers;
    0 trains none."""

    def check(self) -> None:
        super().check()
        if self.task == "pairs" and self.data is None:
            raise ValueError("task pairs needs data: a folder with the folders inputs and targets")


@dataclass(frozen=True)
class SegmentationOptions(PixelOptions):
    """From image to the class of each pixel."""

    channels: int = within(12, 1, 1024)
    """Channels of the layers of full size; going down doubles them."""
    depth: int = within(3, 1, 6)
    """How often the network halves the sides of its images."""
    epochs: int = within(4, 1, MOST)
    """Passes over the training images."""
    batch: int = within(16, 1, MOST)
    """Images in one step of training."""
    canvases: int = within(12000, 1, MOST)
    """Canvases to train on, drawn from the bundled digits, where no data are given."""


@dataclass(frozen=True)
class SegmentationConfig(RampPixelOptions, SegmentationOptions):
    """Options of a segmenter of ramp neurons."""

    sparsity: float = within(0.02, 0.0)
    """Price of what hidden neurons say, which asks for fewer spikes."""


@dataclass(frozen=True)
class AnnSegmentationConfig(SegmentationOptions):
    """Options of the dense twin: ReLU."""


@dataclass(frozen=True)
class TranslationConfig(RampPixelOptions, TranslationOptions):
    """Options of a translator of ramp neurons."""

    sparsity: float = within(0.002, 0.0)
    """Price of what hidden neurons say, which asks for fewer spikes."""


@dataclass(frozen=True)
class AnnTranslationConfig(TranslationOptions):
    """Options of the dense twin: ReLU."""

    pixels: Literal["sigmoid", "clipped"] = "sigmoid"
    """Sigmoids, which learn by the cross-entropy, or clipped pixels, which learn as those of ramp
    neurons do and are better with outlines and colours."""
