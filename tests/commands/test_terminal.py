"""Terminals of any encoding and width, closed pipes, interruptions; ``~``; help of sub-commands."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import untrained
from rich.console import Console

from firstspike import cli
from firstspike.commands import terminal
from firstspike.commands.terminal import Patient, Stopped, patient
from firstspike.report import reproduction
from firstspike.training import loop
from firstspike.training.progress import TrainingBar
from firstspike.training.trainer import Progress, Trainer

STATS = {"train_accuracy": 0.5, "validation_set_accuracy": 0.25}


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", rb"\xfc \u2192 x"), ("cp932", rb"\xfc"), ("utf-8", "ü".encode())],
)
def test_letters_that_an_encoding_lacks(encoding, shown):
    raw = stream(encoding)
    out = Patient(raw)
    print("ü → x", file=out)
    out.flush()
    assert raw.buffer.getvalue().startswith(shown)
    assert out.encoding == encoding


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_a_bar_in_any_encoding(encoding, monkeypatch):
    raw = stream(encoding)
    monkeypatch.setattr(sys, "stdout", raw)
    with patient():
        console = Console(force_terminal=True, width=80, legacy_windows=False)
        with TrainingBar(3, console) as bar:
            bar(Progress(1, 1, 2, 5, STATS))
            bar(Progress(1, 2, 2, 0, STATS, ended=True))
    assert sys.stdout is raw
    assert b"epoch 1" in raw.buffer.getvalue()


@pytest.mark.parametrize("width", [80, 50, 36])
def test_a_bar_in_any_width(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with TrainingBar(30, console) as bar:
        bar(Progress(2, 1, 2, 5, STATS))
        bar._bar.refresh()
        table = bar._bar.make_tasks_table(bar._bar.tasks)
        lines = [
            "".join(part.text for part in line).rstrip()
            for line in console.render_lines(table, pad=False)
        ]
        bar(Progress(2, 2, 2, 0, STATS, ended=True))
    [line] = lines
    assert line.startswith("epoch 2/30")
    assert "--:--" in line
    assert len(line) <= width
    assert "epoch 2: " in out.getvalue()
    assert "held out 25.0%" in out.getvalue()


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_closed_pipe_ends_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Closed())
    with patient():
        print("lost")
        print("as well", flush=True)


@pytest.mark.skipif(os.name != "posix", reason="pipes as of POSIX")
def test_a_command_whose_reader_has_gone_does_its_work(tmp_path):
    untrained.run(tmp_path / "run", "gan", t_max=8, latent_last=7)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "firstspike", "generate", "run", "--count", "2"]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "samples.png").exists()


def test_without_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with patient():
        print("nowhere")


def test_an_interruption_names_the_command_that_goes_on(firstspike, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", stop)
    small = "--digit", "3", "--epochs", "1"
    code, _, said = firstspike("train", "gan", *small, "--out", "a run")
    assert code == cli.INTERRUPTED
    assert said.strip() == (
        "firstspike: stopped; it goes on with: firstspike train gan --resume 'a run'"
    )
    assert not (tmp_path / "a run" / "lock").exists()


@pytest.mark.parametrize(
    ("more", "extra"), [(("--log", "csv"), " --log csv"), (("--device", "auto"), " --device auto")]
)
def test_the_command_goes_on_in_the_same_way(firstspike, monkeypatch, more, extra):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", stop)
    small = "--digit", "3", "--epochs", "1", "--out", "run"
    _, _, said = firstspike("train", "ann-gan", *small, *more)
    assert said.strip().endswith(f"firstspike train ann-gan --resume run{extra}")


def test_an_interrupted_reproduction_names_its_command(firstspike, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "reproduce", stop)
    for words in ("reproduce", "reproduce --quick --out a", "reproduce --out b --from c"):
        code, _, said = firstspike(*words.split())
        assert code == cli.INTERRUPTED
        assert said.strip() == f"firstspike: stopped; it goes on with: firstspike {words}"


SIGNALS = [name for name in terminal.ENDING if hasattr(signal, name)]


def hit(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(5)  # the handler runs at once


@pytest.mark.skipif(os.name != "posix", reason="os.kill as of POSIX")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_that_ends_a_training_is_told(firstspike, monkeypatch, tmp_path, name):
    monkeypatch.setattr(loop, "train", lambda *_: hit(name))
    before = signal.signal(getattr(signal, name), signal.SIG_DFL)  # nohup may run these tests
    try:
        code, _, said = firstspike("train", "gan", "--digit", "3", "--epochs", "1", "--out", "run")
        assert signal.getsignal(getattr(signal, name)) == signal.SIG_DFL
    finally:
        signal.signal(getattr(signal, name), before)
    assert code == 128 + getattr(signal, name)
    assert said.strip() == (
        f"firstspike: stopped by {name}; it goes on with: firstspike train gan --resume run"
    )
    assert not (tmp_path / "run" / "lock").exists()


@pytest.mark.skipif(os.name != "posix", reason="os.kill as of POSIX")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(firstspike, monkeypatch, name):
    number, met = getattr(signal, name), []
    monkeypatch.setattr(cli.Runs, "__call__", lambda _: met.append(os.kill(os.getpid(), number)))
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert firstspike("runs") == (0, "", "")
    finally:
        signal.signal(number, before)
    assert met == [None]


def test_without_these_signals_and_outside_the_main_thread(monkeypatch):
    met = []

    def enter() -> None:
        with terminal.attentive():
            met.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    for name in SIGNALS:
        if name != "SIGTERM":
            monkeypatch.delattr(signal, name)
    enter()
    assert met[0] == signal.SIG_DFL and met[1] != signal.SIG_DFL


def test_an_interruption_of_anything_else(firstspike, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Runs, "__call__", stop)
    assert firstspike("runs") == (cli.INTERRUPTED, "", "\nfirstspike: stopped\n")
    assert issubclass(Stopped, KeyboardInterrupt)
    assert terminal.__doc__


@pytest.mark.parametrize("width", ["1", "4"])
def test_help_and_mistakes_end_in_any_width(firstspike, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    assert firstspike("export", "--help")[0] == 0
    assert firstspike("export", "--no-such")[0] == cli.USAGE_ERROR
    assert os.environ["COLUMNS"] == width


def test_names_of_files_do_not_move_the_cursor(firstspike, tmp_path):
    code, _, said = firstspike("train", "gan", "--data", "a\x1b[2J\nb")
    assert (code, said.count("\n")) == (cli.USAGE_ERROR, 1)
    assert r"a\x1b[2J\nb: no such folder" in said
    untrained.run(tmp_path / "runs" / "\x1b[2J", "ann-gan")
    (tmp_path / "runs" / "\x1b[2J" / "stats.jsonl").write_text("rubbish\n")
    code, out, said = firstspike("runs")
    assert (code, said) == (0, "")
    assert "\x1b" not in out and out.count(r"\x1b[2J") == 2


def test_home_is_expanded_everywhere(firstspike, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    untrained.run(tmp_path / "home" / "run", "gan", t_max=8, latent_last=7)
    for number, out in enumerate(("--out=~/a.png", "--out ~/b.png")):
        code, _, said = firstspike("generate", "~/run", "--count", "2", *out.split())
        assert (code, said) == (0, "")
        assert (tmp_path / "home" / f"{'ab'[number]}.png").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("words", "help_of"),
    [("train gan --hiden 3", "train gan"), ("generate --cont 3", "generate"), ("trai", "")],
)
def test_a_mistake_points_to_the_help_of_its_command(firstspike, words, help_of):
    code, _, said = firstspike(*words.split())
    assert code == cli.USAGE_ERROR
    assert f"run firstspike {help_of} --help".replace("  ", " ") in " ".join(said.split())


def test_what_a_failed_start_made_goes(firstspike, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "broken.py").write_text("def logger(folder):\n    raise OSError('no')\n")
    for out in ("new/deep/run", "kept/run"):
        code, _, said = firstspike("train", "gan", "--log", "math.sqrt", "--out", out)
        assert code == cli.USAGE_ERROR
        assert said.count("\n") == 1
    assert sorted(it.name for it in tmp_path.iterdir()) == ["broken.py", "kept"]
    assert not list(Path(tmp_path / "kept").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="closed streams as of POSIX")
@pytest.mark.parametrize("words", ["--help", "runs ."])
def test_a_process_without_any_stream(tmp_path, words):
    untrained.run(tmp_path / "run", "ann-gan")
    command = [sys.executable, "-m", "firstspike", *words.split()]
    closed = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", closed, "sh", *command], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_an_interruption_that_became_another_error(firstspike, monkeypatch):
    def stop(_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__") from error

    monkeypatch.setattr(cli.Runs, "__call__", stop)
    assert firstspike("runs") == (cli.INTERRUPTED, "", "\nfirstspike: stopped\n")


@pytest.mark.skipif(os.name != "posix", reason="os.kill as of POSIX")
def test_an_interruption_that_an_import_swallowed(firstspike, monkeypatch):
    def stop(_):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            pass
        raise ValueError("too many values to unpack")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(cli.Runs, "__call__", stop)
    try:
        assert firstspike("runs") == (cli.INTERRUPTED, "", "\nfirstspike: stopped\n")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name != "posix", reason="os.kill as of POSIX")
def test_an_interruption_while_the_command_line_is_imported(tmp_path):
    (tmp_path / "tyro.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise RuntimeError('too late')\n"
    )
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.path.insert(0, {str(tmp_path)!r}); from firstspike.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (cli.INTERRUPTED, "\nfirstspike: stopped\n")


LONG = 300 * "a"  # more letters than names of files may have


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("evaluate run --add-pj -1", "add_pj must not be negative"),
        ("evaluate run --mac-pj inf", "mac_pj must be positive"),
        ("evaluate run --out file/x", "cannot be a folder"),
        ("generate run --out file/x.png", "cannot be a folder"),
        ("export run file/x.nir --part generator", "cannot be a folder"),
        (f"evaluate run --out {LONG}", "File name too long"),
        (f"generate run --out {LONG}.png", "File name too long"),
        (f"export run {LONG}.nir --part generator", "File name too long"),
        ("generate run --out taken.png", "taken.png: is a folder"),
    ],
)
def test_what_can_be_known_is_said_before_work_starts(
    firstspike, monkeypatch, tmp_path, words, wanted
):
    untrained.run(tmp_path / "run", "gan")
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.png").mkdir()
    monkeypatch.setattr(Trainer, "restored", lambda *_: pytest.fail("works"))
    code, _, said = firstspike(*words.split())
    assert code == cli.USAGE_ERROR and said.count("\n") == 1
    assert wanted in said


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("can't allocate memory: you tried to allocate 8 bytes"), "allocate 8 bytes"),
    ],
)
def test_too_little_memory_is_told_in_a_line(firstspike, monkeypatch, error, told):
    def fails():
        raise error

    monkeypatch.setattr(cli, "_parse", lambda arguments: fails)
    code, _, said = firstspike("models")
    assert code == cli.USAGE_ERROR and told in said and said.count("\n") == 1


def test_other_errors_stay_as_they_are(firstspike, monkeypatch):
    monkeypatch.setattr(cli, "_parse", lambda arguments: lambda: [][0])
    with pytest.raises(IndexError):
        firstspike("models")
