"""One writer a folder, on every system; readers that meet what vanishes."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from idx import write_digits
from processes import run_python

import firstspike as fs
from firstspike import cli
from firstspike.commands.train_set import DigitSet
from firstspike.runs import files, locks, overview
from firstspike.runs.directory import RunDirectory
from firstspike.shape import MNIST
from firstspike.sweeps.directory import SweepDirectory
from firstspike.sweeps.space import Plan
from firstspike.training import loop


def take(folder):
    with locks.held(folder):
        pass


@pytest.fixture(params=["posix", "elsewhere"])
def system(request, monkeypatch):
    if request.param == "elsewhere":
        monkeypatch.setattr(locks, "fcntl", None)
    elif locks.fcntl is None:
        pytest.skip("no POSIX locks here")
    return request.param


def test_the_second_is_told_and_nothing_stays(tmp_path, system):
    with locks.held(tmp_path):
        with pytest.raises(ValueError, match=f"^{tmp_path}: another process is writing there"):
            take(tmp_path)
        assert (tmp_path / "lock").exists()
    assert not list(tmp_path.iterdir())
    take(tmp_path)


def test_a_lock_file_that_a_kill_left(tmp_path, system):
    (tmp_path / "lock").write_text("")
    if system == "posix":
        with locks.held(tmp_path):
            return
    with pytest.raises(ValueError, match=f"or remove {tmp_path / 'lock'} if there is none"):
        take(tmp_path)


@pytest.mark.skipif(locks.fcntl is None, reason="no POSIX locks here")
def test_who_waits_gets_in(tmp_path):
    waiting, order = threading.Event(), []

    def second():
        with locks.held(tmp_path, waiting.set):
            order.append("second")

    with locks.held(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"none: cannot be written: .*; choose another place"):
        take(tmp_path / "none")


@pytest.mark.parametrize("way", ["link", "no link", "nt"])
def test_a_file_is_created_by_one(tmp_path, monkeypatch, way):
    def refused(*_):
        raise OSError(errno.EPERM, "no links here")

    if way == "no link":
        monkeypatch.setattr(os, "link", refused)
    if way == "nt":
        monkeypatch.delattr(os, "link")
    file = tmp_path / "file"
    files.create(file, b"first")
    with pytest.raises(FileExistsError):
        files.create(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_of_two_that_create_a_run_one_wins(tmp_path, monkeypatch):
    create = files.create

    def create_second(file, content):
        monkeypatch.setattr(files, "create", create)
        RunDirectory.create(file.parent, "gan", {"seed": 1})
        create(file, content)

    monkeypatch.setattr(files, "create", create_second)
    with pytest.raises(ValueError, match="holds another run"):
        RunDirectory.create(tmp_path / "run", "gan", {"seed": 2})
    assert RunDirectory.open(tmp_path / "run").options == {"seed": 1}
    assert [it.name for it in (tmp_path / "run").iterdir()] == ["options.json"]


def test_a_failure_removes_only_folders_of_its_own(tmp_path, monkeypatch):
    def fail(file, content):
        (file.parent / "theirs").write_text("")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "create", fail)
    with pytest.raises(ValueError, match="cannot be written: No space"):
        RunDirectory.create(tmp_path / "a" / "run", "gan", {})
    assert (tmp_path / "a" / "run" / "theirs").exists()


def test_temporary_files_that_vanish_do_not_stop_a_list(tmp_path, monkeypatch):
    RunDirectory.create(tmp_path / "run", "gan", {})
    RunDirectory.create(tmp_path / "gone", "gan", {})
    (tmp_path / "run" / ".options.1-2.tmp.json").symlink_to(tmp_path / "run" / "vanished")
    open_run = RunDirectory.open.__func__

    def vanish(cls, path):
        (tmp_path / "gone" / "options.json").unlink(missing_ok=True)
        return open_run(cls, path)

    monkeypatch.setattr(RunDirectory, "open", classmethod(vanish))
    found = {run.path.name: run.state for run in overview.find(tmp_path)}
    assert found["run"] == "resumable"


@pytest.fixture
def strict(monkeypatch):
    """Files that are open cannot be removed or replaced, as on Windows."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not tell which files are open")
    monkeypatch.setattr(locks, "fcntl", None)

    def is_open(path):
        names = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
        return os.path.realpath(path) in map(os.path.realpath, names)

    def guarded(act):
        def guard(*paths, **options):
            if used := next(filter(is_open, paths), None):
                raise PermissionError(errno.EACCES, "used by another process", str(used))
            return act(*paths, **options)

        return guard

    for name in ("unlink", "remove", "rename", "replace"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


def fail(*_, **__):
    raise ValueError("the first fault")


def test_a_failed_start_is_told_and_leaves_nothing_where_open_files_stay(
    tmp_path, monkeypatch, strict
):
    write_digits(tmp_path, digits=2, train=10, test=3)
    before = sorted(tmp_path.rglob("*"))
    images = fs.load_images(tmp_path)
    monkeypatch.setattr(loop, "train", fail)
    options = {"hidden": 8, "epochs": 1, "run": tmp_path / "new" / "run"}
    with pytest.raises(ValueError, match=r"^the first fault"):
        fs.fit("ann-classifier", images, **options)
    words = f"train ann-classifier --data {tmp_path} --hidden 8 --validation 0.2 --out"
    assert cli.main([*words.split(), str(tmp_path / "new" / "run")]) == cli.USAGE_ERROR
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    fs.fit("ann-classifier", images, **options)


def begin_run(path):
    RunDirectory.create(path, "gan", {})


def begin_sweep(path):
    SweepDirectory(path, "ann-classifier", Plan(), {}, {"0": {"seed": 0}}, MNIST).begin()


def begin_set(path):
    DigitSet(path, "gan", ["0"], {}).begin()


@pytest.mark.parametrize("begin", [begin_run, begin_sweep, begin_set])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_start_that_fails_leaves_no_folder(tmp_path, monkeypatch, begin, fault):
    def fail(file, content):
        raise fault

    monkeypatch.setattr(files, "write", fail)
    (tmp_path / "kept").mkdir()
    for place in ("new/deep", "kept"):
        with pytest.raises((ValueError, KeyboardInterrupt)):
            begin(tmp_path / place)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_a_copy_that_fails_where_there_are_no_links_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "link")
    read = Path.read_bytes

    def fail(path):
        raise OSError(errno.EIO, "no reading")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="no reading"):
        files.create(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "read_bytes", read)
    files.create(tmp_path / "file", b"content")


