"""Which simulators read our NIR files, and do they see the same first spikes?

    python tools/check_nir_peers.py RUN --images 1000 --environments FOLDER

Exports the classifier of a run twice, as it is and portable, lets each simulator import both files
and run MNIST's test images step by step, and compares the first spikes of all output neurons with
ours. Each simulator lives in an environment of its own, made in FOLDER from
tools/nir_peers/NAME.txt if it is not there. Prints the table of docs/nir.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import firstspike as fs
from firstspike.export import nir as nir_io
from firstspike.models import Classifier
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_classifier

HERE = Path(__file__).parent
PEERS = HERE / "nir_peers"
CONSTRAINTS = HERE.parent / "constraints.txt"
FILES = ("plain", "portable")
HEAD = """| simulator | version | file | changed after the import | images with our first spikes \
| spikes of an output neuron | error |
|---|---|---|---|---|---|---|"""
# Simulators, and by which change after the import they can be helped.
ADJUSTED = {
    "norse": "",
    "spikingjelly": "",
    "snntorch": "every Leaky: beta = 1, init_hidden = True",
    "sinabs": "every IAFSqueeze: SingleSpike, MembraneSubtract(1e9), no min_v_mem",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--environments", type=Path, required=True)
    options = parser.parse_args()
    model = load_classifier(RunDirectory.open(options.run))
    assert isinstance(model, Classifier)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), model, options.images)
        print(HEAD)
        for name, change in ADJUSTED.items():
            python = _environment(options.environments / name, PEERS / f"{name}.txt")
            for file in FILES:
                for mode in ("imported", "adjusted") if change else ("imported",):
                    answer = _ask(python, name, Path(folder), file, mode)
                    print(_row(name, file, change if mode == "adjusted" else "", answer))


def _prepare(folder: Path, model: Classifier, count: int) -> None:
    """The files, and spike times of inputs [N, in] and outputs [N, out]."""
    for file in FILES:
        nir_io.save(folder / f"{file}.nir", model, portable=file == "portable")
    times = fs.encode(fs.load_mnist("test").images[:count]).flatten(1)
    fired = model(times).detach()
    np.savez(
        folder / "spikes.npz",
        inputs=times.numpy(),
        outputs=fired.numpy(),
        t_max=model.layers[0].t_max,
        late=len(model.layers) * model.layers[0].delay,
    )


def _environment(folder: Path, requirements: Path) -> Path:
    """The Python of an environment with these packages."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pins = [f"{name}=={_pinned(name)}" for name in ("torch", "numpy")]
        install = [str(python), "-m", "pip", "install", "--quiet", *pins, "-r", str(requirements)]
        subprocess.run(install, check=True)
    return python


def _pinned(name: str) -> str:
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix(f"{name}==") for line in lines if line.startswith(f"{name}=="))


def _ask(python: Path, name: str, folder: Path, file: str, mode: str) -> dict[str, Any]:
    """What a simulator says of a file."""
    paths = python, PEERS / "simulate.py", folder / f"{file}.nir", folder / "spikes.npz"
    program, script, network, spikes = map(str, paths)
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    output = subprocess.run(
        [program, script, name, network, spikes, mode],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=own,
    ).stdout
    record: dict[str, Any] = json.loads(output.splitlines()[-1])  # some print while they import
    return record


def _row(name: str, file: str, change: str, answer: dict[str, Any]) -> str:
    same = f"{answer['same']} of {answer['images']}" if "same" in answer else ""
    most = f"up to {answer['most']}" if "most" in answer else ""
    cells = (name, answer["version"], file, change, same, most, answer.get("error", ""))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
