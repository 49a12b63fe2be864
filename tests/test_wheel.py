"""What users install: the wheel, built from the sdist, holds all that it needs and works alone."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from idx import write_digits

ROOT = Path(__file__).parents[1]
LARGEST = 20_000_000  # bytes; MNIST has 11 million
HELD = (
    "firstspike/data/_files/mnist.npz",
    "firstspike/data/_files/LICENSE-MNIST.md",
    "firstspike/demo/_models/gan-all/checkpoint/best.safetensors",
    "firstspike/demo/_models/segment/checkpoint/model.safetensors",
    "firstspike/demo/_models/classifier-aggressive-400/checkpoint/model.safetensors",
    "firstspike/demo/page/index.html",
    "firstspike/evaluation/_files/feature-network.safetensors",
    "firstspike/py.typed",
)
STEP = ("--digit", "0", "--impl", "reference")
SMALL = ("--hidden", "8", "--epochs", "1", "--validation", "0")
# In one process, for PyTorch takes seconds to import. Kernels are left out: they would be compiled.
COMMANDS = (
    ("generate", "--digit", "7", "--count", "4", "--out", "samples.png"),
    ("train", "gan", "--data", "data", "--digit", "0", "--out", "runs/gan", *SMALL),
    ("train", "gan", "--data", "data", "--neuron", "step", "--out", "runs/step", *STEP, *SMALL),
    ("train", "classifier", "--data", "data", "--neuron", "ramp", "--out", "runs/ramp", *SMALL),
    ("generate", "runs/gan", "--count", "4", "--out", "own.png"),
    ("evaluate", "runs/ramp", "--split", "test"),
    ("export", "runs/ramp", "network.npz"),
    ("export", "runs/ramp", "network.onnx"),
    ("export", "runs/step", "network.nir", "--part", "generator"),
    ("runs",),
    ("compare", "runs/step", "runs/gan"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built by way of the sdist, with the build backend of this environment."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(list(out.glob("*.tar.gz"))) == 1
    [file] = out.glob("*.whl")
    return file


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel):
    assert wheel.stat().st_size < LARGEST
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(metadata))
    assert set(HELD) <= set(names)
    modules = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src").rglob("*.py")}
    assert modules <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"firstspike"}
    assert not [name for name in names if "test" in Path(name).name.lower() and "_test" not in name]
    assert told["License-Expression"] == "Apache-2.0 AND CC-BY-SA-3.0"
    assert {Path(name).name for name in told.get_all("License-File")} == {
        "LICENSE",
        "LICENSE-MNIST.md",
    }
    assert {"report", "nir", "onnx", "log"} <= set(told.get_all("Provides-Extra"))
    wanted = ("Summary", "Author", "Requires-Python", "Keywords", "Classifier", "Project-URL")
    assert all(told[name] for name in wanted) and "# firstspike" in told.get_payload()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The scripts of an environment that has the wheel and, by reference, our dependencies.

    The checkout is not among these: its ``.pth`` file counts in its own environment only.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    packages = sorted(folder.glob("[lL]ib*/**/site-packages"))[0]  # there may be links to it
    places = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(places), encoding="utf-8")
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--ignore-installed", wheel], check=True)
    return scripts


def run(cwd: Path, *command: object) -> str:
    """What a command of the environment prints."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    ended = subprocess.run(words, cwd=cwd, env=own, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_main_commands_run_from_the_wheel_alone(installed, tmp_path):
    (tmp_path / "data").mkdir()
    write_digits(tmp_path / "data", digits=2, train=20, test=10)
    place = run(tmp_path, installed / "python", "-c", "import firstspike as f; print(f.__file__)")
    assert Path(place.strip()).is_relative_to(installed.parent.resolve())
    assert run(tmp_path, installed / "firstspike", "doctor", "--no-self-test", "--json")
    code = (
        f"from firstspike import cli\nfor line in {COMMANDS}:\n    assert cli.main(line) == 0, line"
    )
    run(tmp_path, installed / "python", "-c", code)
    names = ("samples.png", "own.png", "network.npz", "network.onnx", "network.nir")
    assert all((tmp_path / name).stat().st_size > 100 for name in names)
    metrics = tmp_path / "runs" / "ramp" / "evaluation-test" / "metrics.json"
    assert json.loads(metrics.read_text())["count"] == 20
