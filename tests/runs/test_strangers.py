"""Files of somebody else: damaged, forged, or made to reach what is none of their business."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from test_run import SAVED, adam, content, error_of, forge, momentum, network, refused, save, step

from firstspike.commands.train_set import DigitSet
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory

OPTIONS = {"epochs": 300, "lr": 0.1, "loss": "aggressive"}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", "gan", OPTIONS)


def rewrite(file: Path, **changes: object) -> None:
    """Change fields of a file as somebody would who knows how it is made."""
    record = json.loads(file.read_text()) | changes
    record.pop("checksum", None)
    file.write_text(json.dumps(files.sealed(record)))


# A flipped bit


def test_every_flipped_bit_of_options_and_state_is_noticed(run):
    save(run, 1)
    for file in (run.path / "options.json", run.path / "checkpoint" / "state.json"):
        whole = file.read_bytes()
        for place in range(len(whole)):
            for bit in (1, 16):
                changed = bytearray(whole)
                changed[place] ^= bit
                file.write_bytes(changed)
                try:
                    opened = RunDirectory.open(run.path)
                    state = opened.check_checkpoint()
                except ValueError:
                    continue
                # White space, or the name of the field that holds the checksum.
                assert (opened.options, opened.kind, state["epoch"]) == (OPTIONS, "gan", 1)
        file.write_bytes(whole)


def test_every_flipped_bit_of_what_was_measured_is_noticed(run):
    """Of statistics and the summary: figures are as they were, or the line is refused."""
    run.append_stats({"epoch": 1, "loss": 0.75})
    run.write_summary({"spikes": 41.5})
    readers = {"stats.jsonl": lambda: run.read_stats()[0]["loss"] == 0.75}
    readers["summary.json"] = lambda: run.read_summary()["spikes"] == 41.5
    for name, is_as_it_was in readers.items():
        whole = (run.path / name).read_bytes()
        noticed = 0
        for place in range(len(whole) - 1):  # without the last line feed nothing is there
            for bit in (1, 16):
                changed = bytearray(whole)
                changed[place] ^= bit
                (run.path / name).write_bytes(changed)
                try:
                    assert is_as_it_was()
                except (IndexError, ValueError):
                    noticed += 1
        assert noticed > 1.5 * len(whole)
        (run.path / name).write_bytes(whole)


def test_runs_of_older_versions_have_no_checksum(run):
    save(run, 1)
    run.append_stats({"epoch": 1})
    run.write_summary({"spikes": 1})
    names = ("options.json", "checkpoint/state.json", "stats.jsonl", "summary.json")
    for file in (run.path / name for name in names):
        record = json.loads(file.read_text())
        del record["checksum"]
        file.write_text(json.dumps(record) + "\n")
    assert RunDirectory.open(run.path).check_checkpoint() == {"epoch": 1}
    assert (run.read_stats(), run.read_summary()) == ([{"epoch": 1}], {"spikes": 1})


def test_options_that_were_changed_on_purpose_say_how(run):
    file = run.path / "options.json"
    file.write_text(file.read_text().replace("0.1", "0.2"))
    assert "if you have changed it on purpose, remove the checksum" in error_of(
        RunDirectory.open, run.path
    )


# Wrong types


@pytest.mark.parametrize(
    "options",
    [{"data": {}}, {"data": 5}, {"data": True}, {"data": ["x"]}, {"epochs": {}}, {"lr": [1]},
     {"loss": "\x1b[2J"}, {"data": "a\nb"}],
)  # fmt: skip
def test_options_that_no_version_has(run, options, tmp_path, firstspike):
    with pytest.raises(ValueError, match=f"option '{next(iter(options))}'"):
        RunDirectory.create(tmp_path / "other", "gan", options)
    assert not (tmp_path / "other").exists()
    rewrite(run.path / "options.json", options=OPTIONS | options)
    assert "options.json: damaged: option" in error_of(RunDirectory.open, run.path)
    code, out, said = firstspike("runs", ".")
    assert (code, said) == (0, "") and "damaged" in out and "\x1b" not in out


def test_folders_whose_names_are_no_ascii_are_data(tmp_path):
    made = RunDirectory.create(tmp_path / "run", "gan", {"data": "/tmp/b\udcfcld/ü"})
    assert RunDirectory.open(made.path).options["data"] == "/tmp/b\udcfcld/ü"


@pytest.mark.parametrize(
    ("name", "value"),
    [("epoch", "1"), ("epoch", -1), ("epoch", True), ("epoch", 1.5), ("epoch", None),
     ("seconds", "x"), ("seconds", -1.0), ("sha256", []), ("sha256", {"../x": "0"})],
)  # fmt: skip
def test_states_of_wrong_types(run, name, value):
    save(run, 1)
    rewrite(run.path / "checkpoint" / "state.json", **{name: value})
    assert "damaged" in error_of(run.check_checkpoint)


@pytest.mark.parametrize("line", [b'{"epoch": "1"}', b'{"epoch": NaN}', b"[" * 100_000])
def test_statistics_of_wrong_types(run, line):
    (run.path / "stats.jsonl").write_bytes(line + b"\n")
    assert "stats.jsonl, line 1: damaged" in error_of(run.read_stats)


def test_a_summary_of_wrong_types(run):
    run.write_summary({"seconds": "long"})
    assert "summary.json: damaged: seconds cannot be 'long'" in error_of(run.read_summary)


def test_files_without_end_are_not_read(run, monkeypatch):
    from firstspike.runs import directory

    monkeypatch.setattr(directory, "_LARGEST", 50)
    assert "has more than 50 bytes" in error_of(RunDirectory.open, run.path)


# States of optimisers


def forged_slots(run: RunDirectory, change) -> None:
    file = run.path / "checkpoint" / "generator.optimizer.pt"
    slots = torch.load(file, weights_only=True)
    change(slots)
    stream = io.BytesIO()
    torch.save(slots, stream)
    forge(file, stream.getvalue())


def put(name: str, value: object):
    return lambda slots: slots["state"][0].__setitem__(name, value)


@pytest.mark.parametrize(
    "change",
    [
        put("exp_avg", torch.zeros(2, 2)),
        put("exp_avg", torch.zeros(3, 5, dtype=torch.float64)),
        put("exp_avg", torch.full((3, 5), float("nan"))),
        put("exp_avg", "x"),
        put("exp_avg", torch.tensor(0.0)),
        put("step", torch.tensor(float("inf"))),
        put("more", torch.zeros(3, 5)),
        lambda slots: slots["state"][0].pop("exp_avg_sq"),
        lambda slots: slots["state"].__setitem__(9, slots["state"][0]),
        lambda slots: slots["state"].__setitem__("x", {}),
        lambda slots: slots["state"].__setitem__(0, []),
        lambda slots: slots["param_groups"][0].__setitem__("params", [1, 0, 2, 3]),
        lambda slots: slots["param_groups"][0].__setitem__("lr", float("nan")),
        lambda slots: slots["param_groups"][0].__setitem__("betas", ("a", 0.9)),
        lambda slots: slots["param_groups"][0].__setitem__("betas", (0.9,)),
        lambda slots: slots["param_groups"][0].__setitem__("eps", "x"),
    ],
)
def test_states_that_no_optimiser_has(run, change):
    save(run, 1)
    forged_slots(run, change)
    model = network(seed=9)
    assert "generator.optimizer.pt: damaged: no state of such" in refused(run, model, adam(model))


def test_states_take_the_strides_of_their_weights(run):
    save(run, 1)
    forged_slots(run, put("exp_avg", torch.ones(3, 5)))
    model = network(seed=9)
    optimizer = adam(model)
    run.load_checkpoint({"generator": model}, {"generator": optimizer})
    assert optimizer.state[model[0].weight]["exp_avg"].t().is_contiguous()


def test_states_of_other_optimisers_still_load(run):
    model = network()
    optimizer = momentum(model)
    step(model, optimizer, 0)
    run.save_checkpoint({"g": model}, {"g": optimizer}, {"epoch": 1})
    run.load_checkpoint({"g": model}, {"g": momentum(model)})


# Weights


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(run, odd):
    import safetensors.torch

    save(run, 1)
    model = network(seed=9)
    tensors = {
        name: it.clone(memory_format=torch.contiguous_format)
        for name, it in model.state_dict().items()
    }
    tensors["0.weight"][1, 1] = odd
    file = run.path / "checkpoint" / "generator.safetensors"
    forge(file, safetensors.torch.save(tensors))
    assert f"{file}: damaged: 0.weight is not finite" in refused(
        run, network(seed=8), adam(network(seed=8))
    )
    tensors = {name: it.double().contiguous() for name, it in network().state_dict().items()}
    forge(file, safetensors.torch.save(tensors))
    assert "0.weight is of torch.float64" in refused(run, model, adam(model))


def test_variances_that_are_none(run):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    model[0].running_var[1] = -1
    run.save_checkpoint({"g": model}, {}, {"epoch": 1})
    with pytest.raises(ValueError, match=r"damaged: 0\.running_var is a variance below 0"):
        run.load_checkpoint({"g": torch.nn.Sequential(torch.nn.BatchNorm1d(2))})


def test_a_training_that_lost_its_numbers_says_so(run):
    save(run, 1)
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    message = error_of(run.save_checkpoint, {"generator": model}, {}, {"epoch": 2})
    assert "0.weight is no longer finite" in message
    assert "smaller learning rate" in message
    assert run.check_checkpoint() == {"epoch": 1}
    assert content(run.path) == SAVED


# Names and links


@pytest.mark.parametrize("name", ["checkpoint", "samples", "stats.jsonl", "checkpoint/state.json"])
def test_links_do_not_lead_outside(run, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    place = run.path / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere")
    assert f"{place}: a link that leads out of {run.path}" in error_of(RunDirectory.open, run.path)


def test_a_link_to_a_run_is_a_run(run, tmp_path):
    (tmp_path / "link").symlink_to(run.path)
    (run.path / "newest.json").symlink_to("options.json")
    assert RunDirectory.open(tmp_path / "link").options == OPTIONS


@pytest.mark.parametrize(
    "digits", [["../x"], ["/x"], [".."], [""], [1], "0123", ["a\\b"], ["0", "0"], ["C:x"]]
)
def test_names_of_a_set_stay_inside(tmp_path, digits):
    record = {"version": "0", "kind": "gan", "digits": digits, "options": {"seed": 0}}
    (tmp_path / "set.json").write_text(json.dumps(record))
    assert "set.json: damaged: 'digits'" in error_of(DigitSet.open, tmp_path, "gan")


def test_a_set_that_was_changed(tmp_path):
    record = {"version": "0", "kind": "gan", "digits": ["0"], "options": {"seed": 0}}
    file = tmp_path / "set.json"
    file.write_text(json.dumps(files.sealed(record)).replace('"seed": 0', '"seed": 1'))
    assert "not what its checksum says" in error_of(DigitSet.open, tmp_path, "gan")


def test_statistics_that_lack_epochs(run, firstspike):
    for epoch in (1, 2):
        run.append_stats({"epoch": epoch})
    save(run, 2)
    file = run.path / "stats.jsonl"
    file.write_bytes(file.read_bytes()[:-3])
    assert f"{file}: damaged: tells of 1 of 2 epochs" in error_of(run.truncate_stats, 2)
    code, out, said = firstspike("runs", ".")
    assert (code, said) == (0, "") and "tells of 1 of 2 epochs" in out
    file.unlink()  # on purpose
    run.truncate_stats(2)
    assert not file.exists()
