"""The page from run directories: networks as initialised, measured on a few images."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from firstspike import cli
from firstspike.data import ImageSet, load_mnist
from firstspike.drawing import grids as plots
from firstspike.evaluation.classifiers import evaluate_ann, evaluate_classifier
from firstspike.evaluation.networks import evaluate_network
from firstspike.report import drawings, illustrations, page
from firstspike.report.beyond import FAMILIES
from firstspike.report.claims import CLAIMS, Claim
from firstspike.report.gather import CODING, METRICS, Results, command_of, gather, role_of
from firstspike.report.measures import Sample, digits_of
from firstspike.report.plan import CODINGS, FULL, QUICK, missing, plan, shortened
from firstspike.report.plates import PLATES
from firstspike.runs import files
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import Outcome
from firstspike.training import kinds
from firstspike.training.config import (
    CLASSIFIER_RECIPES,
    GAN_RECIPES,
    AnnClassifierConfig,
    ClassifierConfig,
    GanConfig,
)
from firstspike.training.loading import build_trainer

TEST = load_mnist("test")
SOME = ImageSet(TEST.images[:50], TEST.labels[:50], "fifty images")


def classifier_run(path: Path, **options: object) -> Path:
    """A run of an untrained classifier, evaluated on fifty images."""
    dense = options.pop("dense", False)
    config = AnnClassifierConfig(**options) if dense else ClassifierConfig(**options)
    run = RunDirectory.create(path, "ann-classifier" if dense else "classifier", config.as_dict())
    model = build_trainer(run).model
    run.save_checkpoint({"model": model}, {}, {"epoch": 0})
    run.write_summary({})
    metrics = evaluate_ann(model, SOME) if dense else evaluate_classifier(model, SOME).as_dict()
    (path / METRICS).parent.mkdir()
    (path / METRICS).write_bytes(files.to_json(metrics, path / METRICS))
    return path


def ramp_run(path: Path) -> Path:
    """Likewise, of ramp neurons."""
    config = kinds.CLASSIFIER.defaults({"neuron": "ramp"})
    run = RunDirectory.create(path, "classifier", config.as_dict())
    trainer = build_trainer(run)
    run.save_checkpoint(trainer.networks, {}, {"epoch": 0})
    run.write_summary({})
    files.save_json(path / METRICS, evaluate_network(trainer.result(), SOME, 64).as_dict())
    return path


def gan_run(path: Path, kind: str, digit: str, neuron: str = "step") -> Path:
    """A run of an untrained GAN with the sample grids of two epochs."""
    chosen = {"neuron": neuron} if kind == "gan" else {"loss": "cross-entropy"}
    config = dataclasses.replace(kinds.find(kind).defaults(chosen), digit=digit, epochs=2)
    run = RunDirectory.create(path, kind, config.as_dict())
    gan = build_trainer(run)
    run.save_checkpoint(gan.networks, {}, {"epoch": 2})
    for epoch in (1, 2):
        plots.save_image_grid(run.sample_path(epoch), gan.sample(gan.latents(64)))
    run.write_summary(gan.spikes(gan.latents(20)))
    if kind == "ann-gan":
        metrics = {"frechet_distance": 20.26, "right_digit": 0.5, "coverage": 0.25}
        files.save_json(path / METRICS, metrics)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        classifier_run(folder / f"a{seed}", seed=seed)
        s4nn = dataclasses.asdict(CLASSIFIER_RECIPES["best", "s4nn"])
        classifier_run(folder / f"s{seed}", **s4nn | {"seed": seed})
    classifier_run(folder / "deep" / "large", hidden=1000)
    classifier_run(folder / "dense", dense=True)
    ramp_run(folder / "ramp")
    gan_run(folder / "gan-3", "gan", "3")
    gan_run(folder / "gan-7", "gan", "7")
    gan_run(folder / "ramp-5", "gan", "5", neuron="ramp")
    gan_run(folder / "ann-gan-3", "ann-gan", "3")
    (folder / CODING).parent.mkdir()
    counts = illustrations.count_spikes([SOME])
    (folder / CODING).write_bytes(files.to_json(counts, folder / CODING))
    return folder


@pytest.fixture(scope="module")
def results(runs) -> Results:
    return gather([runs])


def test_runs_are_sorted_by_their_part(results):
    places = {role: [run.place for run in group] for role, group in results.groups.items()}
    assert places == {
        "aggressive-400": ["a0", "a1"],
        "aggressive-1000": ["deep/large"],
        "s4nn-400": ["s0", "s1"],
        "ann-400": ["dense"],
        "ramp-400": ["ramp"],
        "step-gan": ["gan-3", "gan-7"],
        "ramp-gan": ["ramp-5"],
        "cross-entropy-ann-gan": ["ann-gan-3"],
    }
    assert results.digits == ["3", "5", "7"] and not results.left_out


def test_what_cannot_be_used_is_named(runs, tmp_path):
    folder = shutil.copytree(runs, tmp_path / "runs")
    (folder / "a1" / "summary.json").unlink()
    (folder / "s1" / "options.json").write_text("no JSON")
    (folder / "dense" / METRICS).write_text("[]")
    classifier_run(folder / "other", seed=5, lr=0.5)
    gan_run(folder / "clothes", "gan", "3")
    record = json.loads((folder / "clothes" / "options.json").read_text())
    record["options"]["data"] = "clothes"
    del record["checksum"]  # changed on purpose
    (folder / "clothes" / "options.json").write_text(json.dumps(record))
    record["options"]["wings"] = 2
    (folder / "gan-7" / "options.json").write_text(json.dumps(record))
    results = gather([folder])
    assert [run.place for run in results.groups["aggressive-400"]] in (["a0"], ["other"])
    text = "\n".join(results.left_out)
    assert len(results.left_out) == 6
    for wanted in (
        "a1: has not ended",
        "s1/options.json: damaged",
        "dense/evaluation-test/metrics.json: damaged",
        "other options than most aggressive-400 runs",
        "clothes: of other images or layers",
        "unknown option 'wings'",
    ):
        assert wanted in text


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        gather([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("kind", "options", "command"),
    [
        ("gan", GanConfig(), "firstspike train gan"),
        ("gan", GAN_RECIPES["best"], "firstspike train gan --neuron step"),
        (
            "gan",
            dataclasses.replace(GAN_RECIPES["paper"], bias=True, digit="7"),
            "firstspike train gan --digit 7 --bias --neuron step --recipe paper",
        ),
        (
            "classifier",
            dataclasses.replace(CLASSIFIER_RECIPES["best", "s4nn"], seed=3, validation=0),
            "firstspike train classifier --validation 0 --seed 3 --loss s4nn",
        ),
        (
            "ann-classifier",
            AnnClassifierConfig(hidden=7),
            "firstspike train ann-classifier --hidden 7",
        ),
    ],
)
def test_the_command_of_a_run_gives_its_options(kind, options, command, tmp_path, capsys):
    run = RunDirectory.create(tmp_path / "run", kind, options.as_dict())
    assert command_of(run) == command
    assert cli.main([*command.split()[1:], "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out) == run.options


def test_the_command_of_a_former_run_gives_what_was_in_force_then(tmp_path):
    """What it lacks is not as today's defaults: it had no margin, leak or choice of neuron."""
    options = GAN_RECIPES["best"].as_dict()
    for name in ("neuron", "network", "leak", "margin", "channels"):
        del options[name]
    run = RunDirectory.create(tmp_path / "gan", "gan", options)
    assert command_of(run) == "firstspike train gan --neuron step"
    assert role_of(run) == "step-gan"
    options = CLASSIFIER_RECIPES["best", "aggressive"].as_dict()
    assert options.pop("credit") == "peak"
    run = RunDirectory.create(tmp_path / "classifier", "classifier", options)
    assert "--credit decision" in command_of(run)


