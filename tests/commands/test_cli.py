"""The command line: what a user types, sees and gets wrong."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import untrained
from idx import SMALL, idx_bytes, write_digits, write_noise
from PIL import Image

from firstspike import cli
from firstspike._version import __version__
from firstspike.commands import generate
from firstspike.data import load_images
from firstspike.drawing.grids import as_pixels
from firstspike.evaluation.features import digit_probabilities
from firstspike.models.quantized import quantize
from firstspike.models.quantized_ramps import quantize_ramps
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_classifier

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with 12 pictures, in the two classes that are called 0 and 1."""
    return write_noise(tmp_path_factory.mktemp("pictures"), "a", "b")


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    options = ["--data", str(pictures), "--digit", "all", "--out", str(path), *SMALL]
    assert cli.main(["train", "gan", *options]) == 0
    return path


@pytest.fixture(scope="module")
def completion(tmp_path_factory) -> Path:
    """The script for bash."""
    file = tmp_path_factory.mktemp("completion") / "firstspike"
    with file.open("w") as stream, contextlib.redirect_stdout(stream):
        assert cli.main(["completion", "bash"]) == 0
    return file


COMMANDS = (
    (),
    ("train",),
    ("train", "gan"),
    ("train", "ann-gan"),
    ("sweep",),
    ("sweep", "show"),
    ("generate",),
    ("train", "classifier"),
    ("train", "ann-classifier"),
    ("train", "vae"),
    ("train", "ann-vae"),
    ("train", "detect"),
    ("train", "ann-detect"),
    ("train", "translate"),
    ("train", "ann-translate"),
    ("train", "segment"),
    ("train", "ann-segment"),
    ("convert",),
    ("evaluate",),
    ("export",),
    ("data",),
    ("runs",),
    ("compare",),
    ("figures",),
    ("reproduce",),
    ("demo",),
    ("doctor",),
    ("completion",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command) or "main")
def test_help_is_as_recorded(firstspike, monkeypatch, command):
    """After a wanted change: UPDATE_SNAPSHOTS=1 pytest tests/commands, and read the diff."""
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = firstspike(*command, "--help")
    assert code == 0
    file = SNAPSHOTS / f"help-{'-'.join(command) or 'main'}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(out, encoding="utf-8")
    assert out == file.read_text(encoding="utf-8")


def test_version(firstspike):
    assert firstspike("--version") == (0, f"{__version__}\n", "")


def test_training_tells_and_records(firstspike, pictures, tmp_path):
    code, out, err = firstspike("train", "gan", "--data", pictures, "--digit", "1", *SMALL)
    assert (code, err) == (0, "")
    run = tmp_path / "runs" / "gan-1-seed0"
    options = json.loads((run / "options.json").read_text())
    assert options["options"]["hidden"] == 8 and options["kind"] == "gan"
    assert "samples/s · D right on real" in out and "spikes/image G" in out
    assert json.loads((run / "summary.json").read_text())["generator_spikes"] > 0
    assert f"firstspike generate {run.relative_to(tmp_path)}" in out


def test_two_runs_do_not_meet(firstspike, pictures, tmp_path):
    for _ in range(2):
        assert firstspike("train", "ann-gan", "--data", pictures, "--digit", "0", *SMALL)[0] == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["ann-gan-0-seed0", "ann-gan-0-seed0-2"]


