"""The networks that come with the package, by name, and what there is to know of each.

Each is a run directory, made by ``tools/bundle_models.py``, with ``provenance.json`` beside: the
command that trained it, and what was measured of the weights as bundled. This module does not
import PyTorch.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

BUNDLED = Path(__file__).parents[1] / "demo" / "_models"
PROVENANCE = "provenance.json"
LICENCE = "Apache-2.0; trained on MNIST, CC BY-SA 3.0"
DIGITS = "MNIST, 60,000 training images of 28x28 pixels in gray"
_SPIKES = ("spikes", "total_spikes")  # of what was measured
_TOLD = ("neuron", "network", "hidden", "channels", "digit", "latent", "task")  # of the options


@dataclass(frozen=True)
class Card:
    """What there is to know of a network.

    Args:
        name: under which `firstspike.load` finds it.
        kind: of network, see `firstspike.training.kinds`.
        about: what it is, in a line.
        data: what it was trained on.
        classes: names of all classes.
        measured: figures by name, of the weights as they are.
        spikes: mean per image: of a classifier until the decision, of others in all, of an
            autoencoder those that draw one.
        licence: of the weights, and of the data behind them.
        command: that trained it.
        seed: of the training.
        version: of firstspike that trained it.
        bytes: of the weights.
        sha256: of the weights; of several files, in the order of their names.
    """

    name: str
    kind: str
    about: str
    data: str
    classes: list[str]
    measured: dict[str, float]
    spikes: float | None
    licence: str
    command: str
    seed: int
    version: str
    bytes: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)


def names() -> list[str]:
    """Of all bundled networks, in order."""
    return sorted(file.parent.name for file in BUNDLED.glob(f"*/{PROVENANCE}"))


def find(name: str) -> RunDirectory:
    """The bundled network of a name, or the first of a kind. ValueError if there is none."""
    known = {found: found for found in reversed(names())}
    known = {open_run(found).kind: found for found in known} | known
    if name not in known:
        raise ValueError(
            f"{name}: no run here, nor a file, nor a network of this name that comes with the "
            f"package ({', '.join(names())})"
        )
    return open_run(known[name])


def find_run(place: str | os.PathLike[str]) -> RunDirectory:
    """The run in a folder or, where there is nothing, the bundled network of that name.

    Raises:
        ValueError: there is neither.
    """
    path = Path(place)
    is_name = path.name == os.fspath(place) and not path.exists()
    return find(path.name) if is_name else RunDirectory.open(path)


def open_run(name: str) -> RunDirectory:
    """A bundled network; it outlives changes of the options that only training has."""
    run = RunDirectory.open(BUNDLED / name)
    kind = kinds.find(run.kind, run.path)
    known = {field.name for field in dataclasses.fields(kind.config)}
    kept = {option: value for option, value in run.options.items() if option in known}
    return dataclasses.replace(run, options=kind.read(kept, run.path).as_dict())


def provenance(name: str) -> dict[str, Any]:
    """Where a bundled network comes from."""
    file = BUNDLED / name / PROVENANCE
    return files.from_json(files.read(file), file)


def card(name: str) -> Card:
    """What there is to know of a bundled network; ``name`` as for `find`."""
    run = find(name)
    record = provenance(run.path.name)
    kind, measured = kinds.find(run.kind), record["measured"]
    unused = "hidden" if run.options.get("network") == "conv" else "channels"
    left_out = (unused,) if "hidden" in run.options else ()
    told = [f"{option} {run.options[option]}" for option in _TOLD
            if option in run.options and option not in left_out]  # fmt: skip
    return Card(
        name=run.path.name,
        kind=run.kind,
        about=f"{kind.label}: {', '.join(told)}",
        data=record.get("data", DIGITS),
        classes=list(run.shape.classes),
        measured=measured,
        spikes=next((float(measured[one]) for one in _SPIKES if one in measured), None),
        licence=LICENCE,
        command=record["command"],
        seed=record["seed"],
        version=record["version"],
        bytes=record["bytes"],
        sha256=record["sha256"],
    )