def test_a_run_of_a_former_version_is_beside_one_of_today(tmp_path):
    """An option that a run lacks is no other option: seeds of two versions are one group."""
    now, before = CLASSIFIER_RECIPES["best", "aggressive"], tmp_path / "before"
    classifier_run(tmp_path / "now", **now.as_dict())
    classifier_run(before, **dataclasses.replace(now, seed=1).as_dict())
    record = json.loads((before / "options.json").read_text())
    del record["checksum"], record["options"]["augment"]  # which was none
    (before / "options.json").write_text(json.dumps(record))
    found = gather([tmp_path])
    assert [run.seed for run in found.groups["aggressive-400"]] == [0, 1]
    assert not found.left_out


def claim(paper: str, better: str) -> Claim:
    return Claim("x", "3.1", paper, "", better, lambda _: None)


@pytest.mark.parametrize(
    ("paper", "better", "values", "verdict"),
    [
        ("96.7", "higher", [98.0], "ahead"),
        ("96.7", "higher", [96.74], "level"),
        ("96.7", "higher", [96.5], "behind"),
        ("96.7", "higher", [96.0, 97.0], "level"),  # mean 96.5, two deviations 1.4
        ("59.7", "lower", [24.0, 25.0], "ahead"),
        ("59.7", "lower", [70.0, 71.0], "behind"),
        ("173,745", "same", [173_745.4], "level"),
        ("173,745", "same", [173_746.0], "behind"),
    ],
)
def test_verdicts(paper, better, values, verdict):
    assert claim(paper, better).judge(Sample(values, [])) == verdict


