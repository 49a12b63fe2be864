"""``firstspike export``: a trained network as a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from torch import nn
from tyro.conf import Positional, arg

from firstspike.export import nir as nir_io
from firstspike.export import npz as npz_io
from firstspike.export import onnx as onnx_io
from firstspike.nn import FirstSpikeSequential
from firstspike.runs.directory import RunDirectory
from firstspike.training.gan import build_gan
from firstspike.training.loading import load_classifier

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
        model = _network(RunDirectory.open(self.run), self.part)
        if kind == "nir":
            nir_io.save(self.out, model, portable=self.portable)
        else:
            (npz_io if kind == "npz" else onnx_io).save(self.out, model)
        sizes = [model.layers[0].in_features, *(layer.out_features for layer in model.layers)]
        print(f"{type(model).__name__} {'-'.join(map(str, sizes))}: {self.out}")
        if kind == "nir" and not self.portable:
            print("for Norse, SpikingJelly, snnTorch or sinabs: --portable, see docs/nir.md")


def _network(run: RunDirectory, part: Part | None) -> FirstSpikeSequential:
    """The network of a run that is asked for. ValueError if there is none that spikes."""
    is_gan = run.kind.endswith("gan")
    if is_gan == (part is None):
        remedy = "give --part generator or discriminator" if is_gan else "leave --part out"
        raise ValueError(f"{run.path}: a {run.kind} run; {remedy}")
    model: nn.Module
    if is_gan:
        name = "average" if part == "generator" else "discriminator"
        model = build_gan(run).networks[name]
        run.load_checkpoint({name: model})
    else:
        model = load_classifier(run)
    if not isinstance(model, FirstSpikeSequential):
        raise ValueError(f"{run.path}: a {run.kind} run, which does not spike; give one that does")
    return model
