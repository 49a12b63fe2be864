"""Runs of former versions: what they lack is what was in force then.

``former_options.json`` holds the defaults of every kind after each change of the options.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import untrained

from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds
from firstspike.training.config import POTENTIAL_GAN, GanConfig
from firstspike.training.loading import build_trainer, load_run

FORMER = json.loads((Path(__file__).parent / "former_options.json").read_text())


def names(record):
    return f"{record['kind']}-{record['since']}"


@pytest.mark.parametrize("record", FORMER, ids=names)
def test_former_options_make_networks(record):
    kind = kinds.find(record["kind"])
    config = kind.read({**record["options"], "hidden": 8}, "old")
    config.check()
    for name in ("epochs", "seed", "digit", "t_max", "delay", "bias", "normalize"):
        if name in record["options"] and hasattr(config, name):
            assert getattr(config, name) == record["options"][name]


def first(kind):
    return next(record["options"] for record in FORMER if record["kind"] == kind)


def test_the_first_gans_draw_from_the_latents_that_they_know(tmp_path):
    options = first("gan") | {"hidden": 8}
    run = RunDirectory.create(tmp_path / "run", "gan", options)
    trainer = build_trainer(run)
    run.save_checkpoint(trainer.networks, {}, {"epoch": 1, "seconds": 1.0})
    gan = load_run(run.path)
    config = gan.config
    assert (config.latent_last, config.latent_silent, config.gradient) == (None, 0.0, "temporal")
    assert (config.look_from, config.look_to, config.conditional) == (1.0, 1.0, False)
    assert gan.latents(200).max() == config.t_max


def test_classifiers_learn_as_they_did():
    for record in FORMER:
        config = kinds.find(record["kind"]).read(record["options"], "old")
        if record["kind"] == "classifier":
            assert (config.credit, config.silence, config.whole) == ("decision", 0.0, False)
        elif record["kind"] == "ann-classifier":
            assert not config.whole
    ramp = {"neuron": "ramp", "gradient": "exact", "loss": "cross-entropy", "shift": 0}
    kinds.find("classifier").read(ramp, "old").check()


def test_gans_are_what_they_were_before_ramp_neurons():
    for record in FORMER:
        config = kinds.find(record["kind"]).read(record["options"], "old")
        if record["kind"] == "gan":
            assert config.neuron == "step" and config.gradient in ("temporal", "final")
        elif record["kind"] == "ann-gan":
            assert config.loss == "cross-entropy"
            assert config.beta1 == record["options"]["beta1"]


def test_the_first_ramp_gans_are_read_whatever_their_recipe():
    config = kinds.find("gan").read(GanConfig(recipe="paper").as_dict(), "old")
    assert config == GanConfig()


@pytest.mark.parametrize("kind", ["gan", "ann-gan"])
def test_conditional_networks_that_told_classes_in_another_way(kind):
    options = kinds.find(kind).defaults().as_dict() | {"conditional": True, "digit": "all"}
    assert kinds.find(kind).read(options, "new").conditional
    del options["channels"]
    with pytest.raises(ValueError, match=r"^old: a conditional network .* train again$"):
        kinds.find(kind).read(options, "old")


def test_the_first_ramp_classifiers_go_on_without_earliness():
    kind = kinds.find("classifier")
    options = kind.defaults({"neuron": "ramp"}).as_dict() | {"earliness": 0.05}
    assert kind.read(options, "new").earliness == 0.05
    del options["silence"]
    assert kind.read(options, "old").earliness == 0.0


def test_options_that_ramp_neurons_ignored_are_forgotten():
    options = GanConfig().as_dict() | {"delay": 0, "look_from": 0.1, "impl": "reference"}
    assert kinds.find("gan").read(options, "old") == GanConfig()


def test_only_the_relativistic_game_kept_its_best_snapshot_before():
    for name in ("gan", "ann-gan"):
        of_today = kinds.find(name).defaults().as_dict()
        del of_today["snapshots"]
        assert kinds.find(name).read(of_today, "old").snapshots == 10
        assert kinds.find(name).read(first(name), "old").snapshots == 0
    step = POTENTIAL_GAN.as_dict()
    del step["snapshots"]
    assert kinds.find("gan").read(step, "old").snapshots == 0


@pytest.mark.parametrize(
    ("given", "decay"), [({}, "none"), ({"decay": True}, "both"), ({"decay": False}, "none")]
)
def test_rates_fell_together_or_not_at_all(given, decay):
    options = {name: value for name, value in first("ann-gan").items() if name != "decay"}
    assert kinds.find("ann-gan").read(options | given, "old").decay == decay


def test_rules_that_are_gone_are_not_trained_on(firstspike, tmp_path):
    for kind, wanted in (("gan", "loss and noise"), ("classifier", "rule at the decision")):
        RunDirectory.create(tmp_path / kind, kind, first(kind))
        code, _, said = firstspike("train", kind, "--resume", kind)
        assert code == 2
        assert f"{wanted} {'is' if kind == 'classifier' else 'are'} not part of this" in said
    plain = first("gan") | {"loss": "least-squares", "jitter": 0.0, "dropout": 0.0}
    assert not kinds.find("gan").config.retired(plain)


def test_runs_that_blackened_a_square_are_read_but_not_trained_on():
    old = kinds.find("classifier").defaults().as_dict() | {"framed_cut": 0.35}
    del old["framed_shift"]
    config = kinds.find("classifier").config
    assert kinds.find("classifier").read(old, "old").framed_shift == 0
    assert "square" in config.retired(old)
    assert not config.retired(old | {"framed_cut": 0.0})


def test_runs_of_today_are_read_as_they_are(tmp_path):
    for kind in ("gan", "ann-gan", "classifier", "ann-classifier"):
        run = untrained.run(tmp_path / kind, kind)
        assert kinds.find(kind).read(run.options, run.path).as_dict() == run.options
        assert not kinds.find(kind).config.retired(run.options)
