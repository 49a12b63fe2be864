"""Jobs are Python snippets here, where firstspike has commands."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firstspike.runs.jobs import Job, cores, execute, locked

SNIPPET = (sys.executable, "-c", "import sys; exec(sys.argv[1])")


def write(name: str, then: str = "") -> str:
    return f"open({name!r}, 'a').write('x'); {then}"


def run(jobs, folder, workers=2):
    seen = []

    def watch(running, outcomes):
        seen.append((tuple(running), len(outcomes)))

    outcomes = execute(jobs, folder, workers, watch, SNIPPET)
    return [one.state for one in outcomes], outcomes, seen


def test_jobs_wait_for_what_they_need(tmp_path):
    jobs = [
        Job("a", (write("a"),), "a"),
        Job("b", ("assert open('a').read() == 'x'; " + write("b"),), "b", needs=("a",)),
    ]
    states, _, seen = run(jobs, tmp_path)
    assert states == ["done", "done"]
    assert [names for names, _ in seen if names] == [("a",), ("b",)]


def test_what_is_finished_is_kept(tmp_path):
    jobs = [Job("a", (write("a"),), "a")]
    assert run(jobs, tmp_path)[0] == ["done"]
    assert run(jobs, tmp_path)[0] == ["kept"]
    assert (tmp_path / "a").read_text() == "x"


def test_a_failure_takes_only_those_with_it_that_need_it(tmp_path):
    jobs = [
        Job("a", ("print('before'); raise SystemExit('no such digit')",), "a"),
        Job("b", (write("b"),), "b", needs=("a",)),
        Job("c", (write("c"),), "c", needs=("b",)),
        Job("d", (write("d"),), "d"),
        Job("e", ("print('fine')",), "e"),
        Job("f", ("import os; os.kill(os.getpid(), 9)",), "f"),
    ]
    states, outcomes, _ = run(jobs, tmp_path)
    assert states == ["failed", "skipped", "skipped", "done", "failed", "failed"]
    reasons = [one.reason for one in outcomes]
    assert reasons[0] == "no such digit"
    assert reasons[1] == "needs a, which failed" and reasons[2] == "needs b, which failed"
    assert reasons[4] == "left no e; its last line: fine" and reasons[5] == "killed by signal 9"
    assert (tmp_path / "logs" / "a.log").read_text() == "before\nno such digit\n"
    assert not (tmp_path / "b").exists()


def test_a_failure_without_a_word_on_a_full_disk_is_told(tmp_path, monkeypatch):
    silent = [Job("a", ("raise SystemExit(2)",), "a")]
    assert run(silent, tmp_path)[1][0].reason == "no output"
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    assert "the disk is full; make room" in run(silent, tmp_path)[1][0].reason


def test_as_many_at_a_time_as_there_are_workers(tmp_path):
    jobs = [Job(name, (write(name),), name) for name in "abcde"]
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        states, _, seen = run(jobs, folder, workers)
        assert states == ["done"] * 5
        assert max(len(names) for names, _ in seen) == workers


def test_a_training_that_has_begun_is_resumed(tmp_path):
    job = Job("a", ("train", "gan", "--seed", "1", "--out", "run"), "run/summary.json", run="run")
    assert job.arguments_in(tmp_path) == job.arguments
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "options.json").write_text("{}")
    assert job.arguments_in(tmp_path) == ("train", "gan", "--resume", "run")


def test_jobs_have_one_thread(tmp_path):
    code = "import json, os; json.dump(dict(os.environ), open('a', 'w'))"
    run([Job("a", (code,), "a")], tmp_path)
    environment = json.loads((tmp_path / "a").read_text())
    assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == "1"


def test_an_interruption_ends_the_jobs(tmp_path):
    job = Job("a", ("import time; " + write("begun") + "time.sleep(60)",), "a")

    def watch(running, outcomes):
        while running and not (tmp_path / "begun").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        execute([job], tmp_path, 1, watch, SNIPPET)
    assert time.monotonic() - started < 30


def test_there_is_at_least_one_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)


PARENT = """
import sys
from pathlib import Path
from firstspike.runs.jobs import Job, execute, locked
folder = Path(sys.argv[1])
code = "import time; open('begun', 'w'); time.sleep(1); open('ended', 'w')"
with locked(folder, lambda: None):
    snippet = (sys.executable, "-c", "import sys; exec(sys.argv[1])")
    execute([Job("a", (code,), "ended")], folder, 1, lambda *_: None, snippet)
"""


@pytest.mark.skipif(os.name != "posix", reason="locks are of POSIX")
def test_jobs_of_a_killed_process_end_before_the_next_one_starts(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        parent.send_signal(signal.SIGKILL)
    waited = []
    with locked(tmp_path, lambda: waited.append(True)):
        assert (tmp_path / "ended").exists()
    assert waited


def test_the_lock_is_free_again(tmp_path):
    for _ in range(2):
        with locked(tmp_path, lambda: pytest.fail("waits for nobody")):
            assert Path(tmp_path, "lock").exists() or os.name != "posix"
