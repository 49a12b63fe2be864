"""``--resume``: one process a run, and more epochs for one that has ended."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from firstspike.runs import checkpoint
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_gan, load_run

SMALL = ("--digit", "a", "--batch", "4", "--hidden", "16", "--t-max", "16")


@pytest.fixture
def finished(firstspike, tmp_path):
    """A run of one epoch on a few pictures."""
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    code, _, said = firstspike(
        "train", "gan", "--data", "data", *SMALL, "--epochs", "1", "--out", "run"
    )
    assert (code, said) == (0, "")
    return RunDirectory.open(tmp_path / "run")


def test_an_ended_run_is_trained_on(firstspike, finished):
    assert firstspike("train", "gan", "--resume", "run")[0] == 0
    assert len(finished.read_stats()) == 1
    code, out, _ = firstspike("train", "gan", "--resume", "run", "--more-epochs", "2", "--dry-run")
    assert code == 0
    assert json.loads(out)["epochs"] == 3
    assert RunDirectory.open(finished.path).options == finished.options
    assert firstspike("train", "gan", "--resume", "run", "--more-epochs", "2")[0] == 0
    run = RunDirectory.open(finished.path)
    assert run.options == finished.options | {"epochs": 3}
    assert [line["epoch"] for line in run.read_stats()] == [1, 2, 3]
    assert run.read_summary()["epochs"] == 3
    assert not (run.path / "lock").exists()


def part_of(run):
    """What the package keeps of a run: the network that draws."""
    gan = load_gan(run)
    name = gan.drawing(run)[-1]
    checkpoint.save(run.path / "checkpoint", {name: gan.networks[name]}, {}, {"epoch": 1})
    return name


def test_a_run_that_cannot_go_on_stays_as_it_is(firstspike, finished):
    name = part_of(finished)
    code, _, said = firstspike("train", "gan", "--resume", "run", "--more-epochs", "2")
    assert code == 2
    assert f"saved without generator.safetensors, with {name}.safetensors alone" in said
    assert RunDirectory.open(finished.path).options == finished.options
    assert (finished.path / "summary.json").exists()


def test_a_part_of_a_run_draws(firstspike, finished):
    assert firstspike("generate", "run", "--count", "4", "--out", "whole.png")[0] == 0
    assert set(finished.saved_networks()) == {"generator", "discriminator", "average", "best"}
    name = part_of(finished)
    assert finished.saved_networks() == [name]
    code, out, _ = firstspike("generate", "run", "--count", "4", "--out", "part.png")
    assert code == 0
    assert "generator spikes" in out and "discriminator" not in out
    whole, part = (
        (finished.path.parent / f"{name}.png").read_bytes() for name in ("whole", "part")
    )
    assert whole == part
    for words in (
        ("generate", "run", "--no-averaged", "--out", "x.png"),
        ("train", "gan", "--resume", "run"),
    ):
        code, _, said = firstspike(*words)
        assert (code, said.count("\n")) == (2, 1)
        assert "saved without" in said and "use the whole run" in said
    with pytest.raises(ValueError, match="saved without"):
        load_run(finished.path)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--more-epochs 2", "--more-epochs goes with --resume"),
        ("--resume run --more-epochs 0", "--more-epochs must be at least 1"),
        ("--digits a-b --more-epochs 2", "--more-epochs goes with --resume of a single run"),
    ],
)
def test_more_epochs_of_nothing(firstspike, finished, words, wanted):
    code, _, said = firstspike("train", "gan", *words.split())
    assert code == 2
    assert wanted in said


def test_a_process_that_vanished_is_told_of(firstspike, finished):
    (finished.path / "lock").touch()  # as a kill leaves it; nobody holds it
    code, out, said = firstspike("train", "gan", "--resume", "run", "--more-epochs", "1")
    assert (code, said) == (0, "")
    assert "run: the process before ended without a word: killed, or out of memory" in out
    assert not (finished.path / "lock").exists()
    assert "without a word" not in firstspike("train", "gan", "--resume", "run")[1]


def test_a_run_that_is_written_to_is_left_alone(firstspike, finished):
    before = (finished.path / "stats.jsonl").read_bytes()
    with finished.writing():
        code, out, said = firstspike("train", "gan", "--resume", "run")
    assert (code, out) == (2, "")
    assert said.startswith("firstspike: run: another process is writing there")
    assert said.count("\n") == 1
    assert (finished.path / "stats.jsonl").read_bytes() == before


def test_a_training_that_stops_early_goes_on_to_the_same_bytes(firstspike, finished):
    small = ("train", "gan", "--data", "data", *SMALL, "--epochs", "3", "--decay", "both")
    assert firstspike(*small, "--out", "whole")[0] == 0
    code, out, _ = firstspike(*small, "--out", "part", "--until", "1")
    assert code == 0 and "more: firstspike train gan --resume part" in out
    part, whole = RunDirectory.open("part"), RunDirectory.open("whole")
    assert len(part.read_stats()) == 1 and not (part.path / "summary.json").exists()
    assert firstspike("train", "gan", "--resume", "part", "--until", "2")[0] == 0
    assert firstspike("train", "gan", "--resume", "part")[0] == 0
    for name in whole.saved_networks():
        file = f"checkpoint/{name}.safetensors"
        assert (part.path / file).read_bytes() == (whole.path / file).read_bytes()
    assert part.read_summary()["epochs"] == 3
    code, _, said = firstspike("train", "gan", "--resume", "part", "--until", "0")
    assert code == 2 and "--until must be at least 1" in said


def test_a_generator_is_measured_on_held_out_images(firstspike, finished):
    small = ("train", "gan", "--data", "data", *SMALL, "--epochs", "1")
    assert firstspike(*small, "--validation", "0.5", "--out", "half")[0] == 0
    told = RunDirectory.open("half").read_stats()[-1]
    assert told["validation_set_frechet_distance"] != told["training_frechet_distance"]
    assert "validation_set_frechet_distance" not in finished.read_stats()[-1]
