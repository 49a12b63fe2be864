"""Several processes that train one network together, by Lightning Fabric (extra ``fabric``).

Fabric finds the devices, joins processes of one or several machines, under ``torchrun`` as well,
and carries what they say. Processes of one machine are started here, not by Fabric, whose watchman
kills the first process without a word when another one ends; and gradients are summed here
(`firstspike.training.team`), not by DDP, whose order depends on the number of processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from firstspike.extras import require
from firstspike.runs import jobs
from firstspike.runs.versions import check, versions
from firstspike.training.team import Lost, Team, tree_sum

# PyTorch 2.13 has another name for it.
_all_gather: Any = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_SOURCE = re.compile(r"^\[[^]]*\]\s*")  # a place in PyTorch's code
_ENDS = 10.0  # seconds that another process has to end by itself
DEVICES = ("cpu", "cuda", "auto")


class Joined(Team):
    """A process of a team that Fabric has joined."""

    def __init__(self, fabric: Any) -> None:
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self.device: torch.device = fabric.device
        self._fabric = fabric

    def sum(self, vectors: Sequence[Tensor]) -> Tensor:
        own = tree_sum(vectors)
        each = -(-len(own) // self.size)
        padded = torch.nn.functional.pad(own, (0, each * self.size - len(own)))
        parts, total = torch.empty_like(padded), torch.empty_like(padded)
        with _told():
            dist.all_to_all_single(parts, padded)  # each process sums a part of the vector
            _all_gather(total, tree_sum(list(parts.view(self.size, each))))
        return total[: len(own)]

    def tell(self, content: Any) -> Any:
        with _told():
            return self._fabric.broadcast(content)

    def gather(self, content: Any) -> list[Any]:
        found = [None] * self.size
        with _told():
            dist.all_gather_object(found, content)
        return found


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise `Lost` where the others cannot be reached any more."""
    try:
        yield
    except RuntimeError as error:
        reason = _SOURCE.sub("", str(error).partition("\n")[0]) or type(error).__name__
        raise Lost(f"another process of this training has ended ({reason:.80})") from None


def sizes(devices: int, nodes: int) -> tuple[int, int]:
    """Processes of this machine, and machines; under torchrun, which knows them, its numbers.

    Raises:
        ValueError: they are no powers of two, or not what torchrun has started.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        there = int(os.environ["LOCAL_WORLD_SIZE"])
        found = there, int(os.environ["WORLD_SIZE"]) // there
        if (devices, nodes) not in ((1, 1), found):
            raise ValueError(f"devices, nodes: torchrun has started {found[0]} on {found[1]}")
        devices, nodes = found
    for name, count in (("devices", devices), ("nodes", nodes)):
        if count < 1 or count & (count - 1):
            raise ValueError(f"{name} must be a power of two, got {count}")
    return devices, nodes


def is_first() -> bool:
    """Whether this process is the first one of its team, or has none, as its environment says."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return os.environ["RANK"] == "0"
    return os.environ.get("LOCAL_RANK", "0") == os.environ.get("NODE_RANK", "0") == "0"


@contextlib.contextmanager
def joined(kind: str, devices: int, nodes: int, device: str) -> Iterator[Joined]:
    """This process as one of a team; those of this machine are started, and ended at the end.

    Args:
        kind: of network that is trained.
        devices: processes of this machine.
        nodes: machines; with several, NODE_RANK, MASTER_ADDR and MASTER_PORT must be set.
        device: ``cpu``, ``cuda`` or ``auto``; a GPU for each process.

    Raises:
        ValueError: they cannot be joined, or run other versions.
        Lost: another process has ended meanwhile.
    """
    require("fabric", "lightning_fabric", purpose="Training by several processes")
    if device not in DEVICES:
        raise ValueError(f"device must be {', '.join(DEVICES)} with several, got {device}")
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    from lightning_fabric import Fabric

    mine = "LOCAL_RANK" not in os.environ  # whoever started this process has not numbered it
    others = _started(kind, devices, nodes, device)
    try:
        try:
            fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes, strategy="ddp")
            fabric.launch()
        except (RuntimeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise ValueError(
                f"devices {devices}, nodes {nodes}: cannot be joined: {said}"
            ) from None
        if "OMP_NUM_THREADS" not in os.environ:  # another number may round otherwise
            torch.set_num_threads(max(1, jobs.cores() // devices))
        team = Joined(fabric)
        own = versions()
        for rank, theirs in enumerate(team.gather(own)):
            check(own, theirs, f"process {rank}")
        yield team
    finally:
        _end(others)
        if mine:
            os.environ.pop("LOCAL_RANK", None)
        if dist.is_initialized():
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()


def _started(kind: str, devices: int, nodes: int, device: str) -> list[subprocess.Popen[bytes]]:
    """The other processes of this machine, unless somebody else has started them."""
    if "LOCAL_RANK" in os.environ:
        return []
    if nodes == 1:
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", str(_free_port())
    elif missing := [
        name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]:
        raise ValueError(f"nodes {nodes}: needs {missing[0]} in the environment, or torchrun")
    os.environ["LOCAL_RANK"] = "0"
    options = ("--devices", str(devices), "--nodes", str(nodes), "--device", device)
    command = [*jobs.FIRSTSPIKE, "train", kind, *options]
    quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return [
        subprocess.Popen(command, env=os.environ | {"LOCAL_RANK": str(rank)}, **quiet)
        for rank in range(1, devices)
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _end(others: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the other processes; those that have what they need end by themselves."""
    for one in others:
        try:
            one.wait(_ENDS)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
