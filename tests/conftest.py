"""What several test modules use."""

from __future__ import annotations

import os

import pytest

from firstspike import cli


def pytest_configure() -> None:
    """Workers side by side share the cores: threads that wait for another worker's spin."""
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
        threads = max(1, (os.cpu_count() or 1) // workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read as PyTorch is imported


@pytest.fixture
def firstspike(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # output goes to a pipe

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # of tyro
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run
