"""Autoencoders on the command line: from training to pictures, figures and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from idx import SMALL, write_digits
from PIL import Image

from firstspike import cli
from firstspike.export import nir
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_run


def seen(file: str) -> np.ndarray:
    """The gray pixels of a picture."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("L"))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data, and runs of two latents, of both kinds."""
    folder = tmp_path_factory.mktemp("vae")
    data = write_digits(folder, digits=2, train=30, test=10)
    for kind in ("vae", "ann-vae"):
        options = ["--data", data, "--latent", "2", "--out", str(folder / kind), *SMALL]
        assert cli.main(["train", kind, *options]) == 0
    return folder


def test_training_tells_and_records(firstspike, place, tmp_path):
    code, out, err = firstspike("train", "vae", "--data", place, "--digit", "1", *SMALL)
    assert (code, err) == (0, "")
    run = tmp_path / "runs" / "vae-1-seed0"
    assert "nats told · reconstructions 0." in out and "spikes/image" in out
    assert f"firstspike generate {run.relative_to(tmp_path)}" in out
    assert "on 30 images" in out and json.loads((run / "summary.json").read_text())["epochs"] == 2


def test_a_map_a_walk_and_samples(firstspike, place):
    for words, size in (
        (("--map", "5"), (5 * 58 - 2, 5 * 58 - 2)),
        (("--interpolate", "6", "--count", "12"), (6 * 58 - 2, 2 * 58 - 2)),
        (("--count", "4"), (2 * 58 - 2, 2 * 58 - 2)),
    ):
        code, out, _ = firstspike("generate", place / "vae", *words, "--out", "picture.png")
        assert code == 0 and "decoder spikes a neuron" in out
        assert seen("picture.png").shape[::-1] == size


def test_reconstructions_stand_below_unseen_images(firstspike, place):
    words = "generate", place / "vae", "--reconstruct", "--count", "8"
    code, out, _ = firstspike(*words, "--out", "pairs.png")
    assert code == 0 and out.startswith("8 images, reconstructions below: pairs.png")
    shown = seen("pairs.png")
    vae = load_run(place / "vae")
    unseen = vae.load_unseen(vae.config, "test").images
    assert (shown[:56:2, :56:2] == unseen[0].numpy()).all()
    below = np.rint(255 * vae.reconstruct(unseen[:1])[0].double().numpy())
    assert (shown[58:114:2, :56:2] == below).all()
    assert firstspike(*words, "--out", "pairs.npz")[0] == 0
    arrays = np.load("pairs.npz")
    assert arrays["images"].shape == (8, 28, 28) and arrays["latents"].shape == (8, 2)
    code, out, _ = firstspike(*words[:-1], "5", "--out", "single")
    assert code == 0 and out.startswith("5 images: single")
    assert len(list(Path("single").iterdir())) == 5  # a grid's empty fields are no images


def test_evaluate_puts_the_twin_beside(firstspike, place):
    words = "evaluate", place / "vae", "--against", place / "ann-vae", "--split", "test"
    code, out, _ = firstspike(*words, "--out", "quality")
    assert code == 0
    for row in ("squared error of reconstructions", "spikes a neuron", "Fréchet distance"):
        assert f"| {row} |" in out
    told = json.loads(Path("quality/comparison.json").read_text())
    own, twin = (told[side]["mean"] for side in ("runs", "against"))
    ratio = told["headline"]["reconstruction_error_ratio"]["mean"]
    assert ratio == pytest.approx(
        own["reconstruction_error"]["mean"] / twin["reconstruction_error"]["mean"]
    )
    assert own["spikes_a_neuron"]["mean"] > 0 and "spikes_a_neuron" not in twin
    record = json.loads((place / "vae" / "evaluation-test" / "metrics.json").read_text())
    assert len(record["encoder_activity"]) == len(record["decoder_activity"]) == 3
    for name in ("map", "walks", "reconstructions", "samples"):
        assert (place / "vae" / "evaluation-test" / f"{name}.png").is_file()


