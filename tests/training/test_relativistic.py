"""The relativistic paired loss: gradients by hand against autograd."""

from __future__ import annotations

import copy

import pytest
import torch

import firstspike as fs
from firstspike.training.rules.relativistic import (
    Game,
    Naming,
    Neurons,
    Steps,
    draw,
    linear_layers,
    names_of,
    paired_step,
    potentials,
    reference_losses,
    score,
)

LABELS, LATENTS, PIXELS = 3, 5, 12


def game(t_max: int | None, outputs: int, classes: int = 1, naming: Naming | None = None) -> Game:
    """Of ramps, of ReLU and tanh (t_max 0), or of steps (None)."""
    torch.manual_seed(1)
    generator = torch.nn.Sequential(
        torch.nn.Linear(LATENTS + LABELS, 9), torch.nn.Linear(9, PIXELS)
    )
    discriminator = torch.nn.Sequential(
        torch.nn.Linear(PIXELS, 11),
        torch.nn.Linear(11, outputs * classes + (naming.names if naming else 0)),
    )
    neurons: Neurons | Steps = Steps(1.3)
    if t_max is not None:
        neurons = Neurons(t_max, generator=0.5, discriminator=0.8, leak=0.1)
    return Game(generator.double(), discriminator.double(), neurons, PIXELS, classes, naming)


def images_of_classes() -> torch.Tensor:
    pixels = torch.rand(7, PIXELS, dtype=torch.float64) * 2 - 1
    told = torch.nn.functional.one_hot(torch.arange(7) % LABELS, LABELS)
    return torch.cat([pixels, told.double()], dim=1)


class Recorder:
    """An optimiser that keeps the gradients and changes nothing."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def step(self) -> None:
        self.grads = [parameter.grad.clone() for parameter in self.network.parameters()]


@pytest.mark.parametrize(("t_max", "outputs"), [(16, 2), (256, 2), (0, 1), (None, 2)])
@pytest.mark.parametrize(
    ("classes", "naming"), [(1, None), (LABELS, None), (1, Naming(LABELS, 0.3))]
)
@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_gradients_by_hand_are_those_of_autograd(t_max, outputs, gamma, classes, naming):
    made = game(t_max, outputs, classes, naming)
    real = images_of_classes()
    latents = torch.randn(7, LATENTS + LABELS, dtype=torch.float64)
    networks = {"generator": made.generator, "discriminator": made.discriminator}
    recorders = {name: Recorder(network) for name, network in networks.items()}
    told = paired_step(made, recorders, real, latents, gamma=gamma)
    losses = reference_losses(made, real, latents, gamma)
    for loss, name in zip(losses, ("discriminator", "generator"), strict=True):
        wanted = torch.autograd.grad(loss, list(networks[name].parameters()), retain_graph=True)
        for by_hand, by_autograd in zip(recorders[name].grads, wanted, strict=True):
            torch.testing.assert_close(by_hand, by_autograd)
    silent = naming and naming._replace(weight=0.0)
    plain = reference_losses(made._replace(naming=silent), real, latents, 0.0)
    torch.testing.assert_close(told[:2], torch.stack(plain).detach())
    fake = torch.cat([draw(made, latents), real[:, PIXELS:]], dim=1)
    of_real, of_fake = score(made, real), score(made, fake)
    middle = torch.cat([of_real, of_fake]).mean()
    won = (of_real > middle).double().mean(), (of_fake < middle).double().mean()
    torch.testing.assert_close(told[2:4], torch.stack(won).detach())
    if naming:
        for share, seen in zip(told[4:], (real, fake), strict=True):
            hidden = potentials(linear_layers(made.discriminator)[0], seen[:, :PIXELS])
            values, _ = made.neurons.hidden("discriminator", hidden)
            right = names_of(made, values).argmax(dim=1) == real[:, PIXELS:].argmax(dim=1)
            torch.testing.assert_close(share, right.double().mean())


def test_a_step_changes_both_networks_and_the_generator_sees_what_was_learned():
    made = game(256, 2)
    before = copy.deepcopy(made.generator), copy.deepcopy(made.discriminator)
    real = torch.rand(7, PIXELS + LABELS, dtype=torch.float64)
    latents = torch.randn(7, LATENTS + LABELS, dtype=torch.float64)
    optimizers = {
        "generator": torch.optim.SGD(made.generator.parameters(), 0.1),
        "discriminator": torch.optim.SGD(made.discriminator.parameters(), 0.1),
    }
    told = paired_step(made, optimizers, real, latents, gamma=0.5)
    for old, new in zip(before, (made.generator, made.discriminator), strict=True):
        assert not torch.equal(linear_layers(old)[0].weight, linear_layers(new)[0].weight)
    first = Game(before[0], before[1], made.neurons, PIXELS)
    fake = torch.cat([draw(first, latents), real[:, PIXELS:]], dim=1)
    learned = Game(before[0], made.discriminator, made.neurons, PIXELS)
    wanted = torch.nn.functional.softplus(score(first, real) - score(learned, fake)).mean()
    assert told[1].item() == pytest.approx(wanted.item())


def test_steps_spike_above_the_threshold_and_learn_by_the_surrogate_of_their_layers():
    potential = torch.linspace(-3, 5, 41, dtype=torch.float64, requires_grad=True)
    values, slope = Steps(1.3).hidden("generator", potential.detach())
    assert torch.equal(values, (potential.detach() > 1).double())
    times = fs.nn.final_gradient(torch.zeros_like(potential), potential - 1, 1.3)
    (wanted,) = torch.autograd.grad(-times.sum(), potential)
    torch.testing.assert_close(slope, wanted)
    assert (slope > 0).any() and (slope == 0).any()


def test_biases_of_steps_stay_below_the_threshold():
    made = game(None, 2)
    optimizers = {
        name: torch.optim.Adam(getattr(made, name).parameters(), 0.5)
        for name in ("generator", "discriminator")
    }
    latents = torch.randint(2, (7, LATENTS + LABELS)).double()
    for _ in range(9):
        paired_step(made, optimizers, images_of_classes().gt(0).double(), latents, gamma=0.5)
    layers = [*made.generator, *made.discriminator]
    assert max(layer.bias.max().item() for layer in layers) == 0.95
