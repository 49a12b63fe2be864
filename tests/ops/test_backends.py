"""The table of backends: who computes `fire`, and how another comes in."""

from __future__ import annotations

import types

import pytest
import torch

from firstspike.nn import FirstSpikeLinear
from firstspike.ops import backends, fire, reference
from firstspike.ops.backends import Backend, register_backend


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr(backends, "_backends", backends._backends.copy())


@pytest.fixture
def calls() -> list[str]:
    """Registers a backend "counted" for bfloat16 on a CPU, and says which passes it computed."""
    seen: list[str] = []

    def counted(name):
        def run(*arguments):
            seen.append(name)
            return getattr(reference, name)(*arguments)

        return run

    kernels = types.SimpleNamespace(forward=counted("forward"), backward=counted("backward"))
    fits = Backend(lambda t: t.dtype == torch.bfloat16, "bfloat16", lambda: kernels)
    register_backend("counted", fits)
    return seen


def layer(dtype=torch.bfloat16):
    times, weight = torch.zeros(1, 2, dtype=dtype), torch.ones(3, 2, dtype=dtype)
    return times, weight.requires_grad_()


@pytest.mark.parametrize("impl", ["auto", "counted"])
def test_a_registered_backend_computes_both_passes(impl, calls):
    times, weight = layer()
    fire(times, weight, impl=impl).sum().backward()
    assert calls == ["forward", "backward"]
    assert torch.equal(weight.grad, torch.full_like(weight, -1.0))


def test_it_is_compiled_as_the_others(calls):
    times, weight = layer()
    compiled = torch.compile(fire, fullgraph=True, backend="aot_eager")
    compiled(times, weight).sum().backward()
    assert calls == ["forward", "backward"]


def test_layers_take_its_name(calls):
    module = FirstSpikeLinear(2, 3, impl="counted").to(torch.bfloat16)
    module(torch.zeros(1, 2, dtype=torch.bfloat16))
    assert calls == ["forward"]


def test_what_does_not_fit_goes_elsewhere(calls):
    times, weight = layer(torch.float32)
    fire(times, weight)
    assert not calls
    with pytest.raises(ValueError, match=r"^impl 'counted' needs bfloat16, got torch.float32 on"):
        fire(times, weight, impl="counted")


def test_errors_list_the_names(calls):
    with pytest.raises(ValueError, match=r"^impl must be one of .*auto.*numba.*counted.*'cuda'"):
        fire(*layer(), impl="cuda")


@pytest.mark.parametrize("name", ["auto", "numba"])
def test_names_are_new(name):
    with pytest.raises(ValueError, match=r"^name must be new"):
        register_backend(name, backends._backends["reference"])
