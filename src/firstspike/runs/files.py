"""Files that are whole or absent: written beside and renamed, read with clear complaints."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def beside(file: Path) -> Path:
    """Where a file is written before it is renamed; hidden, with the same suffix."""
    return file.with_name(f".{file.stem}.tmp{file.suffix}")


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write to the path that this gives; it becomes ``file`` at the end, or goes on an error."""
    try:
        yield beside(file)
        os.replace(beside(file), file)
    except BaseException:
        with contextlib.suppress(OSError):
            beside(file).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def explained(file: Path, remedy: str) -> Iterator[None]:
    """Turn an `OSError` from writing into a `ValueError` with the file's name and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{file}: cannot be written: {reason}; {remedy}") from None


def write(file: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk. OSError if that fails."""
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace(file: Path, content: bytes) -> None:
    """`write`, but the file has its old content or all of the new, whenever power goes off."""
    with replacing(file) as temporary:
        write(temporary, content)
    sync(file.parent)


def save(file: Path, content: bytes) -> None:
    """`replace` that makes the folder, and a `ValueError` of what goes wrong."""
    with explained(file, "make room there or choose another place"):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, content)


def save_json(file: Path, record: Mapping[str, Any]) -> None:
    """`save` a JSON object. ValueError also for a value that JSON has not."""
    save(file, to_json(record, file))


def sync(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut, where the system has a way."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(file: Path) -> bytes:
    """The content of a file. ValueError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise damaged(file, error.strerror or str(error)) from None


def damaged(file: Path | str, reason: str) -> ValueError:
    """The complaint about a file of a run that is not as it was written; one line."""
    return ValueError(f"{file}: damaged: {' '.join(reason.split())}; restore it from a copy")


def from_json(content: bytes, source: Path | str) -> dict[str, Any]:
    """A JSON object. ValueError that names the source if the content is anything else."""
    try:
        record = json.loads(content)
    except ValueError as error:
        raise damaged(source, f"no JSON ({error})") from None
    if not isinstance(record, dict):
        raise damaged(source, "no JSON object")
    return record


def to_json(record: Mapping[str, Any], file: Path, indent: int | None = 2) -> bytes:
    """A JSON object, its entries in their order, and a line feed.

    Raises:
        ValueError: a value is NaN, infinite or nothing that JSON has; ``file`` is only named.
    """
    try:
        return (json.dumps(dict(record), indent=indent, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError):
        culprit = _culprit(record)
        raise ValueError(f"{file}: cannot hold {culprit}; give finite JSON values") from None


def _culprit(record: Mapping[str, Any]) -> str:
    """Name and value (if a number) or type of the first entry that is no JSON."""
    for name, value in record.items():
        try:
            json.dumps({name: value}, allow_nan=False)
        except (TypeError, ValueError):
            if isinstance(value, dict):
                return f"{name}.{_culprit(value)}"
            return f"{name} = {value if isinstance(value, float) else type(value).__name__}"
    return "this record"