def test_what_was_not_measured_is_open():
    assert {one.judge(one.ours(Results())) for one in CLAIMS} == {"open"}


@pytest.mark.parametrize(
    ("deviation", "digits"), [(0.0, 0), (0.104, 2), (0.5, 2), (5.3, 1), (53, 0)]
)
def test_digits_that_a_deviation_leaves(deviation, digits):
    assert digits_of(deviation) == digits


def test_numbers_are_those_of_the_files(results, runs):
    found = {one.what: one.ours(results) for one in CLAIMS}
    metrics = [json.loads((runs / name / METRICS).read_text()) for name in ("a0", "a1", "s0", "s1")]
    steps = [record["decision_step"] for record in metrics]
    assert found["Time steps to a decision, aggressive TTFS"].values == steps[:2]
    saved = found["Time saved against S4NN"]
    assert saved.values == pytest.approx([100 * (1 - steps[k] / steps[2 + k]) for k in (0, 1)])
    assert saved.deviation == pytest.approx(abs(saved.values[0] - saved.values[1]) / 2**0.5)
    neurons = found["Neurons of Spiking-GAN, the most spikes that it can issue"]
    assert neurons.values == [2470] and neurons.note == "100 + 400 + 784 + 784 + 400 + 2"
    assert found["Spikes per image, time-to-first-spike coding"].mean == pytest.approx(
        float((SOME.images > 0).double().sum(dim=(1, 2)).mean())
    )


def with_accuracy(results: Results, **accuracy: float) -> Results:
    """The same results, but with these strict and ties accuracies, by role's first letter."""
    groups = dict(results.groups)
    for role, runs in results.groups.items():
        if (share := accuracy.get(role[0])) and role.endswith("-400"):
            better = {"strict_accuracy": share, "ties_accuracy": share}
            groups[role] = [dataclasses.replace(run, metrics=run.metrics | better) for run in runs]
    return dataclasses.replace(results, groups=groups)


def test_no_verdict_on_what_an_inaccurate_network_costs(results):
    rows = {row.claim.what: row for row in map(lambda one: page._row(one, results), CLAIMS)}
    costs = [row for row in rows.values() if row.claim.accurate]
    assert len(costs) == 10 and {row.verdict for row in costs} == {"withheld"}
    assert "no verdict: accuracy is" in costs[0].origin and "the paper's 96.7 %" in costs[0].origin

    def verdicts(**accuracy: float) -> dict[str, str]:
        found = with_accuracy(results, **accuracy)
        return {one.what: page._row(one, found).verdict for one in CLAIMS if one.accurate}

    ours = verdicts(a=0.98)
    assert ours["Time steps to a decision, aggressive TTFS"] in ("ahead", "level", "behind")
    assert ours["Time steps to a decision, S4NN"] == ours["Time saved against S4NN"] == "withheld"
    assert ours["Spikes to a decision, ramp neurons"] == "withheld"
    assert "withheld" not in verdicts(a=0.96, s=0.98, r=0.96).values()


