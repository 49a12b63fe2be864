"""The demo's answers: races, drawings, pictures, networks on offer, and how they are bundled."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from untrained import finished, save_shifted
from untrained import run as untrained_run

import firstspike as fs
from firstspike.demo import drawing, networks, picture
from firstspike.demo.race import race
from firstspike.evaluation.classifiers import evaluate_classifier
from firstspike.hub import bundled as hub
from firstspike.models import LATENTS, Classifier, classifier
from firstspike.training import detect, segmentation, translation
from firstspike.training.gan import Gan
from firstspike.training.loading import build_trainer
from firstspike.training.pixels import PixelTraining

sys.path.append(str(Path(__file__).parents[2]))

from tools import bundle_models

T_MAX = 256
DIGITS = fs.load_mnist("test").images[:20].numpy()


def random_classifier(shift: float = 0.0, **layer: object) -> Classifier:
    """A classifier whose outputs spike at some images and steps and not at others."""
    torch.manual_seed(0)
    model = classifier(30, **layer)
    with torch.no_grad():
        model.layers[-1].weight += shift
    return model


@pytest.mark.parametrize("options", [{"delay": 0}, {"delay": 3, "bias": False}, {"shift": -9.0}])
def test_a_race_is_what_the_classifier_does(options):
    model = random_classifier(**options)
    decided = model.classify(DIGITS)
    for n, image in enumerate(DIGITS):
        told = race(model, image)
        assert told["winner"] == decided.classes[n] and told["decision"] == decided.decisions[n]
        assert told["spikes"] == decided.spikes[n].tolist()
        assert [len(layer) for layer in told["times"]] == [784, 30, 10]
        assert told["macs"] == 784 * 30 + 30 * 10
    silent = options.get("shift") is not None
    assert bool((decided.decisions == T_MAX).all()) == silent  # both cases were met
    assert not race(model, DIGITS[0])["blank"] and race(model, 0 * DIGITS[0])["blank"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("delay", [0, 2])
def test_output_neurons_spike_when_their_potential_passes_the_threshold(bias, delay):
    model = random_classifier(shift=0.05, bias=bias, delay=delay)
    met = set()
    for image in DIGITS:
        told = race(model, image)
        potentials = np.array(told["potentials"])
        assert potentials.shape == (T_MAX, 10)
        above = potentials > 1
        first = np.where(above.any(axis=0), above.argmax(axis=0), T_MAX)
        assert first.tolist() == told["times"][-1]
        at_decision = [k for k in range(10) if first[k] == told["decision"] < T_MAX]
        assert told["tied"] == at_decision
        met.add(len(at_decision))
    assert len(met) > 1


def gan(tmp_path: Path, **options: object) -> Gan:
    network = networks.load(finished(tmp_path / "gan", "gan", **options))
    assert isinstance(network, Gan)
    return network


NEURONS = pytest.mark.parametrize("neuron", ["ramp", "step"])


@NEURONS
def test_a_sample_is_what_the_generator_draws(tmp_path, neuron):
    network = gan(tmp_path, neuron=neuron)
    told = drawing.sample(network, 5, seed=3)
    latents = network.latents(5, torch.Generator().manual_seed(3))
    drawn = network.sample(latents)
    for n, (latent, hidden, pixels) in enumerate(told["images"]):
        assert latent == latents[n].tolist() and len(hidden) == 12
        shown = fs.decode(torch.tensor(pixels).float()).reshape(28, 28)
        torch.testing.assert_close(shown, drawn[n])
    assert told["t_max"] == T_MAX
    assert drawing.sample(network, 5, seed=4)["images"] != told["images"]


def test_a_convolutional_generator_is_told_as_lists_of_neurons(tmp_path):
    chosen = {"network": "conv", "channels": 4}
    network = gan(tmp_path, digit="all", conditional=True, **chosen)
    told = drawing.sample(network, 2, seed=3, digit="7")
    drawn = network.sample(
        network.latents(2, torch.Generator().manual_seed(3), torch.tensor([7, 7]))
    )
    for n, layers in enumerate(told["images"]):
        assert len(layers) == 4 and all(isinstance(time, int) for layer in layers for time in layer)
        assert len(layers[0]) == LATENTS + 10 and layers[0][LATENTS + 7] == 0
        shown = fs.decode(torch.tensor(layers[-1]).float()).reshape(28, 28)
        torch.testing.assert_close(shown, drawn[n])
    assert bundle_models.measure_gan(network)["spikes"] > 0


@NEURONS
def test_a_walk_goes_from_one_latent_to_the_other(tmp_path, neuron):
    first = [0, 10, T_MAX, 40] * (LATENTS // 4)
    last = [0, 20, 3, T_MAX] * (LATENTS // 4)
    told = drawing.walk(gan(tmp_path, neuron=neuron), [first, last], 11)
    latents = np.array([image[0] for image in told["images"]])
    assert latents[0].tolist() == first and latents[-1].tolist() == last
    assert latents[:, 1].tolist() == list(range(10, 21))  # a spike moves
    for place, early, late in ((2, T_MAX, 3), (3, 40, T_MAX)):  # one comes, the other goes
        column = latents[:, place::4]
        assert set(np.unique(column)) == {early, late}
        switched = (column == late).sum(axis=1)
        assert (np.diff(switched) >= 0).all() and len(set(switched)) > 9  # not all at once
    assert np.flatnonzero(np.diff(latents[:, -1])).tolist() == [4]  # the last one halfway


@NEURONS
def test_a_conditional_generator_draws_all_digits_and_walks_between_them(tmp_path, neuron):
    network = gan(tmp_path, digit="all", conditional=True, neuron=neuron)
    told = drawing.sample(network, 20, seed=3)
    marks = np.array([image[0][LATENTS:] for image in told["images"]])
    assert (marks.argmin(axis=1) == np.arange(20) % 10).all()
    ends = [told["images"][k][0] for k in (3, 8)]
    walked = drawing.walk(network, ends, 12)["images"]
    marks = np.array([image[0][LATENTS:] for image in walked])
    assert marks[0].argmin() == 3 and marks[-1].argmin() == 8
    assert 0 <= bundle_models.measure_gan(network)["read_as_the_digit"] <= 1


@pytest.mark.parametrize(
    "ends", [None, "x", [[1], [2]], [[0] * LATENTS], [[0.5] * LATENTS] * 2, [[257] * LATENTS] * 2,
             [[-1] * LATENTS] * 2, [[10**400] * LATENTS] * 2, [["1"] * LATENTS] * 2, {}]
)  # fmt: skip
def test_ends_of_a_walk_that_are_no_latents(ends, tmp_path):
    with pytest.raises(ValueError, match="two lists of 100 whole numbers"):
        drawing.walk(gan(tmp_path), ends, 4)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_picture_of_mnist_s_size_is_taken_as_it_is():
    read = picture.read(saved(Image.fromarray(DIGITS[0])))
    assert (read == DIGITS[0]).all()


def large(digit: np.ndarray, dark: bool, place: tuple[int, int] = (40, 150)) -> Image.Image:
    """A digit somewhere on a wide picture, in dark ink on paper or in bright ink."""
    ground = Image.new("L", (400, 300), 0)
    ground.paste(Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC), place)
    pixels = np.asarray(ground)
    return Image.fromarray(230 - pixels // 2 * (200 // 128) if dark else pixels)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", picture.FORMATS)
def test_a_picture_of_any_size_becomes_like_mnist_s(kind, dark):
    for digit in DIGITS[:3]:
        read = picture.read(saved(large(digit, dark), kind))
        assert read.shape == (28, 28) and read.max() > 240
        difference = np.abs(read.astype(float) - digit).mean()
        assert difference < 0.35 * digit.mean()


def test_where_a_digit_is_does_not_matter():
    digit = DIGITS[2]
    reads = [picture.read(saved(large(digit, False, place))) for place in ((0, 0), (280, 180))]
    assert (reads[0] == reads[1]).all()


def test_transparent_paper_is_black_and_rotation_is_undone():
    ink = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ink.paste((255, 255, 255, 255), (45, 10, 55, 90))
    read = picture.read(saved(ink))
    assert read[:, :8].max() == 0 and read[14, 14] == 255
    lying = Image.new("L", (100, 60), 0)
    lying.paste(255, (10, 25, 90, 35))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    upright = picture.read(saved(lying, "JPEG", exif=exif)) > 128
    assert upright.any(axis=1).sum() > 2 * upright.any(axis=0).sum()


@pytest.mark.parametrize("size", [(300, 200), (1, 1), (28, 28), (1, 900)])
def test_a_picture_without_ink_is_black(size):
    for shade in (0, 90, 255):
        assert picture.read(saved(Image.new("L", size, shade))).max() == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", saved(Image.fromarray(DIGITS[0]))[:-40], b"<svg></svg>", b"%PDF-1.4"],
)
def test_what_is_no_picture(content):
    with pytest.raises(ValueError, match=r"^not a readable picture .*give a PNG") as caught:
        picture.read(content)
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_large(monkeypatch):
    monkeypatch.setattr(picture, "LARGEST", 899)
    with pytest.raises(ValueError, match="30x30 pixels; give one of 899"):
        picture.read(saved(Image.new("L", (30, 30))))


def test_runs_below_a_folder_are_offered_and_those_that_do_not_spike_left_out(tmp_path):
    finished(tmp_path / "a", "classifier")
    finished(tmp_path / "b", "gan")
    untrained_run(tmp_path / "c", "ann-gan", epoch=None)
    offers, left_out = networks.given([tmp_path])
    assert [(offer.run.kind, offer.name) for offer in offers] == [
        ("classifier", str(tmp_path / "a")), ("gan", str(tmp_path / "b"))
    ]  # fmt: skip
    assert left_out == [
        f"{tmp_path / 'c'}: an ann-gan run, which does not spike; give one that does"
    ]
    with pytest.raises(ValueError, match="does not spike"):
        networks.given([tmp_path / "c"])
    with pytest.raises(ValueError, match="no run here nor below"):
        networks.given([tmp_path / "d"])


def test_a_network_is_loaded_once_and_again_after_the_next_checkpoint(tmp_path):
    run = finished(tmp_path, "classifier")
    shelf = networks.Shelf(networks.given([tmp_path])[0])
    first = shelf.classifier(0)
    assert shelf.classifier(0) is first
    save_shifted(run, shift=0.5)
    moved = shelf.classifier(0).layers[0].weight - first.layers[0].weight
    torch.testing.assert_close(moved, torch.full_like(moved, 0.5))
    for number, part, name in (
        (1, "race", "classifier"),
        (0, "draw", "generator"),
        (-1, "race", ""),
    ):
        with pytest.raises(ValueError, match=f"there is no {name}.* of this number"):
            shelf.offer(number, part)


FEW = 60
FIGURES = ("reconstruction_error", "psnr", "mean_iou", "map_50", "spikes_a_neuron")


def test_the_bundled_networks_are_there_and_as_good_as_recorded(monkeypatch):
    """If training changed what they do: python tools/bundle_models.py RUN... with new runs."""
    test = fs.load_mnist("test")
    monkeypatch.setattr(segmentation, "TEST_CANVASES", FEW)
    monkeypatch.setattr(detect, "TEST", FEW)
    first = test.part(torch.arange(len(test)) < FEW, "first")
    monkeypatch.setattr(translation.Translation, "load_split", lambda *_: first)
    kinds = set()
    for name in hub.names():
        measured = hub.provenance(name)["measured"]
        network = networks.load(hub.open_run(name))
        kinds.add(hub.open_run(name).kind)
        if isinstance(network, Classifier):
            right = network.classify(test.images).classes == test.labels
            assert measured["strict_accuracy"] == pytest.approx(
                right.double().mean().item(), abs=2e-4
            )
        elif isinstance(network, Gan):
            assert bundle_models.measure(network) == pytest.approx(measured, rel=0.02)
        else:
            is_map = isinstance(network, PixelTraining)
            few = bundle_models.unseen(network, FEW) if is_map else None
            found = network.measure(few) if is_map else bundle_models.measure(network, FEW)
            told = {figure: found[figure] for figure in FIGURES if figure in found}
            assert len(told) == 2
            assert told == pytest.approx({name: measured[name] for name in told}, rel=0.1)
    assert kinds == {"classifier", "gan", "vae", "translate", "segment", "detect"}


@pytest.mark.parametrize("name", ["gan-3", "classifier-aggressive-12"])
def test_a_bundled_network_outlives_options_of_training(name, tmp_path, monkeypatch, capsys):
    runs = [
        finished(tmp_path / "runs" / "a", "classifier").path,
        finished(tmp_path / "runs" / "b", "gan").path,
    ]
    bundle(monkeypatch, capsys, *runs, "--out", tmp_path)
    file = tmp_path / name / "options.json"
    record = json.loads(file.read_text())
    del record["options"]["epochs"]
    record["options"]["no_longer_there"] = 1
    record.pop("checksum", None)  # changed on purpose
    file.write_text(json.dumps(record))
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    for offer in networks.bundled():
        networks.load(offer.run)


def bundle(monkeypatch, capsys, *arguments: object) -> tuple[str, str]:
    monkeypatch.setattr(sys, "argv", ["bundle_models.py", *map(str, arguments)])
    bundle_models.main()
    return capsys.readouterr()


def test_bundling_keeps_what_playing_needs_and_says_where_it_comes_from(
    tmp_path, monkeypatch, capsys
):
    runs = [
        finished(tmp_path / "runs" / "a", "classifier", seed=4),
        finished(tmp_path / "runs" / "b", "gan"),
    ]
    target = tmp_path / "bundle"
    for _ in range(2):  # the second time in place of the first
        bundle(monkeypatch, capsys, tmp_path / "runs", "--out", target)
    monkeypatch.setattr(hub, "BUNDLED", target)
    offers = networks.bundled()
    assert [o.name for o in offers] == ["classifier-aggressive-12, bundled", "gan-3, bundled"]
    for run, offer in zip(runs, offers, strict=True):
        one, other = networks.load(run), networks.load(offer.run)
        if run.kind == "gan":
            one, other = one.average, other.average
        for weight, same in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(weight, same)
        assert offer.run.options == run.options
    provenance = json.loads((target / "classifier-aggressive-12" / "provenance.json").read_text())
    assert provenance["command"] == "firstspike train classifier --seed 4 --hidden 12 --epochs 1"
    report = evaluate_classifier(networks.load(runs[0]), fs.load_mnist("test"))
    assert provenance["measured"]["strict_accuracy"] == report.strict_accuracy
    kept = sorted(file.name for file in (target / "gan-3").rglob("*") if file.is_file())
    assert kept == ["average.safetensors", "options.json", "provenance.json", "state.json"]


def test_one_generator_takes_the_place_of_others_in_one_step(tmp_path, monkeypatch, capsys):
    target = tmp_path / "bundle"
    three = finished(tmp_path / "three", "gan", digit="3", neuron="step").path
    bundle(monkeypatch, capsys, three, "--out", target)
    told = finished(tmp_path / "told", "gan", shift=0.1, digit="all", conditional=True)
    trainer = build_trainer(told).restored(told)
    trainer.best.get_buffer("distance").fill_(7.0)
    for weight in trainer.best.parameters():
        weight.data += 0.01
    told.save_checkpoint(trainer.networks, {}, {"epoch": 1})
    bundle(monkeypatch, capsys, told.path, "--remove", "gan-3", "--out", target)
    assert [folder.name for folder in target.iterdir()] == ["gan-all"]
    weights = [file.name for file in (target / "gan-all" / "checkpoint").glob("*.safetensors")]
    assert weights == ["best.safetensors"]  # the snapshot that draws
    monkeypatch.setattr(hub, "BUNDLED", target)
    drawn = networks.load(hub.find("gan"))
    latents = drawn.latents(6, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.sample(latents), trainer.sample(latents))
    with pytest.raises(SystemExit):
        bundle(monkeypatch, capsys, told.path, "--remove", "gan-9", "--out", target)
    assert "--remove gan-9: no network of this name" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"classifier: no run here, nor a file"):
        hub.find("classifier")


def test_what_is_not_bundled(tmp_path, monkeypatch, capsys):
    other_data = finished(tmp_path / "other", "classifier", data="elsewhere").path
    unfinished = finished(tmp_path / "unfinished", "classifier").path
    (unfinished / "summary.json").unlink()
    twice = [finished(tmp_path / f"twice/{seed}", "classifier", seed=seed).path for seed in (0, 1)]
    target = tmp_path / "bundle"
    for runs, reason in (
        ([other_data], "give a run on MNIST"),
        ([unfinished], "not there yet"),
        (twice, "several runs of one name"),
        ([finished(tmp_path / "ramp", "classifier", neuron="ramp").path], "only step neurons"),
        ([untrained_run(tmp_path / "ann", "ann-gan", epoch=None).path], "does not spike"),
    ):
        with pytest.raises(SystemExit, match="2"):
            bundle(monkeypatch, capsys, *runs, "--out", target)
        assert reason in capsys.readouterr().err
    assert not target.exists()
