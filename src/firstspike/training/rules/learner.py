"""What a trainer of a classifier asks of a learning rule."""

from __future__ import annotations

import torch
from torch import Tensor

from firstspike.training.trainer import Stats


class Learner:
    """A rule at work on one network; it holds on to the network's parameters and their optimiser.

    A rule derives from this, and takes the network, its optimiser and the rule's settings.
    """

    def step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Stats:
        """Learn from a batch.

        Args:
            images: uint8 [B, ...].
            labels: int64 [B], each a class of the network.
            rng: of the noise.

        Returns:
            Means over the batch, of the network before the update.
        """
        raise NotImplementedError

    def finish_epoch(self, rng: torch.Generator) -> None:
        """What is due after the last step of an epoch."""
