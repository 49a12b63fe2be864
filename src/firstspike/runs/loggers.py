"""Training told to a logger, epoch by epoch: TensorBoard, a CSV file, or any of Lightning Fabric's.

``stats.jsonl`` is the record of a run, with or without a logger. What a logger needs is imported
when it is asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from firstspike.extras import require
from firstspike.runs.directory import RunDirectory

TAG = "samples"
ROOM = 1 << 16  # bytes that must be free before an epoch is told
_REMEDY = "leave the logger out"


class Logger(Protocol):
    """What is asked of a logger: the part of ``lightning_fabric.loggers.Logger`` that is used.

    Pictures go to ``experiment.add_image``, as of TensorBoard, if the logger has that.
    """

    def log_hyperparams(self, params: dict[str, Any]) -> None: ...

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None: ...

    def save(self) -> None: ...

    def finalize(self, status: str) -> None: ...


Factory = Callable[[Path], Logger]
EpochLog = Callable[[int, Mapping[str, float]], None]


def find(name: str) -> Factory:
    """What makes a logger for the folder of a run.

    Args:
        name: ``"tensorboard"``, ``"csv"``, or the dotted path of a function or class that takes the
            run's folder and returns a `Logger`, such as ``my_module.my_logger``.

    Raises:
        ValueError: a package is missing, or there is nothing of this name.
    """
    if name in _FACTORIES:
        needed = ("lightning_fabric", *(["tensorboard"] if name == "tensorboard" else []))
        require("log", *needed, purpose=f"the logger {name}")
        return _FACTORIES[name]
    module, _, attribute = name.rpartition(".")
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"log {name}: {reason}; give tensorboard, csv or the dotted path of a function"
        ) from None
    if not callable(factory):
        raise ValueError(f"log {name}: is no function; give one that takes the run's folder")
    return factory


@contextlib.contextmanager
def following(run: RunDirectory, factory: Factory | None) -> Iterator[EpochLog | None]:
    """What a trainer calls after each epoch, to tell a logger; None without a logger.

    Args:
        run: the run; its options are logged at once, and the grid of samples of each epoch, if
            there is one.
        factory: makes the logger; None for none.

    Raises:
        ValueError: the logger failed. One of this module then leaves nothing in a run that has no
            checkpoint yet.
    """
    if factory is None:
        yield None
        return
    status = "failed"
    try:
        with _explained("could not be made"):
            logger = factory(run.path)
        try:
            _check_room(run.path)
            with _explained(), contextlib.suppress(NotImplementedError):  # of Fabric's CSVLogger
                logger.log_hyperparams({"kind": run.kind, **run.options})
            yield lambda epoch, stats: _log(logger, run, epoch, stats)
            status = "success"
        finally:
            with contextlib.suppress(Exception) if status == "failed" else _explained():
                logger.finalize(status)
    finally:
        if not run.has_checkpoint():
            for name in _FACTORIES:
                shutil.rmtree(run.path / name, ignore_errors=True)


@contextlib.contextmanager
def _explained(failed: str = "failed") -> Iterator[None]:
    """Errors of somebody's own code as a `ValueError` in one line."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"log: the logger {failed}: {reason}; {_REMEDY}") from error


def _check_room(folder: Path) -> None:
    """ValueError if the disk is about full: TensorBoard writes in a thread, which cannot tell."""
    if shutil.disk_usage(folder).free < ROOM:
        raise ValueError(f"{folder}: log: no space left on device; make room there, or {_REMEDY}")


def _log(logger: Logger, run: RunDirectory, epoch: int, stats: Mapping[str, float]) -> None:
    _check_room(run.path)
    with _explained():
        _tell(logger, run, epoch, stats)


def _tell(logger: Logger, run: RunDirectory, epoch: int, stats: Mapping[str, float]) -> None:
    logger.log_metrics(dict(stats), step=epoch)
    picture = run.path / "samples" / f"epoch-{epoch:03d}.png"
    experiment: Any = getattr(logger, "experiment", None)
    if hasattr(experiment, "add_image") and picture.is_file():
        import numpy as np
        from PIL import Image

        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        experiment.add_image(TAG, pixels, epoch, dataformats="HWC")
    logger.save()


def _tensorboard(folder: Path) -> Logger:
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    # One folder, however often the run is resumed: TensorBoard joins the files in it to one curve.
    return TensorBoardLogger(folder, name="tensorboard", version="")


def _csv(folder: Path) -> Logger:
    from lightning_fabric.loggers.csv_logs import CSVLogger

    return CSVLogger(folder, name="csv")  # version_0, version_1 after a resumption, ...


_FACTORIES: dict[str, Factory] = {"tensorboard": _tensorboard, "csv": _csv}
