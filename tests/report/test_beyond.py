"""What the paper leaves to others, in the report: from files of runs to figures and verdicts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from firstspike.report import beyond, page
from firstspike.report.gather import COMPARISON, METRICS, Results, gather
from firstspike.report.plan import FULL, QUICK, missing, plan
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.training import kinds


def measured(path: Path, kind: str, metrics: dict[str, Any], **options: Any) -> None:
    """A run that has ended and was measured, without a network."""
    config = dataclasses.replace(kinds.find(kind).defaults(options), **options)
    run = RunDirectory.create(path, kind, config.as_dict())
    run.write_summary({})
    if options.get("auxiliary"):
        mean = {name: {"by_seed": [-1.0, value]} for name, value in metrics.items()}
        files.save_json(path / COMPARISON, {"runs": {"seeds": [7, config.seed], "mean": mean}})
    else:
        files.save_json(path / METRICS, metrics)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("beyond")
    for seed, (own, twin) in enumerate([(0.80, 0.70), (0.82, 0.71), (0.81, 0.72)]):
        metrics = {"mean_iou": own, "spikes_a_neuron": 0.25 + 0.01 * seed}
        measured(folder / f"s{seed}", "segment", metrics, seed=seed)
        measured(folder / f"t{seed}", "ann-segment", {"mean_iou": twin}, seed=seed)
        for kind, value in (("detect", 0.5), ("ann-detect", 0.6)):
            measured(folder / f"{kind}{seed}", kind, {"map_50": value}, seed=seed, canvases=9)
    vae = {"frechet_distance": 200.04, "reconstruction_error": 0.015, "spikes_a_neuron": 0.2}
    measured(folder / "vae", "vae", vae)
    measured(folder / "seven", "vae", vae, digit="7")
    measured(folder / "conv", "vae", vae, network="conv")
    named = {"joint_frechet_distance": 4.4, "right_digit": 0.991}
    options = {"auxiliary": True, "digit": "all", "conditional": True}
    measured(folder / "named", "gan", named, **options)
    measured(folder / "clean", "translate", {"psnr": 23.5}, task="noisy", epochs=1)
    return gather([folder])


@pytest.fixture(scope="module")
def rows(results) -> dict[tuple[str, str], beyond.Row]:
    return {(row.family.role, row.figure.field): row for row in beyond.rows(results)}


def test_figures_stand_beside_those_of_the_twin(rows):
    row = rows["segment", "mean_iou"]
    assert (row.ours, row.twins, row.spikes) == ("0.810 ± 0.010", "0.710 ± 0.010", "0.260")
    assert (row.verdict, row.origin) == ("ahead", "seeds 0, 1, 2")
    vae = rows["vae-dense", "frechet_distance"]  # neither of one digit nor of convolutions
    assert (vae.ours, vae.twins, vae.lacking) == ("200.0", "", ["ann-vae-dense"])
    named = rows["auxiliary-gan", "right_digit"]
    assert (named.ours, named.origin) == ("99.1", "seed 0")


def test_short_trainings_are_told_and_have_no_verdict(rows):
    row = rows["detect", "map_50"]
    assert row.verdict == "withheld" and row.ours.startswith("0.500")
    assert row.origin.endswith("short: 9 canvases in place of 14000")
    assert "short" not in rows["translate-noisy", "psnr"].origin  # whose command has one epoch


@pytest.mark.parametrize(
    ("own", "twin", "less", "short", "verdict"),
    [
        ({0: 1.0, 1: 1.1}, {0: 2.0, 1: 2.2}, True, False, "ahead"),
        ({0: 1.0, 1: 1.1}, {0: 2.0, 1: 2.2}, False, False, "behind"),
        ({0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}, True, False, "level"),
        ({0: 1.0, 1: 1.1}, {0: 2.0, 1: 2.2}, True, True, "withheld"),
        ({0: 1.0, 1: 1.1}, {0: 2.0, 2: 2.2}, True, False, "withheld"),
        ({0: 1.0}, {}, True, False, "open"),
    ],
)
def test_verdicts_beyond_the_paper(own, twin, less, short, verdict):
    assert beyond.judge(own, twin, less, is_short=short) == verdict


def test_the_page_tells_them_and_what_is_missing(results, tmp_path):
    page.write(tmp_path / "report.html", results, [], quick=False)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    part = text[text.index('id="beyond"') : text.index('id="figures"')]
    for words in (
        "Segmentation: mean IoU",
        "<b>0.810 ± 0.010</b>",
        'chip ahead">ahead',
        "firstspike train segment --seed SEED",
        "firstspike train ann-gan --auxiliary --seed 0",
        "firstspike train translate --task colour --epochs 1 --seed 0",
        "firstspike evaluate runs/ann-vae-dense-seed0 --split test",
    ):
        assert words in part
    assert "--digit DIGIT" not in part


def test_every_family_is_in_the_plan_and_its_runs_have_its_role():
    for family in beyond.FAMILIES:
        for role in (family.role, family.twin):
            command, evaluate = missing(role, Results())
            assert command.endswith(f"--out runs/{role}-seed0") and role in evaluate
    jobs = {job.name: job for job in plan(FULL)}
    assert jobs["evaluate-auxiliary-gan-seed2"].done.endswith(str(COMPARISON))
    assert "train-ann-detect-seed2" in jobs
    quick = [job.name for job in plan(QUICK)]
    assert "train-detect-seed0" in quick and "train-detect-seed1" not in quick
    assert "train-auxiliary-gan-seed0" not in quick


def test_a_damaged_comparison_is_left_out(tmp_path):
    options = {"auxiliary": True, "digit": "all", "conditional": True}
    measured(tmp_path / "named", "gan", {"right_digit": 0.9}, **options)
    (tmp_path / "named" / COMPARISON).write_text(json.dumps({"runs": 3}))
    assert "comparison.json: damaged" in gather([tmp_path]).left_out[0]
