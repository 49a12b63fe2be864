"""Spike statistics, decisions and accuracy on tables worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

import firstspike as fs
from firstspike.energy import energy
from firstspike.metrics import (
    accuracy,
    accuracy_by_deadline,
    class_means,
    confusion,
    decide,
    intersection_over_union,
    peak_signal_to_noise,
    sharpness,
    silent_fraction,
    spike_stats,
)

# Two samples, three layers of 4, 3 and 2 neurons, 10 steps; 10 is silence.
INPUT = torch.tensor([[0.0, 3, 5, 10], [1, 2, 10, 10]])
HIDDEN = torch.tensor([[1.0, 5, 6], [2, 10, 10]])
OUTPUT = torch.tensor([[5.0, 7], [10, 10]])
LAYERS = [INPUT, HIDDEN, OUTPUT]


def test_spikes_are_counted_up_to_and_including_the_decision_step():
    stats = spike_stats(LAYERS, 10)
    assert stats.decision.tolist() == [5, 10]
    assert stats.spikes.tolist() == [[3, 2, 1], [2, 1, 0]]
    assert stats.spikes.dtype == torch.int64
    assert stats.total.tolist() == [6, 3]


@pytest.mark.parametrize(
    ("delay", "until", "expected"),
    [
        # The decision falls at 5, and never in the second sample; spikes of 5 have not arrived.
        (0, "decision", [3 * 3 + 2 * 2, 2 * 3 + 1 * 2]),
        (1, "decision", [2 * 3 + 1 * 2, 2 * 3 + 1 * 2]),
        (3, "decision", [1 * 3 + 1 * 2, 2 * 3 + 1 * 2]),
        (5, "decision", [1 * 3, 2 * 3 + 1 * 2]),
        (1, "end", [3 * 3 + 3 * 2, 2 * 3 + 1 * 2]),
        (4, "end", [3 * 3 + 2 * 2, 2 * 3 + 1 * 2]),
        (8, "end", [1 * 3 + 1 * 2, 1 * 3]),
    ],
)
def test_a_synaptic_operation_is_a_spike_that_has_reached_a_neuron(delay, until, expected):
    stats = spike_stats(LAYERS, 10, until=until, delay=delay)
    assert stats.synaptic_operations.tolist() == expected


def test_the_usual_delay_is_that_of_layers():
    assert torch.equal(
        spike_stats(LAYERS, 10).synaptic_operations,
        spike_stats(LAYERS, 10, delay=fs.nn.FirstSpikeLinear(1, 1).delay).synaptic_operations,
    )
    with pytest.raises(ValueError, match=r"^delay must"):
        spike_stats(LAYERS, 10, delay=-1)


def test_until_the_end_counts_every_spike():
    stats = spike_stats(LAYERS, 10, until="end")
    assert stats.decision.tolist() == [10, 10]
    assert stats.spikes.tolist() == [[3, 3, 2], [2, 1, 0]]


def test_silence_at_another_t_max_is_a_spike():
    assert spike_stats(LAYERS, 11).spikes.tolist() == [[3, 2, 1], [4, 3, 2]]


def test_the_counts_of_a_network_agree_with_its_rasters():
    torch.manual_seed(0)
    network = fs.models.spiking_network((20, 15, 4))
    layers = network.layer_times(fs.coding.noise_times(50, 20))
    stats = fs.spike_stats(layers)
    for sample in range(50):
        end = int(stats.decision[sample]) + 1
        rasters = [fs.times.to_raster(times[sample])[:, :end] for times in layers]
        assert stats.spikes[sample].tolist() == [int(raster.sum()) for raster in rasters]
        assert not rasters[-1][:, :-1].any()
    assert not stats.decision.requires_grad


def test_an_empty_batch_has_empty_statistics():
    stats = spike_stats([torch.zeros(0, 4), torch.zeros(0, 2)])
    assert stats.spikes.shape == (0, 2)
    assert stats.total.shape == stats.synaptic_operations.shape == (0,)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([INPUT], "layer_times must hold the input and a layer, got 1"),
        ([INPUT, HIDDEN[:1]], "layer_times must belong to one batch"),
        ([INPUT, HIDDEN[0]], r"layer_times\[1\] must be \[B, features\]"),
        ([INPUT, HIDDEN + 6], r"layer_times\[1\] must be whole time steps in 0\.\.10"),
        ([INPUT.long(), HIDDEN], r"layer_times\[0\] must be a floating-point tensor"),
    ],
)
def test_bad_layers_are_named(layers, message):
    with pytest.raises(ValueError, match=message):
        spike_stats(layers, 10)


def test_an_unknown_end_is_refused():
    with pytest.raises(ValueError, match="until must be 'decision' or 'end', got 'now'"):
        spike_stats(LAYERS, 10, until="now")


# Decisions of four samples with the label 2: right, tied with class 0, silent, wrong.
TIMES = torch.tensor([[9.0, 8, 3], [4, 7, 4], [10, 10, 10], [1, 10, 2]])
POTENTIAL = torch.tensor([[9.0, 0, 0], [0, 9, 0], [-1, -3, -0.5], [0, 0, 9]])
LABELS = torch.full((4,), 2)


def test_the_first_spike_decides_and_the_potential_where_there_is_none():
    assert decide(TIMES, POTENTIAL, 10).tolist() == [2, 0, 2, 0]
    assert decide(TIMES, t_max=10).tolist() == [2, 0, -1, 0]


def test_accuracy_under_both_tie_policies():
    found = accuracy(TIMES, LABELS, POTENTIAL, 10)
    assert (found.strict, found.ties, found.first_spike) == (0.5, 0.75, 0.25)
    assert (found.tied_fraction, found.no_spike_fraction) == (0.25, 0.25)


def test_silence_without_potentials_is_wrong_and_no_tie():
    found = accuracy(TIMES, LABELS, t_max=10)
    assert (found.strict, found.ties, found.first_spike) == (0.25, 0.5, 0.25)
    assert (found.tied_fraction, found.no_spike_fraction) == (0.25, 0.25)


def test_a_silent_layer_is_not_right_by_being_tied():
    silent = torch.full((3, 3), 10.0)
    found = accuracy(silent, torch.tensor([0, 1, 2]), torch.tensor([[1.0, 0, 0]] * 3), 10)
    assert found.strict == found.ties == pytest.approx(1 / 3)
    assert found.first_spike == 0
    assert found.no_spike_fraction == 1


@pytest.mark.parametrize("labels", [LABELS[:3], LABELS.float(), LABELS.unsqueeze(1)])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError, match=r"^labels must be int64 \[4\]"):
        accuracy(TIMES, labels, t_max=10)


def test_no_samples_have_no_accuracy():
    with pytest.raises(ValueError, match="at least one sample"):
        accuracy(TIMES[:0], LABELS[:0], t_max=10)


def test_potentials_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"potential must have the shape of times, \[4, 3\]"):
        decide(TIMES, POTENTIAL[:, :2], 10)


def test_silent_fraction():
    assert silent_fraction(TIMES, 10) == 4 / 12
    assert silent_fraction(TIMES, 11) == 0
    with pytest.raises(ValueError, match="at least one sample"):
        silent_fraction(TIMES[:0])


def test_energy_of_additions_against_multiply_adds():
    found = energy(1000, 784 * 400)
    assert found.spiking_pj == pytest.approx(900)
    assert found.dense_pj == pytest.approx(784 * 400 * 4.6)
    assert found.ratio == pytest.approx(900 / (784 * 400 * 4.6))
    assert energy(10, 10, add_pj=1, mac_pj=4).ratio == 0.25


def test_energy_of_updates_and_memory_is_an_option():
    assert energy(10, 10, updates=5, add_pj=1, mac_pj=2).spiking_pj == 15
    assert energy(10, 10, updates=5, add_pj=1, mac_pj=2, update_pj=0.2).spiking_pj == 11
    found = energy(10, 10, accesses=30, add_pj=1, mac_pj=2, access_pj=5)
    assert (found.spiking_pj, found.dense_pj) == (10 + 150, 20 + 150)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"synaptic_operations": 1, "macs": 1, "updates": -1}, "updates"),
        ({"synaptic_operations": 1, "macs": 1, "accesses": -1}, "accesses"),
        ({"synaptic_operations": 1, "macs": 1, "update_pj": -1}, "update_pj"),
        ({"synaptic_operations": 1, "macs": 1, "access_pj": math.nan}, "access_pj"),
        ({"synaptic_operations": -1, "macs": 1}, "synaptic_operations"),
        ({"synaptic_operations": math.nan, "macs": 1}, "synaptic_operations"),
        ({"synaptic_operations": 1, "macs": 0}, "macs"),
        ({"synaptic_operations": 1, "macs": 1, "add_pj": -1}, "add_pj"),
        ({"synaptic_operations": 1, "macs": 1, "mac_pj": 0}, "mac_pj"),
    ],
)
def test_impossible_energies_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        energy(**arguments)


# Classes

SPREAD = torch.tensor([[5.0, 2, 10], [3, 3, 9], [10, 10, 10], [0, 4, 1]])  # steps of 10
TRUTH = torch.tensor([1, 1, 0, 0])


def test_a_forced_decision_knows_only_what_has_spiked():
    curve = accuracy_by_deadline(SPREAD, TRUTH, 10)
    assert curve.decided.tolist() == [0.25, 0.25, 0.5] + [0.75] * 8
    assert curve.right.tolist() == [0.25, 0.25] + [0.5] * 9  # the tie at 3 goes to class 0
    assert curve.right.dtype == curve.decided.dtype == torch.float64


def test_the_last_deadline_gives_the_strict_accuracy_without_potentials():
    generator = torch.Generator().manual_seed(0)
    times = fs.coding.noise_times(500, 4, 20, generator=generator)
    labels = torch.randint(4, (500,), generator=generator)
    curve = accuracy_by_deadline(times, labels, 20)
    assert curve.right[-1].item() == pytest.approx(accuracy(times, labels, t_max=20).strict)
    assert len(curve.right) == 21
    for step in range(21):
        known = times.where(times <= step, 20.0)
        right = (decide(known, t_max=20) == labels).double().mean()
        assert curve.right[step].item() == pytest.approx(right.item())


def test_confusion_counts_decisions_of_each_class():
    decisions = torch.tensor([1, 0, 2, -1, 2])
    table = confusion(decisions, torch.tensor([1, 1, 2, 2, 0]), 3)
    assert table.tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 1]]
    assert table.dtype == torch.int64


def test_means_of_classes():
    values = torch.tensor([1, 2, 5, 8])
    means = class_means(values, TRUTH, 3)
    assert means[:2].tolist() == [6.5, 1.5]
    assert means[2].isnan()
    pairs = class_means(torch.stack([values, values * 2], dim=1), TRUTH, 2)
    assert pairs.tolist() == [[6.5, 13], [1.5, 3]]
    assert class_means(values > 1, TRUTH, 2).tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (TRUTH[:3], r"labels must be int64 \[4\]"),
        (TRUTH.float(), r"labels must be int64 \[4\]"),
        (TRUTH + 2, r"labels must lie in 0\.\.1, got 2\.\.3"),
        (TRUTH - 1, r"labels must lie in 0\.\.1, got -1\.\.0"),
    ],
)
def test_labels_of_no_class_are_refused(labels, message):
    for measure in (confusion, class_means):
        with pytest.raises(ValueError, match=f"^{message}"):
            measure(torch.zeros(4, dtype=torch.int64), labels, 2)


def test_deadlines_need_labels_that_fit():
    with pytest.raises(ValueError, match=r"^labels must be int64 \[4\]"):
        accuracy_by_deadline(SPREAD, TRUTH[:1], 10)


@pytest.mark.parametrize("decisions", [TRUTH + 1, TRUTH - 2, TRUTH.float()])
def test_decisions_of_no_class_are_refused(decisions):
    with pytest.raises(ValueError, match=r"^decisions must be int64 in -1\.\.1"):
        confusion(decisions, TRUTH, 2)


def naive_shares(said: list[int], wanted: list[int], classes: int) -> list[float]:
    """Intersection over union of each class, place by place."""
    shares = []
    for number in range(classes):
        pairs = [(a == number, b == number) for a, b in zip(said, wanted, strict=True)]
        either = sum(a or b for a, b in pairs)
        shares.append(sum(a and b for a, b in pairs) / either if either else float("nan"))
    return shares


def test_intersection_over_union_is_that_of_counting():
    rng = torch.Generator().manual_seed(0)
    said, wanted = (torch.randint(4, (2, 5, 3), generator=rng) for _ in range(2))
    found = intersection_over_union(said.byte(), wanted.byte(), 5)
    naive = naive_shares(said.flatten().tolist(), wanted.flatten().tolist(), 5)
    torch.testing.assert_close(found, torch.tensor(naive).double(), equal_nan=True)
    assert found[:4].isfinite().all() and found[4].isnan()
    assert (intersection_over_union(wanted, wanted, 4) == 1).all()
    with pytest.raises(ValueError, match=r"classes must be numbers in 0\.\.2"):
        intersection_over_union(said, wanted, 3)
    with pytest.raises(ValueError, match="in the shape of wanted"):
        intersection_over_union(said[0], wanted, 4)


def test_decibels_are_of_the_mean_squared_error():
    wanted = torch.zeros(2, 2, 2)
    images = wanted.clone()
    images[0] = 0.2
    assert peak_signal_to_noise(images, wanted) == pytest.approx(-10 * math.log10(0.02))
    assert peak_signal_to_noise(wanted, wanted) == pytest.approx(100)
    with pytest.raises(ValueError, match="images must be of the shape of wanted"):
        peak_signal_to_noise(images[0], wanted)


def test_sharpness_is_that_of_neighbours():
    image = torch.tensor([[0.0, 1.0, 0.5], [1.0, 1.0, 1.0]])
    rows, columns = (1.0 + 0.5 + 0.0 + 0.0) / 4, (1.0 + 0.0 + 0.5) / 3
    assert sharpness(image) == pytest.approx((rows + columns) / 2)
    assert sharpness(torch.stack([image, image])) == pytest.approx(sharpness(image))
    with pytest.raises(ValueError, match="images must be"):
        sharpness(image[:1])
