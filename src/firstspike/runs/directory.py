"""The run directory: everything that a training run leaves, and all that resuming it needs.

    options.json              kind of run, version and every option
    stats.jsonl               one JSON object an epoch, with a checksum
    samples/epoch-NNN.png     pictures
    checkpoint/               see `firstspike.runs.checkpoint`
    summary.json              the end result

A trainer appends an epoch's statistics, then saves the checkpoint; when it resumes, it loads the
checkpoint and calls `RunDirectory.truncate_stats` with its epoch. So a kill at any moment loses the
epoch at hand and nothing else. One process may write to a run (`RunDirectory.writing`); any number
may read meanwhile. Its files may come from anybody: each is checked where it is read, and none
leads out of the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

from firstspike._version import __version__
from firstspike.runs import checkpoint, files, locks
from firstspike.shape import MNIST, Shape
from firstspike.words import counted, with_article

if TYPE_CHECKING:  # listing runs needs no PyTorch, which takes seconds to import
    import torch
    from torch import nn
    from torch.optim import Optimizer

_OPTIONS, _STATS, _SUMMARY = "options.json", "stats.jsonl", "summary.json"
_RESUME = "what was saved before is intact: make room, then resume the run"
_MAKE_ROOM = "make room there or choose another place"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LARGEST = 1 << 26  # bytes of a file of JSON
_FIELDS = {"kind": str, "version": str, "options": dict, "shape": dict}  # of options.json


@dataclass(frozen=True)
class RunDirectory:
    """One run on disk; made by `create` or `open`.

    Whatever is wrong with its files raises `ValueError` with one line that names the file and the
    remedy, and leaves no file half-written.

    Args:
        path: the folder.
        kind: what was trained, such as ``"gan"``.
        version: of firstspike, when the run was made.
        options: every option of the run, as ``options.json`` holds them.
        shape: of the images that it is trained on; MNIST's in runs of older versions.
    """

    path: Path
    kind: str
    version: str
    options: dict[str, Any]
    shape: Shape = MNIST
    keeps: ClassVar[bool] = True  # what a `firstspike.runs.nowhere.Nowhere` does not

    @property
    def noun(self) -> str:
        """What this is, in messages: ``an ann-gan run``."""
        return with_article(f"{self.kind} run")

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        kind: str,
        options: Mapping[str, Any],
        shape: Shape = MNIST,
    ) -> RunDirectory:
        """Start a run in a new or empty folder, with ``options`` as ``options.json``.

        Raises:
            ValueError: the folder holds something, cannot be made, or an option is no JSON value.
        """
        path = Path(path)
        record = {
            "kind": kind,
            "version": __version__,
            "options": dict(options),
            "shape": shape.as_dict(),
        }
        files.to_json(record, path / _OPTIONS)  # complains, if it must, with the name of a value
        if wrong := _fault_of(options):
            raise ValueError(wrong)
        content = files.to_json(files.sealed(record), path / _OPTIONS)
        try:
            _check_unused(path)
            with files.begun(path):
                files.create(path / _OPTIONS, content)
        except FileExistsError:
            raise _taken(path) from None
        except OSError as error:
            fault = error.strerror or error
            raise ValueError(f"{path}: cannot be written: {fault}; {_MAKE_ROOM}") from None
        return cls.open(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """An existing run. ValueError if there is none or its ``options.json`` is broken."""
        path = Path(path)
        file = path / _OPTIONS
        if not file.is_file():
            raise ValueError(f"{path}: no run here, {_OPTIONS} is missing; name a run's folder")
        files.check_inside(path)
        record = files.unsealed(files.from_json(files.read(file, _LARGEST), file), file)
        if unknown := sorted(record.keys() - _FIELDS):
            raise ValueError(f"{file}: unknown field {unknown[0]!r}; update firstspike")
        record.setdefault("shape", MNIST.as_dict())
        for name, kind in _FIELDS.items():
            if not isinstance(record.get(name), kind):
                raise files.damaged(file, f"{name!r} is missing or of another type")
        if wrong := _fault_of(record["options"] | {"kind": record["kind"]}):
            raise files.damaged(file, wrong)
        try:
            shape = Shape.from_dict(record.pop("shape"))
        except ValueError as error:
            raise files.damaged(file, str(error)) from None
        return cls(path=path, shape=shape, **record)

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from writing to the run. ValueError if one does."""
        return locks.held(self.path)

    def extended(self, epochs: int) -> RunDirectory:
        """The run with another number of epochs, which it has then not ended yet."""
        record = {
            "kind": self.kind,
            "version": self.version,
            "options": {**self.options, "epochs": epochs},
            "shape": self.shape.as_dict(),
        }
        file = self.path / _OPTIONS
        self._replace(file, files.to_json(files.sealed(record), file))
        with self._explained(self.path / _SUMMARY):
            (self.path / _SUMMARY).unlink(missing_ok=True)
        return type(self).open(self.path)

    def discard(self) -> None:
        """Remove a run that has nothing yet but its options; others stay, or those in use."""
        with contextlib.suppress(ValueError), self.writing():  # another process may go on with it
            if self.has_checkpoint():
                return
            for name in (_OPTIONS, _STATS):
                (self.path / name).unlink(missing_ok=True)
            for picture in self.path.glob("samples/epoch-*.png"):
                picture.unlink()
            with contextlib.suppress(OSError):
                (self.path / "samples").rmdir()
        with contextlib.suppress(OSError):  # something of somebody else's is in it
            self.path.rmdir()

    def append_stats(self, record: Mapping[str, Any]) -> None:
        """Add one line to ``stats.jsonl``, as a whole or not at all.

        Raises:
            ValueError: a value is NaN, infinite or no JSON value, or the disk is full.
        """
        file = self.path / _STATS
        files.to_json(record, file)  # complains, if it must, with the name of a value
        line = files.to_json(files.sealed(record), file, indent=None)
        with self._explained(file):
            size = file.stat().st_size if file.exists() else 0
            try:
                with file.open("ab") as stream:
                    stream.write(line)
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(file, size)
                raise

    def read_stats(self) -> list[dict[str, Any]]:
        """The lines of ``stats.jsonl``; a last one that a kill cut off is left out."""
        return [record for _, record in self._stats()]

    def truncate_stats(self, epoch: int) -> None:
        """Drop the lines with a later ``"epoch"``, and a last one that a kill cut off."""
        kept = [line for line, _ in self._stats_until(epoch)]
        if (self.path / _STATS).exists():
            self._replace(self.path / _STATS, b"".join(kept))

    def stats_until(self, epoch: int) -> list[dict[str, Any]]:
        """The lines up to that of an epoch. ValueError if some are lost; none at all may be."""
        return [record for _, record in self._stats_until(epoch)]

    def save_checkpoint(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        state: Mapping[str, Any],
    ) -> None:
        """Replace the checkpoint; until the new one is complete, the previous one stays.

        Args:
            models: networks by file name.
            optimizers: optimisers by file name.
            state: JSON values that resuming needs, such as the epoch.

        Raises:
            ValueError: the disk is full, or ``state`` holds a value that is no JSON value.
        """
        folder = self.path / "checkpoint"
        with self._explained(folder):
            checkpoint.save(folder, models, optimizers, state)

    @contextlib.contextmanager
    def beginning(
        self, made: Iterable[Path], failures: type[BaseException] = Exception
    ) -> Iterator[None]:
        """Leave nothing of a new run if this fails before there is a checkpoint.

        Args:
            made: folders that were made for it, see `firstspike.runs.files.missing`.
            failures: after which nothing is left; an interruption leaves a run to go on with.
        """
        try:
            yield
        except failures:
            self.discard()
            files.remove_empty(made)
            raise

    def has_checkpoint(self) -> bool:
        """Whether there is a complete checkpoint."""
        return checkpoint.exists(self.path / "checkpoint")

    def saved_networks(self) -> list[str]:
        """Names of the networks in the checkpoint. ValueError if there is none, or no list."""
        return checkpoint.networks(self.path / "checkpoint")

    def check_checkpoint(self) -> dict[str, Any]:
        """The ``state`` that was saved. ValueError as for `load_checkpoint`, of all files."""
        folder = self.path / "checkpoint"
        return _checked(checkpoint.check(folder), folder)

    def load_checkpoint(
        self, models: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer] | None = None
    ) -> dict[str, Any]:
        """Load networks and optimisers in place, all of them or, on an error, none.

        Args:
            models: networks by the names under which they were saved; some may be left out.
            optimizers: optimisers by the names under which they were saved; None for the weights
                alone.

        Returns:
            The ``state`` that was saved.

        Raises:
            ValueError: there is no checkpoint, a file is missing or damaged, or it belongs to
                another architecture or optimiser.
        """
        folder = self.path / "checkpoint"
        return _checked(checkpoint.load(folder, models, optimizers or {}), folder)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write ``summary.json``. ValueError as for `append_stats`."""
        file = self.path / _SUMMARY
        files.to_json(summary, file)  # complains, if it must, with the name of a value
        self._replace(file, files.to_json(files.sealed(summary), file))

    def read_summary(self) -> dict[str, Any]:
        """The content of ``summary.json``. ValueError if the run has not ended."""
        file = self.path / _SUMMARY
        if not file.is_file():
            raise ValueError(f"{file}: not there yet; resume the run to its end")
        return _checked(
            files.unsealed(files.from_json(files.read(file, _LARGEST), file), file), file
        )

    def sample_path(self, epoch: int) -> Path:
        """``samples/epoch-NNN.png``; makes the folder."""
        folder = self.path / "samples"
        with self._explained(folder):
            folder.mkdir(exist_ok=True)
        return folder / f"epoch-{epoch:03d}.png"

    def _stats_until(self, epoch: int) -> list[tuple[bytes, dict[str, Any]]]:
        kept = [pair for pair in self._stats() if pair[1].get("epoch", epoch) <= epoch]
        if len(kept) < epoch and (file := self.path / _STATS).exists():
            raise ValueError(
                f"{file}: damaged: tells of {len(kept)} of {counted(epoch, 'epoch')}; restore it "
                "from a copy, or remove it to go on without"
            )
        return kept

    def _stats(self) -> list[tuple[bytes, dict[str, Any]]]:
        """The complete lines of ``stats.jsonl`` with their content."""
        file = self.path / _STATS
        lines = files.read(file).splitlines(keepends=True) if file.exists() else []
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        sources = [f"{file}, line {number}" for number in range(1, len(lines) + 1)]
        records = map(files.unsealed, map(files.from_json, lines, sources), sources)
        pairs = zip(records, sources, strict=True)
        return list(zip(lines, [_checked(*pair) for pair in pairs], strict=True))

    def _replace(self, file: Path, content: bytes) -> None:
        with self._explained(file):
            files.replace(file, content)

    def _explained(self, file: Path) -> contextlib.AbstractContextManager[None]:
        return files.explained(file, _RESUME if self.has_checkpoint() else _MAKE_ROOM)


def _fault_of(options: Mapping[str, Any]) -> str:
    """What no option of any version or kind can be; empty if there is nothing of that."""
    for name, value in options.items():
        kinds = (str, NoneType) if name == "data" else (str, int, float, NoneType)
        if not isinstance(value, kinds):
            return f"option {name!r} cannot be {value!r:.60}"
        if _CONTROL.search(f"{name}{value}"):  # would do something to the terminal that shows it
            return f"option {name!r} has control characters: {value!r}"
    return ""


def unused_path(base: str | os.PathLike[str], stem: str) -> Path:
    """``base/stem``, or the first of ``base/stem-2``, ``base/stem-3``, ... that does not exist."""
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(path for path in (Path(base, name) for name in names) if not path.exists())


def epoch_generator(seed: int, epoch: int, stream: str = "") -> torch.Generator:
    """A CPU random generator of its own for each (seed, epoch, stream).

    A resumed run draws from it what an uninterrupted one draws, without any stored state.
    """
    import torch

    digest = hashlib.sha256(f"{seed}/{epoch}/{stream}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # it uses 32 bits


def _checked(record: dict[str, Any], source: Path | str) -> dict[str, Any]:
    """A state, a line of statistics or a summary. ValueError if its epoch or seconds are none."""
    epoch, seconds = record.get("epoch", 0), record.get("seconds", 0.0)
    if type(epoch) is not int or epoch < 0:
        raise files.damaged(source, f"epoch cannot be {epoch!r}")
    if type(seconds) not in (int, float) or seconds < 0:
        raise files.damaged(source, f"seconds cannot be {seconds!r}")
    return record


def _check_unused(path: Path) -> None:
    """Raise ValueError unless a run can start at ``path``: nothing there, or an empty folder."""
    if (path / _OPTIONS).exists():
        raise _taken(path)
    if not path.exists():
        return
    leftovers = list(path.iterdir()) if path.is_dir() else []
    if not path.is_dir() or not all(files.is_leftover(it, path / _OPTIONS) for it in leftovers):
        raise ValueError(f"{path}: is not an empty folder; choose another")
    for leftover in leftovers:
        with contextlib.suppress(OSError):
            leftover.unlink()


def _taken(path: Path) -> ValueError:
    return ValueError(f"{path}: holds another run; choose another or resume that one")
