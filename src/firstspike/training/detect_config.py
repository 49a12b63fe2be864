"""Options of detectors, with their defaults; see `firstspike.training.detect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from firstspike.times import T_MAX
from firstspike.training.config import FASTEST, DataOptions, RampOnly, check_steps
from firstspike.training.options import MOST, above, within


@dataclass(frozen=True)
class DetectOptions(DataOptions):
    """What the spiking detector and its dense twin share."""

    data: str | None = None
    """Folder with images/ and annotations.json, as of COCO, or with train/ and test/ that have them
    each; canvases that the program makes if not given."""
    size: int | None = within(None, 4, 512)
    """Pixels of a side to which pictures of a folder are brought, a multiple of the strides of the
    layers; 64 if not given."""
    colour: Literal["auto", "gray", "colour"] = "auto"
    """Of the pictures of a folder: auto is gray."""
    canvases: int = within(14000, 1, MOST)
    """Without a folder: canvases that are made to train on."""
    network: str = "16c3s2-32c3s2-64c3s2-64c3-64c3"
    """Convolutions before the output neurons: channels, c, kernel, s, stride."""
    shift: int = within(6, 0, 64)
    """Pixels by which each training image is moved at most, each way, in each epoch anew."""
    epochs: int = within(10, 1, MOST)
    """Passes over the training images."""
    batch: int = within(32, 2, MOST)
    """Images in one step of training."""
    lr: float = above(6e-3, high=FASTEST)
    """Largest learning rate; it rises in the first steps and falls to 0 along a cosine."""
    weight_decay: float = within(0.05, 0.0)
    """Of AdamW."""


@dataclass(frozen=True)
class DetectConfig(RampOnly, DetectOptions):
    """Options of the detector of ramp neurons."""

    t_max: int = T_MAX
    """Time steps of a window."""
    window: float = above(3.0)
    """Standard deviations of a hidden neuron's potentials between silence and its threshold."""
    start: float = within(-0.5, -5.0, 5.0)
    """Mean of these potentials at the start, in standard deviations."""
    sparsity: float = within(0.0, 0.0)
    """Price of what hidden neurons say."""

    def check_ranges(self) -> None:
        super().check_ranges()
        check_steps(self.t_max)


@dataclass(frozen=True)
class AnnDetectConfig(DetectOptions):
    """Options of the dense twin: ReLU, and sigmoids that tell the sides of boxes."""
