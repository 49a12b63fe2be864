"""The default rule: by hand, and the kernels against its reference and against PyTorch's Adam."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

import firstspike as fs
from firstspike import models
from firstspike.nn import by_input
from firstspike.training.rules.decision import (
    DecisionLearner,
    DecisionRule,
    decision_gradients,
    output_signal,
)

MNIST = fs.load_mnist("train")
IMAGES, LABELS = MNIST.images[:40], MNIST.labels[:40]
QUIET = DecisionRule(dropout=0.0, sparsity=0.01)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(shift: float = 0.0, delay: int = 1) -> models.Classifier:
    """Random layers with biases; ``shift`` moves the output weights."""
    torch.manual_seed(0)
    model = by_input(models.classifier(40, delay=delay))
    with torch.no_grad():
        model.layers[1].weight += shift
        for layer in model.layers:
            layer.bias.uniform_(-0.3, 0.5)
    return model


def reference(model: models.Classifier, rule: DecisionRule) -> list[Tensor]:
    """Gradients in the order of the parameters."""
    with torch.no_grad():
        layer_times = model.layer_times(fs.encode(IMAGES.flatten(1)))
        layers = decision_gradients(model, layer_times, LABELS, rule)
    return [gradient for layer in layers for gradient in layer]


def arrived_anywhere(model: models.Classifier) -> list[Tensor]:
    """Where a parameter's input arrived in some sample."""
    times, hidden, output = model.layer_times(fs.encode(IMAGES.flatten(1)))
    decision, delay = output.amin(dim=1, keepdim=True), model.layers[0].delay
    masks = []
    for before, layer in zip((times, hidden), model.layers, strict=True):
        arrives = ((before + delay <= decision) & (before + delay < 256)).any(dim=0)
        masks += [arrives.expand(layer.weight.shape), torch.ones_like(layer.bias, dtype=torch.bool)]
    return masks


def test_decision_gradients_by_hand():
    """Inputs 0, 1 fire at 0 and 9; hidden 0 fires at 1, hidden 1 stays near its threshold."""
    model = models.Classifier(*models.spiking_network((2, 2, 2)))
    rule = dataclasses.replace(QUIET, window=0.5, earliness=0.0, sparsity=0.125)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.25, 5.0], [0.75, 5.0]]))
        model[1].weight.copy_(torch.tensor([[2.0, 0.5], [2.0, 3.0]]))
        layer_times = model.layer_times(torch.tensor([[0.0, 9.0]]))
        # Decision at 2: only input 0 and hidden 0 have arrived. Both outputs are at 2, so that
        # neuron 0 wins, wrongly: neuron 1 should be earlier, 0 later, each by half.
        gradients = decision_gradients(model, layer_times, torch.tensor([1]), rule)
    assert [t.tolist() for t in layer_times] == [[[0, 9]], [[1, 10]], [[2, 2]]]
    # Hidden: W^T [.5, -.5] = [0, -1.25], and .125 for hidden 0, which fired; slopes are
    # 1 - .25 / .5 at V = 1.25 and .75.
    (first, first_bias), (last, last_bias) = gradients
    assert last.tolist() == [[0.5, 0], [-0.5, 0]] and last_bias.tolist() == [0.5, -0.5]
    assert first.tolist() == [[0.0625, 0], [-0.625, 0]]
    assert first_bias.tolist() == [0.0625, -0.625]


