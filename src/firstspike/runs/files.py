"""Files that are whole or absent: written beside and renamed, read with clear complaints."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

LARGEST = 1 << 32  # bytes of any file that is read at once
_SEAL = "checksum"  # the field that `sealed` adds


def beside(file: Path) -> Path:
    """Where this thread writes a file before it is renamed; hidden, with the same suffix."""
    return file.with_name(f".{file.stem}.{os.getpid()}-{get_ident()}.tmp{file.suffix}")


def is_leftover(path: Path, file: Path) -> bool:
    """Whether a kill may have left this path in place of a file, by its name."""
    name = rf"\.{re.escape(file.stem)}\.([0-9-]+\.)?tmp{re.escape(file.suffix)}"
    return re.fullmatch(name, path.name) is not None


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
        _wait_for_disk(stream.fileno())


def replace(file: Path, content: bytes) -> None:
    """`write`, but the file has its old content or all of the new, whenever power goes off."""
    with replacing(file) as temporary:
        write(temporary, content)
    sync(file.parent)


def create(file: Path, content: bytes) -> None:
    """`write` a file that must not be there: of several processes, one succeeds.

    Raises:
        FileExistsError: it is there.
        OSError: it cannot be written.
    """
    temporary = beside(file)
    try:
        write(temporary, content)
        _rename_to_new(temporary, file)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync(file.parent)


def _rename_to_new(temporary: Path, file: Path) -> None:
    if os.name == "nt":
        os.rename(temporary, file)  # refuses to replace a file there
        return
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except (AttributeError, OSError):  # a system, or a file system, without links
        with file.open("xb") as stream:
            try:
                stream.write(temporary.read_bytes())
                stream.flush()
            except BaseException:
                file.unlink(missing_ok=True)
                raise


@contextlib.contextmanager
def saving(file: Path) -> Iterator[Path]:
    """`replacing` that makes the folder; on an error, folders that it made go as well.

    Raises:
        ValueError: the file cannot be written.
    """
    made = missing(file.parent)
    try:
        with explained(file, "make room there or choose another place"):
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                yield temporary
            sync(file.parent)
    except BaseException:
        remove_empty(made)
        raise


def save(file: Path, content: bytes) -> None:
    """`write` to a file that has its old content or all of the new. ValueError if that fails."""
    with saving(file) as temporary:
        write(temporary, content)


@contextlib.contextmanager
def saving_folder(folder: Path) -> Iterator[Path]:
    """Fill the folder that this gives; it becomes ``folder`` at the end, or goes on an error.

    Raises:
        ValueError: the folder is there and not empty, or cannot be written.
    """
    temporary, made = beside(folder), missing(folder.parent)
    with explained(folder, "make room there or choose another place"):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise ValueError(f"{folder}: is not an empty folder; choose another")
        try:
            shutil.rmtree(temporary, ignore_errors=True)  # what a kill left
            temporary.mkdir(parents=True)
            yield temporary
            _become(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            remove_empty(made)
            raise


def _become(temporary: Path, folder: Path) -> None:
    """Give a folder its name, unless another process has filled one of this name meanwhile."""
    try:
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ValueError(f"{folder}: is not an empty folder; choose another") from None
        raise


@contextlib.contextmanager
def begun(folder: Path) -> Iterator[None]:
    """Make a folder; on an error, also an interruption, the folders that it made go if empty."""
    made = missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(made)
        raise


def save_json(file: Path, record: Mapping[str, Any]) -> None:
    """`save` a JSON object. ValueError also for a value that JSON has not."""
    save(file, to_json(record, file))


def sync(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut, where the system has a way."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _wait_for_disk(descriptor)
        finally:
            os.close(descriptor)


def _wait_for_disk(descriptor: int) -> None:
    """fsync, where there is one: some systems have none, and some file systems refuse it."""
    if not hasattr(os, "fsync"):
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def read(file: Path, most: int = LARGEST) -> bytes:
    """The content of a file. ValueError if it cannot be read, or has more than ``most`` bytes."""
    try:
        with file.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise damaged(file, error.strerror or str(error)) from None
    if len(content) > most:
        raise damaged(file, f"has more than {most} bytes")
    return content


def find(folder: Path, name: str) -> list[Path]:
    """Files of this name below a folder, in order; what vanishes meanwhile is passed over.

    Links to folders are not followed.
    """
    found = (Path(place) / name for place, _, names in os.walk(folder) if name in names)
    return sorted(found)


def missing(folder: Path) -> list[Path]:
    """The folders that would have to be made for a path, the deepest first."""
    places = [folder, *folder.parents]
    return list(itertools.takewhile(lambda place: not os.path.lexists(place), places))


def check_folder(folder: Path) -> None:
    """ValueError if there can be no folder at a path, as far as can be told without making it."""
    _check_name(folder)
    made = missing(folder)
    there = made[-1].parent if made else folder
    if not there.is_dir():
        raise ValueError(f"{folder}: cannot be a folder: {there} is a file; choose another place")
    if not os.access(there, os.W_OK):
        raise ValueError(f"{folder}: cannot be written: {there} is read-only; choose another place")


def check_unused(folder: Path) -> None:
    """ValueError if something is at a path that is no empty folder."""
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder}: is not an empty folder; choose another")


def check_file(file: Path) -> None:
    """ValueError if there can be no file at a path, as far as can be told without making it."""
    _check_name(file)
    if file.is_dir():
        raise ValueError(f"{file}: is a folder; choose another name")
    check_folder(file.parent)


def _check_name(path: Path) -> None:
    """ValueError if the system takes no such name, as of one that is too long."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path}: cannot be written: {reason}; choose another place") from None


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the deepest first, as long as nothing is in them."""
    with contextlib.suppress(OSError):
        for folder in folders:
            if folder.exists():
                folder.rmdir()


def check_inside(folder: Path) -> None:
    """ValueError if a link in a folder leads out of it, which one of ours never does."""
    own = folder.resolve()
    for place, folders, names in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *names)):
            if path.is_symlink() and not path.resolve().is_relative_to(own):
                raise ValueError(f"{path}: a link that leads out of {folder}; replace or remove it")


def is_name(text: object) -> bool:
    """Whether this can name a file in a folder, and nothing elsewhere."""
    return isinstance(text, str) and text not in ("", ".", "..") and not set(text) & set("/\\:\0")


def damaged(file: Path | str, reason: str) -> ValueError:
    """The complaint about a file of a run that is not as it was written; one line."""
    return ValueError(f"{file}: damaged: {' '.join(reason.split())}; restore it from a copy")


def from_json(content: bytes, source: Path | str) -> dict[str, Any]:
    """A JSON object. ValueError that names the source if the content is anything else."""
    try:
        record = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(source, f"no JSON ({error})") from None
    if not isinstance(record, dict):
        raise damaged(source, "no JSON object")
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with a checksum of its own, for files in which a flipped bit would not be seen."""
    return {**record, _SEAL: _checksum(record)}


def unsealed(record: Mapping[str, Any], source: Path | str) -> dict[str, Any]:
    """The record that was sealed, or one of an older version as it is. ValueError if changed."""
    content = {name: value for name, value in record.items() if name != _SEAL}
    if _SEAL in record and record[_SEAL] != _checksum(content):
        raise ValueError(
            f"{source}: damaged: not what its {_SEAL} says; restore it from a copy or, if you have "
            f"changed it on purpose, remove the {_SEAL}"
        )
    return content


def _checksum(record: Mapping[str, Any]) -> str:
    content = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


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
