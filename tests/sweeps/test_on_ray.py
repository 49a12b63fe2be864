"""Trials on a Ray cluster: two nodes with processes of their own, of which one is killed."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from idx import write_digits

from firstspike import cli
from firstspike.sweeps import on_ray
from firstspike.sweeps.on_ray import Data

SPACE = """
kind = "ann-classifier"
[options]
data = {data}
hidden = 8
epochs = {epochs}
batch = 8
validation = 0.3
[space]
seed = {{ low = 0, high = {last} }}
"""
FIRSTSPIKE = [sys.executable, "-m", "firstspike"]


def space(folder: Path, epochs: int, last: int) -> Path:
    (folder / "data").mkdir()
    data = write_digits(folder / "data", digits=2, train=20, test=1)
    file = folder / "space.toml"
    file.write_text(SPACE.format(data=f'"{data}"', epochs=epochs, last=last))
    return file


def weights(sweep: Path) -> dict[str, bytes]:
    return {
        file.parents[1].name: file.read_bytes()
        for file in sweep.glob("*/checkpoint/model.safetensors")
    }


def test_what_is_no_cluster_is_told_at_once(firstspike, tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    file = space(tmp_path, 1, 0)
    before = sorted(tmp_path.rglob("*"))
    for address, wanted in (
        ("ray://127.0.0.1:1", "ray://127.0.0.1:1: cannot be reached: Connection refused"),
        ("ray://:1", "ray://:1: must be ray://HOST:PORT or auto"),
        ("tcp://x", "tcp://x: must be ray://HOST:PORT or auto"),
    ):
        code, _, err = firstspike("sweep", file, "--on", address)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_without_ray_the_extra_is_named(firstspike, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = firstspike("sweep", space(tmp_path, 1, 0), "--on", "auto")
    assert code == cli.USAGE_ERROR and "pip install 'firstspike[ray]'" in err


def test_data_that_a_node_lacks_are_copied_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = {"a/1.png": b"one", "b/2.png": b"two!"}
    fetched = []

    def fetch() -> dict[str, bytes]:
        fetched.append(1)
        return content

    data = Data("/nowhere/pictures", {"a/1.png": 3, "b/2.png": 4}, "digest", "reference")
    for _ in range(2):
        place = on_ray.local(data, fetch)
        assert place.name == "pictures" and (place / "b" / "2.png").read_bytes() == b"two!"
    assert len(fetched) == 1
    here = tmp_path / "here"
    (here / "a").mkdir(parents=True)
    (here / "a" / "1.png").write_bytes(b"one")
    own = Data(str(here), {"a/1.png": 3}, "digest", "reference")
    assert on_ray.local(own, fetch) == here and len(fetched) == 1


@pytest.fixture
def two_nodes(monkeypatch):
    """A cluster of two nodes of one core on this machine."""
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster, second
        cluster.shutdown()


@pytest.mark.slow
def test_a_lost_node_loses_no_trial(two_nodes, tmp_path, monkeypatch):
    """Kill one of two nodes while trials run: all end, with the weights of a local sweep."""
    cluster, second = two_nodes
    file, there, here = space(tmp_path, 40, 3), tmp_path / "there", tmp_path / "here"
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    command = [*FIRSTSPIKE, "sweep", file, "--on", "auto", "--out", there]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(weights(there)) < 2:  # one on each node
            time.sleep(0.05)
        assert process.poll() is None
        cluster.remove_node(second, allow_graceful=False)
        said = process.communicate(timeout=500)[0]
    assert process.returncode == 0, said
    logs = "".join(log.read_text() for log in there.glob("logs/*.log"))
    assert "with its node" in logs
    local = subprocess.run([*FIRSTSPIKE, "sweep", file, "--out", here], check=False)
    assert local.returncode == 0
    assert len(weights(here)) == 4 and weights(there) == weights(here)
