"""Other sizes, colours and classes, all through: only the paper's presets say 784, 28 or 10.

Two data sets stand for all others: folders of small pictures in colour whose names are no labels,
and EMNIST's letters, whose labels start at 1 and whose files hold every image transposed.
"""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from firstspike import cli
from firstspike.data import load_images
from firstspike.demo.api import Api, Request
from firstspike.demo.networks import Shelf, given
from firstspike.export import nir as nir_io
from firstspike.models import LATENTS
from firstspike.runs.directory import RunDirectory
from firstspike.training.loading import load_classifier, load_gan

NAMES = ("2", "9", "10", "bird", "car", "cat", "deer", "dog", "frog", "plane", "ship", "truck")
LETTERS = tuple(str(label) for label in range(1, 27))
TRAIN, TEST = 12, 6  # images of each class
TINY = ("--hidden", 8, "--epochs", 1, "--batch", 16, "--validation", 0.5)
CLASSIFIERS = {
    "decision": ("classifier",),
    "temporal": ("classifier", "--gradient", "temporal"),
    "online": ("classifier", "--gradient", "online"),
    "dense": ("ann-classifier",),
}
GANS = {
    "gan": ("gan",),
    "conditional": ("gan", "--digit", "all", "--conditional"),
    "dense-gan": ("ann-gan",),
    "steps": ("gan", "--neuron", "step", "--digit", "all", "--conditional"),
}


@dataclass(frozen=True)
class Case:
    """A data set, and the folder in which runs on it lie."""

    data: Path
    runs: Path
    classes: tuple[str, ...]
    image: tuple[int, ...]  # sizes
    drawn: str  # the class that GANs of one class draw

    @property
    def pixels(self) -> int:
        return int(np.prod(self.image))

    def run(self, name: str) -> Path:
        return self.runs / name


def write_pictures(folder: Path) -> None:
    """Folders of pictures in colour, a hue for each class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("test", TEST)):
        for label, name in enumerate(NAMES):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3)) * (label % 3 != np.arange(3)) // 2
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def write_letters(folder: Path) -> None:
    """IDX files as EMNIST has them: labels from 1 on, images transposed, gzip."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = np.repeat(np.arange(1, 27, dtype=np.uint8), count)
        images = np.zeros((len(labels), 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4:24, label % 20 + 4] = image[label - 1, 4:24] = rng.integers(128, 256, 20)
        for kind, array in (("images-idx3", images.transpose(0, 2, 1)), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim])
            header += b"".join(size.to_bytes(4, "big") for size in array.shape)
            file = folder / f"emnist-letters-{split}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(scope="module", params=["pictures", "letters"])
def case(request, tmp_path_factory) -> Case:
    """A data set, and a run of every kind on it, trained by the command line."""
    folder = tmp_path_factory.mktemp(request.param)
    data, runs = folder / "data", folder / "runs"
    if request.param == "pictures":
        write_pictures(data)
        made = Case(data, runs, NAMES, (3, 32, 32), "cat")
    else:
        write_letters(data)
        made = Case(data, runs, LETTERS, (28, 28), "26")
    for name, (kind, *options) in (CLASSIFIERS | GANS).items():
        digit = ("--digit", made.drawn) if "gan" in name else ()
        command = ("train", kind, *options, *digit, *TINY, "--data", data, "--out", made.run(name))
        assert cli.main([str(part) for part in command]) == 0, name
    return made


def test_networks_have_the_sizes_and_classes_of_the_data(case):
    for name in CLASSIFIERS | GANS:
        run = RunDirectory.open(case.run(name))
        assert run.shape.image == case.image and run.shape.classes == case.classes
        assert run.read_summary()["epochs"] == 1
    for name in CLASSIFIERS:
        weights = [p.shape for p in load_classifier(RunDirectory.open(case.run(name))).parameters()]
        assert weights[0] == (8, case.pixels) and weights[-1][0] == len(case.classes)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("decision", ("--split", "test")),
        ("temporal", ("--quantized",)),
        ("online", ()),
        ("dense", ("--split", "test")),
        ("gan", ("--split", "test")),
        ("conditional", ()),
        ("dense-gan", ()),
        ("steps", ()),
    ],
)
def test_they_are_evaluated(case, firstspike, name, options):
    code, _, err = firstspike("evaluate", case.run(name), *options, "--out", "out")
    assert (code, err) == (0, "")
    assert list(Path("out").glob("*.json"))
    curve = list(case.run(name).glob("evaluation-*/training.png"))  # of snapshots
    assert len(curve) == (name in GANS)


