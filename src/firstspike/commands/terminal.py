"""Output that never ends a command: whatever the terminal can show, and when nobody reads any more.

A training must not stop because the other end of a pipe has gone or a name has letters that the
terminal lacks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Stopped(KeyboardInterrupt):
    """An interruption, with the command that goes on where it stopped."""


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
    streams: list[Any] = [stream and Patient(stream) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        for stream in streams:
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
