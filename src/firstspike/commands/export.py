"""``firstspike export``: a trained network as a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from tyro.conf import Positional, arg

from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

if TYPE_CHECKING:  # the command line starts without PyTorch
    from firstspike.export.facts import Facts
    from firstspike.export.parts import Exportable

Format = Literal["nir", "npz", "onnx"]
Part = Literal["generator", "discriminator", "encoder", "decoder"]


@dataclass(frozen=True)
class Export:
    """Write a trained network as NIR, ONNX or NumPy arrays, for other programs."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run, or the name of a network that comes with the package."""
    out: Annotated[Positional[Path], arg(metavar="FILE")]
    """File to write."""
    format: Format | None = None
    """Of the file; what its suffix says if not given."""
    part: Part | None = None
    """Which network of a GAN, whose generator is the averaged one that `generate` draws with, or of
    an autoencoder."""
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
        files.check_file(self.out)
        from firstspike.export import nir, npz, onnx
        from firstspike.hub import bundled

        model, facts = _network(bundled.find_run(self.run), self.part)
        out = self.out
        if kind == "nir":
            nir.save(out, model, portable=self.portable, facts=facts)
        else:
            (npz if kind == "npz" else onnx).save(out, model, facts=facts)
        print(f"{type(model).__name__} {_sizes(model)}: {out}")
        if kind == "nir" and not self.portable:
            print("for Norse, SpikingJelly, snnTorch or sinabs: --portable, see docs/nir.md")


def _network(run: RunDirectory, part: Part | None) -> tuple[Exportable, Facts]:
    """The network of a run that is asked for, and what its file tells of it.

    ValueError if there is none that spikes.
    """
    from firstspike.nn import FirstSpikeSequential, SpikingNetwork
    from firstspike.training.loading import build_trainer

    kind = kinds.find(run.kind, run.path)
    if part not in (kind.parts or [None]):
        remedy = f"give --part {' or '.join(kind.parts)}" if kind.parts else "leave --part out"
        raise ValueError(f"{run.path}: {run.noun}; {remedy}")
    name = "model" if part is None else kind.parts[part]
    trainer = build_trainer(run)
    if not kind.spikes:
        raise ValueError(f"{run.path}: {run.noun}, which does not spike; give another one")
    model = trainer.exported(run, name)
    if not isinstance(model, (FirstSpikeSequential, SpikingNetwork)):
        raise ValueError(f"{run.path}: {run.noun} has no such network; give another one")
    return model, trainer.facts(name)


def _sizes(model: Exportable) -> str:
    """Neurons of a dense network, layer by layer, or channels behind those of its input."""
    from firstspike.nn import FirstSpikeSequential, SpikingLayer

    if isinstance(model, FirstSpikeSequential):
        return "-".join(map(str, model.sizes))
    layers = [one for one in model.modules() if isinstance(one, SpikingLayer)]
    sizes = [str(_first_size(layers[0])), *map(_size, layers)]
    return "-".join(sizes)


def _size(layer: Any) -> str:
    """Neurons of a dense layer, or channels and kernel of a convolution, as in ``--network``."""
    if hasattr(layer, "out_features"):
        return str(layer.out_features)
    return f"{layer.out_channels}c{layer.kernel_size[0]}"


def _first_size(layer: Any) -> int:
    return int(layer.in_features if hasattr(layer, "in_features") else layer.in_channels)
