"""Reports of networks of any layers, on ones worked out by hand."""

from __future__ import annotations

import json

import hand
import pytest
import torch
from hand import IMAGES, T_MAX
from torch import nn

from firstspike.energy import SRAM_PJ
from firstspike.evaluation.classifiers import evaluate_classifier
from firstspike.evaluation.networks import NetworkReport, evaluate_network, input_times
from firstspike.nn import (
    FirstSpikeConv2d,
    FirstSpikeLinear,
    MeanPool2d,
    SpikeDropout,
    SpikingNetwork,
)

RAMP = {"neuron": "ramp", "t_max": T_MAX}


def hand_made():
    """Class 0 sees pixel 0; class 1 pixel 1 and, at half the weight and always late, pixel 3."""
    layer = FirstSpikeLinear(784, 2, bias=False, **RAMP)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = layer.weight[1, 1] = 1
        layer.weight[1, 3] = 0.05  # half a step at most: silent, but above the other's potential
    return SpikingNetwork(nn.Flatten(), layer)


@pytest.fixture(scope="module")
def report():
    return evaluate_network(hand_made(), IMAGES, T_MAX)


# 255 spikes at 0 and 153 at 4, and so do the outputs: [0, 4], [0, 0], silence, [-, 4], silence.


def test_decisions_are_counted_in_all_ways(report):
    assert (report.data, report.count, report.t_max, report.windows) == ("hand", 5, T_MAX, 2)
    assert (report.strict_accuracy, report.ties_accuracy) == (0.8, 1)
    assert report.first_spike_accuracy == 0.4
    assert (report.tied_fraction, report.no_spike_fraction) == (0.2, 0.4)
    assert report.confusion == [[2, 0], [1, 2]]
    assert report.class_accuracy == [1, pytest.approx(2 / 3)]


def test_latency_counts_windows_and_the_curve_the_last(report):
    assert report.decision_step == (10 + 10 + 20 + 14 + 20) / 5
    assert report.time_used == pytest.approx(report.decision_step / 20)
    assert report.class_decision_step == [15, pytest.approx(44 / 3)]
    assert report.accuracy_by_deadline == [0.2] * 4 + [0.4] * 7
    assert report.decided_by_deadline == [0.4] * 4 + [0.6] * 7


def test_work_is_counted_until_the_decision(report):
    assert report.layers == ["input", "FirstSpikeLinear"]
    assert (report.neurons, report.synapses) == ([784, 2], [0, 1568])
    assert report.spikes == [6 / 5, 4 / 5]  # the second output of the first image is too late
    assert report.spikes_per_neuron == [pytest.approx(1.2 / 784), 0.4]
    assert report.total_spikes == 2
    assert report.neurons_fired == pytest.approx(2 / 786)
    assert report.class_spikes == [1.5, pytest.approx(7 / 3)]
    assert report.operations == [0, 12 / 5]
    assert report.synaptic_operations == 12 / 5
    # Two neurons: 10 steps of the inputs' window, then 1, 1, 10, 5 and 10 of the clock.
    assert report.updates == (22 + 22 + 40 + 30 + 40) / 5
    assert report.memory_accesses == pytest.approx(3 * 2.4 + 2 * 30.8)


def test_energy_is_the_sum_of_its_parts(report):
    assert report.dense_macs == 1568
    assert report.dense_energy_pj == pytest.approx(4.6 * 1568)
    assert report.energy_pj == pytest.approx(0.9 * (2.4 + 30.8))
    assert (report.operations_pj, report.memory_pj) == (pytest.approx(2.16), 0)
    assert report.constants == {"add_pj": 0.9, "update_pj": 0.9, "mac_pj": 4.6, "access_pj": 0}
    found = evaluate_network(
        hand_made(), IMAGES, T_MAX, add_pj=1, mac_pj=2, update_pj=0.5, access_pj=SRAM_PJ
    )
    assert (found.operations_pj, found.updates_pj) == (pytest.approx(2.4), pytest.approx(15.4))
    assert found.memory_pj == pytest.approx(5 * 68.8)
    assert found.energy_pj == pytest.approx(2.4 + 15.4 + 5 * 68.8)
    assert found.dense_energy_pj == (2 + 3 * 5) * 1568


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_batch_changes_nothing(report, batch):
    assert evaluate_network(hand_made(), IMAGES, T_MAX, batch) == report


