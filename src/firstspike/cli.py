"""The command line: parse, call, and one line for what went wrong."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any, Protocol

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from firstspike._version import __version__
from firstspike.commands import train
from firstspike.commands.compare import Compare
from firstspike.commands.completion import Completion
from firstspike.commands.convert import Convert
from firstspike.commands.data import Data
from firstspike.commands.demo import Demo
from firstspike.commands.doctor import Doctor
from firstspike.commands.evaluate import Evaluate
from firstspike.commands.export import Export
from firstspike.commands.figures import Figures
from firstspike.commands.generate import Generate
from firstspike.commands.models import Models
from firstspike.commands.reproduce import Reproduce
from firstspike.commands.runs import Runs
from firstspike.commands.sweep import Show, Sweep
from firstspike.commands.terminal import attentive, ending, interruption, patient, wide_enough
from firstspike.words import in_a_line

USAGE_ERROR = 2  # exit code for a user's mistake, as of tyro
INTERRUPTED = 130  # by Ctrl-C; by another signal 128 and its number


class Command(Protocol):
    """A parsed command line, ready to run; returns its exit code, where None is 0."""

    def __call__(self) -> int | None: ...


COMMANDS: dict[str, Any] = {
    "sweep": Sweep,
    "generate": Generate,
    "models": Models,
    "convert": Convert,
    "evaluate": Evaluate,
    "export": Export,
    "data": Data,
    "runs": Runs,
    "compare": Compare,
    "figures": Figures,
    "reproduce": Reproduce,
    "demo": Demo,
    "doctor": Doctor,
    "completion": Completion,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 if the doctor found something wrong; 2 after one line on stderr if the input was
        wrong; 128 and the number of a signal.
    """
    warnings.showwarning = _show_warning
    given = sys.argv[1:] if arguments is None else arguments
    with patient(), attentive() as interrupted:
        try:
            with wide_enough():
                command = _parse([_at_home(word) for word in given])
            return command() or 0
        except KeyboardInterrupt as stop:
            return _stopped(stop)
        except Exception as error:
            # An interruption in the midst of an import may leave a package that fails later.
            behind = interruption(error) or (KeyboardInterrupt() if interrupted else None)
            if behind is not None:
                return _stopped(behind)
            if _is_out_of_memory(error):
                error = ValueError(f"not enough memory: {error}".removesuffix(": "))
            if not isinstance(error, (ValueError, OSError)):
                raise
            print(f"firstspike: {in_a_line(str(error))}", file=sys.stderr)
            return USAGE_ERROR


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy or PyTorch got no memory."""
    said = isinstance(error, RuntimeError) and "memory" in str(error)
    return isinstance(error, MemoryError) or (said and "alloc" in str(error).lower())


def _stopped(stop: KeyboardInterrupt) -> int:
    told, code = ending(stop)
    print(f"\nfirstspike: {told}", file=sys.stderr)
    return code


def _at_home(word: str) -> str:
    """An argument with ``~`` expanded, as ``~/x`` and in ``--out=~/x``, which shells leave."""
    option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + sign + (os.path.expanduser(value) if value.startswith("~") else value)


def _parse(arguments: list[str]) -> Command:
    """The command that the arguments describe; tyro prints help and mistakes, and exits.

    A command that is named is parsed alone: mistakes then point to its own help.
    """
    if arguments == ["--version"]:
        return lambda: print(__version__)
    kinds = train.commands(arguments)
    first, second = [*arguments[:2], "", ""][:2]
    if first == "train" and second in kinds:
        made, default = kinds[second]
        return _of(made, ("train", second), arguments, default)
    if (first, second) == ("sweep", "show"):
        return _of(Show, (first, second), arguments)
    if first in COMMANDS:
        return _of(COMMANDS[first], (first,), arguments)
    every: Any = train.command(arguments)
    for name, command in COMMANDS.items():
        every = every | Annotated[command, subcommand(name)]
    return _of(every, (), arguments)


def _of(command: Any, path: tuple[str, ...], arguments: list[str], *default: Any) -> Command:
    parsed: Command = tyro.cli(
        command,
        prog=" ".join(("firstspike", *path)),
        description=None if path else "Networks in which every neuron spikes at most once.",
        args=arguments[len(path) :],
        config=(OmitArgPrefixes, OmitSubcommandPrefixes),
        **({"default": default[0]} if default else {}),
    )
    return parsed


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the place in our source."""
    print(f"firstspike: warning: {in_a_line(str(message))}", file=sys.stderr)
