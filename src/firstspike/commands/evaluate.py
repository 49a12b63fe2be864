"""``firstspike evaluate``: what trained networks are worth, measured on images they never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from firstspike.energy import ADD_PJ, MAC_PJ, energy
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.kinds import Kind
from firstspike.words import with_article


@dataclass(frozen=True)
class Evaluate:
    """Measure trained networks: what classifiers decide and cost, how good samples of GANs are."""

    runs: Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Folder of a run; of GANs also several that differ in digit and seed, or folders of them; of
    translators, segmenters and detectors several that differ in seed."""
    split: Literal["validation", "test"] = "validation"
    """Images: those that training held out, to choose by, or the test set, for the final figure."""
    against: tuple[Path, ...] = ()
    """Another run of a spiking classifier, or other runs of the rest, shown beside."""
    out: Path | None = None
    """Folder for figures and numbers; evaluation-<split> in the first of the runs if not given."""
    quantized: bool = False
    """Classifiers: measure the network with its weights rounded to 8 bits."""
    t_max: int | None = None
    """Classifiers of ramp neurons: steps of a window, if not as many as in training."""
    add_pj: float = ADD_PJ
    """Classifiers: picojoules of an addition (Horowitz, ISSCC 2014)."""
    mac_pj: float = MAC_PJ
    """Classifiers: picojoules of a multiplication and an addition."""
    averaged: bool = True
    """GANs: draw with the average of the generator's weights over training."""
    device: str = "cpu"
    """Where ramp networks and dense twins run: cpu, cuda, mps or the like, or auto."""
    json: bool = False
    """Print one JSON object for scripts: what is also written, and the folder."""

    def __call__(self) -> None:
        if not self.runs:
            raise ValueError("name at least one run")
        energy(0, 1, add_pj=self.add_pj, mac_pj=self.mac_pj)  # complains before work starts
        if self.out is not None:
            files.check_folder(self.out)
        kind = _kind_of(self.runs[0])
        if kind.evaluate is None:
            raise ValueError(
                f"{self.runs[0]}: there is nothing to measure of {with_article(kind.name)} run"
            )
        kinds.load(kind.evaluate)(self)


def _kind_of(folder: Path) -> Kind:
    """The kind of a run, or of the runs in a folder of them."""
    is_run = (folder / "options.json").is_file() or not folder.is_dir()
    places = [folder] if is_run else [f.parent for f in files.find(folder, "options.json")]
    for place in places:
        run = RunDirectory.open(place)
        kind = kinds.find(run.kind, run.path)
        if is_run or kind.draws:
            return kind
    raise ValueError(f"{folder}: no run of a GAN that has ended; name a folder of runs")


def refuse_for_classifiers(request: Evaluate) -> None:
    """Raise ValueError if options are given that only classifiers have."""
    for option, given in (("--quantized", request.quantized), ("--t-max", request.t_max)):
        if given not in (None, False):
            raise ValueError(f"{option} {request.runs[0]}: is for classifiers; leave it out")
