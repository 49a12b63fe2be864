"""Online training: the kernels beside their reference, one sample after the other."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

import firstspike as fs
from firstspike.metrics import accuracy
from firstspike.ops.cpu.online import OnlineSettings, reset_dead, train_epoch
from firstspike.training.rules.online import descend

SIZES = (30, 12, 4)
T_MAX = 20
PLAIN = OnlineSettings(lr=(0.05, 0.05), decay=0.0, normalize=None, threshold=1.0, t_max=T_MAX)


def samples(count: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    """Random spike times, a third of them silent, and labels."""
    rng = torch.Generator().manual_seed(1)
    times = torch.randint(3 * T_MAX // 2, (count, SIZES[0]), generator=rng).clamp(max=T_MAX)
    return times.float(), torch.randint(SIZES[2], (count,), generator=rng)


def weights(shift: float = 0.0) -> list[torch.Tensor]:
    """Transposed weights of both layers; ``shift`` moves those of the output layer."""
    rng = torch.Generator().manual_seed(2)
    rows = [
        torch.empty(size).uniform_(-0.2, 0.5, generator=rng) for size in itertools.pairwise(SIZES)
    ]
    rows[1] += shift
    return rows


def check_against_reference(rule, rows):
    """Weights, decisions and spikes of several samples; the reference's spike times."""
    times, labels = samples()
    order = torch.arange(len(times)).flip(0)
    expected, seen = rows, []
    for n in order:
        hidden, output, expected = descend(times[n], labels[n], expected, rule)
        seen.append((hidden, output))
        stats = train_epoch(times, labels, order[len(seen) - 1 : len(seen)], *rows, rule)
        first = output.min()
        assert stats.decisions == first
        counted = [((t <= first) & (t < T_MAX)).sum() for t in (times[n], hidden, output)]
        assert stats.spikes.tolist() == [counted]
        for ours, theirs in zip(rows, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    return seen


@pytest.mark.parametrize("loss", ["s4nn", "aggressive"])
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("norm", [None, "l1", "l2"])
def test_one_sample_after_the_other(loss, delay, norm):
    lr = (0.001, 0.001) if norm is None else (0.05, 0.05)
    rule = dataclasses.replace(PLAIN, loss=loss, delay=delay, normalize=norm, lr=lr, decay=0.1)
    seen = check_against_reference(rule, weights())
    assert any((hidden == T_MAX).any() and (output < T_MAX).any() for hidden, output in seen)


def test_each_layer_has_a_rate_of_its_own():
    """Of errors and of decay."""
    rule = dataclasses.replace(PLAIN, normalize="l2", lr=(0.05, 0.01), decay=1.0)
    check_against_reference(rule, weights())


@pytest.mark.parametrize("loss", ["s4nn", "aggressive"])
@pytest.mark.parametrize("delay", [0, 1])
def test_silent_outputs(loss, delay):
    """Rare spikes at first: desired neurons are silent, alone and with all others."""
    rule = dataclasses.replace(PLAIN, loss=loss, delay=delay, normalize="l2")
    _, labels = samples()
    seen = [output.squeeze(0) for _, output in check_against_reference(rule, weights(-0.3))]
    wanted = [output[label] == T_MAX for output, label in zip(seen, labels.flip(0), strict=True)]
    alone = [bool(w and (o < T_MAX).any()) for w, o in zip(wanted, seen, strict=True)]
    assert any(alone) and any(bool((o == T_MAX).all()) for o in seen)


def test_a_whole_epoch_is_its_samples_and_scales_its_weights_back():
    """Strong decay, so that the scale goes into the weights on the way as well."""
    rule = dataclasses.replace(PLAIN, decay=2.0, normalize="l2")
    (times, labels), rows, expected = samples(), weights(), weights()
    order = torch.arange(len(times)).repeat(2)
    stats = train_epoch(times, labels, order, *rows, rule)
    for n in order:
        expected = descend(times[n], labels[n], expected, rule).rows
    for ours, theirs in zip(rows, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert stats.spikes.shape == (50, 3) and 0 < stats.strict.sum() <= stats.ties.sum() < 50


@pytest.mark.parametrize("shift", [0.0, -0.3, -1.0])
def test_decisions_are_those_of_the_metrics(shift):
    times, labels = samples()
    rule = dataclasses.replace(PLAIN, lr=(0.0, 0.0))
    rows = weights(shift)
    stats = train_epoch(times, labels, torch.arange(len(times)), *rows, rule)
    steps = [descend(*sample, rows, rule) for sample in zip(times, labels, strict=True)]
    hidden, output, _ = zip(*steps, strict=True)
    hidden, output = torch.cat(hidden), torch.cat(output)
    potential = (hidden + rule.delay < T_MAX).float() @ rows[1]
    expected = accuracy(output, labels, potential, T_MAX)
    assert stats.strict.double().mean() == expected.strict
    assert stats.ties.double().mean() == expected.ties
    assert torch.equal(stats.spikes, fs.spike_stats([times, hidden, output], T_MAX).spikes)
    assert (stats.hidden_firing <= (hidden < T_MAX).sum(dim=0)).all()


def test_an_empty_order():
    rows = weights()
    stats = train_epoch(*samples(), torch.empty(0, dtype=torch.int64), *rows, PLAIN)
    assert len(stats.strict) == 0
    assert all(torch.equal(a, b) for a, b in zip(rows, weights(), strict=True))


def test_neurons_that_never_fire_get_new_weights():
    rows = weights()[0]
    firing = torch.ones(SIZES[1], dtype=torch.int64)
    firing[[2, 5]] = 0
    again = rows.clone()
    for part in (rows, again):
        rng = torch.Generator().manual_seed(3)
        assert reset_dead(part, firing, (2.0, 3.0), rng) == 2
    assert torch.equal(rows, again)
    new = (rows != weights()[0]).any(dim=0)
    assert new.nonzero().flatten().tolist() == [2, 5]
    assert ((rows[:, new] >= 2) & (rows[:, new] <= 3)).all()
    assert reset_dead(rows, firing, (0.0, 1.0), rng, at_least=2) == SIZES[1]
    with pytest.raises(ValueError, match="hidden_firing"):
        reset_dead(rows, firing[:3], (0.0, 1.0), rng)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "hinge"),
        ("normalize", "l3"),
        ("lr", (0.1,)),
        ("lr", (0.1, -1.0)),
        ("decay", -1.0),
        ("decay", 1e3),
        ("gamma", -1.0),
        ("threshold", 0.0),
        ("t_max", 0),
        ("delay", -1),
    ],
)
def test_bad_settings(name, value):
    with pytest.raises(ValueError, match=rf"^{name} .*$"):
        dataclasses.replace(PLAIN, **{name: value})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("times", lambda x: x.long()),
        ("times", lambda x: x + 0.5),
        ("labels", lambda x: x[1:]),
        ("labels", lambda x: x + SIZES[2]),
        ("labels", lambda x: x.float()),
        ("order", lambda x: x - 1),
        ("order", lambda x: x[None]),
        ("hidden_rows", lambda x: x[1:]),
        ("hidden_rows", lambda x: x.half()),
        ("output_rows", lambda x: x.double()),
        ("output_rows", lambda x: x.t().contiguous().t()),
        ("output_rows", lambda x: x.clone().requires_grad_()),
    ],
)
def test_bad_arguments(name, change):
    times, labels = samples()
    names = ("times", "labels", "order", "hidden_rows", "output_rows")
    arguments = dict(zip(names, (times, labels, torch.arange(len(times)), *weights()), strict=True))
    arguments[name] = change(arguments[name])
    with pytest.raises(ValueError, match=rf"^{name} .*$"):
        train_epoch(**arguments, settings=PLAIN)
