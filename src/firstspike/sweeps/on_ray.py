"""Trainings on a Ray cluster, in place of processes of this machine (extra ``ray``).

Every job is a task of one core (and one GPU, if trials use one). It gets the run as far as it has
come, trains it in a folder of its node's by a process like those of one machine, and sends what has
changed after every epoch to a mailbox, an actor on the head node; this side writes it into the run
directory. So the folder here is always as if the training ran here, and a task whose node is lost
starts again from the last checkpoint that came. Data of one's own go into the object store, once
for the whole sweep, unless every node has them at the same place.

Ray Core is used, not Ray Tune: `firstspike.sweeps.halving` chooses trials in both places, so that a
sweep means the same in both; Tune would want a training function, storage that all nodes share, and
trial folders of its own. Streaming generators would do without the mailbox, but Ray Client
(``ray://``) has none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstspike._version import __version__
from firstspike.extras import require
from firstspike.runs import files, jobs, parcel
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import Job
from firstspike.runs.parcel import Files
from firstspike.runs.versions import check, versions
from firstspike.shape import Shape

CLIENT, AUTO = "ray://", "auto"
HEAD = "node:__internal_head__"  # a resource that the head node alone has
CLIENT_PORT = 10001  # where none is given
_CONNECT = 5.0  # seconds until a host that does not answer counts as unreachable
_PROBE = 60.0  # seconds until a node that does not answer counts as broken
_LOOK = 0.2  # seconds between two looks: of a node at its training, of the driver at the mailbox
_TRIES = 3  # losses of a node without an epoch in between, after which a training has failed


@dataclass(frozen=True)
class Data:
    """A folder of data as the nodes need it.

    Args:
        path: here.
        sizes: of its files, by their path in it.
        digest: of all that is in them; empty if every node has the folder.
        content: of all files, in the object store; None if every node has the folder.
    """

    path: str
    sizes: Mapping[str, int]
    digest: str = ""
    content: Any = None


@dataclass(frozen=True)
class Order:
    """What a node is to do.

    Args:
        arguments: of firstspike, in a folder that holds the run.
        name: of the run.
        kind: of the run.
        options: of the run.
        shape: of its images.
        files: of the run, as far as it has come.
        data: its folder of data; None for the package's.
    """

    arguments: tuple[str, ...]
    name: str
    kind: str
    options: Mapping[str, Any]
    shape: Mapping[str, Any]
    files: Files
    data: Data | None


@dataclass(frozen=True)
class Report:
    """What a node has done: exit code, files that have changed, and what the training printed."""

    code: int
    files: Files
    log: bytes


class Mailbox:
    """Keeps what nodes send until the driver takes it; an actor."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, Files]] = []

    def put(self, address: str, content: Files) -> None:
        self._letters.append((address, content))

    def take(self) -> list[tuple[str, Files]]:
        letters, self._letters = self._letters, []
        return letters


