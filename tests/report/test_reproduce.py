"""The commands ``figures`` and ``reproduce``."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firstspike import cli
from firstspike.report import reproduction as reproduce
from firstspike.report.plan import Scale, plan
from firstspike.runs.jobs import Job


@pytest.fixture
def firstspike(capfd, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main([*map(str, arguments)])
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_figures_are_drawn_and_spikes_counted(firstspike, tmp_path, suffix):
    code, out, err = firstspike("figures", "--out", "f", "--format", suffix)
    assert (code, err) == (0, "") and "26174.59" in out
    names = [f"figure-{number}.{suffix}" for number in ("1a", "1b", "2", "3", "5")]
    assert sorted(file.name for file in Path("f").iterdir()) == [*names, "metrics.json"]
    assert json.loads(Path("f/metrics.json").read_text())["images"] == 70_000


def test_gathering_writes_a_page_and_runs_no_training(firstspike, tmp_path):
    (tmp_path / "runs").mkdir()
    code, out, err = firstspike("reproduce", "--from", "runs", "--out", "all")
    assert (code, err) == (0, "")
    assert "figures: done" in out and "page: all/report.html" in out
    text = Path("all/report.html").read_text(encoding="utf-8")
    assert "<b>173,745</b>" in text and "<b>26,175</b>" in text
    assert not list((tmp_path / "runs").iterdir())


def test_bad_input_is_one_line_and_leaves_nothing(firstspike, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "plan.json").write_text('{"jobs": {}}')
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for arguments, wanted in (
        (("--from", "nowhere"), "nowhere: no such folder"),
        (("--from", "other", "--quick"), "--quick"),
        (("--from", "other", "--out", "file"), "file: cannot be written"),
    ):
        code, _, err = firstspike("reproduce", *arguments)
        assert code == cli.USAGE_ERROR and wanted in err and err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
    code, _, err = firstspike("reproduce", "--quick", "--out", "other")
    assert code == 2 and "other: holds another reproduction" in err


def test_failures_are_told_and_the_page_is_there(firstspike, monkeypatch):
    bad = Job(
        "train-gan-x", ("train", "gan", "--digit", "x", "--out", "runs/x"), "runs/x/summary.json"
    )
    after = Job("evaluate-x", ("evaluate", "runs/x"), "runs/x/metrics.json", needs=("train-gan-x",))
    monkeypatch.setattr(reproduce, "plan", lambda _: [bad, after])
    code, _, err = firstspike("reproduce", "--out", "all")
    assert code == 2 and err.count("\n") == 1
    assert "2 of 2 jobs gave nothing, train-gan-x first: firstspike: digit x is not in" in err
    text = Path("all/report.html").read_text(encoding="utf-8")
    assert "needs train-gan-x, which failed" in text and "digit x is not in" in text


FAMILIES = {
    "translate-outline": (),
    "detect": ("--canvases", "40", "--epochs", "1"),
}
TINY = Scale(1, 1, (3,), epochs=1, online_epochs=1, ramp_epochs=1, gan_epochs=2, families=FAMILIES)
PROGRAM = f"""
import sys
from firstspike import cli
from firstspike.report import reproduction as reproduce
from firstspike.report.plan import Scale
reproduce.QUICK = {TINY}
sys.exit(cli.main(["reproduce", "--quick", "--out", "all"]))
"""


@pytest.mark.slow
def test_a_killed_reproduction_is_resumed(tmp_path):
    """Everything once, in the shortest way: killed in its first training, then ended."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=tmp_path) as parent:
        while not (tmp_path / "all" / "runs" / "step-gan-3" / "checkpoint").exists():
            time.sleep(0.1)
        os.kill(parent.pid, signal.SIGKILL)
    assert subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path).returncode == 0
    text = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    paper, beyond = text.split('id="beyond"')
    beyond, figures = beyond.split('id="figures"')
    for part in (paper, figures):
        assert "Not drawn" not in part and "not measured" not in part
    assert "A quick look" in text and beyond.count("how it was made") == len(FAMILIES)
    assert len(list((tmp_path / "all" / "logs").glob("*.log"))) == len(plan(TINY))
