"""The examples run as they are, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {"first_spikes": (), "classifier": (), "gan": ("1", "run")}
PRINTED = {
    "first_spikes": "neuron 3 after one step of descent",
    "classifier": "test accuracy after one epoch: 9",  # ninety percent and more
    "gan": "spikes of the generator draw an image",
}


def test_every_example_is_tried():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == ARGUMENTS.keys()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_example(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *ARGUMENTS[name]]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert PRINTED[name] in result.stdout and not result.stderr
