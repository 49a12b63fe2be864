"""Reports of classifiers on a network worked out by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hand import IMAGES, T_MAX, hand_made, network
from torch import nn

import firstspike as fs
from firstspike.data import ImageSet
from firstspike.evaluation.classifiers import (
    ClassifierReport,
    evaluate_ann,
    evaluate_classifier,
)
from firstspike.nn import FirstSpikeSequential


@pytest.fixture(scope="module")
def report():
    return evaluate_classifier(hand_made(), IMAGES, T_MAX)


def test_quality_is_counted_under_both_tie_policies(report):
    assert (report.data, report.count) == ("hand", 5)
    assert (report.sizes, report.t_max) == ([784, 4, 2], T_MAX)
    assert (report.strict_accuracy, report.ties_accuracy) == (0.8, 1)
    assert report.first_spike_accuracy == 0.4
    assert (report.tied_fraction, report.no_spike_fraction) == (0.2, 0.4)
    assert report.confusion == [[2, 0], [1, 2]]


def test_what_the_fallback_decided_is_told(report):
    assert report.fallback_accuracy == 1
    assert report.decided() == (
        "by their first spike, 40.00% of all images are right; "
        "2 images without one went by the largest potential, 100.0% of them right"
    )
    sure = dataclasses.replace(report, no_spike_fraction=0.0, first_spike_accuracy=0.8)
    assert sure.fallback_accuracy is None
    assert sure.decided().endswith("80.00% of all images are right; every image has one")


def test_cost_is_counted_until_the_decision(report):
    assert report.decision_step == (2 + 2 + 10 + 6 + 10) / 5
    assert (report.input_spikes, report.hidden_spikes, report.output_spikes) == (1, 1, 0.8)
    assert report.total_spikes == pytest.approx(2.8)
    assert report.neurons_fired == pytest.approx(2.8 / 790)
    assert report.time_used == 0.6
    assert report.synaptic_operations == (6 + 12 + 0 + 6 + 6) / 5
    assert report.energy_pj == pytest.approx(0.9 * 6)
    assert report.dense_macs == 784 * 4 + 4 * 2
    assert report.dense_energy_pj == pytest.approx(4.6 * 3144)


def test_hidden_activity_is_counted_until_the_end(report):
    assert report.hidden_firing == (2 + 2 + 0 + 1 + 1) / 5
    assert report.dead_hidden == 1


def test_each_class_has_its_means(report):
    assert report.class_accuracy == [1, pytest.approx(2 / 3)]
    assert report.class_decision_step == [6, 6]
    assert report.class_spikes == [1.5, pytest.approx(11 / 3)]


def test_accuracy_grows_with_the_deadline(report):
    assert report.accuracy_by_deadline == [0] * 2 + [0.2] * 4 + [0.4] * 5
    assert report.decided_by_deadline == [0] * 2 + [0.4] * 4 + [0.6] * 5


def test_a_report_is_json(report):
    record = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert ClassifierReport.from_dict(record | {"seed": 3}) == report
    older = {name: value for name, value in record.items() if name != "first_spike_accuracy"}
    assert ClassifierReport.from_dict(older) == report  # by the end of its curve
    with pytest.raises(ValueError, match="record lacks 'class_spikes'"):
        ClassifierReport.from_dict({k: v for k, v in record.items() if k != "class_spikes"})


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_batch_changes_nothing(report, batch):
    assert evaluate_classifier(hand_made(), IMAGES, T_MAX, batch) == report


def test_energies_can_be_chosen():
    found = evaluate_classifier(hand_made(), IMAGES, T_MAX, add_pj=2, mac_pj=3)
    assert (found.energy_pj, found.dense_energy_pj) == (12, 3 * 3144)


@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_any_depth_and_precision_is_counted(hidden):
    torch.manual_seed(0)
    model = network((784, *hidden, 3), init=None, bias=True).double()
    pixels = torch.randint(256, (5, 28, 28), dtype=torch.uint8)
    found = evaluate_classifier(model, ImageSet(pixels, IMAGES.labels, "noise"), T_MAX)
    times = fs.encode(pixels.flatten(1), T_MAX).double()
    stats = fs.spike_stats(model.layer_times(times), T_MAX)
    assert found.sizes == [784, *hidden, 3]
    assert found.synaptic_operations == stats.synaptic_operations.double().mean()
    assert (found.hidden_firing > 0) == bool(hidden)
    assert found.class_accuracy[2] is None
    assert found.class_decision_step[2] is None and found.class_spikes[2] is None
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_report_agrees_with_classification():
    torch.manual_seed(0)
    model = fs.models.classifier(20)
    images = fs.load_mnist("test")
    images = ImageSet(images.images[:200], images.labels[:200], "mnist")
    found, verdict = evaluate_classifier(model, images), model.classify(images.images)
    assert found.strict_accuracy == (verdict.classes == images.labels).double().mean()
    assert found.decision_step == verdict.decisions.double().mean()
    assert found.total_spikes == pytest.approx(verdict.spikes.sum(dim=1).double().mean().item())


def test_the_mode_of_a_network_stays():
    for training in (True, False):
        model, twin = hand_made().train(training), fs.models.ann_classifier(3).train(training)
        evaluate_classifier(model, IMAGES, T_MAX)
        evaluate_ann(twin, IMAGES)
        assert model.training == twin.training == training


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Linear(784, 2), {}, "model must be a FirstSpikeSequential of layers, got Linear"),
        (FirstSpikeSequential(), {}, "model must be a FirstSpikeSequential of layers"),
        (network((20, 2)), {}, "model must take the 784 pixels of an image, but takes 20"),
        (network((784, 1)), {}, r"images must have labels in 0\.\.0, .* but hand has 1"),
        (hand_made(), {"t_max": 9}, "t_max must be that of the model's layers, 10, got 9"),
        (hand_made(), {"t_max": 0}, "t_max must be a whole number"),
        (hand_made(), {"batch": 0}, "batch must be at least 1, got 0"),
        (hand_made(), {"add_pj": -1}, "add_pj must not be negative"),
    ],
)
def test_what_does_not_fit_is_refused(model, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        evaluate_classifier(model, IMAGES, **({"t_max": T_MAX} | options))


# The dense twin


def test_the_dense_twin_is_measured():
    twin = nn.Sequential(nn.Linear(784, 2), nn.Dropout(1.0))
    with torch.no_grad():
        twin[0].weight.zero_()
        twin[0].weight[1, :2] = 1  # class 1 if pixels 0 and 1 together are above 0.7
        twin[0].bias.copy_(torch.tensor([0.7, 0]))
    for batch in (2, 1000):
        assert evaluate_ann(twin, IMAGES, batch) == {
            "data": "hand",
            "count": 5,
            "sizes": [784, 2],
            "strict_accuracy": 0.4,
            "dense_macs": 1568,
            "dense_energy_pj": pytest.approx(1568 * 4.6),
            "class_accuracy": [0.5, pytest.approx(1 / 3)],
            "confusion": [[1, 1], [2, 1]],
        }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.ReLU()), r"model must hold torch\.nn\.Linear layers"),
        (nn.Sequential(nn.Linear(5, 2)), "model must take the 784 pixels"),
        (nn.Sequential(nn.Linear(784, 1)), "images must have labels"),
    ],
)
def test_twins_that_do_not_fit_are_refused(model, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        evaluate_ann(model, IMAGES)
