"""What changes from epoch to epoch, by hand: learning rates, dead neurons, seconds."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from firstspike.runs.directory import RunDirectory, epoch_generator
from firstspike.training import loop
from firstspike.training.classifier import SpikingTraining
from firstspike.training.config import CLASSIFIER_RECIPES, POTENTIAL_GAN, ClassifierConfig
from firstspike.training.gan import SpikingGan
from firstspike.training.trainer import Trainer

ONLINE = CLASSIFIER_RECIPES["paper", "s4nn"]


def rates(trainer: Trainer, name: str, epochs: int) -> list[float]:
    found = []
    for epoch in range(1, epochs + 1):
        trainer.start_epoch(epoch)
        found.append(trainer.optimizers[name].param_groups[0]["lr"])
    return found


def test_the_rate_of_a_classifier_falls_along_a_cosine():
    trainer = SpikingTraining(ClassifierConfig(hidden=8, epochs=4, lr=2.0))
    expected = [1 + math.cos(math.pi * done / 4) for done in range(4)]
    assert rates(trainer, "model", 4) == pytest.approx(expected)


def test_rates_of_a_gan_fall_over_the_second_half():
    config = {"hidden": 16, "epochs": 4, "generator_lr": 2.0, "discriminator_lr": 8.0}
    for decay, falling in (("none", ()), ("generator", ("generator",)),
                           ("both", ("generator", "discriminator"))):  # fmt: skip
        gan = SpikingGan(dataclasses.replace(POTENTIAL_GAN, decay=decay, **config))
        for name, start in (("generator", 2.0), ("discriminator", 8.0)):
            last = start / 2 if name in falling else start
            assert rates(gan, name, 4) == [start, start, start, last]


def online(**options: object) -> SpikingTraining:
    trainer = SpikingTraining(dataclasses.replace(ONLINE, hidden=8, **options))
    trainer.start_epoch(1)
    return trainer


def test_both_rates_of_the_online_rule_fall_alike():
    trainer = online(epochs=2, lr=0.4, output_lr=0.1)
    assert trainer.learner._settings().lr == pytest.approx((0.4, 0.1))
    trainer.start_epoch(2)
    assert trainer.learner._settings().lr == pytest.approx((0.2, 0.05))


def test_a_neuron_that_fires_for_one_image_in_a_thousand_lives():
    trainer = online(hidden_reach=1.0)
    learner, weight = trainer.learner, trainer.model[0].weight
    with torch.no_grad():
        weight.fill_(7)
    learner._firing[:], learner._seen = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]), 2999
    learner.finish_epoch(epoch_generator(0, 1))
    alive = (weight == 7).all(dim=1).tolist()
    assert alive == [False, False, True, True, True, False, False, True]
    assert learner._seen == 0 and not learner._firing.any()


def test_seconds_go_on_after_a_resumption(tmp_path, monkeypatch):
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(now))

    class Nothing(Trainer):
        def __init__(self) -> None:
            self.model = nn.Linear(1, 1)
            self.optimizers = {}

        networks = property(lambda self: {"model": self.model})

    run = RunDirectory.create(tmp_path / "run", "gan", {})
    told = [loop.run_epochs(run, Nothing(), epochs, lambda _: {}) for epochs in (2, 3, 3)]
    assert told == [20, 30, 30]
    assert [line["seconds"] for line in run.read_stats()] == [10, 20, 30]


def test_a_checkpoint_of_a_later_epoch_is_refused(tmp_path):
    run = RunDirectory.create(tmp_path / "run", "gan", {})
    model = nn.Linear(1, 1)
    run.save_checkpoint({"model": model}, {}, {"epoch": 9, "seconds": 1.0})

    class Nothing(Trainer):
        def __init__(self) -> None:
            self.optimizers = {}

        networks = property(lambda self: {"model": model})

    with pytest.raises(ValueError, match="its checkpoint is of epoch 9 of 3"):
        loop.run_epochs(run, Nothing(), 3, lambda _: {})
