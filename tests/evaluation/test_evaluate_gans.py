"""What samples of GANs are worth: generators whose quality is known, and sides of many runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from idx import SMALL, write_digits
from PIL import Image
from torch import Tensor

from firstspike import cli
from firstspike.commands.evaluate_gans import table_of
from firstspike.data import load_mnist
from firstspike.evaluation import fidelity
from firstspike.evaluation.comparison import compare
from firstspike.evaluation.features import extract
from firstspike.evaluation.samples import COPY, Reference, Samples, load_reference, measure
from firstspike.evaluation.sides import Evaluated, Side, common_digits, find_runs
from firstspike.runs.directory import RunDirectory
from firstspike.training.config import AnnGanConfig, GanConfig, GanOptions
from firstspike.training.gan import Gan
from firstspike.training.paired import MARK


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """40 zeros and 40 ones to train on, 10 of each to test."""
    return write_digits(tmp_path_factory.mktemp("data"), digits=2, train=40, test=10)


class Known(Gan):
    """A generator whose samples are given."""

    def __init__(self, images: Tensor, digit: str = "3") -> None:
        self.config, self.known = GanConfig(digit=digit), images

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.arange(count)

    def sample(self, latents: Tensor, *, averaged: bool = True) -> Tensor:
        return self.known[latents % len(self.known)] / 255


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(GanOptions(digit="3", data=None, validation=1 / 6), "validation")


def test_copies_are_as_good_as_data_and_told_from_it(reference):
    samples = measure(Known(reference.training), reference, "validation")
    quality, floor = samples.quality, reference.floor
    assert len(samples.images) == len(reference.unseen) == len(reference.stand_ins) == 1022
    assert torch.equal(samples.images, reference.training[:1022])  # not dimmed by a bit
    assert quality.frechet_distance < 3 * floor.frechet_distance < 20
    assert quality.coverage > 0.9 and quality.right_digit > 0.98
    assert quality.relative_diversity == pytest.approx(1, abs=0.05)
    assert quality.nearest_training < 0.01 and quality.copies == 1
    assert floor.copies == pytest.approx(COPY, abs=0.001)
    assert floor.nearest_training > 3 and floor.relative_diversity == 1
    assert floor.frechet_distance == fidelity.frechet_distance(
        reference.features, extract(reference.stand_ins.images)
    )


def test_a_collapsed_generator_shows(reference):
    quality = measure(Known(reference.unseen.images[:1]), reference, "validation").quality
    assert quality.pixel_diversity == quality.relative_diversity == 0
    assert quality.coverage < 0.02 and quality.frechet_distance > 100


def test_other_digits_are_the_wrong_ones(reference):
    eights = load_mnist("train").select(8).images[:1022]
    samples = measure(Known(eights), reference, "validation")
    assert samples.quality.right_digit < 0.05 and samples.quality.confidence < 0.05
    assert samples.confidence.shape == (1022,)
    worst = samples.worst(5)
    assert torch.equal(worst[0], samples.images[samples.confidence.argmin()])


def test_the_parts_are_disjoint(reference):
    test = load_reference(GanOptions(digit="3", data=None, validation=1 / 6), "test")
    assert torch.equal(test.unseen.images, load_mnist("test").select(3).images)
    assert torch.equal(test.training, reference.training)


def test_samples_of_any_class_have_no_right_one(data):
    of_all = load_reference(GanOptions(digit="all", data=data, validation=0.0), "test")
    samples = measure(Known(of_all.training, "all"), of_all, "test")
    assert samples.labels is None and samples.quality.right_digit is None
    of_one = load_reference(GanOptions(digit="1", data=data, validation=0.0), "test")
    samples = measure(Known(of_one.training, "1"), of_one, "test")
    assert samples.labels.tolist() == [1] * 10 and samples.quality.confidence is None


def test_too_few_images_are_refused(data):
    with pytest.raises(ValueError, match="4 images to measure with, at least 6 needed"):
        load_reference(GanOptions(digit="1", data=data, validation=0.1), "validation")


def evaluated(
    path: Path, reference: Reference, digit: str, seed: int, images: Tensor, **figures: float
) -> Evaluated:
    """A run as if it had been measured: its record holds what is given and no more."""
    config = AnnGanConfig(digit=digit, seed=seed, validation=1 / 6)
    run = RunDirectory.create(path / f"{digit}-{seed}", "ann-gan", config.as_dict())
    labels = torch.full((len(images),), int(digit))
    samples = Samples(images, labels, None, torch.zeros(len(images)), reference.floor, {})
    record = {"digit": digit, "seed": seed, "averaged": True, **figures, "floor": {"coverage": 0.9}}
    return Evaluated(run, samples, reference, record)


def test_means_of_digits_come_first_then_seeds(tmp_path, reference):
    def side(name: str, coverage: list[list[float]]) -> Side:
        return {
            seed: [
                evaluated(
                    tmp_path / name, reference, digit, seed, reference.training[:1],
                    coverage=coverage[seed][n], relative_diversity=coverage[seed][n],
                )
                for n, digit in enumerate(("3", "5"))
            ]
            for seed in (0, 1)
        }  # fmt: skip

    own, twin = side("own", [[0.2, 0.4], [0.6, 0.8]]), side("twin", [[0.5, 0.7], [1.0, 1.0]])
    found = compare(own, twin, "validation")
    assert found["digits"] == ["3", "5"] and found["split"] == "validation"
    mean = found["runs"]["mean"]["coverage"]
    assert mean["by_seed"] == pytest.approx([0.3, 0.7])
    assert mean["mean"] == pytest.approx(0.5) and mean["sd"] == pytest.approx(0.4 / 2**0.5)
    assert found["runs"]["digits"]["5"]["coverage"]["mean"] == pytest.approx(0.6)
    assert found["floor"]["mean"]["coverage"] == {"mean": 0.9, "sd": None, "by_seed": [0.9]}
    headline = found["headline"]
    assert headline["coverage_ratio"]["mean"] == pytest.approx(0.5 / 0.8)
    assert headline["coverage_ratio"]["by_seed"] == pytest.approx([0.5, 0.7])
    assert headline["collapsed"] == 2 and headline["frechet_ratio"] is None
    table = table_of(found)
    assert "| coverage | 0.500 ± 0.283 | 0.800 ± 0.283 | 0.900 |" in table
    assert "| 5 | 0.600 ± 0.283 | 0.850 ± 0.212 | 0.900 |" in table


# Runs on disk, and the command


@pytest.fixture(scope="module")
def sets(data, tmp_path_factory) -> dict[str, Path]:
    """Runs of digits 0 and 1 with two seeds; of the twin with one."""
    folder = tmp_path_factory.mktemp("sets")
    for kind, seeds in (("gan", 2), ("ann-gan", 1)):
        for seed in range(seeds):
            for digit in range(2):
                out = folder / kind / f"seed{seed}" / str(digit)
                given = ("--digit", digit, "--seed", seed, "--data", data, "--out", out, *SMALL)
                assert cli.main(["train", kind, *map(str, given)]) == 0
    return {kind: folder / kind for kind in ("gan", "ann-gan")}


@pytest.fixture
def evaluate(capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["evaluate", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_set_is_evaluated_beside_its_twin(sets, evaluate, tmp_path):
    out = tmp_path / "out"
    options = ("--against", sets["ann-gan"], "--split", "test", "--out", out)
    code, printed, err = evaluate(sets["gan"], *options)
    assert (code, err) == (0, "")
    assert {file.name for file in out.iterdir()} == {
        "comparison.json",
        "table.md",
        "digits.png",
        "evolution.png",
    }
    found = read(out / "comparison.json")
    assert found["digits"] == ["0", "1"]
    assert found["runs"]["seeds"] == [0, 1] and found["against"]["seeds"] == [0]
    for side, seeds in (("runs", 2), ("against", 1), ("floor", 1)):
        score = found[side]["mean"]["classification_accuracy"]
        assert len(score["by_seed"]) == seeds and 0 <= score["mean"] <= 1
        assert found[side]["mean"]["joint_frechet_distance"]["mean"] > 0
    assert found["headline"]["generator_spikes"]["mean"] > 0
    assert found["headline"]["frechet_ratio"]["mean"] > 0
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "| mean over 2 digits | Spiking-GAN, 2 seeds | dense twin, 1 seed | data |" in table
    assert table in printed
    for run in (sets["gan"] / "seed1" / "0", sets["ann-gan"] / "seed0" / "1"):
        record = read(run / "evaluation-test" / "metrics.json")
        assert record["count"] == 10 and record["floor"]["relative_diversity"] == 1
        names = {file.stem for file in (run / "evaluation-test").glob("*.png")}
        assert names == {"samples", "nearest", "distances", "training"}
    with Image.open(out / "evolution.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 0


def test_one_run_is_evaluated_with_either_weights(sets, evaluate):
    run = sets["gan"] / "seed0" / "1"
    frechet = []
    for options, folder in (((), "evaluation-test"), (("--no-averaged",), "evaluation-test-raw")):
        assert evaluate(run, "--split", "test", *options)[0] == 0
        found = read(run / folder / "comparison.json")
        assert found["against"] is None and found["headline"]["frechet_ratio"] is None
        assert "classification_accuracy" not in found["floor"]["mean"]
        frechet.append(found["runs"]["mean"]["frechet_distance"]["mean"])
    assert frechet[0] != frechet[1]
    first = read(run / "evaluation-test" / "metrics.json")
    code, printed, err = evaluate(run, "--split", "test", "--json")
    assert (code, err.count("\n")) == (0, 1) and "Fréchet distance" in err
    assert read(run / "evaluation-test" / "metrics.json") == first
    folder = run / "evaluation-test"
    assert json.loads(printed) == {"folder": str(folder), **read(folder / "comparison.json")}


def test_a_conditional_network_is_asked_for_the_classes_of_the_data(data, evaluate, tmp_path):
    run = tmp_path / "run"
    options = ["--digit", "all", "--conditional", "--data", data, "--out", str(run), *SMALL]
    assert cli.main(["train", "ann-gan", *options]) == 0
    assert evaluate(run, "--split", "test")[0] == 0
    found = read(run / "evaluation-test" / "comparison.json")
    assert found["digits"] == ["0", "1"]
    assert 0 < found["headline"]["classification_accuracy"]["mean"] <= 1
    for digit in ("0", "1"):
        record = read(run / "evaluation-test" / digit / "metrics.json")
        assert record["digit"] == digit and record["data"].endswith(f"test-{digit}")
    with Image.open(run / "evaluation-test" / "evolution.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 0
    drawn = []
    for digit in ("0", "1", "0"):
        out = tmp_path / "x.npz"
        assert cli.main(["generate", str(run), "--digit", digit, "--out", str(out)]) == 0
        with np.load(out) as arrays:
            assert (arrays["latents"][:, 100 + int(digit)] == MARK).all()
            drawn.append(arrays["images"])
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).any()


def test_only_digits_of_every_seed_are_compared(sets, evaluate, tmp_path):
    runs = (sets["gan"] / "seed0", sets["gan"] / "seed1" / "1")
    assert evaluate(*runs, "--split", "test", "--out", tmp_path)[0] == 0
    assert read(tmp_path / "comparison.json")["digits"] == ["1"]


def test_what_cannot_be_evaluated(sets, evaluate, tmp_path, data):
    spiking, dense = sets["gan"] / "seed0", sets["ann-gan"] / "seed0"
    unfinished = tmp_path / "unfinished" / "run"
    RunDirectory.create(unfinished, "gan", GanConfig().as_dict())
    other = tmp_path / "other"
    config = dataclasses.replace(GanConfig(), data=data, digit="0", seed=7, validation=0.5)
    RunDirectory.create(other, "gan", config.as_dict())
    classifier = tmp_path / "classifier"
    RunDirectory.create(classifier, "classifier", {})
    for arguments, wanted in (
        ((), "name at least one run"),
        (("nowhere",), "nowhere: no run here"),
        ((spiking,), "none held out; measure on the test set"),
        ((tmp_path / "unfinished",), "no run of a GAN that has ended"),
        ((unfinished, "--split", "test"), "no checkpoint"),
        ((spiking, dense, "--split", "test"), "the other as the side against"),
        ((spiking / "0", sets["gan"], "--split", "test", "--quantized"), "--quantized"),
        ((spiking / "0", other, "--split", "test"), "another validation than"),
        ((spiking / "0", "--against", spiking / "1", "--split", "test"), "no digit that every"),
        ((spiking, "--against", classifier, "--split", "test"), "a classifier run"),
    ):
        before = sorted(tmp_path.rglob("*"))
        code, _, err = evaluate(*arguments)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1, (wanted, err)
        assert sorted(tmp_path.rglob("*")) == before


def test_runs_are_compared_on_the_same_images_only(tmp_path):
    """What a run of an older version lacks is as it was then, and no other data set."""
    options = dataclasses.replace(GanConfig(), validation=0.0).as_dict()
    small = {name: options[name] for name in options if name not in ("size", "colour")}
    former = RunDirectory.create(tmp_path / "former", "gan", {**small, "validation": 0})
    today = RunDirectory.create(tmp_path / "today", "gan", options)
    assert common_digits([{0: {"3": former}}, {0: {"3": today}}], "test") == ["3"]
    other = RunDirectory.create(tmp_path / "other", "gan", {**options, "size": 16})
    with pytest.raises(ValueError, match="another size than"):
        common_digits([{0: {"3": today}}, {0: {"3": other}}], "test")


def test_two_runs_of_one_digit_and_seed_are_refused(sets, tmp_path):
    first = sets["gan"] / "seed0" / "0"
    twice = find_runs([first, sets["gan"]])  # the same folder twice is one run
    assert {seed: sorted(of) for seed, of in twice.items()} == {0: ["0", "1"], 1: ["0", "1"]}
    copy = RunDirectory.create(tmp_path / "copy", "gan", RunDirectory.open(first).options)
    with pytest.raises(ValueError, match="digit 0 and seed 0 as"):
        find_runs([first, copy.path])