def test_a_report_is_json(report):
    record = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert NetworkReport.from_dict(record) == report
    with pytest.raises(ValueError, match="record lacks 'updates'"):
        NetworkReport.from_dict({k: v for k, v in record.items() if k != "updates"})


def test_networks_of_step_neurons_get_the_report_of_classifiers():
    known = evaluate_classifier(hand.hand_made(), IMAGES, T_MAX).as_dict()
    found = evaluate_network(SpikingNetwork(*hand.hand_made()), IMAGES, T_MAX)
    record = found.as_dict()
    shared = known.keys() & record.keys()
    assert len(shared) == 22
    assert {name: record[name] for name in shared} == {name: known[name] for name in shared}
    assert found.windows == 1 and found.updates == 0
    assert found.neurons == known["sizes"]


def test_convolutions_in_colour_are_run_in_evaluation_mode():
    network = SpikingNetwork(
        FirstSpikeConv2d(3, 4, 3, norm=nn.BatchNorm2d(4), pool=2, **RAMP),
        SpikeDropout(0.5, T_MAX),
        MeanPool2d(2, t_max=T_MAX),
        nn.Flatten(),
        FirstSpikeLinear(4 * 2 * 1, 5, **RAMP),
    ).train()
    images = hand.pictures(5)
    found = [evaluate_network(network, images, T_MAX, batch) for batch in (7, 40)]
    assert found[0] == found[1] and network.training
    assert int(network[0].norm.num_batches_tracked) == 0
    assert found[0].neurons == [3 * 12 * 9, 4 * 10 * 7, 4 * 2, 5]
    assert found[0].windows == 4
    json.dumps(found[0].as_dict(), allow_nan=False)


def test_images_come_as_the_first_module_takes_them():
    gray = torch.zeros(2, 6, 4, dtype=torch.uint8)
    dense = FirstSpikeLinear(24, 3)
    for network, shape in (
        (SpikingNetwork(dense), (2, 24)),
        (SpikingNetwork(nn.Unflatten(1, (1, 6, 4)), nn.Flatten(), dense), (2, 24)),
        (SpikingNetwork(nn.Flatten(), dense), (2, 1, 6, 4)),
        (SpikingNetwork(FirstSpikeConv2d(1, 1, 3)), (2, 1, 6, 4)),
    ):
        assert input_times(network, gray).shape == shape
        network(input_times(network, gray))
    assert input_times(SpikingNetwork(dense).double(), gray).dtype == torch.float64

    class Own(SpikingNetwork):
        def times_of(self, images):
            return images.flatten(1).float() + 1

    assert (input_times(Own(dense), gray) == 1).all()


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Linear(784, 2), {}, "network must be a SpikingNetwork, got Linear"),
        (hand_made(), {"t_max": 9}, "t_max must be that of the network, 10, got 9"),
        (hand_made(), {"t_max": 0}, "t_max must be a whole number"),
        (hand_made(), {"batch": 0}, "batch must be at least 1, got 0"),
        (hand_made(), {"add_pj": -1}, "add_pj must not be negative"),
        (hand_made(), {"update_pj": -1}, "update_pj must not be negative"),
        (hand_made(), {"access_pj": -1}, "access_pj must not be negative"),
        (
            SpikingNetwork(nn.Flatten(), FirstSpikeLinear(784, 1, **RAMP)),
            {},
            r"images must have labels in 0\.\.0, .* but hand has 1",
        ),
        (
            SpikingNetwork(FirstSpikeConv2d(1, 2, 3, **RAMP)),
            {},
            r"network must end with one neuron a class, but gives \[2, 26, 26\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(network, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        evaluate_network(network, IMAGES, **({"t_max": T_MAX} | options))