def test_a_dry_run_prints_the_options_and_leaves_nothing(firstspike, tmp_path):
    code, out, _ = firstspike("train", "gan", "--dry-run", "--recipe", "paper", "--digit", "7")
    assert code == 0
    options = json.loads(out)
    assert options["recipe"] == "paper" and options["silent"] == "zero" and options["digit"] == "7"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("firstspike eval", ["evaluate"]),
        ("firstspike train ann-cl", ["ann-classifier"]),
        ("firstspike train gan --neuro", ["--neuron"]),  # its help takes two lines
        ("firstspike train gan --neuron ", ["ramp", "step"]),
    ],
)
def test_bash_completes(completion, words, wanted):
    lines = (
        f"source '{completion}'",
        f"COMP_WORDS=({words})",
        "COMP_WORDS+=('')" if words.endswith(" ") else "",
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))",
        "_tyro_firstspike 2>/dev/null",
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
    )
    command = ["bash", "-c", "\n".join(lines)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert sorted(found.split()) == wanted


def test_options_replace_those_of_the_recipe(firstspike):
    options = ("--recipe", "paper", "--silent", "pull", "--dry-run")
    resolved = json.loads(firstspike("train", "gan", *options)[1])
    assert resolved["silent"] == "pull" and resolved["loss"] == "least-squares"


def test_resume_goes_on_with_the_runs_options(firstspike, pictures, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    before = (run / "checkpoint" / "generator.safetensors").read_bytes()
    code, out, err = firstspike("train", "gan", "--resume", run)
    assert (code, err) == (0, "")
    assert "12 images" in out
    assert (run / "checkpoint" / "generator.safetensors").read_bytes() == before


def test_a_killed_process_is_resumed_to_the_same_bytes(firstspike, pictures, trained, tmp_path):
    """SIGKILL a real process as soon as it has a checkpoint."""
    cut = tmp_path / "cut"
    options = ["--data", str(pictures), "--digit", "all", "--out", str(cut), *SMALL]
    command = [sys.executable, "-m", "firstspike", "train", "gan", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (cut / "checkpoint").exists():
            time.sleep(0.01)
        process.kill()
    assert firstspike("train", "gan", "--resume", cut)[0] == 0
    for name in ("generator", "discriminator", "average"):
        file = f"checkpoint/{name}.safetensors"
        assert (cut / file).read_bytes() == (trained / file).read_bytes()


def test_generate_writes_a_grid_arrays_or_pictures(firstspike, trained, tmp_path):
    code, out, _ = firstspike("generate", trained, "--count", 6, "--seed", 7, "--out", "x.npz")
    assert code == 0 and "6 images: x.npz" in out and "generator spikes: " in out
    with np.load("x.npz") as arrays:
        assert arrays["images"].shape == (6, 28, 28) and arrays["latents"].shape == (6, 100)
        assert 0 <= arrays["images"].min() <= arrays["images"].max() <= 1
    assert firstspike("generate", trained, "--count", 6, "--seed", 7, "--out", "grid.png")[0] == 0
    with Image.open("grid.png") as grid:
        assert grid.size == (3 * 58 - 2, 2 * 58 - 2)
    assert firstspike("generate", trained, "--count", 6, "--seed", 7, "--out", "folder")[0] == 0
    assert len(list(Path("folder").glob("*.png"))) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "grid.png", "x.npz"]


def test_generate_draws_in_parts_as_it_does_at_once(firstspike, trained, monkeypatch):
    def drawn(name: str) -> dict[str, object]:
        words = ("generate", trained, "--count", 7, "--out")
        for out in (f"{name}.npz", f"{name}.png", name):
            code, said, _ = firstspike(*words, out)
            assert code == 0 and "7 images" in said
        with np.load(f"{name}.npz") as arrays:
            found: dict[str, object] = {key: arrays[key].tolist() for key in arrays}
            assert arrays["images"].dtype == np.float32
        pictures = sorted(Path(name).iterdir())
        told = said.split("\n", 1)[1]
        return (
            found
            | {"png": Path(f"{name}.png").read_bytes(), "told": told}
            | {file.name: file.read_bytes() for file in pictures}
        )

    at_once = drawn("once")
    monkeypatch.setattr(generate, "AT_ONCE", 3)
    in_parts = drawn("parts")
    assert in_parts.keys() == at_once.keys() and len(in_parts) == 2 + 2 + 7
    for name in in_parts.keys() - {"told"}:
        assert in_parts[name] == at_once[name], name


def test_generate_looks_at_a_folder_before_it_draws(firstspike, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "0000.png").touch()
    code, _, err = firstspike("generate", "no-such-run", "--out", tmp_path / "full")
    assert code == 2 and "full: is not an empty folder; choose another" in err


def test_generate_repeats_with_its_seed_only(firstspike, trained):
    def draw(*options: object) -> np.ndarray:
        assert firstspike("generate", trained, "--count", 4, "--out", "x.npz", *options)[0] == 0
        with np.load("x.npz") as arrays:
            return arrays["images"]

    assert (draw("--seed", 1) == draw("--seed", 1)).all()
    assert (draw("--seed", 1) != draw("--seed", 2)).any()
    assert (draw("--seed", 1) != draw("--seed", 1, "--no-averaged")).any()


def test_generate_draws_with_the_network_of_the_package(firstspike):
    code, out, _ = firstspike("generate", "--digit", "7", "--count", 200, "--out", "x.npz")
    assert code == 0 and "generator spikes: " in out and "discriminator" not in out
    with np.load("x.npz") as arrays:
        pixels = torch.from_numpy((255 * arrays["images"]).round().astype(np.uint8))
    assert (digit_probabilities(pixels).argmax(dim=1) == 7).double().mean() > 0.8
    code, _, err = firstspike("generate", "--no-averaged")
    assert code == cli.USAGE_ERROR and "averaged: the package holds averaged weights only" in err


def test_generate_shows_samples_in_the_order_of_their_spikes(firstspike, trained):
    assert firstspike("generate", trained, "--count", 6, "--out", "x.gif")[0] == 0
    assert firstspike("generate", trained, "--count", 6, "--out", "x.npz")[0] == 0
    with np.load("x.npz") as arrays:
        images = as_pixels(arrays["images"])
    with Image.open("x.gif") as animation:
        lit = []
        for number in range(animation.n_frames):
            animation.seek(number)
            frame = np.asarray(animation.convert("L")).astype(int)
            lit.append(np.stack([frame[y : y + 84 : 3, x : x + 84 : 3] for y, x in PLACES]))
    assert (lit[0] == 0).all() and (lit[-1] == images).all() and len(lit) > 3
    for early, late in itertools.pairwise(lit):
        new = (early == 0) & (late > 0)
        assert late[new].max() < early[early > 0].min(initial=256)  # darker ones come later
        assert (late[early > 0] == early[early > 0]).all()  # and stay


def test_truncation_pulls_latents_to_the_middle(firstspike, trained):
    def draw(*options: object) -> tuple[np.ndarray, np.ndarray]:
        assert firstspike("generate", trained, "--count", 50, "--out", "x.npz", *options)[0] == 0
        with np.load("x.npz") as arrays:
            return arrays["latents"], arrays["images"]

    latents, images = draw()
    assert all(map(np.array_equal, draw("--truncation", 1), (latents, images)))
    pulled, alike = draw("--truncation", 0.5)
    assert np.abs(pulled - (128 + 0.5 * (latents - 128))).max() <= 0.5
    assert alike.std(axis=0).mean() < images.std(axis=0).mean()
    assert (draw("--truncation", 0)[0] == 128).all()


def test_generate_interpolates(firstspike, trained):
    options = ("--count", 20, "--interpolate", 10, "--out", "x.npz")
    assert firstspike("generate", trained, *options)[0] == 0
    with np.load("x.npz") as arrays:
        walks = arrays["latents"].reshape(2, 10, 100)
    steps = np.diff(walks, axis=1)
    assert np.abs(steps - steps.mean(axis=1, keepdims=True)).max() <= 1  # even, but for rounding


PLACES = [(86 * y, 86 * x) for y in range(2) for x in range(3)]  # of six images
ONE_BLACK = idx_bytes(np.zeros((1, 28, 28), np.uint8))
TOO_WIDE = idx_bytes(np.zeros((1, 32, 32), np.uint8)).replace(b"\0\0\0\x20", b"\0\x09\0\x20", 1)
TRAIN = ("train", "gan")
STEP = (*TRAIN, "--neuron", "step")


def idx_files(folder: Path, images: bytes = gzip.compress(ONE_BLACK)) -> Path:
    """A folder with a pair of IDX files of one black 3, or with other content for the images."""
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(images)
    labels = gzip.compress(idx_bytes(np.array([3], np.uint8)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    return folder


@pytest.fixture
def broken(tmp_path, trained) -> dict[str, Path]:
    """Folders that something is wrong with, by what it is."""
    names = ("empty", "unreadable", "no labels", "cut", "absurd", "rubbish", "other", "corrupt")
    folders = {name: tmp_path / name for name in names}
    folders["empty"].mkdir()
    folders["unreadable"].mkdir()
    (folders["unreadable"] / "x.png").write_bytes(b"no picture")
    (idx_files(folders["no labels"]) / "train-labels-idx1-ubyte.gz").unlink()
    idx_files(folders["cut"], gzip.compress(ONE_BLACK)[:-9])
    idx_files(folders["absurd"], gzip.compress(TOO_WIDE))
    idx_files(folders["rubbish"], b"rubbish")
    shutil.copytree(trained, folders["other"])
    record = json.loads((folders["other"] / "options.json").read_text())
    del record["checksum"]  # changed on purpose
    record["options"]["hidden"] = 9
    (folders["other"] / "options.json").write_text(json.dumps(record))
    shutil.copytree(trained, folders["corrupt"])
    (folders["corrupt"] / "checkpoint" / "average.safetensors").write_bytes(b"\x00" * 40)
    return {"trained": trained, **folders}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((*TRAIN, "--digit", "12"), "digit 12"),
        ((*TRAIN, "--digit", "x"), "digit x is not in mnist-train"),
        ((*TRAIN, "--t-max", "0"), "t_max must be"),
        ((*TRAIN, "--epochs", "0"), "epochs must be at least 1"),
        ((*TRAIN, "--loss", "x"), "loss must be exact and relativistic with neuron ramp"),
        ((*STEP, "--loss", "x"), "loss must be potential or least-squares, got x"),
        ((*TRAIN, "--neuron", "ramp", "--recipe", "paper"), "recipe must be best with neuron ramp"),
        ((*TRAIN, "--data", "nowhere"), "nowhere: no such folder"),
        ((*TRAIN, "--data", "{no labels}"), "train-labels-idx1-ubyte"),
        ((*TRAIN, "--data", "{cut}"), "train-images"),
        ((*TRAIN, "--data", "{absurd}"), "train-images"),
        ((*TRAIN, "--data", "{rubbish}"), "corrupt"),
        ((*TRAIN, "--data", "{empty}"), "neither IDX files nor pictures"),
        ((*TRAIN, "--data", "{unreadable}", "--digit", "0"), "x.png: not a readable"),
        ((*TRAIN, "--out", "{trained}"), "holds another run"),
        (("train", "ann-gan", "--resume", "{trained}"), "use `train gan`"),
        ((*TRAIN, "--resume", "{trained}", "--seed", "1"), "--resume"),
        (("generate", "nowhere"), "nowhere: no run"),
        (("generate", "{other}"), ".safetensors"),
        (("generate", "{corrupt}"), "average.safetensors"),
        (("generate", "{trained}", "--count", "0"), "count must be at least 1"),
        (("generate", "{trained}", "--interpolate", "0"), "interpolate must be"),
        (("generate", "gan", "--to-digit", "8"), "to_digit: only walks end elsewhere"),
        (("generate", "--count", "1001", "--out", "x.gif"), "count must be at most 1000 for x.gif"),
    ],
    ids=lambda value: "-".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_that_names_it(firstspike, broken, tmp_path, arguments, wanted):
    before = sorted(tmp_path.rglob("*"))
    code, _, err = firstspike(*(argument.format(**broken) for argument in arguments))
    assert code == cli.USAGE_ERROR
    assert err.startswith("firstspike: ") and err.count("\n") == 1
    assert wanted in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [("train", "gan", "--epochs", "x"), ("train", "gan", "--recipe", "x"), ("train",), ("fly",)],
)
def test_what_does_not_parse_ends_with_2(firstspike, arguments):
    code, _, err = firstspike(*arguments)
    assert code == 2
    assert "Traceback" not in err


def test_a_full_disk_keeps_the_last_checkpoint(firstspike, pictures, trained, monkeypatch):
    """The disk fills up in the second epoch; with room again, the run ends as if nothing was."""
    count = 0

    def write(file: Path, content: bytes) -> None:
        nonlocal count
        count += file.name == "generator.safetensors"
        if count == 2:
            raise OSError(28, "No space left on device")
        whole_write(file, content)

    whole_write = files.write
    monkeypatch.setattr(files, "write", write)
    options = ("--data", pictures, "--digit", "all", "--out", "full", *SMALL)
    code, _, err = firstspike("train", "gan", *options)
    assert code == 2 and "No space left on device" in err and err.count("\n") == 1
    monkeypatch.setattr(files, "write", whole_write)
    assert json.loads(Path("full/checkpoint/state.json").read_text())["epoch"] == 1
    assert firstspike("train", "gan", "--resume", "full")[0] == 0
    file = "checkpoint/generator.safetensors"
    assert Path("full", file).read_bytes() == (trained / file).read_bytes()


def test_a_warning_is_one_line(firstspike, pictures):
    options = ("--data", pictures, "--digit", "all", "--recipe", "paper", *SMALL)
    code, _, err = firstspike("train", "gan", *options)
    assert code == 0
    assert all(line.startswith("firstspike: warning: epoch ") for line in err.splitlines())


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory, pictures) -> tuple[Path, Path]:
    """Trained runs of a classifier and of its dense twin on IDX files of MNIST's first images."""
    folder = tmp_path_factory.mktemp("classifiers")
    (folder / "data").mkdir()
    write_digits(folder / "data", digits=10, train=30, test=30)
    runs = folder / "spiking", folder / "dense"
    for run, kind in zip(runs, ("classifier", "ann-classifier"), strict=True):
        options = ["--data", str(folder / "data"), "--out", str(run), *SMALL]
        assert cli.main(["train", kind, *options]) == 0
    return runs


def test_a_classifier_is_evaluated(firstspike, classifiers):
    spiking, dense = classifiers
    for split, count in (("validation", 50), ("test", 300)):
        code, out, err = firstspike("evaluate", spiking, "--split", split)
        assert (code, err) == (0, "")
        metrics = json.loads((spiking / f"evaluation-{split}" / "metrics.json").read_text())
        assert metrics["count"] == count and 0 <= metrics["strict_accuracy"] <= 1
        assert f'"count": {count}' in out
        assert "fallback_accuracy" in metrics
        assert f"\nby their first spike, {metrics['first_spike_accuracy']:.2%} of all" in out
    figures = {file.name for file in (spiking / "evaluation-test").glob("*.png")}
    assert figures == {
        f"{n}.png" for n in ("per-class", "deadline", "filters", "confusion", "raster")
    }
    code, out, err = firstspike("evaluate", dense, "--json")
    assert (code, err) == (0, "")
    folder = dense / "evaluation-validation"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert json.loads(out) == {"folder": str(folder), **metrics}
    assert metrics["dense_macs"] == 784 * 8 + 8 * 10


def test_a_classifier_is_evaluated_with_8_bit_weights(firstspike, classifiers):
    spiking, _ = classifiers
    code, _, err = firstspike("evaluate", spiking, "--split", "test", "--quantized")
    assert (code, err) == (0, "")
    metrics = json.loads((spiking / "evaluation-test-int8" / "metrics.json").read_text())
    test = load_images(str(spiking.parent / "data"), "test")
    decided = quantize(load_classifier(RunDirectory.open(spiking))).classify(test.images)
    right = (decided.classes == test.labels).double().mean()
    assert metrics["strict_accuracy"] == pytest.approx(right.item())
    assert metrics["total_spikes"] == pytest.approx(decided.spikes.sum().item() / len(test))


def test_a_classifier_of_ramp_neurons_is_evaluated_with_8_bit_weights(
    firstspike, classifiers, tmp_path
):
    data = str(classifiers[0].parent / "data")
    run = untrained.run(tmp_path / "run", "classifier", neuron="ramp", network="4c3p2-8", data=data)
    code, _, err = firstspike("evaluate", run.path, "--split", "test", "--quantized")
    assert (code, err) == (0, "")
    folder = run.path / "evaluation-test-int8"
    metrics = json.loads((folder / "metrics.json").read_text())
    test = load_images(data, "test")
    decided = quantize_ramps(load_classifier(run)).classify(test.images)
    right = (decided.classes == test.labels).double().mean()
    assert metrics["strict_accuracy"] == pytest.approx(right.item())
    assert metrics["total_spikes"] == pytest.approx(decided.spikes.sum().item() / len(test))
    figures = {file.name for file in folder.glob("*.png")}
    assert figures == {f"{n}.png" for n in ("per-class", "deadline", "confusion", "raster")}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("evaluate", "{gan}"), "none held out; measure on the test set"),
        (("evaluate", "{spiking}", "{dense}"), "a classifier; evaluate one"),
        (("evaluate", "{spiking}", "--against", "{dense}"), "does not spike"),
        (("evaluate", "{dense}", "--quantized"), "does not spike"),
        (("generate", "{spiking}"), "a classifier run"),
    ],
)
def test_what_cannot_be_evaluated(firstspike, classifiers, trained, arguments, wanted):
    runs = {"gan": trained, "spiking": classifiers[0], "dense": classifiers[1]}
    code, _, err = firstspike(*(argument.format(**runs) for argument in arguments))
    assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1
