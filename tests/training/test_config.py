"""Options: their ranges, their way into options.json and back, and the recipes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from firstspike.training import kinds
from firstspike.training.config import (
    CLASSIFIER_RECIPES,
    GAN_RECIPES,
    POTENTIAL_GAN,
    AnnClassifierConfig,
    AnnGanConfig,
    ClassifierConfig,
    GanConfig,
)


def step_gan(**options: object) -> GanConfig:
    return dataclasses.replace(POTENTIAL_GAN, **options)


@pytest.mark.parametrize(
    "config", [*GAN_RECIPES.values(), POTENTIAL_GAN, AnnGanConfig(), GanConfig(digit="all")]
)
def test_options_survive_json(config):
    config.check()
    assert type(config).from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("hidden", 0),
        ("seed", -1),
        ("t_max", 0),
        ("delay", -1),
        ("window", 0.0),
        ("generator_lr", -1.0),
        ("beta1", 1.1),
        ("latent_silent", 1.5),
        ("latent_last", 257),
        ("look_to", 0.2),
        ("weight_decay", float("nan")),
    ],
)
def test_an_option_out_of_range_is_named(option, value):
    with pytest.raises(ValueError, match=option):
        dataclasses.replace(GanConfig(), **{option: value}).check()


@pytest.mark.parametrize("name", ["gan", "ann-gan", "classifier", "ann-classifier"])
def test_every_number_has_limits(name):
    kind = kinds.find(name)
    for choices in ({}, {"neuron": "step"}, {"neuron": "ramp"}, {"recipe": "paper"}):
        config = kind.defaults({k: v for k, v in choices.items() if k in kind.choices})
        for field, given in config.as_dict().items():
            if type(given) in (int, float):
                for absurd in (-(10**30), 10**30, float("nan"), float("inf"), -float("inf")):
                    with pytest.raises(ValueError, match=field):
                        dataclasses.replace(config, **{field: absurd}).check()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"shade": 1}, "unknown option 'shade'"),
        ({"epochs": "5"}, "option 'epochs' cannot be '5'"),
        ({"epochs": True}, "option 'epochs' cannot be True"),
        ({"decay": "genarator"}, "option 'decay' cannot be 'genarator'"),
        ({"generator_lr": None}, "option 'generator_lr' cannot be None"),
    ],
)
def test_options_of_another_name_or_type_are_named(change, fault):
    with pytest.raises(ValueError, match=fault):
        GanConfig.from_dict(GanConfig().as_dict() | change)


def test_options_that_an_older_version_lacks_are_filled_in():
    options = GanConfig(seed=3).as_dict()
    for name in ("size", "colour", "conditional"):
        del options[name]
    assert GanConfig.from_dict(options) == GanConfig(seed=3)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (step_gan(weight_decay=0.1), "weight_decay does nothing with optimizer adam"),
        (step_gan(optimizer="sgd", beta1=0.9), "beta1 does nothing with optimizer sgd"),
        (step_gan(gradient="temporal", window=2.0), "window does nothing with gradient temporal"),
        (step_gan(silent="zero"), "silent does nothing with gradient final"),
        (step_gan(leak=0.5), "leak does nothing with neuron step"),
        (GanConfig(window=2.0), "window does nothing with gradient exact"),
        (GanConfig(delay=0), "delay does nothing with neuron ramp: it belongs to neuron step"),
        (GanConfig(bias=False), "bias does nothing with neuron ramp"),
        (GanConfig(normalize="l1"), "normalize does nothing with neuron ramp"),
        (GanConfig(optimizer="sgd"), "optimizer does nothing with neuron ramp"),
        (GanConfig(look_from=0.1), "look_from does nothing with neuron ramp"),
        (GanConfig(look_to=0.9), "look_to does nothing with neuron ramp"),
        (GanConfig(latent_last=7), "latent_last does nothing with neuron ramp"),
        (GanConfig(latent_silent=0.5), "latent_silent does nothing with neuron ramp"),
        (GanConfig(impl="reference"), "impl does nothing with neuron ramp"),
        (GanConfig(gradient="final"), "gradient and loss must be exact and relativistic"),
        (GanConfig(recipe="paper"), "recipe must be best with neuron ramp"),
        (AnnGanConfig(loss="cross-entropy", gamma=2.0), "gamma does nothing"),
        (ClassifierConfig(normalize="l1"), "normalize does nothing with gradient decision"),
        (ClassifierConfig(penalty=0.1), "penalty does nothing .* belongs to gradient online"),
        (ClassifierConfig(gamma=9.0), "gamma does nothing with loss aggressive"),
        (ClassifierConfig(output_lr=0.1), "output_lr does nothing"),
        (
            ClassifierConfig(gradient="temporal", loss="cross-entropy", earliness=0.2),
            "earliness does nothing with gradient temporal, loss cross-entropy",
        ),
        (ClassifierConfig(gradient="online", loss="s4nn", earliness=0.2), "earliness does nothing"),
        (
            AnnClassifierConfig(network="784-20-10", shift=1),
            "shift and whole do nothing with network",
        ),
        (AnnClassifierConfig(network="cnn", shift=0, whole=False), "shift and whole do nothing"),
        (ClassifierConfig(gradient="temporal", credit="decision"), "credit does nothing"),
        (AnnClassifierConfig(network="cnn", hidden=20), "hidden does nothing with network cnn"),
        (AnnClassifierConfig(smoothing=0.1), "smoothing does nothing with network dense"),
        (ClassifierConfig(gradient="online", window=2.0), "window does nothing"),
        (ClassifierConfig(gradient="online", lr=0.0), "lr must be above 0"),
        (ClassifierConfig(delay=300), "delay must be below t_max = 256"),
        (ClassifierConfig(hidden=10**9), "hidden must be between 1 and"),
        (ClassifierConfig(seed=2**64), "seed must be between 0 and"),
    ],
)
def test_options_that_do_nothing_or_cannot_work_are_refused(config, fault):
    with pytest.raises(ValueError, match=fault):
        config.check()


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        *((kind.name, {}) for kind in kinds.every()),
        ("gan", {"recipe": "paper"}),
        ("gan", {"neuron": "step"}),
        ("gan", {"neuron": "step", "recipe": "paper"}),
        ("ann-gan", {"loss": "cross-entropy"}),
        *(("classifier", {"recipe": r, "loss": loss}) for r, loss in CLASSIFIER_RECIPES),
        ("classifier", {"neuron": "ramp"}),
        ("classifier", {"neuron": "ramp", "network": "cnn"}),
        ("ann-classifier", {"network": "784-400-10"}),
    ],
)
def test_every_recipe_can_be_used(name, chosen):
    config = kinds.find(name).defaults(chosen)
    config.check()
    assert config == config.recipe_defaults()
    assert all(getattr(config, option) == value for option, value in chosen.items())


def test_gans_are_of_ramp_neurons_unless_the_paper_is_asked_for():
    chosen = ({}, {"neuron": "step"}, {"recipe": "paper"})
    neurons = [kinds.find("gan").defaults(of).neuron for of in chosen]
    assert neurons == ["ramp", "step", "step"]
    assert (GanConfig(), AnnGanConfig()) == tuple(map(default_of, ("gan", "ann-gan")))
    both = GanConfig(), AnnGanConfig()  # play the same game
    shared = ("loss", "gamma", "batch", "generator_lr", "discriminator_lr", "beta1", "average")
    assert len({tuple(getattr(config, name) for name in shared) for config in both}) == 1


def test_the_loss_of_step_neurons_decides_their_recipe():
    losses = ("relativistic", "potential", "least-squares")
    of = [kinds.find("gan").defaults({"neuron": "step", "loss": loss}) for loss in losses]
    assert of == [GAN_RECIPES["best"], POTENTIAL_GAN, POTENTIAL_GAN]
    chosen = {"neuron": "step", "recipe": "paper", "loss": "potential"}
    assert kinds.find("gan").defaults(chosen) == GAN_RECIPES["paper"]


def test_all_digits_in_one_network_are_averaged_over_more_steps_by_any_neuron():
    for chosen in ({"neuron": "step"}, {"neuron": "ramp"}):
        assert kinds.find("gan").defaults(chosen | {"digit": "all"}).average == 0.999
        assert kinds.find("gan").defaults(chosen).average == 0.99


def default_of(name: str) -> object:
    return kinds.find(name).defaults()


def test_the_paper_recipe_is_its_rule_to_the_letter():
    paper = GAN_RECIPES["paper"]
    assert (paper.recipe, paper.delay, paper.silent, paper.bias) == ("paper", 0, "zero", False)
    assert (paper.loss, paper.normalize, paper.optimizer) == ("least-squares", "l1", "sgd")
    assert (paper.gradient, paper.look_from, paper.look_to) == ("temporal", 1.0, 1.0)
    assert (paper.latent_last, paper.latent_silent) == (None, 0.0)


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (ClassifierConfig(), {"hidden": 10**9}),
        (ClassifierConfig(), {"hidden": -3}),
        (ClassifierConfig(), {"epochs": 10**15}),
        (ClassifierConfig(), {"lr": -1.0}),
        (ClassifierConfig(), {"t_max": 10**9}),
        (ClassifierConfig(), {"delay": 256}),
        (ClassifierConfig(), {"seed": 2**70}),
        (GanConfig(), {"generator_threshold": 0.0}),
        (AnnGanConfig(), {"size": 10**9}),
    ],
)
def test_options_of_a_run_are_in_their_ranges(config, change):
    with pytest.raises(ValueError, match=f"^x: {next(iter(change))} must be"):
        type(config).from_dict(config.as_dict() | change, "x")
