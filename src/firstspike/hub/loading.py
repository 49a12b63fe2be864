"""Networks by whatever names them: a name of the package's, a run directory, or a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from firstspike.hub import bundled, network_file
from firstspike.training import kinds
from firstspike.training.loading import load_artist, load_trainer


def load(what: str | os.PathLike[str]) -> Any:
    """A trained network.

    Args:
        what: the name of one that comes with the package, such as ``"gan"`` or
            ``"classifier"`` (``firstspike models`` lists them), the folder of a run, or a file, of
            `firstspike.save` or NIR. What is on disk goes before a name.

    Returns:
        A network that decides (``classify``), or, of one that draws, its trainer, whose ``sample``
        draws what ``latents`` gives; see `firstspike.load_run`. Of the package's networks and those
        of files, only what draws has trained weights.

    Raises:
        ValueError: there is nothing of that name, or it is damaged.
    """
    path = Path(what).expanduser()
    if path.is_file():
        if path.suffix == ".nir":
            from firstspike.export import nir

            return nir.load(path)
        if path.suffix != network_file.SUFFIX:
            raise ValueError(f"{path}: no network; give a file of fs.save, a .nir file or a run")
        return network_file.load(path)
    run = bundled.find_run(path)
    if kinds.find(run.kind, run.path).draws:
        return load_artist(run)[0]
    return load_trainer(run).result()
