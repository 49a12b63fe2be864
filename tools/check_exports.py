"""Do the programs that our files are for compute what we do?

    python tools/check_exports.py --environments FOLDER                  # the bundled classifier
    python tools/check_exports.py RUN [RUN ...] --environments FOLDER    # those of runs

A classifier of step neurons is exported to NIR twice, as it is and portable. Each simulator imports
both files and runs MNIST's test images step by step, and the first spikes of all output neurons are
compared with ours. It lives in an environment of its own, made in FOLDER from
tools/nir_peers/NAME.txt if it is not there. Without FOLDER, simulators are left out; --simulators
names some of them.

Every network is exported to ONNX and run by onnxruntime: classes, potentials, spike times, and the
time for 100 images from spike times on, over that of ``classify``, both on one thread.

Prints the tables of docs/nir.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

import firstspike as fs
from firstspike.export import nir as nir_io
from firstspike.export import onnx as onnx_io
from firstspike.hub import bundled
from firstspike.models import Classifier
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_classifier

HERE = Path(__file__).parent
PEERS = HERE / "nir_peers"
CONSTRAINTS = HERE.parent / "constraints.txt"
FILES = ("plain", "portable")
NIR_HEAD = """| simulator | version | file | changed after the import \
| images with our first spikes | with our class | spikes of an output neuron | error |
|---|---|---|---|---|---|---|---|"""
ONNX_HEAD = """| network | images | classes that differ | potentials, largest difference \
| spike times that differ | time over `classify` |
|---|---|---|---|---|---|"""
TIMED, TURNS = 100, 15  # images at a time, and how often
# Simulators, and by which change after the import they can be helped.
ADJUSTED = {
    "norse": "",
    "spikingjelly": "",
    "snntorch": "every Leaky: beta = 1, init_hidden = True",
    "sinabs": "every IAFSqueeze: SingleSpike, MembraneSubtract(1e9), no min_v_mem",
}


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    models = _models(options.runs)
    images = fs.load_mnist("test").images[: options.images]
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            if isinstance(model, Classifier) and options.environments is not None:
                _check_nir(Path(folder), name, model, images, options)
        print(f"\n{ONNX_HEAD}")
        for name, model in models.items():
            print(_onnx_row(Path(folder, "network.onnx"), name, model, images), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--environments", type=Path, metavar="FOLDER")
    parser.add_argument("--simulators", nargs="*", choices=ADJUSTED, default=list(ADJUSTED))
    return parser.parse_args()


def _models(paths: list[Path]) -> dict[str, Any]:
    """Classifiers by name: those of runs, or the bundled one."""
    runs = [RunDirectory.open(path) for path in paths] or [bundled.find("classifier")]
    return {run.path.name: load_classifier(run) for run in runs}


def _check_nir(
    folder: Path, network: str, model: Classifier, images: Tensor, options: argparse.Namespace
) -> None:
    _prepare(folder, model, images)
    print(f"\n{network}, {len(images)} images:\n\n{NIR_HEAD}")
    for name in options.simulators:
        change = ADJUSTED[name]
        python = _environment(options.environments / name, PEERS / f"{name}.txt")
        for file in FILES:
            for mode in ("imported", "adjusted") if change else ("imported",):
                answer = _ask(python, name, folder, file, mode)
                print(_row(name, file, change if mode == "adjusted" else "", answer), flush=True)


def _onnx_row(file: Path, name: str, model: Any, images: Tensor) -> str:
    """What onnxruntime makes of a network, beside ours."""
    onnx_io.save(file, model)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, settings)
    names = [output.name for output in session.get_outputs()]
    wrong, far, late, spikes = 0, 0.0, 0, 0
    for part in images.split(TIMED):
        times = _times(model, part)
        found = dict(zip(names, _run(session, times), strict=True))
        layers = [layer.detach() for layer in model.layer_times(times)]
        ours = [layer.numpy() for layer in layers[1:]]
        pairs = [(found[f"times_{k}"], layer) for k, layer in enumerate(ours, 1)]
        late += sum(int((theirs != layer).sum()) for theirs, layer in pairs)
        spikes += sum(layer.size for layer in ours)
        potentials = _potentials(model, layers).detach().numpy()
        far = max(far, float(np.abs(found["potentials"] - potentials).max()))
        wrong += int((found["class"] != model.classify(part).classes.numpy()).sum())
    times = _times(model, images[:TIMED])
    ratio = _ratio(lambda: _run(session, times), model, images[:TIMED])
    cells = (name, str(len(images)), str(wrong), f"{far:.1g}", f"{late:,} of {spikes:,}")
    return f"| {' | '.join(cells)} | {ratio:.2g} |"


def _run(session: Any, times: Tensor) -> Any:
    """The outputs of a file; dense networks take rows."""
    is_dense = len(session.get_inputs()[0].shape) == 2
    return session.run(None, {"times": (times.flatten(1) if is_dense else times).numpy()})


def _times(model: Any, images: Tensor) -> Tensor:
    """Spike times as the first layer takes them."""
    if isinstance(model, Classifier):
        return fs.encode(images, model.layers[0].t_max).flatten(1).float()
    times: Tensor = model.times_of(images)
    return times


def _potentials(model: Any, layers: list[Tensor]) -> Tensor:
    """Of the output neurons when all inputs have come, from the spike times of all layers."""
    found: Tensor
    if isinstance(model, Classifier):
        found = model.layers[-1].final_potential(layers[-2])
    else:
        found = model.potentials(layers[0])
    return found


def _ratio(theirs: Callable[[], Any], model: Any, images: Tensor) -> float:
    """Median, over neighbouring turns, of the time of a call over that of ``classify``."""
    ratios = []
    for _ in range(TURNS):
        seconds = []
        for call in (theirs, lambda: model.classify(images)):
            started = time.process_time()
            call()
            seconds.append(time.process_time() - started)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def _prepare(folder: Path, model: Classifier, images: Tensor) -> None:
    """The files, and spike times of inputs [N, in] and outputs [N, out]."""
    for file in FILES:
        nir_io.save(folder / f"{file}.nir", model, portable=file == "portable")
    times = _times(model, images)
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
    same, right = (str(answer.get(key, "")) for key in ("same", "class"))
    most = f"up to {answer['most']}" if "most" in answer else ""
    cells = (name, answer["version"], file, change, same, right, most, answer.get("error", ""))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
