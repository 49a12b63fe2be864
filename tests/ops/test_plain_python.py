"""Kernels without their compiler, as coverage runs them: what only Numba forgives would fail here.

NumPy's small integers overflow, for example, where Numba's become wider.
"""

from __future__ import annotations

import pytest
from idx import SMALL, write_digits
from processes import run


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        ("classifier", "--neuron", "step"),
        ("classifier", "--neuron", "step", "--gradient", "online", "--loss", "s4nn"),
        ("gan", "--neuron", "step", "--digit", "1"),
    ],
)
def test_a_training(tmp_path, training):
    data = write_digits(tmp_path, digits=2, train=12, test=1)
    options = (*SMALL, "--epochs", 1, "--data", data, "--out", tmp_path / "run")
    run("-m", "firstspike", "train", *training, *options, NUMBA_DISABLE_JIT="1")
    assert (tmp_path / "run" / "summary.json").is_file()
