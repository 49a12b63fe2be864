"""The step-by-step neuron against hand-drawn traces, an oracle, and `fire`."""

from __future__ import annotations

import naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstspike import fire
from firstspike.report.refractory import FIGURE_1, constant_input, peak_rate, simulate
from firstspike.times import from_raster


def test_trace_by_hand():
    # Threshold 2, strictly: 1, 2, 3 -> spike; clamped for two steps; then charging anew.
    potentials, spikes = simulate(torch.ones(9), threshold=2.0, refractory=2)
    assert potentials.tolist() == [1, 2, 0, 0, 0, 1, 2, 0, 0]
    assert spikes.nonzero().flatten().tolist() == [2, 7]


def test_figure_1a():
    """Unit input, threshold 10: 11 steps to spike, then refractory steps of silence."""
    potentials, spikes = constant_input()
    assert potentials.shape == spikes.shape == (len(FIGURE_1), 256)
    for trace, train, refractory in zip(potentials, spikes, FIGURE_1, strict=True):
        expected = list(range(10, 256, 11 + refractory))
        assert train.nonzero().flatten().tolist() == expected
        charging = [*range(1, 11), 0, *[0] * refractory]
        assert trace.tolist() == (charging * 24)[:256]
    assert spikes.sum(1).tolist() == [23, 12, 3, 1]


@pytest.mark.parametrize("refractory", [0, 1, 10, 100, 256])
@pytest.mark.parametrize(("current", "charging"), [(1.0, 11), (4.0, 3), (5.0, 3), (50.0, 1)])
def test_figure_1b(refractory, current, charging):
    rate = peak_rate(refractory, current=current)
    assert rate == 1 / (charging + refractory)
    periods = 5
    steps = periods * (charging + refractory)
    _, spikes = simulate(torch.full((steps,), current), threshold=10.0, refractory=refractory)
    assert spikes.sum() / steps == pytest.approx(rate)
    if charging == 1:
        assert rate == 1 / (1 + refractory)


currents = st.lists(st.integers(-16, 24).map(lambda k: k / 8), min_size=1, max_size=30)


@settings(deadline=None)
@given(current=currents, refractory=st.integers(0, 12))
def test_simulation_is_that_of_the_oracle(current, refractory):
    potentials, spikes = simulate(torch.tensor(current), refractory=refractory)
    assert (potentials.tolist(), spikes.tolist()) == naive.simulate(current, 1.0, refractory)


@pytest.mark.parametrize("seed", range(5))
def test_refractory_for_good_is_fire(seed):
    """With a refractory period of t_max: one spike at most, and at the time that `fire` says."""
    generator = torch.Generator().manual_seed(seed)
    t_max = 20
    times = torch.randint(t_max + 1, (6, 9), generator=generator).float()
    weight = torch.randint(-8, 12, (7, 9), generator=generator) / 8  # sums are exact
    arrives = times[:, :, None] == torch.arange(t_max)
    current = torch.einsum("ji,bit->bjt", weight, arrives.float())
    _, spikes = simulate(current, refractory=t_max)
    assert spikes.sum(-1).max() == 1
    assert torch.equal(from_raster(spikes), fire(times, weight, t_max=t_max, delay=0))


def test_any_shape_and_precision():
    current = torch.rand(2, 3, 8, dtype=torch.float64)
    potentials, spikes = simulate(current, threshold=0.9, refractory=1)
    assert potentials.dtype == torch.float64
    assert potentials.shape == spikes.shape == current.shape
    alone = simulate(current[1, 2], threshold=0.9, refractory=1)
    assert torch.equal(potentials[1, 2], alone[0])
    assert torch.equal(spikes[1, 2], alone[1])
    assert simulate(torch.zeros(2, 0))[0].shape == (2, 0)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("current", lambda: simulate(torch.ones(3).long())),
        ("current", lambda: simulate(torch.tensor(1.0))),
        ("refractory", lambda: simulate(torch.ones(3), refractory=-1)),
        ("refractory", lambda: simulate(torch.ones(3), refractory=1.5)),
        ("refractory", lambda: constant_input((0, -1))),
        ("t_max", lambda: constant_input(t_max=0)),
        ("refractory", lambda: peak_rate(-1)),
        ("current", lambda: peak_rate(1, current=0.0)),
        ("threshold", lambda: peak_rate(1, threshold=float("nan"))),
    ],
)
def test_errors_name_the_argument(name, function):
    with pytest.raises(ValueError, match=f"^{name} must"):
        function()
