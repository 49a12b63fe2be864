"""Files that chance or somebody has changed: each is read, or refused in one line.

Values of JSON are replaced and the checksum made anew, as by somebody who knows how; bytes are
changed at random, where a checksum would notice as well. The examples are the same each time; more
of them: ``HYPOTHESIS_MAX_EXAMPLES``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import untrained
from hypothesis import given, settings
from hypothesis import strategies as st
from idx import write_digits, write_noise

import firstspike as fs
from firstspike.commands.train_set import DigitSet
from firstspike.data import draw_canvases, load_scenes
from firstspike.drawing import grids
from firstspike.drawing.canvas_files import save_canvases
from firstspike.export import nir
from firstspike.hub import network_file
from firstspike.runs import files, overview
from firstspike.runs.directory import RunDirectory
from firstspike.training import config_file, kinds
from firstspike.training.loading import build_trainer

SOME = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "12")),
    deadline=None,
    derandomize=True,
    database=None,
)
ODD = [None, True, -1, 0, 1, 1.5, 1e308, 2**70, "", "x", "\x1b[2J", "../x", [], {}, [[]], ["0"]]


def read_run(run: Path) -> None:
    """What lists, comparisons and resumption read of a run."""
    overview.look(run).as_dict()
    opened = RunDirectory.open(run)
    kinds.find(opened.kind, run).read(opened.options, run)
    opened.stats_until(opened.check_checkpoint().get("epoch", 0))
    opened.read_summary()


def resume(run: Path) -> None:
    trainer = build_trainer(RunDirectory.open(run))
    RunDirectory.open(run).load_checkpoint(trainer.networks, trainer.optimizers)


def read_set(folder: Path) -> None:
    DigitSet.open(folder, "gan")


def read_network(folder: Path) -> None:
    network_file.load(folder / "a.safetensors")


def read_images(folder: Path) -> None:
    found = fs.load_images(folder)
    assert len(found) == len(found.labels) > 0


def read_nir(folder: Path) -> None:
    nir.load(folder / "a.nir")


def read_grid(folder: Path) -> None:
    grids.read_image_grid(folder / "a.png")


def read_scenes(folder: Path) -> None:
    found = load_scenes(folder, "train")
    assert len(found) == len(found.boxes) == len(found.things) > 0


def read_config(folder: Path) -> None:
    config_file.read(folder / "a.toml", kinds.GAN)


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    """A folder with one of everything that is read."""
    root = tmp_path_factory.mktemp("whole")
    run = untrained.run(root / "run", "classifier", neuron="step", hidden=2)
    run.append_stats({"epoch": 1, "seconds": 1.5, "loss": 0.5})
    run.write_summary({"spikes": 3.5})
    files.save_json(run.path / "evaluation-test" / "metrics.json", {"strict_accuracy": 0.5})
    record = {"version": "0", "kind": "gan", "digits": ["0"], "options": {"seed": 0}}
    files.save_json(root / "set" / "set.json", files.sealed(record))
    step = fs.nn.FirstSpikeSequential(fs.nn.FirstSpikeLinear(4, 3), fs.nn.FirstSpikeLinear(3, 2))
    fs.save(fs.nn.SpikingNetwork(fs.nn.FirstSpikeLinear(4, 3)), root / "a.safetensors")
    shutil.move(root / "a.safetensors", (root / "network").mkdir() or root / "network")
    (root / "nir").mkdir()
    nir.save(root / "nir" / "a.nir", step)
    (root / "idx").mkdir()
    write_digits(root / "idx", digits=2, train=3, test=1)
    shutil.copytree(root / "idx", root / "packed")
    for file in list((root / "packed").iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    write_noise(root / "pictures", "a", "b")
    (root / "cifar").mkdir()
    (root / "cifar" / "data_batch_1.bin").write_bytes(bytes(2 * 3073))
    (root / "grid").mkdir()
    grids.save_image_grid(root / "grid" / "a.png", np.zeros((4, 5, 5), np.uint8))
    digits = fs.load_mnist("test")
    save_canvases(root / "scenes", draw_canvases(2, 0, digits), digits.names)
    (root / "config").mkdir()
    (root / "config" / "a.toml").write_text('digit = "3"\nlr = 0.001\nbias = true\nepochs = 5\n')
    return root


def changed(places: Path, tmp_path_factory: Any, folder: str) -> Path:
    """A copy of a folder, to change something in."""
    return Path(shutil.copytree(places / folder, tmp_path_factory.mktemp("changed") / folder))


def is_read_or_refused(read: Callable[[Path], None], folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what is left out, for example
        try:
            read(folder)
        except ValueError as error:
            assert str(error) and "\n" not in str(error) and "\x1b" not in str(error)


def odd_value(record: Any, data: st.DataObject) -> Any:
    """A record in which one value, somewhere, is another or is not there."""
    if isinstance(record, list) and record and data.draw(st.integers(0, 3)):
        place = data.draw(st.integers(0, len(record) - 1))
        return [*record[:place], odd_value(record[place], data), *record[place + 1 :]]
    if not isinstance(record, dict) or not record or data.draw(st.integers(0, 3)) == 0:
        return data.draw(st.sampled_from(ODD))
    name = data.draw(st.sampled_from(sorted(record)))
    if data.draw(st.integers(0, 5)) == 0:
        return {other: value for other, value in record.items() if other != name}
    return record | {name: odd_value(record[name], data)}


@pytest.mark.parametrize(
    ("folder", "name", "read"),
    [
        ("run", "options.json", read_run),
        ("run", "stats.jsonl", read_run),
        ("run", "summary.json", read_run),
        ("run", "checkpoint/state.json", read_run),
        ("run", "checkpoint/state.json", resume),
        ("run", "evaluation-test/metrics.json", read_run),
        ("set", "set.json", read_set),
        ("scenes", "annotations.json", read_scenes),
    ],
)
@SOME
@given(data=st.data())
def test_records_of_somebody_else(places, tmp_path_factory, folder, name, read, data):
    place = changed(places, tmp_path_factory, folder)
    record = json.loads((place / name).read_text())
    is_sealed = record.pop("checksum", None) is not None
    record = odd_value(record, data)
    if is_sealed and isinstance(record, dict):
        record = files.sealed(record)
    (place / name).write_text(json.dumps(record) + "\n")
    is_read_or_refused(read, place)


@SOME
@given(data=st.data())
def test_network_files_of_somebody_else(places, tmp_path_factory, data):
    import safetensors.torch

    place = changed(places, tmp_path_factory, "network")
    file = place / "a.safetensors"
    content = file.read_bytes()
    tensors = safetensors.torch.load(content)
    told = network_file._record(file, content)
    told["network"] = odd_value(told["network"], data)
    metadata = {"firstspike": json.dumps(files.sealed(told))}
    file.write_bytes(safetensors.torch.save(tensors, metadata=metadata))
    is_read_or_refused(read_network, place)


def odd_bytes(content: bytes, data: st.DataObject) -> bytes:
    """Bytes of which some are others, are gone or are there twice."""
    way = data.draw(st.sampled_from(["bit", "bit", "byte", "cut", "drop", "twice"]))
    first = data.draw(st.booleans())  # headers are at the start
    place = data.draw(st.integers(0, min(len(content), 200 if first else len(content)) - 1))
    before, after = content[:place], content[place + 1 :]
    if way == "bit":
        return before + bytes([content[place] ^ 1 << data.draw(st.integers(0, 7))]) + after
    if way == "byte":
        return before + bytes([data.draw(st.integers(0, 255))]) + after
    if way == "cut":
        return before
    return before + after if way == "drop" else content[: place + 1] + content[place:]


@pytest.mark.parametrize(
    ("folder", "name", "read"),
    [
        ("run", "checkpoint/model.safetensors", resume),
        ("run", "checkpoint/model.optimizer.pt", resume),
        ("run", "options.json", read_run),
        ("run", "stats.jsonl", read_run),
        ("network", "a.safetensors", read_network),
        ("nir", "a.nir", read_nir),
        ("idx", "train-images-idx3-ubyte", read_images),
        ("idx", "train-labels-idx1-ubyte", read_images),
        ("packed", "train-images-idx3-ubyte.gz", read_images),
        ("pictures", "a/0.png", read_images),
        ("cifar", "data_batch_1.bin", read_images),
        ("grid", "a.png", read_grid),
        ("scenes", "annotations.json", read_scenes),
        ("scenes", "images/000000.png", read_scenes),
        ("config", "a.toml", read_config),
    ],
)
@SOME
@given(data=st.data())
def test_bytes_that_changed(places, tmp_path_factory, folder, name, read, data):
    place = changed(places, tmp_path_factory, folder)
    content = odd_bytes((place / name).read_bytes(), data)
    (place / name).write_bytes(content)
    if name.startswith("checkpoint/"):  # as if it had been saved so
        file = place / "checkpoint" / "state.json"
        state = json.loads(file.read_text())
        del state["checksum"]
        state["sha256"][Path(name).name] = hashlib.sha256(content).hexdigest()
        file.write_text(json.dumps(files.sealed(state)))
    is_read_or_refused(read, place)
