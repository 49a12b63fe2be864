"""A training that is killed in its second epoch and goes on, beside one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from processes import Kill

from firstspike.data import Parts
from firstspike.runs.directory import RunDirectory
from firstspike.shape import MNIST, Shape
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.trainer import Progress


def weights(run: RunDirectory) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in run.path.glob("checkpoint/*.safetensors")}


def trained_twice(
    folder: Path, kind: str, config: Any, parts: Parts, shape: Shape = MNIST
) -> tuple[RunDirectory, RunDirectory, dict[str, Any]]:
    """The run that was trained at once, the one that was killed, and the former's summary.

    Both have ended with the same weights, byte for byte.
    """
    whole, cut = (
        RunDirectory.create(folder / name, kind, config.as_dict(), shape)
        for name in ("whole", "cut")
    )
    summary = train(whole, build_trainer(whole), parts, lambda progress: None)

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 3):
            raise Kill

    with pytest.raises(Kill):
        train(cut, build_trainer(cut), parts, kill)
    train(cut, build_trainer(cut), parts, lambda progress: None)
    assert weights(cut) == weights(whole)
    return whole, cut, summary
