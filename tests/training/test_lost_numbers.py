"""A training that runs away: one line that says so, and no run that could not be gone on with."""

from __future__ import annotations

import pytest
import torch
from idx import write_digits

from firstspike import cli
from firstspike.training.gan import Gan
from firstspike.training.trainer import Trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return write_digits(tmp_path_factory.mktemp("data"), digits=2, train=8, test=1)


def spoil(trainer: Trainer) -> None:
    with torch.no_grad():
        next(trainer.networks["generator"].parameters())[0] = float("nan")


@pytest.mark.parametrize("where", ["weights", "a pass", "figures"])
def test_what_is_no_longer_finite_ends_the_training(firstspike, monkeypatch, tmp_path, data, where):
    measure, end = Gan.watch, Gan.finish_epoch

    def in_the_end(self, rng):
        spoil(self)
        if where == "a pass":
            raise ValueError("times must be whole time steps")
        return end(self, rng)

    def lost(self, parts):
        measured = measure(self, parts)
        return lambda: {**measured(), "distance": float("inf")}

    if where == "figures":
        monkeypatch.setattr(Gan, "watch", lost)
    else:
        monkeypatch.setattr(Gan, "finish_epoch", in_the_end)
    small = ("--hidden", "8", "--batch", "8", "--epochs", "1", "--snapshots", "0")
    code, _, said = firstspike("train", "ann-gan", "--data", data, "--digit", "1", *small)
    assert code == cli.USAGE_ERROR and said.count("\n") == 1
    what = "distance" if where == "figures" else "weight of the generator"
    assert f"{what} is no longer finite" in said and "smaller learning rate" in said
    assert not list(tmp_path.iterdir())
