"""Write docs/cli.md: the help of every command, as the program prints it.

python tools/write_cli_reference.py
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from firstspike import cli

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 84
UNLISTED: dict[tuple[str, ...], list[str]] = {
    ("sweep",): ["show"]
}  # commands below one that takes a file or a folder itself
HEAD = """# Command line

What `--help` prints, command by command. This page is written by `tools/write_cli_reference.py`.
"""


def page() -> str:
    """The content of the page."""
    return HEAD + "".join(_section(command) for command in _commands(()))


def _commands(command: tuple[str, ...]) -> list[tuple[str, ...]]:
    """A command, and all those below it."""
    _, _, subcommands = _help(command).partition("\n subcommands")
    names = re.findall(r"• ([\w-]+)", subcommands) + UNLISTED.get(command, [])
    return [command, *(below for name in names for below in _commands((*command, name)))]


def _section(command: tuple[str, ...]) -> str:
    title = " ".join(("firstspike", *command))
    return f"\n## {title}\n\n```text\n{_help(command)}\n```\n"


def _help(command: tuple[str, ...]) -> str:
    """What a command prints if it is asked for help."""
    os.environ["COLUMNS"] = str(WIDTH)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        cli.main([*command, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
