"""The run directory: its record, and checkpoints that survive kills, full disks and damage."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from processes import Kill
from torch import nn

import firstspike as fs
from firstspike.coding import noise_times
from firstspike.runs import checkpoint, files
from firstspike.runs.directory import RunDirectory, epoch_generator, unused_path

OPTIONS = {"epochs": 3, "lr": 0.1, "digit": None, "bias": True, "data": "ünter/folder"}


def content(folder: Path) -> list[str]:
    """Everything in a folder, hidden files included."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def network(hidden: int = 3, seed: int = 0) -> fs.nn.FirstSpikeSequential:
    torch.manual_seed(seed)
    made = fs.models.spiking_network((5, hidden, 2), threshold=0.2, impl="reference")
    return fs.nn.by_input(made)


def adam(model: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.5, 0.9))


def momentum(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    """One training step whose data are told by its number."""
    optimizer.zero_grad()
    times = model(noise_times(16, 5, generator=epoch_generator(0, number)))
    fs.losses.aggressive_ttfs(times, torch.arange(16) % 2).mean().backward()
    optimizer.step()


def weights(model: nn.Module) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in model.state_dict().values()]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", "gan", OPTIONS)


def save(run: RunDirectory, epoch: int, hidden: int = 3) -> nn.Module:
    """Save the network of an epoch, with a trained optimiser."""
    model = network(hidden, seed=epoch)
    optimizer = adam(model)
    step(model, optimizer, epoch)
    run.save_checkpoint({"generator": model}, {"generator": optimizer}, {"epoch": epoch})
    return model


def load(run: RunDirectory, hidden: int = 3) -> tuple[nn.Module, int]:
    model = network(hidden, seed=99)
    state = run.load_checkpoint({"generator": model}, {"generator": adam(model)})
    return model, state["epoch"]


SAVED = [
    "checkpoint",
    "checkpoint/generator.optimizer.pt",
    "checkpoint/generator.safetensors",
    "checkpoint/state.json",
    "options.json",
]  # all that a run holds after `save`


def error_of(call, *arguments, **options) -> str:
    """The message of the one ValueError that a call raises; it must be a single line."""
    with pytest.raises(ValueError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Creating and opening


@pytest.mark.parametrize("exists", [False, True])
def test_a_run_is_created_and_opened(tmp_path, exists):
    path = tmp_path / "a" / "b"
    if exists:
        path.mkdir(parents=True)
    made = RunDirectory.create(str(path), "gan", OPTIONS)
    assert content(path) == ["options.json"]
    assert made == RunDirectory.open(path)
    assert (made.path, made.kind, made.version) == (path, "gan", fs.__version__)
    assert made.options == OPTIONS
    assert list(made.options) == list(OPTIONS)
    assert '\n  "kind": "gan",\n' in (path / "options.json").read_text()


def test_a_folder_that_is_taken_is_refused(run, tmp_path):
    before = (run.path / "options.json").read_bytes()
    message = error_of(RunDirectory.create, run.path, "gan", {})
    assert f"{run.path}: holds another run" in message
    assert "resume that one" in message
    assert (run.path / "options.json").read_bytes() == before
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        message = error_of(RunDirectory.create, path, "gan", {})
        assert f"{path}: is not an empty folder; choose another" in message
    assert "cannot be written" in error_of(RunDirectory.create, tmp_path / "file" / "x", "gan", {})


def test_a_run_that_cannot_be_created_leaves_nothing(tmp_path, monkeypatch):
    message = error_of(RunDirectory.create, tmp_path / "run", "gan", {"a": {"lr": float("nan")}})
    assert "options.json: cannot hold options.a.lr = nan" in message
    assert not content(tmp_path)
    monkeypatch.setattr(os, "fsync", disk_full)
    for path in (tmp_path / "run", tmp_path):
        message = error_of(RunDirectory.create, path, "gan", {})
        assert f"{path}: cannot be written: No space left on device" in message
        assert not content(tmp_path)


def test_a_kill_while_creating_does_not_block_the_folder(tmp_path, monkeypatch):
    files.beside(tmp_path / "options.json").write_text('{"kind"')
    (tmp_path / ".options.1-2.tmp.json").write_text('{"kind"')  # of another process
    assert RunDirectory.create(tmp_path, "gan", OPTIONS).kind == "gan"
    assert content(tmp_path) == ["options.json"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "damaged: no JSON"),
        ('{"kind": "gan", "vers', "damaged: no JSON"),
        ("[1]", "damaged: no JSON object"),
        ('{"kind": "gan", "version": "0"}', "damaged: 'options' is missing"),
        ('{"kind": 1, "version": "0", "options": {}}', "damaged: 'kind' is missing or of another"),
        ('{"kind": "g", "version": "0", "options": {}, "x": 1}', "unknown field 'x'"),
        ("\xff\xfe", "damaged: no JSON"),
    ],
)
def test_broken_options_are_named(run, text, complaint):
    (run.path / "options.json").write_text(text, encoding="latin-1")
    message = error_of(RunDirectory.open, run.path)
    assert f"{run.path / 'options.json'}: {complaint}" in message