def test_both_parts_are_exported(firstspike, place):
    vae = load_run(place / "vae")
    latents = vae.latents(6, torch.Generator().manual_seed(0))
    for part, spikes in (("decoder", latents), ("encoder", torch.full((6, 784), 100.0))):
        code, _, _ = firstspike("export", place / "vae", f"{part}.onnx", "--part", part)
        assert code == 0
        found = onnxruntime.InferenceSession(f"{part}.onnx").run(None, {"times": spikes.numpy()})
        network = vae.spiking_decoder() if part == "decoder" else vae.spiking_encoder()
        assert np.abs(found[1] - network(spikes).numpy()).max() <= 1  # rounding of a potential
        assert firstspike("export", place / "vae", f"{part}.npz", "--part", part)[0] == 0
        arrays = np.load(f"{part}.npz")
        told = "latents" if part == "decoder" else "latents_told"
        assert int(arrays[told]) == 2 and arrays["neuron"] == "ramp"
    assert float(np.load("encoder.npz")["mean_reach"]) == 4.0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("train vae --latent 0", "latent must be between 1 and"),
        ("train vae --network conv --hidden 5", "hidden does nothing with network conv"),
        ("train vae --neuron step --network conv", "network conv needs ramp neurons"),
        ("train vae --neuron step --precision 5", "precision does nothing with neuron step"),
        ("train vae --window 2", "window does nothing with neuron ramp"),
        ("train vae --data nowhere", "nowhere: no such folder"),
        ("train vae --digit 12", "digit 12 is not in mnist-train"),
        ("generate RUN --map 3 --reconstruct", "one picture shows one of them"),
        ("generate RUN --map 3 --out x.gif", "map does not move"),
        ("generate RUN --map 0", "map must be at least 1"),
        ("generate RUN --map 1001", "map must be at most 1000"),
        ("generate RUN --digit 1", "cannot be asked for a class"),
        ("generate RUN --no-averaged", "keeps no average"),
        ("generate --map 3", "neither reconstructs nor has a map"),
        ("export RUN x.npz", "give --part encoder or decoder"),
        ("export RUN x.npz --part generator", "give --part encoder or decoder"),
        ("export TWIN x.npz --part decoder", "does not spike"),
        ("evaluate RUN --split validation", "none held out"),
    ],
)
def test_mistakes_take_one_line(firstspike, place, tmp_path, words, complaint):
    runs = {"RUN": str(place / "vae"), "TWIN": str(place / "ann-vae")}
    code, _, said = firstspike(*(runs.get(word, word) for word in words.split()))
    assert code == 2 and said.count("\n") == 1 and complaint in said
    assert not list(tmp_path.iterdir())


def test_a_run_of_many_latents_has_no_map(firstspike, place):
    options = "--data", place, "--latent", "3", "--out", "three", *SMALL
    assert firstspike("train", "vae", *options)[0] == 0
    code, _, said = firstspike("generate", "three", "--map", "4")
    assert code == 2 and "latent must be 2 for a map, but this network has 3" in said
    assert RunDirectory.open("three").read_stats()[-1]["epoch"] == 2


def test_step_neurons_draw_and_reconstruct_and_are_exported(firstspike, place):
    """What the clock costs other programs: inputs that come one a step."""
    options = "--data", place, "--neuron", "step", "--latent", "5", "--out", "steps", *SMALL
    assert firstspike("train", "vae", *options)[0] == 0
    for words in (("--reconstruct",), ("--interpolate", "4")):
        shown = "generate", "steps", *words, "--count", "8", "--out", "picture.png"
        assert firstspike(*shown)[0] == 0
    assert firstspike("generate", "steps", "--count", "2", "--out", "spikes.gif")[0] == 0
    code, out, _ = firstspike(
        "evaluate", "steps", "--against", place / "ann-vae", "--split", "test"
    )
    assert code == 0 and "| spikes a neuron |" in out
    vae = load_run("steps")
    latents, pulses = vae.latents(6), torch.arange(15.0).expand(6, -1)
    fed = torch.cat([latents, pulses], dim=1)
    for suffix in ("onnx", "nir"):
        assert firstspike("export", "steps", f"decoder.{suffix}", "--part", "decoder")[0] == 0
    found = onnxruntime.InferenceSession("decoder.onnx").run(None, {"times": fed.numpy()})
    assert (found[1] != vae.spiking_decoder()(fed).numpy()).mean() < 1e-3
    drawn = (17 - nir.load("decoder.nir")(fed)) / 15
    assert torch.equal(drawn.view(6, 28, 28), vae.sample(latents))
    assert firstspike("export", "steps", "encoder.npz", "--part", "encoder")[0] == 0
    arrays = np.load("encoder.npz")
    assert (int(arrays["latents_told"]), int(arrays["pulses"])) == (5, 1)
    code, _, said = firstspike("demo", "steps")
    assert code == 2 and "has no part on the page" in said
