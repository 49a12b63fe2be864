"""The processes that train one network together, and their sums in a fixed order.

A batch is cut into as many shards as the options say, a power of two. Each process learns from the
same number of them, one after another, and what they say is summed as the leaves of a binary tree:
first neighbours, then pairs, and so on. So one process and several have the same sums to the last
bit, wherever one shard gives the same bits, and a run goes on with another number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


class Lost(ValueError):
    """Another process of the team has ended, and with it the training."""


class Team:
    """A process among others; this one is alone.

    Attributes:
        rank: its number, from 0.
        size: number of processes, a power of two.
    """

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that measures, draws, saves and speaks."""
        return self.rank == 0

    def own(self, shards: int) -> range:
        """The shards of this process, out of so many."""
        each = shards // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def sum(self, vectors: Sequence[Tensor]) -> Tensor:
        """The sum of the vectors of all processes, those of lower ranks first.

        Args:
            vectors: of this process, [N] each, as many as of every other one, a power of two.

        Raises:
            Lost: another process has ended.
        """
        return tree_sum(vectors)

    def tell(self, content: Any) -> Any:
        """What the first process tells, on all of them."""
        return content

    def gather(self, content: Any) -> list[Any]:
        """What each process says, by rank."""
        return [content]


ALONE = Team()


def tree_sum(vectors: Sequence[Tensor]) -> Tensor:
    """Sum of a power of two of tensors: of neighbours, then of these sums, and so on."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [first + second for first, second in pairs]
    return vectors[0]


def check_shards(shards: int, size: int) -> None:
    """Raise ValueError unless so many processes can share so many shards."""
    if shards & (shards - 1):
        raise ValueError(f"shards must be a power of two, got {shards}")
    if shards % size:
        raise ValueError(f"shards must be a multiple of the {size} processes, got {shards}")
