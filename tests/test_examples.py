"""The examples run as they are, each in a process of its own."""

import numpy as np
import pytest
import torch
from processes import ROOT, run

import firstspike as fs
from firstspike.export import npz as npz_io
from firstspike.models import classifier
from firstspike.models.networks import spiking

EXAMPLES = ROOT / "examples"
ARGUMENTS = {
    "first_spikes": (),
    "classifier": (),
    "convolutional": ("6000",),
    "gan": ("1", "run"),
    "auxiliary": ("3000", "1"),
    "vae": ("1", "run"),
    "detect": ("1", "60", "run"),
    "segment": ("160", "1", "."),
    "translate": ("1", "640", "."),
    "own_data": (),
    "pictures": ("shapes",),
    "events": (),
    "sklearn_digits": ("1",),
    "numpy_only": ("network.npz", "images.npy"),
    "numpy_ramp": ("ramp.npz", "images.npy"),
}
PRINTED = {
    "first_spikes": "neuron 3 after one step of descent",
    "classifier": "test accuracy after one epoch: 9",  # ninety percent and more
    "convolutional": "right: 9",
    "own_data": "right: 9",
    "pictures": "pictures: shapes",
    "events": "right: 100",
    "sklearn_digits": "seed 0: 9",
    "gan": "spikes of the generator draw an image",
    "auxiliary": "samples named right: ",
    "detect": "spikes a neuron: 0.",
    "vae": "image 0 travels as spikes at steps [",
    "segment": "pixels without a spike: 0.",
    "translate": "layer 6: 0.",
}


def export(folder, shift: float = 0.0) -> str:
    """What firstspike says of the files that lie in the folder of the examples then."""
    torch.manual_seed(0)
    model, images = classifier(hidden=30), fs.load_mnist("test").images[:5]
    with torch.no_grad():
        model.layers[-1].weight -= shift
    npz_io.save(folder / "network.npz", model, facts={"classes": list("0123456789")})
    np.save(folder / "images.npy", images.numpy())
    told = model.classify(images)
    return "".join(
        f"image {n}: class {label} "
        + ("by the largest potential\n" if step == fs.T_MAX else f"at step {step}\n")
        for n, (label, step) in enumerate(zip(told.classes, told.decisions, strict=True))
    )


@pytest.fixture
def decided(tmp_path) -> str:
    return export(tmp_path)


def test_numpy_decides_as_firstspike_where_nothing_spikes(tmp_path):
    decided = export(tmp_path, shift=0.15)
    assert "by the largest potential" in decided and "at step" in decided
    assert run(EXAMPLES / "numpy_only.py", *ARGUMENTS["numpy_only"], cwd=tmp_path) == decided


@pytest.mark.parametrize("shift", [1.0, -9.0])  # of the outputs, all of which are silent with one
def test_numpy_runs_ramp_networks(tmp_path, shift):
    torch.manual_seed(0)
    model, images = spiking("2c3p2-8", t_max=16).eval(), fs.load_mnist("test").images[:5]
    with torch.no_grad():
        model[-1].bias += shift
    npz_io.save(tmp_path / "ramp.npz", model, facts={"classes": list("abcdefghij")})
    np.save(tmp_path / "images.npy", images.numpy())
    times = model(model.times_of(images))
    classes = model.classify(images).classes
    assert (times.amin(dim=1) == 16).all() == (shift < 0)
    assert run(EXAMPLES / "numpy_ramp.py", *ARGUMENTS["numpy_ramp"], cwd=tmp_path) == "".join(
        f"image {n}: class {'abcdefghij'[label]} at step {row.min():.0f}\n"
        for n, (label, row) in enumerate(zip(classes, times, strict=True))
    )


def test_every_example_is_tried():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == ARGUMENTS.keys()


@pytest.mark.parametrize("name", sorted(ARGUMENTS.keys() - {"numpy_ramp"}))  # above
def test_example(name, tmp_path, decided):
    printed = run(EXAMPLES / f"{name}.py", *ARGUMENTS[name], cwd=tmp_path)
    assert PRINTED.get(name, decided) in printed
