"""Options: their ranges, their way into options.json and back, and the recipes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from firstspike.training.config import GAN_RECIPES, AnnGanConfig, GanConfig


@pytest.mark.parametrize("config", [*GAN_RECIPES.values(), AnnGanConfig(), GanConfig(digit="all")])
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


@pytest.mark.parametrize("change", [{"colour": 1}, {"seed": None}])
def test_unknown_and_missing_options_are_named(change):
    options = GanConfig().as_dict() | change
    name = next(iter(change))
    if change[name] is None:
        del options[name]
    with pytest.raises(ValueError, match=name):
        GanConfig.from_dict(options)


def test_the_paper_recipe_is_its_rule_to_the_letter():
    paper = GAN_RECIPES["paper"]
    assert (paper.recipe, paper.delay, paper.silent, paper.bias) == ("paper", 0, "zero", False)
    assert (paper.loss, paper.normalize, paper.optimizer) == ("least-squares", "l1", "sgd")
    assert (paper.gradient, paper.look_from, paper.look_to) == ("temporal", 1.0, 1.0)
    assert (paper.latent_last, paper.latent_silent) == (None, 0.0)