def test_no_verdict_where_the_paper_counts_the_most_there_can_be(results):
    for what in ("Spikes per image, time-to-first-spike coding", "Fewer spikes than with counts"):
        [row] = [page._row(one, results) for one in CLAIMS if one.what.startswith(what)]
        assert row.verdict == "withheld" and "ours a measured mean" in row.origin
        assert row.beside  # as the paper counts


def test_short_runs_are_marked(results, tmp_path):
    assert "short runs: 2 epochs in place of" in page._origin(results.groups["step-gan"])
    whole = results.groups["aggressive-400"]
    assert page._origin(whole) == "seeds 0, 1"
    short = dict(whole[1].run.options, epochs=1)
    mixed = [
        whole[0],
        dataclasses.replace(whole[1], run=dataclasses.replace(whole[1].run, options=short)),
    ]
    assert "; 1 of 2 runs short: 1 epoch in place of" in f"; {page._origin(mixed)}"
    assert "short runs" in write(results, tmp_path)


def test_what_was_not_measured_tells_the_commands(results, tmp_path):
    lacks = dict(results.groups)
    del lacks["ann-400"]
    lacks["s4nn-400"] = [dataclasses.replace(run, metrics={}) for run in lacks["s4nn-400"]]
    found = dataclasses.replace(results, groups=lacks, coding=None)
    rows = {row.claim.what: row for row in map(lambda one: page._row(one, found), CLAIMS)}
    dense = rows["Test accuracy, aggressive TTFS, 784-400-10, first class wins a tie"]
    assert dense.sample is not None and dense.missing == [
        "firstspike train ann-classifier --validation 0 --seed 0 --out runs/ann-400-seed0",
        "firstspike evaluate runs/ann-400-seed0 --split test",
    ]
    measure = [f"firstspike evaluate {run.run.path} --split test" for run in lacks["s4nn-400"]]
    assert rows["Time steps to a decision, S4NN"].missing == measure
    assert rows["Time saved against S4NN"].missing == measure
    assert rows["Spikes per image, spike-count coding"].missing == ["firstspike figures"]
    text = write(Results(), tmp_path)
    for command in (
        "train gan --neuron step --digit 0",
        "train classifier --hidden 1000",
        "evaluate runs/step-gan-0",
    ):
        assert f"firstspike {command}" in text
    for job in plan(FULL):
        if job.run:
            role = job.run.removeprefix("runs/").rpartition("-")[0]
            assert missing(role, Results())[0].startswith(f"firstspike train {job.arguments[1]} ")


def test_the_papers_means_are_drawn_into_its_figures(results, monkeypatch):
    drawn = {}
    monkeypatch.setattr(drawings, "from_figure", lambda draw, alt: drawn.update({alt: draw()}))
    for plate in PLATES:
        if plate.number in ("6a", "6b"):
            plate.draw(results)
    lines = {
        alt: {line.get_color(): line.get_ydata()[0] for line in figure.axes[0].lines}
        for alt, figure in drawn.items()
    }
    assert lines == {
        "time steps of each digit": {"C0": 89.7, "C1": 59.7},
        "spikes of each digit": {"C0": 218.3, "C1": 194},
    }
    names = [text.get_text() for text in figure_legend(drawn["spikes of each digit"])]
    assert names == ["S4NN", "aggressive TTFS"]


def figure_legend(figure) -> list:
    return figure.axes[0].get_legend().get_texts()