def test_of_two_that_fill_a_folder_one_is_told(tmp_path):
    told = r"x: is not an empty folder; choose another$"
    with pytest.raises(ValueError, match=told), files.saving_folder(tmp_path / "x") as place:
        (place / "mine").write_text("")
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "theirs").write_text("")
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "theirs"]


def test_systems_without_locks_forks_syncs_and_affinity(tmp_path):
    """What only POSIX has is taken away before the package is imported."""
    run_python(
        "import os, sys, torch\n"
        "sys.modules['fcntl'] = sys.modules['resource'] = None\n"
        "for name in ('register_at_fork', 'fork', 'fsync', 'link', 'sched_getaffinity'):\n"
        "    if hasattr(os, name): delattr(os, name)\n"
        "from pathlib import Path\n"
        "import firstspike as fs\n"
        "from firstspike import cli\n"
        "from firstspike.runs import jobs\n"
        "from firstspike.runs.directory import RunDirectory\n"
        f"place = Path({str(tmp_path)!r})\n"
        "assert fs.fire(torch.zeros(8, 3), torch.ones(4, 3), impl='numba').eq(1).all()\n"
        "run = RunDirectory.create(place / 'run', 'gan', {})\n"
        "with run.writing():\n"
        "    run.append_stats({'epoch': 1})\n"
        "    run.save_checkpoint({'g': torch.nn.Linear(2, 2)}, {}, {'epoch': 1})\n"
        "assert run.check_checkpoint() == {'epoch': 1}\n"
        "with jobs.locked(place, lambda: None): pass\n"
        "assert jobs.cores() >= 1\n"
        "assert sorted(it.name for it in place.iterdir()) == ['run']\n"
    )


def test_a_training_where_only_what_every_system_has_is_there(tmp_path):
    write_digits(tmp_path, digits=2, train=10, test=3)
    run_python(
        "import os, signal, sys, torch\n"
        "sys.modules['fcntl'] = sys.modules['resource'] = sys.modules['termios'] = None\n"
        "gone = ('register_at_fork', 'fork', 'fsync', 'link', 'sched_getaffinity')\n"
        "for module, names in ((os, gone), (signal, ('SIGHUP', 'SIGXCPU', 'SIGKILL'))):\n"
        "    for name in names:\n"
        "        if hasattr(module, name): delattr(module, name)\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "from firstspike import cli\n"
        "train = ['train', 'classifier', '--data', '.', '--hidden', '8', '--epochs', '1']\n"
        "assert cli.main([*train, '--validation', '0.2', '--out', 'run']) == 0\n"
        "again = ['train', 'classifier', '--resume', 'run', '--more-epochs', '1']\n"
        "assert cli.main(again) == 0\n"
        "assert cli.main(['evaluate', 'run', '--split', 'test']) == 0\n"
        "assert cli.main(['runs', '.']) == 0\n"
        "assert not os.path.exists('run/lock')\n"
    )
    assert (tmp_path / "run" / "evaluation-test" / "metrics.json").is_file()
