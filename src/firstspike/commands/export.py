"""``firstspike export``: a trained network as a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from tyro.conf import Positional, arg

from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

if TYPE_CHECKING:  # the command line starts without PyTorch
    from firstspike.export.facts import Facts
    from firstspike.nn import FirstSpikeSequential

Format = Literal["nir", "npz", "onnx"]
Part = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Export:
    """Write a trained network as NIR, ONNX or NumPy arrays, for other programs."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    out: Annotated[Positional[Path], arg(metavar="FILE")]
    """File to write."""
    format: Format | None = None
    """Of the file; what its suffix says if not given."""
    part: Part | None = None
    """Which network of a GAN; the generator is the averaged one that `generate` draws with."""
    portable: bool = False
    """NIR for simulators that ignore v_reset or take one threshold a layer only: Norse, snnTorch,
    SpikingJelly, sinabs (docs/nir.md)."""

    def __call__(self) -> None:
        kind = self.format or self.out.suffix.removeprefix(".")
        if kind not in get_args(Format):
            raise ValueError(
                f"{self.out}: no format has this suffix; give --format nir, npz or onnx"
            )
        if self.portable and kind != "nir":
            raise ValueError(f"--portable is for --format nir, got {kind}; leave it out")
        from firstspike.export import nir, npz, onnx

        model, facts = _network(RunDirectory.open(self.run), self.part)
        out = self.out
        if kind == "nir":
            nir.save(out, model, portable=self.portable, facts=facts)
        else:
            (npz if kind == "npz" else onnx).save(out, model, facts=facts)
        print(f"{type(model).__name__} {'-'.join(map(str, model.sizes))}: {out}")
        if kind == "nir" and not self.portable:
            print("for Norse, SpikingJelly, snnTorch or sinabs: --portable, see docs/nir.md")


def _network(run: RunDirectory, part: Part | None) -> tuple[FirstSpikeSequential, Facts]:
    """The network of a run that is asked for, and what its file tells of it.

    ValueError if there is none that spikes.
    """
    from firstspike.nn import FirstSpikeSequential
    from firstspike.training.loading import build_trainer

    draws = kinds.find(run.kind, run.path).draws
    if draws == (part is None):
        remedy = "give --part generator or discriminator" if draws else "leave --part out"
        raise ValueError(f"{run.path}: a {run.kind} run; {remedy}")
    name = {"generator": "average", "discriminator": "discriminator", None: "model"}[part]
    trainer = build_trainer(run)
    model = trainer.networks.get(name)
    if not isinstance(model, FirstSpikeSequential):
        fault = "has no such network" if kinds.find(run.kind).spikes else "does not spike"
        raise ValueError(f"{run.path}: a {run.kind} run, which {fault}; give another one")
    trainer.restored(run, name)
    return model, trainer.facts(name)