class Page(HTMLParser):
    """What a page refers to, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        names = ("src", "href", "srcset", "data", "poster")
        self.links += [values[name] for name in names if name in values]
        if tag not in ("meta", "img", "source", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def write(results: Results, folder: Path, **options) -> str:
    page.write(folder / "report.html", results, **{"outcomes": [], "quick": False} | options)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_holds_everything_and_fetches_nothing(results, tmp_path):
    text = write(results, tmp_path)
    parsed = Page(text)
    assert not parsed.open
    assert all(link.startswith(("#", "data:image/")) for link in parsed.links)
    assert "@import" not in text and "url(" not in text and "<script" not in text
    numbers = [
        "1a",
        "1b",
        "2",
        "3",
        "5",
        "6a",
        "6b",
        "7a",
        "7b",
        "8a",
        "8b",
        "8c",
        "8d",
        "8e",
        "9a",
        "9b",
    ]
    drawn = [number for number in numbers if number != "8e"]  # its twins have not been trained
    assert [name for name in parsed.ids if name.startswith("figure-")] == [
        f"figure-{n}" for n in numbers
    ]
    assert text.count("<img") == len(drawn) and text.count("Not drawn") == 1
    assert all(f"equation-{number}" in parsed.ids for number in range(1, 18))
    assert all(one.paper in text for one in CLAIMS)
    assert "firstspike train classifier --seed SEED" in text and "A quick look" not in text
    measured = "Fréchet distance 20.3, the right digit to an independent classifier 50.0%, coverage"
    figures = text[text.index('id="figures"') :]
    assert figures.count("Fréchet distance ") == 1 and measured in figures


def test_the_page_names_what_is_missing_failures_and_haste(tmp_path):
    failed = Outcome("train-gan-3", "firstspike train gan", "failed", 1.0, "<no such digit>")
    options = {"outcomes": [failed], "quick": True, "shortened": shortened(QUICK)}
    text = write(Results(left_out=["x: has not ended"]), tmp_path, **options)
    assert text.count("Not drawn: its runs have not been made") == 11
    further = sum(len(family.figures) for family in FAMILIES)
    told = len(CLAIMS) + further + 1  # and in the tally
    assert len(re.findall(r'class="chip open"', text)) == told
    assert "x: has not ended" in text
    assert "1 of 1 jobs gave" in text and "&lt;no such digit&gt;" in text
    assert "A quick look, not a result" in text and "with 2 seeds" in text


def test_a_damaged_run_costs_its_figures_only(runs, tmp_path):
    folder = shutil.copytree(runs, tmp_path / "runs")
    for file in (folder / "gan-3" / "samples").iterdir():
        file.write_bytes(b"")
    (folder / "a0" / "checkpoint" / "model.safetensors").write_bytes(b"")
    text = write(gather([folder]), tmp_path)
    assert text.count("Not drawn") == 3 and "damaged" in text


def test_the_plan_is_whole():
    for scale in (FULL, QUICK):
        jobs = plan(scale)
        names = [job.name for job in jobs]
        assert jobs[0] is CODINGS and len(set(names)) == len(names)
        for number, job in enumerate(jobs):
            assert set(job.needs) <= set(names[:number])
    of_gans = [job.arguments[0] for job in plan(FULL) if "gan" in job.name]
    assert of_gans == ["train", "evaluate"] * (
        40 + 2 * 3
    )  # three seeds with an auxiliary classifier


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_the_planned_commands_are_understood_and_play_their_part(scale, tmp_path, capsys):
    roles = set()
    for job in plan(scale):
        if job.run is None:
            continue
        assert cli.main([*job.arguments, "--dry-run"]) == 0
        run = RunDirectory(tmp_path, job.arguments[1], "", json.loads(capsys.readouterr().out))
        assert command_of(run).split()[1:] != [] and job.run.startswith(f"runs/{role_of(run)}")
        roles.add(role_of(run))
    classifiers = {"aggressive-400", "aggressive-1000", "s4nn-400", "ann-400"}
    classifiers |= {"ramp-400", "ann-784-400-10"}
    twins = {"cross-entropy-ann-gan", "relativistic-ann-gan"}
    further = [one for one in FAMILIES if scale.families is None or one.role in scale.families]
    pairs = {role for family in further for role in (family.role, family.twin)}
    assert roles == classifiers | twins | {"step-gan", "ramp-gan"} | pairs
    assert len(pairs) == 2 * len(scale.families or FAMILIES)
