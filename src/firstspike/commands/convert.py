"""``firstspike convert``: a trained ReLU network as ramp neurons, without training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from firstspike.words import counted


@dataclass(frozen=True)
class Convert:
    """Turn the run of a dense classifier into one of ramp neurons, without training."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of a run of ann-classifier."""
    out: Path
    """New folder for the spiking network, a run of classifier."""
    t_max: int = 64
    """Time steps of a window."""
    images: int = 1000
    """Training images that decide the thresholds."""

    def __call__(self) -> None:
        from firstspike.runs.directory import RunDirectory
        from firstspike.training.conversion import convert_run

        run = RunDirectory.open(self.run)
        made = convert_run(run, self.out, self.t_max, self.images)
        alike = round(made.agreement * made.count)
        print(
            f"{made.run.path}: decides {alike} of the "
            f"{counted(made.count, 'image')} of {made.images}"
        )
        print(f"like the dense network ({made.agreement:.2%})")
        print(f"more: firstspike evaluate {made.run.path}")
