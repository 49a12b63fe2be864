"""Training of a GAN: the run directory as its record, and resuming it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.runs.directory import RunDirectory
from firstspike.training import classifier as train_classifier
from firstspike.training.config import (
    GAN_RECIPES,
    AnnGanConfig,
    ClassifierConfig,
    GanConfig,
    GanOptions,
)
from firstspike.training.gan import build_gan
from firstspike.training.gan_runs import load_classes, train
from firstspike.training.loop import Progress

SMALL = {"hidden": 12, "batch": 8, "epochs": 3}
CONFIGS = {"gan": GanConfig(**SMALL), "ann-gan": AnnGanConfig(**SMALL)}


class Kill(BaseException):
    """Ends the process, as far as the code under test can tell."""


@pytest.fixture(scope="module")
def images() -> ImageSet:
    mnist = fs.load_mnist("train")
    return ImageSet(mnist.images[:20], mnist.labels[:20], "twenty")


def new_run(path: Path, kind: str, config: GanOptions | None = None) -> RunDirectory:
    return RunDirectory.create(path, kind, (config or CONFIGS[kind]).as_dict())


def weights(run: RunDirectory) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in run.path.glob("checkpoint/*.safetensors")}


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
def test_the_run_directory_is_the_record(tmp_path, images, kind):
    run = new_run(tmp_path / "run", kind)
    seen: list[Progress] = []
    summary = train(run, build_gan(run), images, seen.append)
    assert json.loads((run.path / "summary.json").read_text()) == summary
    assert (summary["kind"], summary["seed"], summary["version"]) == (kind, 0, fs.__version__)
    assert summary["data"] == "twenty" and summary["seconds"] > 0
    assert sorted(file.name for file in (run.path / "samples").iterdir()) == [
        "epoch-001.png",
        "epoch-002.png",
        "epoch-003.png",
    ]
    assert set(weights(run)) == {
        f"{n}.safetensors" for n in ("generator", "discriminator", "average")
    }
    stats = run.read_stats()
    assert [line["epoch"] for line in stats] == [1, 2, 3]
    assert all(0 <= line["real_wins"] <= 1 and 0 <= line["fake_wins"] <= 1 for line in stats)
    steps = [(p.epoch, p.step, p.steps, p.images) for p in seen]
    assert steps == [(e, s, 3, n) for e in (1, 2, 3) for s, n in ((1, 8), (2, 8), (3, 4))]
    if kind == "gan":
        assert 0 < summary["generator_spikes"] <= 100 + 12 + 784
        assert 0 <= summary["discriminator_output_silent"] <= 1


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
@pytest.mark.parametrize("killed_at", [(1, 2), (2, 1), (3, 3)])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, images, kind, killed_at):
    whole = new_run(tmp_path / "whole", kind)
    train(whole, build_gan(whole), images, lambda progress: None)

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == killed_at:
            raise Kill

    cut = new_run(tmp_path / "cut", kind)
    with pytest.raises(Kill):
        train(cut, build_gan(cut), images, kill)
    cut = RunDirectory.open(tmp_path / "cut")
    train(cut, build_gan(cut), images, lambda progress: None)
    assert weights(cut) == weights(whole)
    timeless = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in run.read_stats()]
        for run in (cut, whole)
    ]
    assert timeless[0] == timeless[1]
    names = [sorted(str(f.relative_to(r.path)) for f in r.path.rglob("*")) for r in (cut, whole)]
    assert names[0] == names[1]


def test_a_finished_run_stays_as_it_is(tmp_path, images):
    run = new_run(tmp_path / "run", "gan")
    train(run, build_gan(run), images, lambda progress: None)
    before = weights(run)
    train(run, build_gan(run), images, lambda progress: pytest.fail("nothing is left to do"))
    assert weights(run) == before


def test_load_run_gives_the_trained_networks(tmp_path, images):
    run = new_run(tmp_path / "run", "gan")
    gan = build_gan(run)
    train(run, gan, images, lambda progress: None)
    loaded = fs.load_run(run.path)
    latents = gan.latents(5)
    for averaged in (True, False):
        a, b = (g.sample(latents, averaged=averaged) for g in (gan, loaded))
        assert torch.equal(a, b)


def test_a_silent_generator_is_a_warning(tmp_path, images):
    config = dataclasses.replace(GAN_RECIPES["paper"], **SMALL | {"epochs": 1})
    run = new_run(tmp_path / "run", "gan", config)
    gan = build_gan(run)
    with torch.no_grad():
        for network in gan.networks.values():
            network[0].weight.fill_(-1)
    with pytest.warns(RuntimeWarning, match="epoch 1: the generator has fallen silent"):
        summary = train(run, gan, images, lambda progress: None)
    assert summary["generator_output_silent"] == 1


def test_classes_to_draw():
    assert load_classes(GanConfig(digit="3")).classes == [3]
    assert load_classes(GanConfig(digit="all")).classes == list(range(10))
    for digit in ("12", "three", "-1"):
        with pytest.raises(ValueError, match=digit):
            load_classes(GanConfig(digit=digit))


def test_a_conditional_network_knows_ten_classes(tmp_path):
    for name in (f"{label:02}" for label in range(11)):
        (tmp_path / name).mkdir()
        Image.new("L", (28, 28)).save(tmp_path / name / "x.png")
    config = GanConfig(digit="all", data=str(tmp_path), conditional=True)
    with pytest.raises(ValueError, match=r"has class 10, a network can be told 0\.\.9"):
        load_classes(config)


def test_held_out_images_are_those_of_the_classifier():
    config = GanConfig(digit="3", validation=1 / 6)
    held_out = load_classes(config, "validation").images
    _, of_all = train_classifier.load_parts(ClassifierConfig(validation=1 / 6))
    assert torch.equal(held_out, of_all.select(3).images)
    train_images = {image.numpy().tobytes() for image in load_classes(config).images}
    assert len(train_images) + len(held_out) == len(load_classes(GanConfig(digit="3")))
    assert train_images.isdisjoint(image.numpy().tobytes() for image in held_out)
    assert load_classes(config, "test").classes == [3]
    with pytest.raises(ValueError, match="none was held out"):
        load_classes(GanConfig(digit="3"), "validation")
