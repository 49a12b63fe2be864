"""Output that never ends a command, and signals that never end one without a word.

A training must not stop because the other end of a pipe has gone or a name has letters that the
terminal lacks. What does stop it is told, with the command that goes on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

# Their default is to end a process at once: no cleaning up, no word. A batch system sends the first
# and the last, a terminal that is closed the second; not every system has all.
ENDING = ("SIGTERM", "SIGHUP", "SIGXCPU")

NARROWEST = 20  # columns for which help is set; Rich does not come to an end below 5


class Killed(KeyboardInterrupt):
    """A signal that asks the process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stopped(KeyboardInterrupt):
    """An interruption, with the command that goes on where it stopped; its cause is what came."""


def ending(stop: KeyboardInterrupt) -> tuple[str, int]:
    """What to say of an interruption, and the exit code: 128 and the signal's number."""
    came = stop.__cause__ if isinstance(stop, Stopped) else stop
    by, number = "", int(signal.SIGINT)
    if isinstance(came, Killed):
        by, number = f" by {came}", came.number
    goes_on = f"; it goes on with: {stop}" if isinstance(stop, Stopped) else ""
    return f"stopped{by}{goes_on}", 128 + number


def interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """What interrupted the code that raised this error, if anything did.

    C code turns interruptions into errors of its own: a class that is made, a package on import.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


@contextlib.contextmanager
def attentive() -> Iterator[list[int]]:
    """Raise `Killed` meanwhile when a signal of `ENDING` comes; let crashes say where they happen.

    A signal that is ignored, as ``nohup`` has it, or does something else already is left alone.
    Gives a list of the signals that have come, Ctrl-C's among them.
    """
    came: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        raise Killed(number)

    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):  # no such stream
        if not faulthandler.is_enabled():
            faulthandler.enable(sys.__stderr__)  # type: ignore[arg-type]
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    mine = threading.current_thread() is threading.main_thread()  # others cannot
    usual = {signal.SIGINT: signal.default_int_handler} | dict.fromkeys(numbers, signal.SIG_DFL)
    taken = {n: does for n, does in usual.items() if mine and signal.getsignal(n) == does}
    try:
        for number in taken:
            signal.signal(number, end)
        yield came
    finally:
        for number, does in taken.items():
            signal.signal(number, does)


@contextlib.contextmanager
def wide_enough() -> Iterator[None]:
    """Let a terminal have `NARROWEST` columns meanwhile, as far as what writes there can tell."""
    if shutil.get_terminal_size().columns >= NARROWEST:
        yield
        return
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(NARROWEST)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


class Patient:
    """A stream like another one, to which writing cannot fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._gone = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what the encoding has, and codes for the rest; nothing once nobody reads."""
        if self._gone:
            return len(text)
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):  # the pipe or the stream is closed
            self._leave()
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            if not self._gone:
                self._stream.flush()
        except (OSError, ValueError):
            self._leave()

    def _leave(self) -> None:
        """Let what is still in the buffer, and all that comes, go nowhere."""
        self._gone = True
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Make standard output and standard error `Patient` meanwhile."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # in place of streams that are closed
        streams: list[Any] = [Patient(stream or nowhere) for stream in before]
        sys.stdout, sys.stderr = streams
        try:
            yield
        finally:
            for stream in streams:
                stream.flush()
            sys.stdout, sys.stderr = before
