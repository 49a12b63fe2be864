"""The demo's answers beyond the paper: autoencoders, translators, segmenters and detectors."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
import untrained
from PIL import Image

import firstspike as fs
from firstspike import cli
from firstspike.demo import answers
from firstspike.demo.api import Api, Request
from firstspike.demo.networks import Offer, Shelf, given
from firstspike.shape import MNIST, Shape

DIGITS = fs.load_mnist("test").images[:4]
CANVAS = Shape(1, 64, 64, MNIST.classes)
GROUND = Shape(1, 64, 64, ("ground", *MNIST.classes))
FEW = {"vae": {"latent": 3}, "detect": {"network": "4c3s4-6c3s2"}}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    folder = tmp_path_factory.mktemp("answers")
    made = [
        untrained.run(folder / "a", "vae", **FEW["vae"]),
        untrained.run(folder / "b", "translate", task="holes"),
        untrained.run(folder / "c", "translate", task="colour"),
        untrained.run(folder / "d", "segment", shape=GROUND),
        untrained.run(folder / "e", "detect", shape=CANVAS, **FEW["detect"]),
    ]
    return Shelf(given([run.path for run in made])[0])


def shown(times: list[int], channels: int | None = None) -> torch.Tensor:
    """Intensities of pixels with these spike times."""
    image = fs.decode(torch.tensor(times).float())
    return image.view(28, 28) if channels is None else image.view(channels, 28, 28)


def test_a_map_and_its_places_are_what_the_decoder_draws(shelf):
    vae = shelf.trainer(0, "map")
    told = answers.chart(vae, 2)
    shares = torch.tensor([[0.25, 0.25, 0.5], [0.25, 0.75, 0.5], [0.75, 0.25, 0.5]])
    drawn = vae.sample(vae.at_quantiles(shares))
    for times, image in zip(told["images"], drawn, strict=False):
        torch.testing.assert_close(shown(times), image)
    place = answers.place(vae, [0.25, 0.75])
    assert place["shares"] == [0.25, 0.75] and place["layers"][0] == [192, 64, 128]
    assert place["layers"][-1] == told["images"][1]
    assert [len(layer) for layer in place["layers"]] == [3, 8, 784]


def test_a_reconstruction_is_that_of_the_mean(shelf):
    vae = shelf.trainer(0, "map")
    told = answers.reconstruct(vae, DIGITS[0])
    torch.testing.assert_close(shown(told["layers"][-1]), vae.reconstruct(DIGITS[:1])[0])
    assert told["pixels"] == DIGITS[0].flatten().tolist()
    assert told["encoder"] >= int((DIGITS[0] > 0).sum())
    assert told["layers"][0] == vae.means(DIGITS[:1])[0].tolist()


def test_a_translation_is_what_the_network_answers(shelf):
    holes, colour = shelf.trainer(1, "translate"), shelf.trainer(2, "translate")
    told = answers.translate(holes, DIGITS[0])
    torch.testing.assert_close(shown(told["times"], 1), holes.translate(DIGITS[:1])[0])
    assert told["seen"] == DIGITS[0].flatten().tolist() and told["channels"] == 1
    assert told["spikes"] / told["neurons"] == pytest.approx(
        holes.answers(DIGITS[:1])[1]["spikes_a_neuron"]
    )
    whole = answers.translate(holes, DIGITS[0], damaged=False)
    assert sum(whole["seen"]) < sum(told["seen"])  # something was cut out
    gray = answers.translate(colour, DIGITS[0], damaged=False)
    assert gray["seen"] == told["seen"] and gray["channels"] == 3
    torch.testing.assert_close(shown(gray["times"], 3), colour.translate(DIGITS[:1])[0])


def test_both_find_on_the_same_canvas_what_they_say_and_what_is_there(shelf):
    pairs, index = shelf.offer(3, "segment").scene(7)
    segmenter, detector = shelf.trainer(3, "segment"), shelf.trainer(4, "detect")
    said = answers.segment(segmenter, pairs, index)
    canvas = fs.data.canvases(1, 7, fs.load_mnist("test"))
    assert said["pixels"] == canvas.images[0].flatten().tolist()
    assert said["truth"] == canvas.masks[0].flatten().tolist()
    assert said["classes"] == segmenter.segment(canvas.images).flatten().tolist()
    found = answers.detect(detector, *shelf.offer(4, "detect").scene(7))
    assert found["pixels"] == said["pixels"]
    there = canvas.labels[0] >= 0
    assert found["truth"]["names"] == [str(int(one)) for one in canvas.labels[0][there]]
    assert found["truth"]["boxes"] == canvas.boxes[0][there].tolist()
    [seen] = detector.detect(canvas.images)
    assert found["found"]["boxes"] == seen.boxes.tolist()
    assert 0 < found["spikes"] <= found["neurons"]


def test_own_data_are_shown_in_the_place_of_canvases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "canvases", "--count", "2", "--out", "made"]) == 0
    made = tmp_path / "made"
    run = untrained.run(
        tmp_path / "a", "detect", shape=CANVAS, data=str(made), size=64, **FEW["detect"]
    )
    images, index = Offer(run, "own").scene(5)
    assert (len(images), index, images.name) == (2, 1, "made-train")


def picture(image: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image.numpy()).save(stream, "PNG")
    return stream.getvalue()


def asked(shelf: Shelf, method: str, name: str, body: bytes = b"", **query: object) -> dict:
    request = Request({key: str(value) for key, value in query.items()}, body)
    told = Api(shelf).routes[method, f"/api/{name}"](request)
    json.dumps(told, allow_nan=False)
    return told


def test_the_page_may_ask_for_all_of_it(shelf):
    assert len(asked(shelf, "GET", "map", network=0)["images"]) == 100
    place = asked(shelf, "POST", "place", b'{"shares": [0, 1]}', network=0)
    assert place["layers"][0] == [256, 0, 128]
    told = asked(shelf, "GET", "reconstruct", network=0, pick=10_003)
    assert told["index"] == 3 and told["pixels"] == DIGITS[3].flatten().tolist()
    drawn = asked(shelf, "POST", "translate", picture(DIGITS[1]), network=2)
    assert drawn["seen"] == DIGITS[1].flatten().tolist()
    told = asked(shelf, "GET", "translate", network=2, pick=1)
    assert told["source"] == "mnist-test-colour" and len(told["target"]) == 3 * 784
    for part, number in (("segment", 3), ("detect", 4)):
        told = asked(shelf, "GET", part, network=number, pick=2)
        assert len(told["pixels"]) == 64 * 64


@pytest.mark.parametrize(
    ("method", "name", "body", "query", "reason"),
    [
        ("POST", "place", b'{"shares": [0.5]}', {"network": 0}, "shares must be 2 numbers in 0..1"),
        ("POST", "place", b'{"shares": [0.5, NaN]}', {"network": 0}, "shares must be 2 numbers"),
        ("POST", "place", b'{"shares": [0.5, 1.1]}', {"network": 0}, "shares must be 2 numbers"),
        ("POST", "place", b'{"shares": [true, 0]}', {"network": 0}, "shares must be 2 numbers"),
        ("POST", "place", b'{"shares": "ab"}', {"network": 0}, "shares must be 2 numbers"),
        ("GET", "map", b"", {"network": 1}, "there is no autoencoder of this number"),
        ("POST", "translate", b"x", {"network": 1}, "not a readable picture"),
        ("GET", "translate", b"", {"network": 0, "pick": 0}, "there is no translator of"),
        ("GET", "segment", b"", {"network": 4, "pick": 0}, "there is no segmenter of"),
        ("GET", "detect", b"", {"network": 4}, "pick must be a whole number"),
    ],
)
def test_what_cannot_be_answered_is_one_line(shelf, method, name, body, query, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        asked(shelf, method, name, body, **query)
    assert "\n" not in str(caught.value)


def test_every_part_of_the_page_has_its_networks(shelf, tmp_path):
    parts = [offer.as_dict()["part"] for offer in shelf.offers]
    assert parts == ["map", "translate", "translate", "segment", "detect"]
    assert shelf.offers[1].as_dict()["options"]["task"] == "holes"
    for kind in ("ann-vae", "ann-translate"):
        run = untrained.run(tmp_path / kind, kind)
        with pytest.raises(ValueError, match=f"an {kind} run, which does not spike"):
            given([Path(run.path)])
