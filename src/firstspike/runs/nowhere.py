"""A run that leaves nothing on disk, for those who only want the trained network."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from firstspike.runs import checkpoint, parcel


@dataclass(frozen=True)
class Nowhere:
    """What the training loop asks of a `firstspike.runs.directory.RunDirectory`, without the disk.

    Args:
        kind: what is trained, such as ``"gan"``.
    """

    kind: str
    path: ClassVar[Path] = Path()
    keeps: ClassVar[bool] = False

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else can write here."""
        return contextlib.nullcontext()

    def has_checkpoint(self) -> bool:
        """There is none."""
        return False

    def load_checkpoint(self, models: Any, optimizers: Any = None) -> dict[str, Any]:
        """Never called, as there is no checkpoint."""
        raise AssertionError("nothing was kept")

    def sample_path(self, epoch: int) -> Path:
        """Never called, as pictures are not kept."""
        raise AssertionError("nothing is kept")

    def save_checkpoint(self, models: Any, optimizers: Any, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def append_stats(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def truncate_stats(self, epoch: int) -> None:
        """Nothing."""

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Elsewhere(Nowhere):
    """A run that another process keeps: what it has saved can be loaded, nothing is written.

    Args:
        saved: the run's files, see `firstspike.runs.parcel`.
    """

    saved: Mapping[str, bytes] = field(default_factory=dict)

    def has_checkpoint(self) -> bool:
        """Whether the other process had one."""
        return any(name.startswith(parcel.CHECKPOINT) for name in self.saved)

    def load_checkpoint(self, models: Any, optimizers: Any = None) -> dict[str, Any]:
        """As of a `firstspike.runs.directory.RunDirectory`."""
        with tempfile.TemporaryDirectory(prefix="firstspike-") as place:
            parcel.unpack(Path(place), self.saved)
            return checkpoint.load(Path(place, parcel.CHECKPOINT), models, optimizers or {})
