"""``train --devices 2``: two processes that train one network, joined by gloo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from idx import write_digits

from firstspike import cli
from firstspike.runs.directory import RunDirectory

pytest.importorskip("lightning_fabric", reason="needs the extra fabric")

FIRSTSPIKE = [sys.executable, "-m", "firstspike", "train", "classifier"]
SMALL = ("--neuron", "ramp", "--network", "4c3p2-8", "--batch", "8", "--t-max", "16")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return write_digits(tmp_path_factory.mktemp("data"), digits=2, train=20, test=1)


def train(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*FIRSTSPIKE, *map(str, arguments)]
    one = {"OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        command, env=os.environ | one, capture_output=True, text=True, check=False, timeout=300
    )


def weights(run: str) -> bytes:
    return Path(run, "checkpoint", "model.safetensors").read_bytes()


def test_two_processes_and_one_have_the_same_run(data, monkeypatch, tmp_path):
    """The first epoch by two, the second by one; against both by one, shard by shard."""
    monkeypatch.chdir(tmp_path)
    small = (*SMALL, "--data", data, "--epochs", "2")
    made = train(*small, "--devices", "2", "--until", "1", "--out", "two")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("epoch 1") == 1
    for alone in (("--resume", "two"), (*small, "--shards", "2", "--out", "one")):
        assert train(*alone).returncode == 0
    assert weights("two") == weights("one")
    two, one = RunDirectory.open("two"), RunDirectory.open("one")
    assert two.options == one.options and two.options["shards"] == 2
    told = [[{**line, "seconds": 0} for line in run.read_stats()] for run in (one, two)]
    assert told[0] == told[1]
    assert sorted(file.name for file in two.path.iterdir()) == sorted(
        file.name for file in one.path.iterdir()
    )


def test_a_killed_process_ends_the_training_with_a_line(data, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = [*FIRSTSPIKE, *SMALL, "--data", data, "--epochs", "1000", "--devices", "2"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--out", "run"], **pipes) as process:
        while process.poll() is None and not Path("run/checkpoint").exists():
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            process.kill()
            pytest.skip("this system does not tell which processes are whose")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == cli.USAGE_ERROR and said.count("\n") == 1
    assert "another process of this training has ended" in said
    assert "it goes on with: firstspike train classifier --resume run --devices 2" in said
    run = RunDirectory.open("run")
    assert run.check_checkpoint()["epoch"] >= 1 and not (run.path / "lock").exists()


def test_what_cannot_be_trained_together(firstspike, data, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for arguments, wanted in (
        (("classifier", "--devices", "2"), "this classifier is trained by one"),
        (("gan", "--devices", "2"), "this gan is trained by one"),
        (("vae", "--devices", "2"), "this vae is trained by one"),
        (("ann-translate", "--devices", "2"), "this ann-translate is trained by one"),
        (("segment", "--devices", "2"), "this segment is trained by one"),
        (("detect", "--devices", "2"), "this detect is trained by one"),
        (("classifier", *SMALL, "--devices", "3"), "devices must be a power of two, got 3"),
        (("classifier", *SMALL, "--devices", "4", "--shards", "2"), "multiple of the 4 processes"),
        (("classifier", *SMALL, "--nodes", "2"), "nodes 2: needs NODE_RANK in the environment"),
        (("classifier", *SMALL, "--devices", "2", "--device", "mps"), "device must be cpu"),
        (("gan", "--digits", "0-1", "--devices", "2"), "go with a single run"),
    ):
        code, _, err = firstspike("train", *arguments, "--data", data)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1, (wanted, err)
    assert sorted(tmp_path.rglob("*")) == before