@pytest.mark.parametrize("name", GANS)
def test_images_have_the_size_and_colour_of_the_data(case, firstspike, name):
    height, width = case.image[-2:]
    mode = "RGB" if len(case.image) == 3 else "L"
    chosen = ("--digit", case.drawn) if name in ("conditional", "steps") else ()
    assert firstspike("generate", case.run(name), "--count", 4, *chosen)[0] == 0
    with Image.open("samples.png") as grid:
        assert grid.size == (2 * 2 * width + 2, 2 * 2 * height + 2) and grid.mode == mode
    walk = ("--interpolate", 3, "--count", 6, "--out", "walk.gif")
    assert firstspike("generate", case.run(name), *chosen, *walk)[0] == 0
    with Image.open("walk.gif") as animation:
        shown = sum(frame.info["duration"] for frame in ImageSequence.Iterator(animation))
        assert shown == 4 * 80  # four moments; equal ones are one frame
        assert animation.size[1] == 3 * height
    code, _, err = firstspike("generate", case.run(name), *chosen, "--out", "spikes.gif")
    assert code == 2 and "has no spikes to show" in err if name == "dense-gan" else code == 0
    assert firstspike("generate", case.run(name), "--count", 2, "--out", "a.npz")[0] == 0
    with np.load("a.npz") as arrays:
        assert arrays["images"].shape == (2, *case.image)


def test_an_unknown_class_is_told(case, firstspike):
    code, _, err = firstspike("generate", case.run("conditional"), "--digit", "cow")
    assert code == cli.USAGE_ERROR and "cow" in err and case.classes[-1] in err


def test_runs_are_listed_and_compared(case, firstspike):
    code, out, err = firstspike("runs", case.runs)
    assert (code, err) == (0, "") and all(name in out for name in CLASSIFIERS | GANS)
    code, out, err = firstspike("compare", case.run("decision"), case.run("temporal"))
    assert (code, err) == (0, "") and "gradient" in out
    code, out, err = firstspike("compare", case.run("conditional"), case.run("steps"))
    assert (code, err) == (0, "") and "neuron" in out and "training_frechet_distance" in out


def exported(case: Case, firstspike, suffix: str) -> dict[str, Path]:
    """Files of the classifier and of both networks of the conditional GAN of step neurons."""
    found = {}
    for part in ("classifier", "generator", "discriminator"):
        file = found[part] = Path(f"{part}.{suffix}")
        of_gan = part != "classifier"
        run = case.run("steps" if of_gan else "decision")
        code, _, err = firstspike("export", run, file, *(("--part", part) if of_gan else ()))
        assert (code, err) == (0, "")
    return found


def check_facts(case: Case, part: str, facts: dict[str, object]) -> None:
    """What a file tells besides its layers."""
    assert facts["classes"] == list(case.classes)
    channels, height, width = (1, 1, *case.image)[-3:]
    assert [facts[name] for name in ("channels", "height", "width")] == [channels, height, width]
    count = len(case.classes)
    told = {"generator": (count, None), "discriminator": (0, count), "classifier": (None, None)}
    assert (facts.get("labels"), facts.get("pairs")) == told[part]
    recipe = {"latents": LATENTS, "latent_last": 0, "latent_silent": 0.5}
    for name, value in recipe.items():
        assert facts.get(name) == (value if part == "generator" else None)


