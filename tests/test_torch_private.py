"""`fire` under a PyTorch that lacks the private names that it asks for."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from firstspike import fire, torch_private

NAMES = ("_len_torch_dispatch_stack", "_are_functorch_transforms_active")


class Seen(TorchDispatchMode):
    """Notes the names of the operators."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=[(), *[(name,) for name in NAMES], NAMES], ids=lambda names: "+".join(names))
def missing(request, monkeypatch):
    """The names that PyTorch lacked when the package was imported."""
    with monkeypatch.context() as patch:
        for name in request.param:
            patch.delattr(torch._C, name)
        importlib.reload(torch_private)
    yield request.param
    importlib.reload(torch_private)


def test_who_cannot_tell_is_watched(missing):
    assert torch_private.is_watched() == bool(missing)


@pytest.mark.parametrize("impl", ["reference", "numba"])
def test_results_are_the_same(missing, impl):
    times = torch.tensor([[0.0, 1.0, 3.0, 8.0]], requires_grad=True)
    weight = torch.tensor([[2.0, 3, 5, 7], [-1, 1, 3, 7], [0.1, 0.2, 0.3, 7]], requires_grad=True)
    fired = fire(times, weight, t_max=8, impl=impl)
    assert fired.tolist() == [[1, 4, 8]]
    grads = torch.autograd.grad(fired, [times, weight], torch.tensor([[10.0, 100.0, 1000.0]]))
    assert grads[0].tolist() == [[-80, 100, 300, 0]]
    assert grads[1].tolist() == [[-10, 0, 0, 0], [-100, -100, -100, 0], [0, 0, 0, 0]]
    with torch.no_grad():
        assert torch.equal(fire(times, weight, t_max=8, impl=impl), fired)


def test_second_derivatives_are_refused(missing):
    weight = torch.ones(3, 2, requires_grad=True)
    loss = fire(torch.zeros(1, 2), weight).square().sum()
    [grad] = torch.autograd.grad(loss, weight, create_graph=True)
    with pytest.raises(RuntimeError, match="fire has no second derivative"):
        grad.sum().backward()


def test_dispatch_modes_see_both_passes(missing):
    weight = torch.ones(3, 2, requires_grad=True)
    with Seen() as seen:
        fire(torch.zeros(1, 2), weight).sum().backward()
    assert {"firstspike::fire", "firstspike::fire_backward"} <= set(seen.names)


def test_the_package_uses_no_other_private_name():
    package = Path(torch_private.__file__).parent
    private = re.compile(r"torch[.\w]*\._[^_]")
    users = {
        file.name
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and private.match(ast.unparse(node))
    }
    assert users == {"torch_private.py"}
