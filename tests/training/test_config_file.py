"""``--config FILE``: options of a training in TOML, and how ``--dry-run --toml`` writes them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import untrained
from idx import write_digits

from firstspike import cli
from firstspike.training import kinds


def options(firstspike, kind: str, *arguments: object) -> dict:
    """What a dry run says."""
    code, out, err = firstspike("train", kind, *arguments, "--dry-run")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        *((kind.name, ()) for kind in kinds.every()),
        ("gan", ("--neuron", "step", "--hidden", 33, "--beta1", 0.5)),
        ("gan", ("--recipe", "paper", "--digit", 'say "é"\\')),
        ("gan", ("--loss", "potential", "--latent-last", "None", "--neuron", "step")),
        ("gan", ("--auxiliary", "--naming", 0.5)),
        ("classifier", ("--neuron", "ramp", "--network", "cnn", "--size", 32)),
    ],
    ids=str,
)
def test_a_written_file_makes_the_same_options(firstspike, kind, arguments):
    wanted = options(firstspike, kind, *arguments)
    code, out, _ = firstspike("train", kind, *arguments, "--dry-run", "--toml")
    Path("file.toml").write_text(out, encoding="utf-8")
    assert code == 0 and tomllib.loads(out)["kind"] == kind
    assert options(firstspike, kind, "--config", "file.toml") == wanted


def test_a_written_file_tells_what_counts_only(firstspike):
    _, out, _ = firstspike("train", "gan", "--dry-run", "--toml")
    written = tomllib.loads(out)
    assert written["generator_threshold"] == 8.0 and "silent" not in written  # of step neurons


def test_the_command_line_wins_over_the_file_and_the_file_over_the_recipe(firstspike):
    Path("file.toml").write_text('recipe = "paper"\nbatch = 7\ngenerator_lr = 1\n')
    found = options(firstspike, "gan", "--config=file.toml", "--batch", 9, "--digit", 5)
    assert found["batch"] == 9 and found["digit"] == "5"
    assert found["generator_lr"] == 1.0 and isinstance(found["generator_lr"], float)
    assert found["loss"] == "least-squares"  # the paper's
    assert options(firstspike, "gan", "--config=file.toml", "--recipe", "best")["loss"] != "x"


def test_a_flag_is_a_choice_on_the_command_line_and_in_the_file(firstspike):
    Path("file.toml").write_text("auxiliary = true\n")
    wanted = options(firstspike, "gan", "--auxiliary")
    assert wanted["auxiliary"] and wanted["conditional"] and wanted["digit"] == "all"
    assert options(firstspike, "gan", "--config", "file.toml") == wanted
    assert not options(firstspike, "gan", "--no-auxiliary")["conditional"]


def test_digits_of_a_set_come_from_a_file(firstspike, tmp_path):
    data = write_digits(tmp_path, digits=2, train=20, test=1)
    Path("set.toml").write_text(f"digits = '0-1'\ndata = '{data}'\nhidden = 9\n")
    code, out, _ = firstspike("train", "gan", "--config", "set.toml", "--dry-run", "--toml")
    assert code == 0 and tomllib.loads(out)["digits"] == "0,1" and "digit =" not in out
    Path("again.toml").write_text(out, encoding="utf-8")
    first, again = (options(firstspike, "gan", "--config", f"{n}.toml") for n in ("set", "again"))
    assert first == again and first["digits"] == ["0", "1"] and first["hidden"] == 9


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("hiden = 3", "file.toml: unknown option hiden; did you mean hidden?"),
        ("generator-lr = 3", "unknown option generator-lr; did you mean generator_lr?"),
        ("[gan]\nhidden = 3", "unknown option gan"),
        ('hidden = "x"', "file.toml: hidden must be a whole number, got 'x'"),
        ("hidden = true", "hidden must be a whole number, got True"),
        ("hidden = 0.5", "hidden must be a whole number"),
        ("hidden = 0", "hidden must be between 1 and 131072, got 0"),
        ('hidden = "None"', "hidden must be a whole number"),
        ("beta1 = '0'", "beta1 must be a number"),
        ("conditional = 1", "conditional must be true or false"),
        ("digit = 3", "digit must be a string"),
        ("digits = 3", "digits must be a string"),
        ("size = 'x'", 'size must be a whole number or "None"'),
        ("neuron = 'x'", "neuron must be one of ramp, step, got 'x'"),
        ("hidden = x", "file.toml: no TOML"),
        ("kind = 'classifier'", "file.toml: kind is 'classifier'; use it with `train classifier`"),
        (None, "file.toml: cannot be read"),
    ],
)
def test_what_a_file_cannot_say_is_one_line(firstspike, tmp_path, content, wanted):
    if content is not None:
        Path("file.toml").write_text(content)
    code, out, err = firstspike("train", "gan", "--config", "file.toml", "--dry-run")
    assert (code, out) == (cli.USAGE_ERROR, "") and err.count("\n") == 1
    assert wanted in err


def test_what_does_not_go_together(firstspike, tmp_path):
    untrained.run(tmp_path / "run", "classifier")
    Path("file.toml").write_text("")
    for arguments in (("--resume", "run", "--config", "file.toml"), ("--toml",)):
        code, _, err = firstspike("train", "classifier", *arguments)
        assert code == cli.USAGE_ERROR and arguments[0] in err and err.count("\n") == 1
