"""Trained networks out of run directories."""

from __future__ import annotations

import os

from firstspike.gan import Gan, build_gan
from firstspike.run import RunDirectory


def load_run(path: str | os.PathLike[str]) -> Gan:
    """The trained networks of a run directory.

    Args:
        path: folder that ``firstspike train`` made.

    Returns:
        For a GAN, a `firstspike.gan.Gan`, whose ``sample`` draws images.

    Raises:
        ValueError: there is no run, no checkpoint, or one of another architecture.
    """
    run = RunDirectory.open(path)
    gan = build_gan(run)
    run.load_checkpoint(gan.networks)
    return gan
