"""Networks by name: from the package, run directories and files; and what their cards tell."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from processes import run_python
from untrained import finished

import firstspike as fs
from firstspike.hub import bundled
from firstspike.models import Classifier
from firstspike.nn import SpikingNetwork
from firstspike.training.gan import Gan


def test_a_network_is_found_by_its_name_and_by_its_kind():
    network = fs.load("classifier")
    assert isinstance(network, Classifier) and network.sizes == (784, 400, 10)
    gan = fs.load("gan")
    assert isinstance(gan, Gan) and gan.sample(gan.latents(2)).shape == (2, 28, 28)
    for name in bundled.names():
        assert bundled.find(name).path.name == name
    assert bundled.find("gan").path == bundled.find("gan-all").path
    vae = fs.load("vae")
    assert vae.reconstruct(fs.load_mnist("test").images[:2]).shape == (2, 28, 28)
    networks = [fs.load(kind) for kind in ("translate", "segment", "detect")]
    assert all(isinstance(network, SpikingNetwork) for network in networks)


def test_what_is_on_disk_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "classifier", "classifier", hidden=5)
    assert fs.load("classifier").sizes == (784, 5, 10)
    assert fs.load(tmp_path / "classifier").sizes == (784, 5, 10)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("gun", "gun: no run here, nor .* comes with the package .*gan-all"),
        ("runs/gun", "no run here"),
        ("notes.txt", "no network; give a file of fs.save, a .nir file or a run"),
    ],
)
def test_what_is_no_network(name, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=fault):
        fs.load(name)


def test_cards_tell_what_is_in_the_package():
    for name in bundled.names():
        card, run = bundled.card(name), bundled.find(name)
        weights = sorted((run.path / "checkpoint").glob("*.safetensors"))
        content = b"".join(file.read_bytes() for file in weights)
        assert (card.bytes, card.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert card.command.startswith(f"firstspike train {card.kind}")
        assert card.spikes > 10 and card.measured and "CC BY-SA 3.0" in card.licence
    assert "12,000 canvases" in bundled.card("segment").data
    assert "ramp" in bundled.card("gan").about and len(bundled.card("gan").classes) == 10


def test_models_lists_them(firstspike):
    code, out, _ = firstspike("models")
    assert code == 0
    for words in (
        "gan-all: Spiking-GAN",
        "spikes 279.9",
        "Apache-2.0",
        "use      firstspike gener",
    ):
        assert words in out
    code, out, _ = firstspike("models", "classifier", "--json")
    [card] = json.loads(out)
    assert card == bundled.card("classifier").as_dict()
    code, _, said = firstspike("models", "x")
    assert code == 2 and "x: no run here, nor a file, nor a network of this name" in said


def test_models_starts_without_pytorch():
    run_python(
        "import sys\nfrom firstspike import cli\nassert cli.main(['models']) == 0\n"
        "assert not {'torch', 'numba'} & sys.modules.keys()"
    )


def test_commands_take_a_name(firstspike, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("gan", "gan-all"):
        code, out, said = firstspike("generate", name, "--count", "2", "--out", f"{name}.npz")
        assert (code, said) == (0, "") and "2 images" in out
    assert (tmp_path / "gan.npz").read_bytes() == (tmp_path / "gan-all.npz").read_bytes()
    assert firstspike("export", "classifier", "c.npz")[0] == 0
    code, _, said = firstspike("generate", "classifier")
    assert code == 2 and "does not draw" in said
    code, _, said = firstspike("generate", "painter")
    assert code == 2 and "painter: no run here, nor a file, nor a network of this name" in said


def test_a_run_loads_whole_or_in_part(tmp_path):
    run = finished(tmp_path / "gan", "gan", digit="3", neuron="step")
    whole = fs.load(run.path)
    torch.manual_seed(0)
    latents = whole.latents(3)
    assert torch.equal(whole.sample(latents), fs.load_run(run.path).sample(latents))
    assert isinstance(fs.load(bundled.find("gan").path), Gan)
