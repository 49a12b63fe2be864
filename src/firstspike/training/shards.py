"""What the shards of a batch say to a network in training, as one vector that can be summed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Sharded:
    """A batch that is learned from shard by shard.

    Gradients and figures are means over its samples. The statistics of normalisation are means over
    shards, each of which begins with those that held before the batch.

    Args:
        network: that learns.
        count: number of shards.
    """

    def __init__(self, network: nn.Module, count: int) -> None:
        self._count = count
        self._learning = [one for one in network.parameters() if one.requires_grad]
        norms: list[Any] = [one for one in network.modules() if isinstance(one, _BatchNorm)]
        self._tracked = [norm.num_batches_tracked for norm in norms]
        self._statistics = [it for norm in norms for it in (norm.running_mean, norm.running_var)]
        self._before = [one.clone() for one in (*self._statistics, *self._tracked)]

    def begin(self) -> None:
        """Forget what the shard before has left in the statistics."""
        for now, then in zip((*self._statistics, *self._tracked), self._before, strict=True):
            now.copy_(then)

    def said(self, told: Tensor, share: float) -> Tensor:
        """What the network now holds of a shard, to be summed: [N].

        Args:
            told: its figures, [figures].
            share: of the batch's samples.
        """
        gradients = [one.grad * share for one in self._learning if one.grad is not None]
        assert len(gradients) == len(self._learning), "all parameters learn from every batch"
        statistics = [one / self._count for one in self._statistics]
        self._told = told
        return torch.cat([it.reshape(-1) for it in (*gradients, *statistics, told * share)])

    def settle(self, means: Tensor) -> Tensor:
        """Put the sum of what all shards have said into the network; the figures, [figures]."""
        gradients = [one.grad for one in self._learning if one.grad is not None]
        told = torch.empty_like(self._told)
        places = [*gradients, *self._statistics, told]
        parts = means.split([place.numel() for place in places])
        for place, part in zip(places, parts, strict=True):
            place.copy_(part.view_as(place))
        return told
