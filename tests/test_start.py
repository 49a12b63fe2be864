"""What is imported when: the command line starts without PyTorch, the main job without extras."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from idx import write_digits
from processes import run_python
from untrained import run as untrained_run

from firstspike import cli

# What only figures, distances, the report, other formats and loggers need.
OPTIONAL = ("matplotlib", "torchmetrics", "jinja2", "latex2mathml")
OPTIONAL += ("lightning_fabric", "tensorboard", "nir", "h5py", "onnx", "huggingface_hub")
TRAINED = ("gan", "ann-gan", "classifier", "ann-classifier")
OTHERS = ("generate", "models", "convert", "evaluate", "export", "runs", "compare", "figures")
OTHERS += ("reproduce", "demo", "doctor", "completion")
HELP = [[], ["train"], *(["train", kind] for kind in TRAINED), *([name] for name in OTHERS)]


@pytest.fixture
def two_runs(tmp_path) -> Path:
    for seed in (0, 1):
        untrained_run(tmp_path / f"run-{seed}", "classifier", seed=seed)
    return tmp_path


def test_import_firstspike_does_not_import_pytorch():
    run_python(f"import firstspike, sys; assert not {{'torch', *{OPTIONAL}}} & sys.modules.keys()")


def test_the_command_line_tells_without_pytorch(two_runs):
    """Help of all commands, the version, and what runs are."""
    lines = [[*command, "--help"] for command in HELP]
    lines += [["--version"], ["runs", str(two_runs)]]
    lines += [["compare", *(str(two_runs / f"run-{seed}") for seed in (0, 1))]]
    run_python(
        f"""
import sys
from firstspike import cli
for line in {lines}:
    try:
        assert cli.main(line) == 0, line
    except SystemExit as end:
        assert not end.code, line
    loaded = {{"torch", "numba", *{OPTIONAL}}} & sys.modules.keys()
    assert not loaded, (line, loaded)
"""
    )


def test_the_main_job_needs_no_extra(tmp_path):
    """To train, draw, show and export; PyTorch itself is the only one of them that is large."""
    data = write_digits(tmp_path, digits=1, train=20, test=5)
    run, out = str(tmp_path / "run"), str(tmp_path / "samples.png")
    small = ["--hidden", "8", "--epochs", "1", "--digit", "0"]
    lines = [
        ["train", "gan", "--data", data, "--out", run, *small],
        ["train", "gan", "--data", data, "--out", run + "-step", "--neuron", "step", *small],
        ["generate", run, "--count", "4", "--out", out],
        ["export", run + "-step", str(tmp_path / "network.npz"), "--part", "generator"],
        ["doctor", "--no-self-test"],
    ]
    run_python(
        f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL}))
from firstspike import cli
from firstspike.demo import api, networks, server
for line in {lines}:
    assert cli.main(line) == 0, line
shelf = networks.Shelf(networks.bundled())
with server.Server(0, api.Api(shelf)):
    pass
"""
    )


@pytest.mark.parametrize(
    ("command", "package"),
    [
        (("evaluate", "run"), "matplotlib"),
        (("figures",), "matplotlib"),
        (("reproduce", "--quick"), "jinja2"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_a_missing_package_is_one_line(firstspike, tmp_path, monkeypatch, command, package):
    untrained_run(tmp_path / "run", "classifier")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setitem(sys.modules, package, None)
    code, _, err = firstspike(*command)
    assert code == cli.USAGE_ERROR and err.count("\n") == 1
    assert f"needs the package {package}: pip install 'firstspike[report]'" in err
    assert sorted(tmp_path.rglob("*")) == before
