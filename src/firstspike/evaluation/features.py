"""Two small networks that look at images: one gives features, the other names the digit.

Fréchet and kernel distances are measured on the features of the one; whether a sample shows the
right digit is asked of the other, which has another architecture, another seed and no part in the
distances. Both were trained on MNIST's training images by ``tools/train_features.py`` and come with
the package. Their weights are checked against a SHA-256.

They see MNIST's format, 28x28 pixels in gray. Images of any other are brought to it first, so their
distances lose colour and detail: compare them among images of one size, not with MNIST's.
"""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from firstspike.training.noise import shifted

FEATURES = 64
DIGITS = 10
SEEN = (28, 28)  # height and width of what the networks see
FEATURE_FILE = Path(__file__).parent / "_files" / "feature-network.safetensors"
FEATURE_SHA256 = "092b9c951ea57f513b3da65052bf2326c7980b90fff34caf462af543b150b434"
DIGIT_FILE = Path(__file__).parent / "_files" / "digit-classifier.safetensors"
DIGIT_SHA256 = "46b3bd0413d0a102e99a74aa3dff41852dcda85c9815888bf7f7c9f292484b3c"
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in gray (ITU-R BT.601)
_CHUNK = 500  # images at a time
_BATCH, _RATE, _SHIFT = 100, 2e-3, 2  # training: images a step, first learning rate, pixels

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class FeatureNetwork(nn.Module):
    """Convolutions 5x5 with 16 and 32 channels, 64 features after a ReLU, a score a class."""

    def __init__(self, classes: int = DIGITS) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 5 * 5, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores [B, classes] of images [B, 1, 28, 28] in 0..1."""
        return self.head(self.features(images))


class DigitClassifier(nn.Sequential):
    """Convolutions 3x3 with 32, 48 and 64 channels and batch normalisation; ten scores.

    Takes images [B, 1, 28, 28] in 0..1.
    """

    def __init__(self) -> None:
        super().__init__(
            *_normalized(1, 32), *_normalized(32, 48), *_normalized(48, 64),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 3 * 3, DIGITS),
        )  # fmt: skip


def _normalized(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)


def extract(images: Tensor) -> Tensor:
    """Features that distances are measured on.

    Args:
        images: [N, height, width] or [N, channels, height, width], uint8 or floating point in 0..1.

    Returns:
        float32 [N, 64].

    Raises:
        ValueError: ``images`` do not fit, or the bundled weights are missing or were changed.
    """
    return apply(feature_network().features, images)


def digit_probabilities(images: Tensor) -> Tensor:
    """How sure the independent classifier is of each digit; it knows no others than MNIST's.

    Args:
        images: as for `extract`, which also tells what is raised.

    Returns:
        float32 [N, 10].
    """
    return apply(digit_classifier(), images).softmax(dim=1)


@functools.cache
def feature_network() -> FeatureNetwork:
    """The network behind `extract`, in evaluation mode. ValueError as there."""
    return _load(FeatureNetwork(), FEATURE_FILE, FEATURE_SHA256)


@functools.cache
def digit_classifier() -> DigitClassifier:
    """The network behind `digit_probabilities`, in evaluation mode. ValueError as there."""
    return _load(DigitClassifier(), DIGIT_FILE, DIGIT_SHA256)


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int, seed: int) -> None:
    """Train a network to name the class: cross-entropy, Adam along a cosine, shifted images.

    Args:
        network: takes what `as_batch` gives; ends in evaluation mode.
        images: as for `extract`.
        labels: int64 [N], below the number of the network's scores.
        epochs: passes over the images.
        seed: of order and shifts.
    """
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), _RATE, fused=True)
    network.train()
    for epoch in range(epochs):
        batches = torch.randperm(len(images), generator=rng).split(_BATCH)
        for step, chosen in enumerate(batches):
            done = (epoch + step / len(batches)) / epochs
            optimizer.param_groups[0]["lr"] = _RATE * (1 + math.cos(math.pi * done)) / 2
            batch = shifted(as_batch(images[chosen])[:, 0], _SHIFT, 0, rng)
            scores = network(batch[:, None])
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, labels[chosen]).backward()
            optimizer.step()
    network.eval()


@torch.no_grad()
def apply(network: nn.Module, images: Tensor) -> Tensor:
    """What a network says of images as for `extract`: [N, ...]."""
    return torch.cat([network(as_batch(chunk)) for chunk in images.split(_CHUNK)])


def as_batch(images: Tensor) -> Tensor:
    """Images as for `extract` in the form that the networks see: [N, 1, 28, 28] in 0..1."""
    batch = intensities(images)
    channels = batch.shape[1]
    if channels == len(_LUMA):
        batch = torch.einsum("nchw,c->nhw", batch, torch.tensor(_LUMA))[:, None]
    elif channels > 1:
        batch = batch.mean(dim=1, keepdim=True)
    if batch.shape[2:] == SEEN:
        return batch
    return nn.functional.interpolate(batch, SEEN, mode="bilinear", antialias=True)


def intensities(images: Tensor) -> Tensor:
    """Images as numbers: float32 [N, channels, height, width] in 0..1.

    Args:
        images: as for `extract`.

    Raises:
        ValueError: ``images`` do not fit.
    """
    if images.ndim not in (3, 4) or not images.numel():
        raise ValueError(
            "images must be [N, height, width] or [N, channels, height, width], not empty, "
            f"got {list(images.shape)}"
        )
    images = images[:, None] if images.ndim == 3 else images
    if images.dtype == torch.uint8:
        return images / 255
    if not images.dtype.is_floating_point or not ((images >= 0) & (images <= 1)).all():
        raise ValueError("images must be uint8, or floating point in 0..1 without NaN")
    return images.float()


def _load(network: NetworkT, file: Path, sha256: str) -> NetworkT:
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"{file}: the bundled weights are missing or damaged; reinstall firstspike"
        )
    network.load_state_dict(safetensors.torch.load(content))
    return network.eval().requires_grad_(False)