@dataclass
class Cluster:
    """A Ray cluster that trains; made by `connected`.

    Args:
        address: as the user gave it.
        ray: the package.
        gpus: that a trial uses.
    """

    address: str
    ray: Any
    gpus: float
    data: Data | None = None
    trainings: dict[str, Training] = field(default_factory=dict)

    def __post_init__(self) -> None:
        on_head = {"num_cpus": 0, "resources": {HEAD: 0.001}}
        self.mailbox = self.ray.remote(**on_head)(Mailbox).remote()
        self._task = self.ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=0)(carry_out)
        self._looked = 0.0

    @property
    def cores(self) -> int:
        """Trials that the nodes that are there can train at a time."""
        there = self.ray.cluster_resources()
        cores = there.get("CPU", 0)
        return max(1, int(min(cores, there.get("GPU", 0) / self.gpus) if self.gpus else cores))

    def launch(self, job: Job, folder: Path) -> Training:
        """Start a job, as `firstspike.runs.jobs.execute` asks for."""
        return Training(self, job, folder)

    def start(self, order: Order, address: str) -> Any:
        """Send an order; what comes of it."""
        return self._task.remote(order, self.mailbox, address)

    def collect(self) -> None:
        """Write what has come into the runs; at most every `_LOOK` seconds."""
        if time.monotonic() - self._looked < _LOOK:
            return
        for address, content in self._ask(self.mailbox.take.remote()):
            if address in self.trainings:  # not one that has ended or started again
                self.trainings[address].receive(content)
        self._looked = time.monotonic()

    def _ask(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise ValueError(
                f"{self.address}: the cluster is lost: {_line(error)}; what has come is safe, the "
                "same folder goes on"
            ) from None


class Training:
    """A job on the cluster; what `firstspike.runs.jobs.Process` asks for."""

    def __init__(self, cluster: Cluster, job: Job, folder: Path) -> None:
        self._cluster, self._job = cluster, job
        self._run = RunDirectory.open((folder / job.done).parent)
        self._log = jobs.log_of(job, folder)
        self._starts = self._lost = 0
        self._told = ""  # of losses
        self._code: int | None = None
        self._start()

    def poll(self) -> int | None:
        if self._code is None:
            self._cluster.collect()
            if self._cluster.ray.wait([self._doing], timeout=0)[0]:
                self._finish()
        return self._code

    def terminate(self) -> None:
        with contextlib.suppress(Exception):  # the cluster may be what is lost
            self._cluster.ray.cancel(self._doing)

    def wait(self) -> int:
        """The exit code; of a training that is being stopped, as soon as its node says so."""
        if self._code is None:
            with contextlib.suppress(Exception):
                self._cluster.ray.wait([self._doing], timeout=_CONNECT)
            self._code = -signal.SIGTERM
        return self._code

    def receive(self, content: Files) -> None:
        """An epoch has ended."""
        self._lost = 0
        parcel.unpack(self._run.path, content)

    def _start(self) -> None:
        run, self._starts = self._run, self._starts + 1
        order = Order(
            self._job.arguments,
            run.path.name,
            run.kind,
            run.options,
            run.shape.as_dict(),
            parcel.pack(run.path),
            self._cluster.data,
        )
        self._address = f"{self._job.name}/{self._starts}"
        self._cluster.trainings[self._address] = self
        self._doing = self._cluster.start(order, self._address)

    def _finish(self) -> None:
        """Take what a node says at the end, or start again if it is lost."""
        exceptions = self._cluster.ray.exceptions
        del self._cluster.trainings[self._address]
        try:
            report: Report = self._cluster.ray.get(self._doing)
        except exceptions.RayTaskError as error:  # of our own code: no room on a disk, for one
            self._end(2, f"{_line(error.cause or error)}\n".encode())
        except exceptions.RayError as error:
            self._lost += 1
            epochs = len(jobs.told(self._run.path))
            self._told += f"lost after epoch {epochs}, with its node: {_line(error)}\n"
            if self._lost < _TRIES:
                self._start()
            else:
                self._end(2, b"")
        else:
            parcel.unpack(self._run.path, report.files)
            self._end(report.code, report.log)

    def _end(self, code: int, log: bytes) -> None:
        self._log.write_bytes(self._told.encode() + log)
        self._code = code


@contextlib.contextmanager
def connected(address: str, data: str | None = None, gpus: float = 0) -> Iterator[Cluster]:
    """A cluster whose nodes all have what is needed.

    Args:
        address: ``ray://HOST:PORT``, of Ray's client server, or ``auto`` for the cluster that this
            machine belongs to.
        data: folder of data that trials read; None for the package's.
        gpus: that a trial uses.

    Raises:
        ValueError: there is no such cluster, or its nodes have other versions.
    """
    require("ray", "ray", purpose="A Ray cluster")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of it
    import ray

    _check_address(address)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is told in a line
            ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise ValueError(f"{address}: no cluster to train on: {_line(error)}") from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray has one of its own
    try:
        _check_versions(ray, address)
        cluster = Cluster(address, ray, gpus)
        cluster.data = None if data is None else _offered(ray, Path(data))
        yield cluster
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise ValueError at once if nobody listens there; Ray would try for minutes."""
    if address == AUTO:
        return
    if not address.startswith(CLIENT):
        raise ValueError(f"{address}: must be {CLIENT}HOST:PORT or {AUTO}")
    host, _, port = address.removeprefix(CLIENT).partition(":")
    if not host or not (port or "0").isdecimal():
        raise ValueError(f"{address}: must be {CLIENT}HOST:PORT or {AUTO}")
    try:
        socket.create_connection((host, int(port or CLIENT_PORT)), _CONNECT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{address}: cannot be reached: {reason}; is it `ray start --head` there, and its "
            "client server's port?"
        ) from None


def _check_versions(ray: Any, address: str) -> None:
    """Raise ValueError unless this machine and all nodes run the same code."""
    for node, theirs in _of_nodes(ray, "versions").items():
        check(versions(), theirs, f"{address}: node {node}")


def _of_nodes(ray: Any, name: str, *arguments: Any) -> dict[str, Any]:
    """What a function of this module says on each node, by its address."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def tell() -> Any:  # sent with its code, as a node may lack the package
        try:
            from firstspike.sweeps import on_ray

            return getattr(on_ray, name)(*arguments)
        except (ImportError, AttributeError) as error:
            return error

    asked = {}
    for node in (one for one in ray.nodes() if one["Alive"]):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(tell)
        asked[f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"] = task.remote()
    found = {}
    for place, reference in asked.items():
        try:
            found[place] = ray.get(reference, timeout=_PROBE)
        except ray.exceptions.RayError as error:
            raise ValueError(f"node {place}: does not answer: {_line(error)}") from None
        if isinstance(found[place], Exception):
            raise ValueError(
                f"node {place}: lacks firstspike {__version__}: {_line(found[place])}; install it"
            )
    return found


def _offered(ray: Any, path: Path) -> Data:
    """A folder of data, in the object store unless every node has it."""
    data = Data(str(path), sizes(path))
    if all(there == data.sizes for there in _of_nodes(ray, "sizes", path).values()):
        return data
    content = {name: files.read(path / name) for name in data.sizes}
    digest = hashlib.sha256()
    for name, one in content.items():
        digest.update(name.encode() + hashlib.sha256(one).digest())
    return Data(data.path, data.sizes, digest.hexdigest()[:16], ray.put(content))


def sizes(path: Path) -> dict[str, int]:
    """The size of every file below a folder, by its path in it; none if it is not there."""
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in found}


# On the nodes


def carry_out(order: Order, mailbox: Any, address: str) -> Report:
    """Train a run on this node, and send what has changed after every epoch."""
    import ray

    def send(content: Files) -> None:
        ray.get(mailbox.put.remote(address, content))

    options = dict(order.options)
    if order.data is not None:
        content = order.data.content
        options["data"] = str(local(order.data, lambda: ray.get(content)))
    with tempfile.TemporaryDirectory(prefix="firstspike-") as place:
        folder = Path(place)
        shape = Shape.from_dict(order.shape)
        run = RunDirectory.create(folder / order.name, order.kind, options, shape)
        parcel.unpack(run.path, order.files)
        return _trained(folder, run.path, order, send)


def _trained(folder: Path, run: Path, order: Order, send: Any) -> Report:
    """Train a run in a process, as on one machine."""
    sent, log = set(order.files), folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*jobs.FIRSTSPIKE, *order.arguments],
            cwd=folder,
            env=jobs.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        last = _checkpoint_of(order.files)
        while process.poll() is None:
            time.sleep(_LOOK)
            with contextlib.suppress(ValueError):  # it is being written
                content = _changed(run, sent)
                if _checkpoint_of(content) != last:
                    send(content)
                    last, sent = _checkpoint_of(content), sent | content.keys()
        return Report(process.returncode, _changed(run, sent), log.read_bytes())
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _checkpoint_of(content: Files) -> bytes | None:
    """What tells one checkpoint from another."""
    return content.get(f"{parcel.CHECKPOINT}/state.json")


def _changed(run: Path, sent: set[str]) -> Files:
    """What is new of a run, and may be; pictures that have been sent stay as they are."""
    return parcel.pack(run, {name for name in sent if name.endswith(".png")})


def local(data: Data, fetch: Any) -> Path:
    """A folder of data on this node: at its own place, or a copy that all trials share.

    Args:
        data: what is needed.
        fetch: gets the content of all files by their path.
    """
    own = Path(data.path)
    if not data.digest or sizes(own) == data.sizes:
        return own
    place = Path(tempfile.gettempdir(), f"firstspike-data-{data.digest}")
    copy = place / own.name  # runs are called after it
    if sizes(copy) == data.sizes:
        return copy
    with tempfile.TemporaryDirectory(prefix="firstspike-data-") as beside:
        whole = Path(beside, "data")
        for name, content in fetch().items():
            (whole / own.name / name).parent.mkdir(parents=True, exist_ok=True)
            (whole / own.name / name).write_bytes(content)
        with contextlib.suppress(OSError):  # another training has made it meanwhile
            shutil.move(whole, place)
    return copy


def _line(error: BaseException) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