def test_they_are_exported_as_numpy_arrays(case, firstspike):
    for part, file in exported(case, firstspike, "npz").items():
        with np.load(file, allow_pickle=False) as arrays:
            facts = {name: array.tolist() for name, array in arrays.items()}
            weight = arrays["weight_1"]
        check_facts(case, part, facts)
        inputs = {
            "classifier": case.pixels,
            "generator": LATENTS + len(case.classes),
            "discriminator": case.pixels,
        }
        assert weight.shape == (8, inputs[part])


def test_they_are_exported_as_onnx(case, firstspike):
    for part, file in exported(case, firstspike, "onnx").items():
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        told = session.get_modelmeta().custom_metadata_map
        plain = ("coding", "digit")
        check_facts(case, part, {k: v if k in plain else json.loads(v) for k, v in told.items()})


def test_they_are_exported_as_nir(case, firstspike):
    nir = pytest.importorskip("nir")
    for part, file in exported(case, firstspike, "nir").items():
        facts = nir.read(file).metadata
        check_facts(case, part, facts | {"classes": json.loads(facts["classes"])})
        assert nir_io.load(file).sizes[0] > 8


@pytest.fixture
def api(case) -> Api:
    return Api(Shelf(given([case.run(name) for name in ("decision", "conditional", "gan")])[0]))


def picture(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of pixels [height, width] or [height, width, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_the_demo_races_a_test_image(case, api):
    offers = api.networks(Request({}))["networks"]
    assert offers[0]["shape"]["classes"] == list(case.classes)
    told = api.digit(Request({"network": "0", "pick": str(TEST * len(case.classes) + 5)}))
    test = load_images(case.data, "test")
    assert told["index"] == 5 and told["pixels"] == test.images[5].flatten().tolist()
    assert told["label"] == test.names[test.labels[5]]
    pixels = test.images[5].numpy()
    sent = picture(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0))
    raced = api.race(Request({"network": "0"}, sent))
    assert raced["pixels"] == told["pixels"]
    model = load_classifier(RunDirectory.open(case.run("decision")))
    assert raced["winner"] == int(model.classify(test.images[5:6]).classes)
    assert len(raced["potentials"][0]) == len(case.classes)


def test_the_demo_brings_any_picture_to_the_size_of_the_network(case, api):
    red = np.zeros((90, 60, 3), np.uint8)
    red[20:70, 25:35, 0] = 200
    raced = api.race(Request({"network": "0"}, picture(red)))
    image = np.array(raced["pixels"]).reshape(case.image)
    assert image.max() > 50
    if image.ndim == 3:  # colours are kept, and the picture is not centred as a letter is
        assert image[1:].max() == 0 and image[0, 0].max() == 0


def test_the_demo_draws_what_it_is_asked_for(case, api):
    asked = {"count": 3, "seed": 1, "digit": case.drawn}
    drawn = api.sample(Request({"network": "1"}, json.dumps(asked).encode()))
    latents = torch.tensor([image[0] for image in drawn["images"]])
    assert latents.shape == (3, LATENTS + len(case.classes))
    assert set(latents[:, LATENTS:].argmin(dim=1).tolist()) == {case.classes.index(case.drawn)}
    assert len(drawn["images"][0][-1]) == case.pixels
    asked = {"steps": 4, "ends": [image[0] for image in drawn["images"][:2]]}
    walked = api.walk(Request({"network": "1"}, json.dumps(asked).encode()))
    assert len(walked["images"]) == 4
    gan = load_gan(RunDirectory.open(case.run("conditional")))
    assert gan.sample(latents.float()).shape == (3, *case.image)
    for digit, fault in (("cow", "must be one of"), (3, "must be a name")):
        asked = {"count": 3, "seed": 1, "digit": digit}
        with pytest.raises(ValueError, match=f"digit {fault}"):
            api.sample(Request({"network": "1"}, json.dumps(asked).encode()))
    asked = {"count": 3, "seed": 1, "digit": case.drawn}
    with pytest.raises(ValueError, match="cannot be asked for a class"):
        api.sample(Request({"network": "2"}, json.dumps(asked).encode()))
