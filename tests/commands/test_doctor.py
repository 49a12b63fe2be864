"""``firstspike doctor``: what it finds right and wrong, and that its self-test can fail."""

from __future__ import annotations

import json

import naive
import numpy as np
import pytest
import torch

from firstspike.commands import doctor, self_test
from firstspike.data import bundled
from firstspike.nn import FirstSpikeLinear

THRESHOLD = 9.0


def test_a_whole_installation(firstspike):
    code, out, err = firstspike("doctor")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == "all is well" and not any(line.startswith("failed") for line in lines)
    for neuron in ("step", "ramp"):
        assert f"ok     {neuron} neurons    " in out
    assert out.count("1100 spike times as simulated") == 2


def test_what_is_wrong_is_told_and_the_rest_goes_on(firstspike, monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "MNIST_FILE", tmp_path / "nothing")
    monkeypatch.setitem(doctor.EXTRAS, "onnx", ("no_such_package",))
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    code, out, _ = firstspike("doctor", "--no-self-test", "--json")
    record = json.loads(out)
    found = {one["name"]: one for one in record["findings"]}
    assert code == 1 and record["well"] is False
    assert found["MNIST"]["state"] == found["no-such-package"]["state"] == "failed"
    assert "reinstall firstspike" in found["MNIST"]["said"]
    assert (
        found["extra onnx"]["state"] == "note" and "firstspike[onnx]" in found["extra onnx"]["said"]
    )
    assert found["threads"]["state"] == "ok"


@pytest.mark.parametrize("neuron", ["step", "ramp"])
def test_the_simulations_are_the_naive_rule(neuron):
    torch.manual_seed(0)
    layer = FirstSpikeLinear(9, 5, neuron=neuron, bias=True, threshold=THRESHOLD, t_max=8).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randint(-3, 6, parameter.shape))
    times = torch.randint(0, 9, (20, 9)).double()
    simulate = {"step": self_test.simulate_step, "ramp": self_test.simulate_ramp}[neuron]
    fired = simulate(times.numpy(), layer)
    assert len(np.unique(fired)) > 2 and (fired == layer(times).detach().numpy()).all()
    if neuron == "step":
        own = times.tolist(), layer.weight.tolist(), THRESHOLD, 8, layer.bias.tolist()
        assert (fired == naive.fire(*own)).all()


def test_the_self_test_sees_wrong_spikes(monkeypatch):
    simulate = self_test.simulate_step
    monkeypatch.setattr(self_test, "TRAINED", 100)
    monkeypatch.setattr(self_test, "LEAST", 0.0)
    monkeypatch.setattr(self_test, "simulate_step", lambda *given: simulate(*given) + 1)
    with pytest.raises(ValueError, match="spike at other times than simulated"):
        self_test.learn("step")
    monkeypatch.setattr(self_test, "LEAST", 1.0)
    with pytest.raises(ValueError, match="too few"):
        self_test.learn("ramp")
