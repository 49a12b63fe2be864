"""One writer a folder: a run, a set of runs, a reproduction.

Where the system has POSIX locks, the lock ends with the last process that holds it, however that
ends, and jobs of the holder may inherit it. Elsewhere it is a file that only one process can make;
one that a kill left behind must be removed by hand, which the message says.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, and Python for browsers
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


@contextlib.contextmanager
def held(
    folder: Path, wait: Callable[[], None] | None = None, *, inherit: bool = False
) -> Iterator[None]:
    """Keep other processes out of a folder.

    Args:
        folder: that exists.
        wait: called once if another process is in there, before waiting for it; without it,
            whoever is second is told.
        inherit: whether processes that are started meanwhile hold it as well.

    Raises:
        ValueError: another process is in there, or the folder cannot be written to.
    """
    file = folder / NAME
    taken = _lock if fcntl else _make
    try:
        descriptor = taken(file, False)
        if descriptor is None and wait is not None:
            wait()
            descriptor = taken(file, True)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{folder}: cannot be written: {reason}; choose another place") from None
    if descriptor is None:
        remedy = "" if fcntl else f", or remove {file} if there is none"
        raise ValueError(
            f"{folder}: another process is writing there; wait until it has ended{remedy}"
        )
    os.set_inheritable(descriptor, inherit)
    try:
        yield
    finally:
        _release(file, descriptor)


def is_left(folder: Path) -> bool:
    """Whether a process writes in a folder, or has ended there without letting go of its lock."""
    return (folder / NAME).exists()


def _lock(file: Path, patient: bool) -> int | None:
    """A descriptor that holds the lock; None if another one does."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(file, descriptor):
            return descriptor
        os.close(descriptor)  # the one before has removed it meanwhile


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _make(file: Path, patient: bool) -> int | None:
    """Likewise, where making the file is all that there is; it does not wait."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None


def _release(file: Path, descriptor: int) -> None:
    """Remove the file and let go of it, in the order that the system allows."""
    if not fcntl:
        os.close(descriptor)  # an open file cannot be removed on Windows
    with contextlib.suppress(OSError):
        file.unlink()
    if fcntl:
        os.close(descriptor)