def test_a_folder_without_a_run_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        assert f"{path}: no run here" in error_of(RunDirectory.open, path)


def test_unused_paths_are_numbered(tmp_path):
    names = []
    for _ in range(3):
        path = unused_path(tmp_path / "runs", "gan-3")
        path.mkdir(parents=True)
        names.append(path.name)
    assert names == ["gan-3", "gan-3-2", "gan-3-3"]


def test_sample_paths(run):
    assert run.sample_path(7) == run.sample_path(7) == run.path / "samples" / "epoch-007.png"
    assert (run.path / "samples").is_dir()
    assert run.sample_path(1234).name == "epoch-1234.png"


# Statistics and summary


def test_statistics_are_one_line_an_epoch(run):
    assert run.read_stats() == []
    records = [{"epoch": epoch, "loss": 0.1 + epoch, "win": {"real": 0.5}} for epoch in (1, 2)]
    for record in records:
        run.append_stats(record)
    assert run.read_stats() == records
    text = (run.path / "stats.jsonl").read_text()
    lines = text.splitlines()
    assert [json.loads(line) for line in lines] == [files.sealed(record) for record in records]
    assert lines[0].startswith('{"epoch": 1, "loss": 1.1, "win": {"real": 0.5}, "checksum": ')
    assert text.endswith("\n")


@pytest.mark.parametrize(
    ("record", "culprit"),
    [
        ({"epoch": 1, "loss": float("nan")}, "loss = nan"),
        ({"epoch": 1, "loss": float("inf")}, "loss = inf"),
        ({"epoch": 1, "win": {"real": torch.zeros(2, 2)}}, "win.real = Tensor"),
    ],
)
def test_values_that_are_no_json_are_named(run, record, culprit):
    for write in (run.append_stats, run.write_summary):
        assert f"cannot hold {culprit}; give finite JSON values" in error_of(write, record)
    assert "cannot hold" in error_of(run.save_checkpoint, {}, {}, record)
    assert content(run.path) == ["options.json"]


def test_resuming_drops_later_lines_and_a_cut_one(run):
    for epoch in (1, 2, 3):
        run.append_stats({"epoch": epoch})
    with (run.path / "stats.jsonl").open("a") as stream:
        stream.write('{"epoch": 4, "lo')
    assert [record["epoch"] for record in run.read_stats()] == [1, 2, 3]
    run.truncate_stats(3)
    assert (run.path / "stats.jsonl").read_text().endswith("}\n")  # the cut line has gone
    assert [record["epoch"] for record in run.read_stats()] == [1, 2, 3]
    run.truncate_stats(1)
    run.append_stats({"epoch": 2})
    assert [record["epoch"] for record in run.read_stats()] == [1, 2]
    run.truncate_stats(0)
    assert run.read_stats() == []


def test_resuming_a_run_without_statistics_writes_none(run):
    run.truncate_stats(0)
    assert content(run.path) == ["options.json"]


def test_a_damaged_line_is_named(run):
    (run.path / "stats.jsonl").write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    for call in (run.read_stats, lambda: run.truncate_stats(1)):
        assert "stats.jsonl, line 2: damaged" in error_of(call)


