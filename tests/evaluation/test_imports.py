"""What only figures, distances or the report need is imported when they do, not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "torchmetrics", "jinja2", "latex2mathml")


@pytest.mark.parametrize("code", ["import firstspike", "import firstspike.cli"])
def test_heavy_packages_are_not_imported_at_the_start(code):
    check = f"{code}; import sys; sys.exit(', '.join(set({HEAVY}) & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert not done.stderr and done.returncode == 0
