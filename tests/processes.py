"""Code that needs a Python process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(code, **environment):
    """Run ``code`` in a new process that sees the package and the tests."""
    folder = Path(__file__).parent
    own = [str(path) for path in (folder, *folder.iterdir()) if path.is_dir()]
    paths = [*own, str(folder.parent / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
