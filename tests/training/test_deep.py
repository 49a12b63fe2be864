"""Classifiers of ramp neurons and their dense twins: they learn and can be resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from idx import write_digits
from processes import Kill

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.models.networks import NetworkClassifier, output_window
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.loading import build_trainer
from firstspike.training.loop import pass_over, train
from firstspike.training.rules.exact import exact_loss, rate_at
from firstspike.training.trainer import Progress

OPTIONS = {
    "dense": ("classifier", {"neuron": "ramp", "hidden": 40}),
    "sparse": ("classifier", {"neuron": "ramp", "hidden": 40, "sparsity": 3.0, "dropout": 0.2}),
    "early": ("classifier", {"neuron": "ramp", "hidden": 40, "earliness": 3.0}),
    "cnn": ("classifier", {"neuron": "ramp", "network": "4c3p2-8c3p2"}),
    "twin": ("ann-classifier", {"network": "784-40-10"}),
    "cnn-twin": ("ann-classifier", {"network": "4c3p2-8c3p2"}),
}


@pytest.fixture(scope="module")
def parts() -> Parts:
    mnist = fs.load_mnist("train")
    chosen = slice(0, 600), slice(600, 800)
    first, second = (ImageSet(mnist.images[c], mnist.labels[c], "few") for c in chosen)
    return Parts(first, second)


def new_run(path: Path, name: str) -> RunDirectory:
    kind, options = OPTIONS[name]
    defaults = kinds.find(kind).defaults(options)
    config = type(defaults)(**defaults.as_dict() | options | {"epochs": 3, "batch": 50})
    config.check()
    return RunDirectory.create(path, kind, config.as_dict())


def nothing(progress: Progress) -> None:
    pass


@pytest.mark.parametrize("name", OPTIONS)
def test_it_learns_and_a_killed_run_ends_with_the_same_bytes(tmp_path, parts, name):
    whole = new_run(tmp_path / "whole", name)
    summary = train(whole, build_trainer(whole), parts, nothing)
    assert summary["validation_set_accuracy"] > 0.5

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 5):
            raise Kill

    cut = new_run(tmp_path / "cut", name)
    with pytest.raises(Kill):
        train(cut, build_trainer(cut), parts, kill)
    train(cut, build_trainer(cut), parts, nothing)
    file = "checkpoint/model.safetensors"
    assert (cut.path / file).read_bytes() == (whole.path / file).read_bytes()
    if OPTIONS[name][0] == "classifier":
        loaded = fs.load_run(whole.path)
        assert isinstance(loaded, NetworkClassifier) and not loaded.training
        decided = loaded.classify(parts.held_out.images).classes == parts.held_out.labels
        assert decided.double().mean().item() == pytest.approx(summary["validation_set_accuracy"])
        assert 0 < summary["validation_set_spikes_a_neuron"] < 0.5


def test_a_price_on_spikes_makes_them_fewer(tmp_path, parts):
    spikes = []
    for name in ("dense", "sparse"):
        run = new_run(tmp_path / name, name)
        spikes.append(train(run, build_trainer(run), parts, nothing)["validation_set_spikes"])
    assert spikes[1] < spikes[0]


def test_the_learning_rate_rises_and_falls():
    rates = [rate_at(done) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def first_spikes(scores: torch.Tensor) -> float:
    """Mean step of first spikes, in windows."""
    low, high = output_window(scores)
    return float(((high - scores.amax(dim=1)) / (high - low)).clamp(0, 1).mean())


def test_a_price_on_lateness_brings_first_spikes_forward():
    labels = torch.arange(30) % 3
    start = 3.0 * torch.nn.functional.one_hot(labels, 3) + torch.linspace(0, 5, 30)[:, None]
    steps = []
    for earliness in (0.0, 3.0):
        scores = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([scores], lr=0.1)
        for _ in range(30):
            optimizer.zero_grad()
            exact_loss(scores, labels, scores.new_zeros(()), 0.05, 0.0, earliness).backward()
            optimizer.step()
        assert (scores.argmax(dim=1) == labels).all()
        steps.append(first_spikes(scores.detach()))
    assert steps[1] < 0.5 * steps[0]


def test_the_trainer_asks_for_it(tmp_path, parts):
    images, labels = parts.training.images[:50], parts.training.labels[:50]
    losses = []
    for name in ("dense", "early"):
        trainer = build_trainer(new_run(tmp_path / name, name))
        trainer.watch(parts)
        losses.append(trainer.step(images, labels, torch.Generator().manual_seed(0))["train_loss"])
    assert losses[1] > losses[0] + 3.0


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"gradient": "decision"}, "gradient must be exact with neuron ramp"),
        ({"delay": 2}, "delay, shift and whole do nothing with neuron ramp"),
        ({"whole": False}, "delay, shift and whole do nothing with neuron ramp"),
        ({"shift": 1}, "delay, shift and whole do nothing with neuron ramp"),
        ({"temperature": 2.0}, "temperature does nothing"),
        ({"recipe": "paper"}, "recipe must be best with neuron ramp"),
        ({"network": "784-20-10", "hidden": 30}, "hidden does nothing with network 784-20-10"),
    ],
)
def test_options_that_ramps_do_not_have(options, fault):
    defaults = kinds.find("classifier").defaults({"neuron": "ramp"})
    with pytest.raises(ValueError, match=fault):
        type(defaults)(**defaults.as_dict() | options).check()


@pytest.mark.parametrize(
    ("options", "count", "fault"),
    [
        ({"batch": 1}, 8, "batch must be at least 2, to take statistics of 1 shard, got 1"),
        ({"batch": 7, "shards": 4}, 8, "batch must be at least 8, .* of 4 shards, got 7"),
        ({"shards": 2}, 3, "images to train on must be at least 4, .*, got 3"),
    ],
)
@pytest.mark.parametrize("name", ["dense", "cnn-twin"])
def test_what_has_no_statistics_is_refused(parts, name, options, count, fault):
    few = ImageSet(parts.training.images[:count], parts.training.labels[:count], "few")
    kind, made = OPTIONS[name]
    with pytest.raises(ValueError, match=fault):
        fs.fit(kind, few, validation=0.0, progress=False, **made, **options)


def test_figures_of_an_epoch_are_means_over_its_images():
    """A small last batch counts little, one that is left out nothing."""

    def step(chosen):
        return {"right": 1.0, "lost": 2.0} if len(chosen) == 4 else {"right": 0.0}

    told = []
    stats = pass_over(6, 4, torch.Generator(), step, lambda *progress: told.append(progress))
    assert stats == {"right": pytest.approx(4 / 6), "lost": 2.0}
    assert [progress[-1]["right"] for progress in told] == [1.0, pytest.approx(4 / 6)]


def test_unknown_augmentations_and_networks_are_refused_before_a_run_is_made(firstspike, tmp_path):
    for option, value in (("--augment", "spin"), ("--network", "4x")):
        arguments = ("--neuron", "ramp", option, value, "--out", "run")
        code, _, err = firstspike("train", "classifier", *arguments)
        assert code == 2 and value in err and err.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_the_twin_counts_its_multiplications():
    config = kinds.find("ann-classifier").defaults({"network": "4c3p2-8c3p2"})
    trainer = kinds.load(kinds.find("ann-classifier").trainer)(config)
    assert trainer.macs == 784 * 9 * 4 + 196 * 36 * 8 + 8 * 49 * 10
    assert torch.equal(
        trainer.scores(torch.zeros(1, 28, 28, dtype=torch.uint8))[0].isfinite(),
        torch.ones(10, dtype=torch.bool),
    )


def test_a_network_is_measured_with_another_clock(firstspike, tmp_path):
    (tmp_path / "data").mkdir()
    few = ("--data", write_digits(tmp_path / "data", 10, train=6, test=2), "--epochs", "1")
    train = ("--hidden", "8", *few)
    assert firstspike("train", "classifier", "--neuron", "ramp", *train, "--out", "run")[0] == 0
    code, _, err = firstspike("evaluate", "run", "--split", "test", "--t-max", "16")
    assert code == 0, err
    found = json.loads((tmp_path / "run" / "evaluation-test-t16" / "metrics.json").read_text())
    assert (found["t_max"], found["windows"]) == (16, 3)
    assert firstspike("train", "ann-classifier", *train, "--out", "twin")[0] == 0
    code, _, err = firstspike("evaluate", "twin", "--split", "test", "--t-max", "16")
    assert code == 2 and "--t-max twin: not of ramp neurons" in err
    code, _, err = firstspike("evaluate", "run", "--split", "test", "--t-max", "0")
    assert code == 2 and "t_max must be" in err