@pytest.mark.parametrize(("credit", "learned"), [("peak", 0.5), ("decision", 0.0)])
def test_a_neuron_that_fired_and_fell_learns_from_what_made_it_fire(credit, learned):
    """Hidden 0 fires at 1, at 1.25, and is at -3.75 when hidden 1 brings the decision."""
    model = models.Classifier(*models.spiking_network((2, 2, 2)))
    rule = dataclasses.replace(QUIET, window=0.5, earliness=0.0, sparsity=0.125, credit=credit)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.25, -5.0], [0.75, 5.0]]))
        model[1].weight.copy_(torch.tensor([[0.5, 2.0], [-0.5, 0.0]]))
        layer_times = model.layer_times(torch.tensor([[0.0, 9.0]]))
        (first, first_bias), _ = decision_gradients(model, layer_times, torch.tensor([1]), rule)
    assert [t.tolist() for t in layer_times] == [[[0, 9]], [[1, 10]], [[11, 256]]]
    wrong = 1 / (1 + math.exp(-3 / rule.temperature))  # share of output 0; potentials 2.5, -.5
    signal = learned * (wrong + 0.125)
    torch.testing.assert_close(first, torch.tensor([[signal, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(first_bias, torch.tensor([signal, 0.0]))


def test_output_signal_has_the_signs_of_aggressive_ttfs():
    rule = dataclasses.replace(QUIET, earliness=0.5, temperature=2.0)
    potential = torch.tensor([[1.5, 0.2, -3.0]] * 3)
    target, winner = torch.tensor([0, 1, 0]), torch.tensor([0, 0, 0])
    decision = torch.tensor([64.0, 64.0, 256.0])  # the last one: silent, and a potential decided
    share = torch.softmax(potential[0] / 2, dim=0)
    signal = output_signal(potential, winner, decision, target, rule, 256)
    expected = share.repeat(3, 1)
    expected[0, 0] = 0 - 0.5 * 64 / 256
    expected[1, 1] = share[1] - 1 - 0.5 * 64 / 256
    expected[2, 0] = share[0] - 1 - 0.5
    torch.testing.assert_close(signal, expected)


def test_a_silent_leader_learns_to_fire_if_silence_is_a_rival():
    potential = torch.tensor([[0.5, -9.0]])  # the label leads by far, below a threshold of 1
    zero, silent = torch.tensor([0]), torch.tensor([256])
    rule = dataclasses.replace(QUIET, earliness=0.0, temperature=0.5)
    alone = output_signal(potential, zero, silent, zero, rule, 256)
    assert alone.abs().max() < 1e-6
    rivalled = dataclasses.replace(rule, silence=1.0)
    share = 1 / (1 + math.exp(1.0))  # of the label, beside the threshold
    signal = output_signal(potential, zero, silent, zero, rivalled, 256)
    assert signal[0, 0] == pytest.approx(share - 1)


def test_images_that_fill_their_frame_are_learned_by_a_rule_of_their_own():
    model = network()
    images = IMAGES.clone()
    images[::2, 0, 0] = 255
    settings = {"framed_earliness": 2.0, "framed_silence": 1.5, "framed_shift": 0}
    rule = dataclasses.replace(QUIET, shift=1, whole=True, **settings)
    framed = rule.framed
    assert (framed.earliness, framed.silence) == (2.0, 1.5)
    only = images[::2], LABELS[::2]
    with torch.no_grad():
        layer_times = model.layer_times(fs.encode(only[0].flatten(1)))
        layers = decision_gradients(model, layer_times, only[1], framed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    DecisionLearner(model, optimizer, rule).step(*only, seeded())
    for parameter, gradient in zip(
        model.parameters(), [g for layer in layers for g in layer], strict=True
    ):
        mean = optimizer.state[parameter]["exp_avg"]
        torch.testing.assert_close(mean * 10, gradient, rtol=1e-4, atol=1e-5)

    def trained(rule: DecisionRule, images: Tensor) -> list[Tensor]:
        model = network()
        learner = DecisionLearner(model, torch.optim.Adam(model.parameters(), lr=0.01), rule)
        learner.step(images, LABELS, seeded())
        return list(model.parameters())

    others = dataclasses.replace(rule, framed_earliness=0.0, framed_silence=0.0)
    same = zip(trained(rule, IMAGES), trained(others, IMAGES), strict=True)
    assert all(torch.equal(*pair) for pair in same)  # digits do not fill their frames
    assert not torch.equal(trained(rule, images)[0], trained(others, images)[0])


@pytest.mark.parametrize("silence", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("shift", [0.0, -0.03, -1.0])
@pytest.mark.parametrize("credit", ["peak", "decision"])
def test_the_kernels_give_the_gradients_of_the_reference(shift, delay, silence, credit):
    model = network(shift, delay)
    rule = dataclasses.replace(QUIET, silence=silence, credit=credit)
    expected = reference(model, rule)
    output = model.layer_times(fs.encode(IMAGES.flatten(1)))[-1].detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    stats = DecisionLearner(model, optimizer, rule).step(IMAGES, LABELS, seeded())
    assert stats["train_decision_step"] == pytest.approx(float(output.amin(dim=1).mean()))
    assert (stats["train_decision_step"] == 256) == (shift == -1.0)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        mean = optimizer.state[parameter]["exp_avg"]
        torch.testing.assert_close(mean * 10, gradient, rtol=1e-4, atol=1e-5)
    assert any(gradient.abs().max() > 0.1 for gradient in expected)


def test_adam_is_that_of_pytorch_where_spikes_arrived():
    model, twin = network(), network()
    rule = dataclasses.replace(QUIET, credit="decision")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    learner = DecisionLearner(model, optimizer, rule)
    expected = torch.optim.Adam(twin.parameters(), lr=1e-3)
    for _ in range(3):
        masks = arrived_anywhere(twin)
        before = [parameter.detach().clone() for parameter in twin.parameters()]
        for parameter, gradient in zip(twin.parameters(), reference(twin, rule), strict=True):
            parameter.grad = gradient / len(IMAGES)
        expected.step()
        with torch.no_grad():
            for parameter, mask, old in zip(twin.parameters(), masks, before, strict=True):
                parameter.copy_(torch.where(mask, parameter, old))
        learner.step(IMAGES, LABELS, seeded())
        for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert float(optimizer.state[model[0].weight]["step"]) == 3
    assert not all(mask.all() for mask in masks)


def test_results_depend_on_the_seed_but_not_on_the_threads():
    rule = DecisionRule(shift=1, jitter=4.0)
    threads = torch.get_num_threads()

    def trained(seed: int) -> Tensor:
        model = network()
        learner = DecisionLearner(model, torch.optim.Adam(model.parameters()), rule)
        rng = seeded(seed)
        for _ in range(3):
            learner.step(IMAGES, LABELS, rng)
        return model[0].weight.detach()

    try:
        torch.set_num_threads(1)
        one, other = trained(7), trained(8)
        torch.set_num_threads(3)
        assert torch.equal(trained(7), one) and not torch.equal(one, other)
    finally:
        torch.set_num_threads(threads)


def test_left_out_hidden_spikes_reach_nobody():
    model = network()
    rule = dataclasses.replace(QUIET, dropout=1.0)
    with torch.no_grad():
        model[1].bias.zero_()
    stats = DecisionLearner(model, torch.optim.Adam(model.parameters()), rule).step(
        IMAGES, LABELS, seeded()
    )
    assert stats["train_decision_step"] == 256


@pytest.mark.parametrize(
    ("images", "labels", "name"),
    [
        (IMAGES[:, :20], LABELS, "images"),
        (IMAGES.float(), LABELS, "images"),
        (IMAGES, LABELS + 5, "labels"),
        (IMAGES, LABELS - 1, "labels"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(images, labels, name):
    model = network()
    learner = DecisionLearner(model, torch.optim.Adam(model.parameters()), QUIET)
    with pytest.raises(ValueError, match=name):
        learner.step(images, labels, seeded())
