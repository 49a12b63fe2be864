"""``firstspike figures``: what the paper shows without training anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firstspike.extras import require
from firstspike.runs import files


@dataclass(frozen=True)
class Figures:
    """Draw the paper's figures that need no training, and count the spikes of its codings."""

    out: Path = Path("figures")
    """Folder of the figures and of metrics.json."""
    format: Literal["svg", "png", "pdf"] = "svg"
    """Of the figures."""

    def __call__(self) -> None:
        require("report", "matplotlib", purpose="figures")
        from firstspike.data import load_mnist
        from firstspike.drawing import figures
        from firstspike.report import illustrations

        train, test = load_mnist("train"), load_mnist("test")
        for number, draw in illustrations.draw(train).items():
            figures.save(self.out / f"figure-{number}.{self.format}", draw())
        counts = illustrations.count_spikes([train, test])
        file = self.out / "metrics.json"
        with files.explained(file, "make room there or choose another --out"):
            files.replace(file, files.to_json(counts, file))
        print(json.dumps(counts, indent=2))
        print(f"figures: {self.out}")
