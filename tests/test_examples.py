"""The examples run as they are, each in a process of its own."""

import numpy as np
import pytest
import torch
from processes import ROOT, run

import firstspike as fs
from firstspike.export import npz as npz_io
from firstspike.models import classifier

EXAMPLES = ROOT / "examples"
ARGUMENTS = {
    "first_spikes": (),
    "classifier": (),
    "gan": ("1", "run"),
    "numpy_only": ("network.npz", "images.npy"),
}
PRINTED = {
    "first_spikes": "neuron 3 after one step of descent",
    "classifier": "test accuracy after one epoch: 9",  # ninety percent and more
    "gan": "spikes of the generator draw an image",
}


@pytest.fixture
def decided(tmp_path) -> str:
    """What firstspike says of the files that lie in the folder of the examples."""
    torch.manual_seed(0)
    model, images = classifier(hidden=30), fs.load_mnist("test").images[:5]
    npz_io.save(tmp_path / "network.npz", model, facts={"classes": list("0123456789")})
    np.save(tmp_path / "images.npy", images.numpy())
    times = model(fs.encode(images).flatten(1))
    return "".join(
        f"image {n}: class {row.argmin()} at step {row.min():.0f}\n" for n, row in enumerate(times)
    )


def test_every_example_is_tried():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == ARGUMENTS.keys()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_example(name, tmp_path, decided):
    printed = run(EXAMPLES / f"{name}.py", *ARGUMENTS[name], cwd=tmp_path)
    assert PRINTED.get(name, decided) in printed
