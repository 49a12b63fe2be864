"""The command line: parse, call, and one line for what went wrong."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any, Protocol

# Idle threads of PyTorch and Numba sleep instead of spinning: each has a pool of its own, and a
# spinning one takes the cores from the other. Must be set before either is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from firstspike._version import __version__
from firstspike.commands import train
from firstspike.commands.compare import Compare
from firstspike.commands.convert import Convert
from firstspike.commands.demo import Demo
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.export import Export
from firstspike.commands.figures import Figures
from firstspike.commands.generate import Generate
from firstspike.commands.reproduce import Reproduce
from firstspike.commands.runs import Runs

USAGE_ERROR = 2  # exit code for a user's mistake, as of tyro
INTERRUPTED = 130


class Command(Protocol):
    """A parsed command line, ready to run."""

    def __call__(self) -> None: ...


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 after one line on stderr if the input was wrong."""
    warnings.showwarning = _show_warning
    try:
        _parse(sys.argv[1:] if arguments is None else arguments)()
    except (ValueError, OSError) as error:
        print(f"firstspike: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nfirstspike: stopped; a training goes on with --resume RUN", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parse(arguments: list[str]) -> Command:
    """The command that the arguments describe; tyro prints help and mistakes, and exits."""
    if arguments == ["--version"]:
        return lambda: print(__version__)
    command: Any = (
        train.command(arguments)
        | Annotated[Generate, subcommand("generate")]
        | Annotated[Convert, subcommand("convert")]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Export, subcommand("export")]
        | Annotated[Runs, subcommand("runs")]
        | Annotated[Compare, subcommand("compare")]
        | Annotated[Figures, subcommand("figures")]
        | Annotated[Reproduce, subcommand("reproduce")]
        | Annotated[Demo, subcommand("demo")]
    )
    parsed: Command = tyro.cli(
        command,
        prog="firstspike",
        description="Networks in which every neuron spikes at most once.",
        args=arguments,
        config=(OmitArgPrefixes, OmitSubcommandPrefixes),
    )
    return parsed


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the place in our source."""
    print(f"firstspike: warning: {message}", file=sys.stderr)
