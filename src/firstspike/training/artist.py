"""What draws images out of latents, whatever it has learned them by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from firstspike.data import Data, ImageSet, Parts
from firstspike.runs.directory import RunDirectory, epoch_generator
from firstspike.training.config import DataOptions
from firstspike.training.trainer import Stats, Trainer

PREVIEW = 64  # samples in the grid of each epoch
MEASURED = 1000  # samples behind the figures of the summary
_UNTOLD = "{}: this network cannot be asked for a class; leave {} out"


class Artist(Trainer):
    """Networks that draw; see `firstspike.training.gan.Gan` and `firstspike.training.vae.Vae`.

    Attributes:
        features: latents of a sample, without inputs that tell its class.
    """

    features: int

    @classmethod
    def parts_of(cls, config: DataOptions, images: Data, held_out: Data | None = None) -> Parts:
        parts = super().parts_of(config, images, held_out)
        digit = config.digit  # type: ignore[attr-defined]
        if digit == "all":
            return parts
        chosen = parts.held_out and parts.held_out.select(digit)
        return Parts(parts.training.select(digit), chosen)

    @classmethod
    def load_unseen(cls, config: DataOptions, split: str) -> ImageSet:
        images = super().load_unseen(config, split)
        digit = config.digit  # type: ignore[attr-defined]
        # `load_data` selects what is held out.
        return images if digit == "all" or split == "validation" else images.select(digit)

    def drawing(self, run: RunDirectory) -> list[str]:
        """Names of the networks in a run's checkpoint that samples need."""
        raise NotImplementedError

    def watch(self, parts: Parts) -> Callable[[], Stats]:
        self.preview = self.latents(PREVIEW, epoch_generator(self.config.seed, 0, "preview"))
        return lambda: self.spikes(self.preview)

    def picture(self) -> Tensor:
        return self.sample(self.preview)

    def summarize(self) -> dict[str, float]:
        rng = epoch_generator(self.config.seed, self.config.epochs, "summary")
        return self.spikes(self.latents(MEASURED, rng))

    def latents(
        self, count: int, rng: torch.Generator | None = None, digits: Tensor | None = None
    ) -> Tensor:
        """What ``count`` samples are drawn from.

        Args:
            count: number of samples.
            rng: of the latents.
            digits: class of each, int64 [count], for a network that can be told; all in turn if
                None.

        Returns:
            [count, features], and an input more for each class that can be told.

        Raises:
            ValueError: ``digits`` are given to a network that cannot be told, or are no classes.
        """
        raise NotImplementedError

    def sample(self, latents: Tensor, *, averaged: bool = True) -> Tensor:
        """Images drawn from latents.

        Args:
            latents: from `latents`, or spike times of your own.
            averaged: whether an average of the weights over training draws, where there is one.

        Returns:
            Intensities in 0..1, [count, height, width], in colour [count, 3, height, width].
        """
        raise NotImplementedError

    def spikes(self, latents: Tensor, *, averaged: bool = True) -> dict[str, float]:
        """Spikes per image and share of silent neurons; nothing if the network does not spike."""
        return {}

    def further(self, unseen: Tensor, labels: Tensor, drawn: Tensor) -> dict[str, Any]:
        """What else there is to measure, as JSON values.

        Args:
            unseen: images, uint8 [N, ...].
            labels: of these, int64 [N].
            drawn: samples of the same shape, of these classes if the network can be told any.
        """
        return {}

    def pictures(self, unseen: Tensor) -> dict[str, tuple[Tensor, int]]:
        """What else there is to see: images, and how many are in a row, by the name of the grid."""
        return {}

    @torch.no_grad()
    def walk(
        self,
        steps: int,
        count: int,
        rng: torch.Generator | None = None,
        digits: Tensor | None = None,
        to: Tensor | None = None,
    ) -> Tensor:
        """Latents on ``count`` straight lines between two random ones: [count * steps, features].

        ``digits`` [count] are the classes of the lines, as for `latents`, and ``to`` those where
        they end, if these are others. ValueError if the network cannot be asked for them.
        """
        if digits is None and self.config.conditional:
            digits = self.in_turn(count)
        if digits is None and to is not None:
            raise ValueError(_UNTOLD.format("to", "it"))
        both = None if digits is None else torch.cat([digits, digits if to is None else to])
        ends = self.latents(2 * count, rng, both).unflatten(0, (2, count))
        share = torch.linspace(0, 1, steps)[:, None]
        return self.between(ends[0, :, None], ends[1, :, None], share).flatten(0, 1)

    def in_turn(self, count: int) -> Tensor:
        """Classes one after the other, int64 [count]."""
        return torch.arange(count) % len(self.shape.classes)

    def between(self, first: Tensor, last: Tensor, share: Tensor) -> Tensor:
        """Latents so far on the way from the first ones to the last."""
        return self.on_grid(torch.lerp(first, last, share))

    def on_grid(self, latents: Tensor) -> Tensor:
        """The nearest latents that the network takes."""
        return latents

    def truncated(self, latents: Tensor, share: float) -> Tensor:
        """Latents pulled to the middle of their distribution, from where images are less varied.

        Args:
            latents: from `latents` or `walk`; inputs that tell the class stay.
            share: of the distance to the middle that is left, 0..1.

        Raises:
            ValueError: ``share`` is out of its range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie in 0..1, got {share}")
        noise, marks = latents[:, : self.features], latents[:, self.features :]
        pulled = self.on_grid(self.middle + share * (noise - self.middle))
        return torch.cat([pulled, marks], dim=1)

    @property
    def middle(self) -> float:
        """Of the latents' distribution."""
        return 0.0


class AtOnce(Artist):
    """Networks that draw out of latents each of which spikes at once or never."""

    def between(self, first: Tensor, last: Tensor, share: Tensor) -> Tensor:
        """Such latents change one after the other."""
        moments = (torch.arange(first.shape[-1]) + 0.5) / first.shape[-1]
        return torch.where(share > moments, last, first)

    def truncated(self, latents: Tensor, share: float) -> Tensor:
        if share != 1:
            raise ValueError("share of truncation must be 1: such latents have no middle")
        return latents


def check_untold(digits: Tensor | None) -> None:
    """Raise ValueError if a network that cannot be asked for a class is asked for some."""
    if digits is not None:
        raise ValueError(_UNTOLD.format("digits", "them"))
