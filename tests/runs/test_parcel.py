"""A run as bytes: the same run elsewhere, whenever it was packed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from firstspike.runs import files, parcel
from firstspike.runs.directory import RunDirectory


def begun(path, epochs: int) -> tuple[RunDirectory, nn.Module, torch.optim.Optimizer]:
    """A run that has been trained for some epochs, with a picture of each."""
    run = RunDirectory.create(path, "gan", {"epochs": 3})
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(1, epochs + 1):
        model(torch.ones(2)).sum().backward()
        optimizer.step()
        run.append_stats({"epoch": epoch})
        run.sample_path(epoch).write_bytes(b"picture")
        run.save_checkpoint({"model": model}, {"model": optimizer}, {"epoch": epoch})
    return run, model, optimizer


def test_a_packed_run_is_the_same_elsewhere(tmp_path):
    run, model, _ = begun(tmp_path / "here", 2)
    there, other, _ = begun(tmp_path / "there", 0)
    parcel.unpack(there.path, parcel.pack(run.path))
    assert there.load_checkpoint({"model": other}, None)["epoch"] == 2
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    assert there.read_stats() == run.read_stats()
    assert there.sample_path(2).read_bytes() == b"picture"
    run.write_summary({"epochs": 3})
    parcel.unpack(there.path, parcel.pack(run.path, without=["samples/epoch-001.png"]))
    assert there.read_summary() == {"epochs": 3}


def test_a_line_that_is_being_written_stays(tmp_path):
    run, *_ = begun(tmp_path / "here", 1)
    written = (run.path / "stats.jsonl").read_bytes()
    with (run.path / "stats.jsonl").open("a") as stream:
        stream.write('{"epo')
    assert parcel.pack(run.path)["stats.jsonl"] == written
    assert written.endswith(b"}\n")
    assert parcel.pack(begun(tmp_path / "new", 0)[0].path) == {}


def test_a_damaged_checkpoint_is_not_sent(tmp_path):
    run, *_ = begun(tmp_path / "here", 1)
    (run.path / "checkpoint" / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"model\.safetensors: damaged"):
        parcel.pack(run.path)


def test_a_kill_while_unpacking_leaves_a_run_that_goes_on(tmp_path, monkeypatch):
    run, *_ = begun(tmp_path / "here", 2)
    there, model, _ = begun(tmp_path / "there", 1)
    content = parcel.pack(run.path)
    calls = []

    def write(file, some):
        calls.append(file)
        if len(calls) == stop:
            raise KeyboardInterrupt
        real(file, some)

    real = files.write
    for stop in range(1, 9):  # noqa: B007 - `write` reads it
        calls.clear()
        monkeypatch.setattr(files, "write", write)
        try:
            parcel.unpack(there.path, content)
        except KeyboardInterrupt:
            epoch = there.load_checkpoint({"model": model})["epoch"]
            assert len(there.stats_until(epoch)) == epoch
        monkeypatch.setattr(files, "write", real)
    assert there.load_checkpoint({"model": model})["epoch"] == 2
