"""What several test modules use."""

from __future__ import annotations

import pytest

from firstspike import cli


@pytest.fixture
def firstspike(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # of tyro
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run
