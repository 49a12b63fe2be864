"""Processes: code that needs one of its own, and the end of one in the midst of work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Kill(BaseException):
    """Ends the process, as far as the code under test can tell."""


def run(*arguments: object, cwd: Path | None = None, path: Path | None = None, **environment: str):
    """Run Python with these arguments in a new process; a warning is an error.

    Args:
        arguments: of Python.
        cwd: where it runs.
        path: a folder whose modules it finds, besides the package and the tests.
        environment: variables more.

    Returns:
        What it printed.
    """
    tests = ROOT / "tests"
    own = [folder for folder in (tests, *tests.iterdir()) if folder.is_dir()]
    places = [*([path] if path else []), *own, ROOT / "src", os.environ.get("PYTHONPATH", "")]
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment = {**inherited, **environment, "PYTHONPATH": os.pathsep.join(map(str, places))}
    result = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_python(code, **environment):
    """Run code in a new process, which finds the package and the tests; what it printed."""
    return run("-c", code, **environment)
