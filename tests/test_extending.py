"""What docs/extending.md shows works as it stands there, from outside the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from idx import write_digits
from processes import ROOT, run

import firstspike as fs
from firstspike import losses
from firstspike.evaluation import fidelity
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds

EXAMPLES = ROOT / "examples" / "extending"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def digits(tmp_path) -> str:
    (tmp_path / "data").mkdir()
    return write_digits(tmp_path / "data", digits=2, train=30, test=10)


def test_every_example_is_on_the_page():
    names = {file.name for file in EXAMPLES.glob("*.py")}
    assert names == set(re.findall(r'^--8<-- "examples/extending/(.*)"$', PAGE, re.MULTILINE))
    seams = ("kind", "loss", "layer", "data_set", "backend", "metric", "logger")
    assert names == {f"{seam}.py" for seam in seams}


@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("loss", "error in the last step: "),
        ("layer", "loss of the last batch: "),
        ("backend", " of 200 neurons fired"),
    ],
)
def test_an_example_that_stands_alone(tmp_path, example, printed):
    assert printed in run(EXAMPLES / f"{example}.py", cwd=tmp_path)


def test_a_form_of_image_sets(tmp_path):
    pixels = np.zeros((4, 8, 9), np.uint8)
    np.savez(tmp_path / "train.npz", images=pixels, labels=np.array([0, 1, 0, 1]))
    printed = run(EXAMPLES / "data_set.py", tmp_path, cwd=tmp_path)
    assert printed == f"{tmp_path.name}-train: 4 images of cat, dog\n"


@pytest.fixture
def installed(tmp_path) -> Path:
    """A folder where the example of a kind is installed, with its entry point."""
    folder = tmp_path / "site"
    (folder / "one_layer-1.dist-info").mkdir(parents=True)
    (folder / "kind.py").write_text((EXAMPLES / "kind.py").read_text())
    record = folder / "one_layer-1.dist-info"
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: one-layer\nVersion: 1\n")
    (record / "entry_points.txt").write_text("[firstspike.kinds]\none-layer = kind:ONE_LAYER\n")
    return folder


def test_a_kind(tmp_path, installed, digits):
    """Trained, listed, measured, exported; killed, loaded, and resumed to the same bytes."""
    out = run("-c", LIFE_OF_A_KIND, digits, path=installed, cwd=tmp_path)
    assert re.search(r"^whole +one-layer +data +seed 0 +2/2 ", out, re.MULTILINE)
    assert "strict_accuracy" in out and "Classifier 784-2: network.npz" in out
    states = [tmp_path / run / "checkpoint" / "model.safetensors" for run in ("whole", "cut")]
    assert states[0].read_bytes() == states[1].read_bytes()


LIFE_OF_A_KIND = """
import sys
import firstspike as fs
from firstspike import cli
from firstspike.training import kinds

options = ["--data", sys.argv[1], "--epochs", "2", "--batch", "20", "--validation", "0.2"]
assert cli.main(["train", "one-layer", *options, "--out", "whole"]) == 0
assert cli.main(["runs", "."]) == 0
assert cli.main(["evaluate", "whole", "--split", "test"]) == 0
assert cli.main(["export", "whole", "network.npz"]) == 0
trainer, steps = kinds.find("one-layer").trainer, []
whole_step = trainer.step

def step(self, *batch):
    steps.append(1)
    if len(steps) == 5:  # in the second epoch
        raise KeyboardInterrupt
    return whole_step(self, *batch)

trainer.step = step
assert cli.main(["train", "one-layer", *options, "--out", "cut"]) == cli.INTERRUPTED
assert fs.load_run("cut").sizes == (784, 2)
assert cli.main(["train", "one-layer", "--resume", "cut"]) == 0
"""


def test_a_logger_and_a_metric(tmp_path, digits):
    options = ("--data", digits, "--digit", 0, "--epochs", 2, "--hidden", 8)
    train = ("train", "gan", *options, "--out", "run", "--log", "logger.Lines")
    code = f"""
import metric
from firstspike import cli
assert cli.main({[str(word) for word in train]}) == 0
assert cli.main(["evaluate", "run", "--split", "test"]) == 0
"""
    run("-c", code, path=EXAMPLES, cwd=tmp_path)
    lines = (tmp_path / "run" / "lines.txt").read_text().splitlines()
    assert lines[0] == "a gan run" and lines[2].startswith("epoch 2: ") and len(lines) == 3
    record = json.loads((tmp_path / "run" / "evaluation-test" / "metrics.json").read_text())
    assert record["energy_distance"] > record["floor"]["energy_distance"] >= 0


@pytest.mark.parametrize(
    "command",
    [("evaluate",), ("generate",), ("demo",), ("export", "a.npz"), ("train", "gan", "--resume")],
    ids=lambda command: command[0],
)
def test_a_run_of_an_unknown_kind_is_named_as_such(firstspike, tmp_path, command):
    name, *more = command
    RunDirectory.create("flow", "flow", {})
    code, _, err = firstspike(name, *([*more, "flow"] if name == "train" else ["flow", *more]))
    assert code == 2 and err.startswith("firstspike: ") and err.count("\n") == 1
    assert "a flow run" in err


def test_a_run_of_an_unknown_kind_is_listed_and_not_loaded(firstspike, tmp_path):
    RunDirectory.create("flow", "flow", {})
    code, out, _ = firstspike("runs", ".")
    assert code == 0 and "of an unknown kind" in out
    with pytest.raises(ValueError, match="flow: a flow run, of a kind that is not known here"):
        fs.load_run("flow")


def test_what_has_a_name_already_is_not_replaced():
    with pytest.raises(ValueError, match="'gan'"):
        kinds.register(kinds.GAN)
    with pytest.raises(ValueError, match="'s4nn'"):
        losses.register("s4nn", losses.LOSSES["s4nn"])
    fidelity.METRICS["mine"] = fidelity.frechet_distance
    try:
        with pytest.raises(ValueError, match="'mine'"):
            fidelity.register("mine", fidelity.frechet_distance)
    finally:
        del fidelity.METRICS["mine"]
