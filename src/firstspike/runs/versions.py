"""What must be the same on all machines for a training to give the same bytes on each."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

from firstspike._version import __version__


def versions() -> dict[str, str]:
    """Versions of this process, by name; that of firstspike with a checksum of its code."""
    import numpy as np
    import torch

    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "firstspike": f"{__version__} ({digest.hexdigest()[:8]})",
        "PyTorch": torch.__version__.partition("+")[0],
        "NumPy": np.__version__,
    }


def check(own: Mapping[str, str], theirs: Mapping[str, str], where: str) -> None:
    """Raise ValueError unless versions are the same; ``where`` says whose the others are."""
    for name, version in own.items():
        if theirs.get(name) != version:
            raise ValueError(
                f"{where} has {name} {theirs.get(name)}, this one {version}; install the same "
                "versions"
            )
