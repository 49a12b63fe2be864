"""``firstspike completion``: what makes a shell complete commands, options and choices."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

_DATA = "COMPLETION_SPEC = "


@dataclass(frozen=True)
class Completion:
    """Print a script with which a shell completes commands, options and choices of this version."""

    shell: Positional[Literal["bash", "zsh"]]
    """The shell; docs/scripts.md says where it looks for such scripts."""

    def __call__(self) -> None:
        # tyro knows the whole command line only where that is parsed: in a process of its own.
        command = [sys.executable, "-m", "firstspike", "--tyro-print-completion", self.shell]
        script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print("\n".join(map(_on_one_line, script.splitlines())))


def _on_one_line(line: str) -> str:
    """A line in which no help has line feeds, which bash would take for the end of a word."""
    return line.replace("\\n", " ") if line.startswith(_DATA) else line
