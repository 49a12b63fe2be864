"""``firstspike doctor``: is all that firstspike needs here, and does it compute rightly?"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from firstspike._version import __version__
from firstspike.extras import EXTRAS
from firstspike.runs import jobs

PACKAGES = ("torch", "numpy", "numba", "tyro", "rich", "safetensors", "pillow")
VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_WAIT_POLICY", "NUMBA_CACHE_DIR")
FASHION = Path("/usr/share/datasets/fashion-mnist")  # Debian's package

State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """What was found out.

    Args:
        name: of what was looked at.
        state: ok; note, which is nothing wrong; or failed.
        said: in words.
    """

    name: str
    state: State
    said: str


Look = Callable[[], tuple[State, str]]


@dataclass(frozen=True)
class Doctor:
    """Check the installation: versions, threads, caches, data, and ten seconds of real work.

    The exit status is 0 if all is well, and 1 if anything has failed.
    """

    self_test: bool = True
    """Train a small network of each neuron and compare its spikes with a simulation; where kernels
    have never run, they are compiled first, which takes a minute or two."""
    json: bool = False
    """Print a JSON object for scripts."""

    def __call__(self) -> int:
        findings = []
        for finding in _findings(self.self_test):
            findings.append(finding)
            if not self.json:
                print(f"{finding.state:7}{finding.name:16}{finding.said}", flush=True)
        failed = [finding.name for finding in findings if finding.state == "failed"]
        if self.json:
            record = {"well": not failed, "findings": [asdict(finding) for finding in findings]}
            print(json.dumps(record, indent=2))
        else:
            print(f"\nfailed: {', '.join(failed)}" if failed else "\nall is well")
        return 1 if failed else 0


def _findings(self_test: bool) -> Iterator[Finding]:
    looks: dict[str, Look] = {
        "firstspike": lambda: ("ok", f"{__version__}, {Path(__file__).parents[1]}"),
        "system": _system,
        **{name: partial(_package, name) for name in PACKAGES},
        "threads": _threads,
        "kernel cache": _cache,
        "device": _device,
        "MNIST": _mnist,
        "Fashion-MNIST": _fashion,
        **{f"extra {name}": partial(_extra, name) for name in EXTRAS},
    }
    if self_test:
        looks |= {name: partial(_trial, name) for name in TRIALS}
    for name, look in looks.items():
        try:
            yield Finding(name, *look())
        except Exception as error:  # whatever is broken is what was asked for
            yield Finding(name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _system() -> tuple[State, str]:
    return "ok", f"Python {platform.python_version()}, {platform.platform()}, {sys.executable}"


def _package(name: str) -> tuple[State, str]:
    try:
        return "ok", version(name)
    except PackageNotFoundError:
        return "failed", "is missing: install firstspike again"


def _threads() -> tuple[State, str]:
    import torch

    told = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    said = f"{torch.get_num_threads()} of PyTorch on {jobs.cores()} cores"
    return "ok", ", ".join([said, *told])


def _cache() -> tuple[State, str]:
    """Where Numba keeps compiled kernels, and whether it can."""
    from firstspike.ops.cpu import events

    cache = getattr(events.make_room, "_cache", None)
    place = None if cache is None else Path(cache.cache_path)
    if place is None or not os.access(_there(place), os.W_OK):
        here = "nowhere to keep kernels" if place is None else f"{place} cannot be written to"
        return "note", f"{here}: every process compiles anew; set NUMBA_CACHE_DIR to a folder"
    kept = sum(1 for file in place.glob("*.nbc")) if place.is_dir() else 0
    return "ok", f"{place}, {kept} kernels of this folder kept"


def _there(place: Path) -> Path:
    """The folder, or the deepest one above it that is there."""
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _device() -> tuple[State, str]:
    from firstspike.training import devices

    found = devices.find("auto")
    said = "no accelerator" if found.type == "cpu" else f"{found}, for --device auto"
    return "ok", f"CPU; {said}"


def _mnist() -> tuple[State, str]:
    from firstspike.data import load_mnist

    counts = [len(load_mnist(split)) for split in ("train", "test")]
    return "ok", f"in the package, {counts[0]} and {counts[1]} images, as they should be"


def _fashion() -> tuple[State, str]:
    if FASHION.is_dir():
        return "ok", str(FASHION)
    return "note", "not in Debian's place; docs/data.md says how to get it"


def _extra(name: str) -> tuple[State, str]:
    if missing := [package for package in EXTRAS[name] if find_spec(package) is None]:
        return "note", f"{', '.join(missing)} not here: pip install 'firstspike[{name}]' if wanted"
    return "ok", "here"


def _trial(name: str) -> tuple[State, str]:
    """A part of the self-test, and how long it takes."""
    started = time.monotonic()
    said = TRIALS[name]()
    return "ok", f"{said}; {time.monotonic() - started:.1f} s"


def _learn(neuron: str) -> str:
    from firstspike.commands import self_test

    return self_test.learn(neuron)


def _use_bundled() -> str:
    from firstspike.commands import self_test

    return self_test.use_bundled()


TRIALS: dict[str, Callable[[], str]] = {
    "networks": _use_bundled,
    "step neurons": lambda: _learn("step"),
    "ramp neurons": lambda: _learn("ramp"),
}
