"""Training of a GAN: the run directory as its record, and resuming it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from processes import Kill

import firstspike as fs
from firstspike.data import ImageSet, Parts
from firstspike.runs.directory import RunDirectory
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import (
    GAN_RECIPES,
    POTENTIAL_GAN,
    ClassifierConfig,
    GanConfig,
    GanOptions,
    ann_gan_defaults,
)
from firstspike.training.gan import SpikingGan
from firstspike.training.loading import build_trainer
from firstspike.training.loop import train
from firstspike.training.trainer import Progress

SMALL = {"hidden": 12, "batch": 8, "epochs": 3}
CONFIGS = {
    "gan": dataclasses.replace(POTENTIAL_GAN, **SMALL),
    "ann-gan": dataclasses.replace(ann_gan_defaults({"loss": "cross-entropy"}), **SMALL),
}


@pytest.fixture(scope="module")
def images() -> Parts:
    mnist = fs.load_mnist("train")
    return Parts(ImageSet(mnist.images[:20], mnist.labels[:20], "twenty"), None)


def new_run(path: Path, kind: str, config: GanOptions | None = None) -> RunDirectory:
    return RunDirectory.create(path, kind, (config or CONFIGS[kind]).as_dict())


def weights(run: RunDirectory) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in run.path.glob("checkpoint/*.safetensors")}


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
def test_the_run_directory_is_the_record(tmp_path, images, kind):
    run = new_run(tmp_path / "run", kind)
    seen: list[Progress] = []
    summary = train(run, build_trainer(run), images, seen.append)
    assert run.read_summary() == summary
    assert (summary["kind"], summary["seed"], summary["version"]) == (kind, 0, fs.__version__)
    assert summary["data"] == "twenty" and summary["seconds"] > 0
    assert sorted(file.name for file in (run.path / "samples").iterdir()) == [
        "epoch-001.png",
        "epoch-002.png",
        "epoch-003.png",
    ]
    assert set(weights(run)) == {
        f"{n}.safetensors" for n in ("generator", "discriminator", "average", "best")
    }
    stats = run.read_stats()
    assert [line["epoch"] for line in stats] == [1, 2, 3]
    assert all(0 <= line["real_wins"] <= 1 and 0 <= line["fake_wins"] <= 1 for line in stats)
    steps = [(p.epoch, p.step, p.steps, p.images) for p in seen if not p.ended]
    assert steps == [(e, s, 3, n) for e in (1, 2, 3) for s, n in ((1, 8), (2, 8), (3, 4))]
    if kind == "gan":
        assert 0 < summary["generator_spikes"] <= 100 + 12 + 784
        assert 0 <= summary["discriminator_output_silent"] <= 1


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
@pytest.mark.parametrize("killed_at", [(1, 2), (2, 1), (3, 3)])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, images, kind, killed_at):
    whole = new_run(tmp_path / "whole", kind)
    train(whole, build_trainer(whole), images, lambda progress: None)

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == killed_at:
            raise Kill

    cut = new_run(tmp_path / "cut", kind)
    with pytest.raises(Kill):
        train(cut, build_trainer(cut), images, kill)
    cut = RunDirectory.open(tmp_path / "cut")
    train(cut, build_trainer(cut), images, lambda progress: None)
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
    train(run, build_trainer(run), images, lambda progress: None)
    before = weights(run)
    train(run, build_trainer(run), images, lambda progress: pytest.fail("nothing is left to do"))
    assert weights(run) == before


def test_load_run_gives_the_trained_networks(tmp_path, images):
    run = new_run(tmp_path / "run", "gan")
    gan = build_trainer(run)
    train(run, gan, images, lambda progress: None)
    loaded = fs.load_run(run.path)
    latents = gan.latents(5)
    for averaged in (True, False):
        a, b = (g.sample(latents, averaged=averaged) for g in (gan, loaded))
        assert torch.equal(a, b)


def test_a_silent_generator_is_a_warning(tmp_path, images):
    config = dataclasses.replace(GAN_RECIPES["paper"], **SMALL | {"epochs": 1})
    run = new_run(tmp_path / "run", "gan", config)
    gan = build_trainer(run)
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


def load_classes(config: GanOptions, part: str = "train") -> ImageSet:
    if part == "train":
        return SpikingGan.load_data(config).training
    return SpikingGan.load_unseen(config, part)


def test_each_epoch_tells_its_own_figures(tmp_path, images):
    run = new_run(tmp_path / "run", "gan")
    ended: list[Progress] = []
    train(run, build_trainer(run), images, lambda p: ended.append(p) if p.ended else None)
    for progress, line in zip(ended, run.read_stats(), strict=True):
        assert progress.epoch == line["epoch"]
        assert progress.stats == {k: v for k, v in line.items() if k not in ("epoch", "seconds")}


def test_held_out_images_are_those_of_the_classifier():
    config = GanConfig(digit="3", validation=1 / 6)
    held_out = load_classes(config, "validation").images
    _, of_all = SpikingTraining.load_data(ClassifierConfig(validation=1 / 6))
    assert torch.equal(held_out, of_all.select(3).images)
    train_images = {image.numpy().tobytes() for image in load_classes(config).images}
    assert len(train_images) + len(held_out) == len(load_classes(GanConfig(digit="3")))
    assert train_images.isdisjoint(image.numpy().tobytes() for image in held_out)
    assert load_classes(config, "test").classes == [3]
    with pytest.raises(ValueError, match="none was held out"):
        load_classes(GanConfig(digit="3"), "validation")