def test_a_full_disk_adds_no_half_line(run, monkeypatch):
    resource = pytest.importorskip("resource")
    run.append_stats({"epoch": 1})
    run.save_checkpoint({}, {}, {"epoch": 1})
    before = (run.path / "stats.jsonl").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
    try:
        message = error_of(run.append_stats, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{run.path / 'stats.jsonl'}: cannot be written: " in message
    assert "resume the run" in message
    assert (run.path / "stats.jsonl").read_bytes() == before


def test_a_full_disk_sends_to_another_place_as_long_as_nothing_was_saved(run, monkeypatch):
    monkeypatch.setattr(Path, "open", disk_full)
    message = error_of(run.append_stats, {"epoch": 1})
    assert message.endswith("No space left on device; make room there or choose another place")


def test_the_summary(run):
    assert "summary.json: not there yet" in error_of(run.read_summary)
    run.write_summary({"seconds": 1.5, "spikes": {"generator": 10}})
    assert run.read_summary() == {"seconds": 1.5, "spikes": {"generator": 10}}


def test_a_full_disk_leaves_the_older_summary(run, monkeypatch):
    run.write_summary({"seconds": 1})
    monkeypatch.setattr(os, "fsync", disk_full)
    assert "summary.json: cannot be written: No space" in error_of(run.write_summary, {"a": 2})
    assert run.read_summary() == {"seconds": 1}
    assert content(run.path) == ["options.json", "summary.json"]


# Random streams


def test_epoch_generators_repeat_and_differ():
    def draw(*key):
        return torch.randint(2**31, (4,), generator=epoch_generator(*key)).tolist()

    keys = list(itertools.product((-1, 0, 1, 10, 2**40), (0, 1, 10), ("", "latents")))
    drawn = {tuple(draw(*key)) for key in keys}
    assert len(drawn) == len(keys)
    assert draw(0, 1, "x") == draw(0, 1, "x")
    assert draw(1, 11) != draw(11, 1)


def test_neighbouring_epochs_are_not_correlated():
    rows = torch.stack([torch.randn(2000, generator=epoch_generator(0, e)) for e in range(8)])
    off_diagonal = torch.corrcoef(rows) - torch.eye(8)
    assert off_diagonal.abs().max() < 0.1


def test_a_generator_leaves_the_global_one_alone():
    before = torch.random.get_rng_state()
    epoch_generator(0, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


# Checkpoints


@pytest.mark.parametrize("make", [adam, momentum])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(run, make):
    whole = network()
    optimizer = make(whole)
    for number in range(4):
        step(whole, optimizer, number)
        if number == 1:
            run.save_checkpoint({"g": whole}, {"g": optimizer}, {"epoch": 2, "x": 0.1})
            saved = weights(whole)
    resumed = network(seed=5)
    optimizer = make(resumed)
    assert run.load_checkpoint({"g": resumed}, {"g": optimizer}) == {"epoch": 2, "x": 0.1}
    assert weights(resumed) == saved
    for number in (2, 3):
        step(resumed, optimizer, number)
    assert weights(resumed) == weights(whole) != saved


def test_a_checkpoint_keeps_the_strides_of_weights_and_slots(run):
    save(run, 1)
    model = network(seed=5)
    optimizer = adam(model)
    run.load_checkpoint({"generator": model}, {"generator": optimizer})
    for weight in (model[0].weight, optimizer.state[model[0].weight]["exp_avg"]):
        assert weight.t().is_contiguous()


def test_the_weights_alone_load_and_only_those_asked_for(run):
    models = {"generator": network(seed=1), "averaged": network(seed=2)}
    run.save_checkpoint(models, {}, {"epoch": 3})
    assert content(run.path / "checkpoint") == [
        "averaged.safetensors", "generator.safetensors", "state.json"
    ]  # fmt: skip
    model = network(seed=5)
    assert RunDirectory.open(run.path).load_checkpoint({"averaged": model}) == {"epoch": 3}
    assert weights(model) == weights(models["averaged"])


def test_the_same_weights_make_the_same_bytes(run):
    packed = []
    for _ in range(2):
        save(run, 1)
        packed.append((run.path / "checkpoint" / "generator.safetensors").read_bytes())
    assert packed[0] == packed[1]


def test_a_run_without_a_checkpoint_says_so(run):
    assert not run.has_checkpoint()
    assert f"{run.path / 'checkpoint'}: no checkpoint here" in error_of(load, run)


def end_at(patch: pytest.MonkeyPatch, name: str, number: int, error: BaseException) -> None:
    """Let the calls of a function end in an error from the given one on, counted from 0."""
    owner = os if name in ("replace", "fsync") else Path
    original, calls = getattr(owner, name), itertools.count()

    def ended(*arguments):
        if next(calls) >= number:
            raise error
        return original(*arguments)

    patch.setattr(owner, name, ended)


@pytest.mark.parametrize(
    ("function", "number", "survivor"),
    [("mkdir", 0, 1), ("replace", 0, 1), ("rename", 0, 1), ("rename", 1, 2)],
)
@pytest.mark.parametrize("error", [Kill(), OSError(errno.EIO, "Input/output error")], ids=repr)
def test_a_save_that_ends_anywhere_leaves_one_whole_checkpoint(
    run, monkeypatch, function, number, survivor, error
):
    expected = {epoch: weights(save(run, epoch)) for epoch in (2, 1)}
    with monkeypatch.context() as patch:
        end_at(patch, function, number, error)
        with pytest.raises((Kill, ValueError)):
            save(run, 2)
    reopened = RunDirectory.open(run.path)
    assert reopened.has_checkpoint()
    model, epoch = load(reopened)
    assert epoch == survivor
    assert weights(model) == expected[survivor]
    save(reopened, 4)
    assert load(reopened)[1] == 4
    assert content(run.path) == SAVED


def whole(folder: Path, epoch: int) -> None:
    """A complete checkpoint at any place."""
    other = RunDirectory.create(folder.with_name("other"), "gan", {})
    save(other, epoch)
    (other.path / "checkpoint").rename(folder)
    shutil.rmtree(other.path)


def partial(folder: Path, epoch: int) -> None:
    whole(folder, epoch)
    (folder / "state.json").unlink()
    (folder / "generator.safetensors").write_bytes(b"half")


@pytest.mark.parametrize(
    ("left", "survivor"),
    [
        ({"": whole, ".new": partial}, 1),
        ({"": whole, ".new": whole}, 1),
        ({".old": whole, ".new": whole}, 2),
        ({".old": whole, "": whole}, 1),
        ({".old": whole}, 3),
        ({".old": whole, ".new": partial}, 3),
        ({".new": whole}, 2),
        ({".new": partial}, None),
    ],
)
def test_every_state_a_kill_can_leave_is_recovered_from(run, left, survivor):
    for suffix, make in left.items():
        epoch = {"": 1, ".new": 2, ".old": 3}[suffix]
        make(run.path / f"checkpoint{suffix}", epoch)
    before = content(run.path)
    assert run.has_checkpoint() == (survivor is not None)
    if survivor:
        assert load(run)[1] == survivor
    assert content(run.path) == before, "reading must not disturb a training run"
    save(run, 4)
    assert load(run)[1] == 4
    assert content(run.path) == SAVED


def test_a_full_disk_leaves_the_previous_checkpoint(run, monkeypatch):
    expected = weights(save(run, 1))
    before = content(run.path)
    for limit in range(4):  # two files, state.json and the folder
        with monkeypatch.context() as patch:
            end_at(patch, "fsync", limit, OSError(errno.ENOSPC, "No space left on device"))
            message = error_of(save, run, 2)
        assert f"{run.path / 'checkpoint'}: cannot be written: No space left on device" in message
        assert "resume the run" in message
        assert content(run.path) == before
        model, epoch = load(run)
        assert epoch == 1
        assert weights(model) == expected


def test_a_file_that_does_not_fit_leaves_the_previous_checkpoint(run):
    resource = pytest.importorskip("resource")
    save(run, 1)
    before = content(run.path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))  # half of a file, as a full disk does
    try:
        message = error_of(save, run, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "checkpoint: cannot be written" in message
    assert content(run.path) == before
    assert load(run)[1] == 1


def test_a_checkpoint_that_changes_while_it_is_read_is_read_again(run, monkeypatch):
    save(run, 1)
    read, calls = files.read, itertools.count()

    def read_slowly(file, *most):
        if next(calls) == 1:  # state.json is read, the weights come next
            save(run, 2)
        return read(file, *most)

    monkeypatch.setattr(files, "read", read_slowly)
    model, epoch = load(run)
    assert epoch == 2
    monkeypatch.undo()
    assert weights(model) == weights(load(run)[0])


# Checkpoints that do not load leave everything as it was


def refused(run: RunDirectory, model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    before, slots = weights(model), str(optimizer.state_dict())
    message = error_of(run.load_checkpoint, {"generator": model}, {"generator": optimizer})
    assert weights(model) == before
    assert str(optimizer.state_dict()) == slots
    return message


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: b"\xff" * 64,
    ],
)
@pytest.mark.parametrize("name", ["generator.safetensors", "generator.optimizer.pt"])
def test_every_damaged_byte_is_noticed(run, name, damage):
    save(run, 1)
    file = run.path / "checkpoint" / name
    file.write_bytes(damage(file.read_bytes()))
    model = network(seed=9)
    assert f"{file}: damaged: " in refused(run, model, adam(model))


@pytest.mark.parametrize("name", ["generator.safetensors", "generator.optimizer.pt"])
def test_a_missing_file_is_named(run, name):
    save(run, 1)
    (run.path / "checkpoint" / name).unlink()
    model = network(seed=9)
    message = refused(run, model, adam(model))
    assert f"{run.path / 'checkpoint' / name}: damaged: No such file" in message


def test_a_damaged_state_is_named(run):
    save(run, 1)
    (run.path / "checkpoint" / "state.json").write_text('{"epoch": 1')
    model = network(seed=9)
    assert "state.json: damaged: no JSON" in refused(run, model, adam(model))


@pytest.mark.parametrize("content", [b"junk", b"\x80\x04junk", b""])
def test_files_that_never_were_checkpoints_are_refused(run, content):
    """Files with the right hash but no meaning, as a crafted checkpoint could hold."""
    save(run, 1)
    model = network(seed=9)
    for name in ("generator.safetensors", "generator.optimizer.pt"):
        file = run.path / "checkpoint" / name
        kept = file.read_bytes()
        forge(file, content)
        assert f"{file}: damaged: " in refused(run, model, adam(model))
        forge(file, kept)


def forge(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    state = json.loads(file.with_name("state.json").read_text())
    state["sha256"][file.name] = checkpoint._sha256(content)
    del state["checksum"]
    file.with_name("state.json").write_text(json.dumps(files.sealed(state)))


def test_code_in_an_optimiser_file_does_not_run(run, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "boom",))

    save(run, 1)
    file = run.path / "checkpoint" / "generator.optimizer.pt"
    torch.save({"state": Bomb()}, file)
    for bomb in (file.read_bytes(), pickle.dumps(Bomb())):
        forge(file, bomb)
        model = network(seed=9)
        assert f"{file}: damaged: " in refused(run, model, adam(model))
    assert not (tmp_path / "boom").exists()


def test_another_architecture_is_named_with_both_shapes(run):
    save(run, 1, hidden=4)
    file = run.path / "checkpoint" / "generator.safetensors"
    model = network(3)
    assert (
        f"{file}: a checkpoint of another architecture: generator.safetensors has "
        "0.weight [4, 5], this network 0.weight [3, 5]"
    ) in refused(run, model, adam(model))


def test_missing_and_unexpected_tensors_are_named(run):
    save(run, 1)
    deeper = fs.models.spiking_network((5, 3, 2, 2))
    assert "has no 2.weight, this network 2.weight [2, 2]" in refused(run, deeper, adam(deeper))
    bare = fs.models.spiking_network((5, 3, 2), bias=False)
    assert "has 0.bias [3], this network no 0.bias" in refused(run, bare, adam(bare))


def test_the_second_network_is_checked_before_the_first_is_changed(run):
    run.save_checkpoint({"g": network(seed=1), "d": network(4)}, {}, {})
    model = network(seed=9)
    before = weights(model)
    assert "d.safetensors" in error_of(run.load_checkpoint, {"g": model, "d": network(3)})
    assert weights(model) == before


def test_another_optimiser_is_refused(run):
    save(run, 1)
    model = network(seed=9)
    message = refused(run, model, momentum(model))
    assert "generator.optimizer.pt: the state of another optimiser" in message
    part = torch.optim.Adam(model[0].parameters())
    assert "another optimiser" in refused(run, model, part)
    groups = torch.optim.Adam([{"params": layer.parameters()} for layer in model])
    assert "another optimiser" in refused(run, model, groups)


def test_a_scheduler_does_not_make_another_optimiser(run):
    model = network()
    optimizer = adam(model)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    run.save_checkpoint({"generator": model}, {"generator": optimizer}, {"epoch": 1})
    resumed = adam(model)
    run.load_checkpoint({"generator": model}, {"generator": resumed})
    assert resumed.param_groups[0]["lr"] == 0.005
