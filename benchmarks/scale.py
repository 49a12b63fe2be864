"""What several cores, processes and machines are worth: sweeps, ranks, and sizes to plan with.

    python benchmarks/scale.py --parts sweep ranks plan

*sweep*: 16 short trainings one after another, each alone, against the same ones in a sweep on all
cores. Efficiency is the sum of their times over cores times the sweep's; starting of processes,
reading of data and measuring are in both. *ranks*: epochs of a convolutional network by two
processes against one with two shards, one thread each; what they compute is the same to the last
bit, which is checked first. Both need a machine that does nothing else.

*plan*: of networks as one would train beyond one machine, what docs/scale.md counts with:
multiply-adds, weights, the bytes of a gradient and of a run's parcel, and the CPU time of a
training step for an image, on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _table import significant

from firstspike.runs import parcel
from firstspike.runs.directory import RunDirectory
from firstspike.runs.jobs import cores
from firstspike.shape import Shape
from firstspike.training.config import AnnClassifierConfig, classifier_defaults
from firstspike.training.deep import DenseTraining, RampTraining

FIRSTSPIKE = [sys.executable, "-m", "firstspike"]
VGG = "64c3-64c3p2-128c3-128c3p2-256c3-256c3-256c3p2-512c3-512c3-512c3p2-512c3-512c3-512c3p2-512"
# By name: the line of layers, channels and side of the images, classes.
NETWORKS = {
    "dense 784-400-10": ("400", 1, 28, 10),
    "cnn on MNIST": ("cnn", 1, 28, 10),
    "VGG on CIFAR-10": (VGG, 3, 32, 10),
    "VGG on ImageNet": (VGG, 3, 224, 1000),
}


def run(*arguments: object, **environment: str) -> float:
    """Wall seconds of a firstspike command with one thread a process."""
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **environment}
    command = [*FIRSTSPIKE, *map(str, arguments)]
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | one, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def sweep(folder: Path, trials: int, epochs: int, hidden: int) -> dict[str, float]:
    """Trainings alone, against a sweep of them."""
    space = folder / "space.toml"
    space.write_text(
        f'kind = "classifier"\n[options]\nepochs = {epochs}\nhidden = {hidden}\n'
        f"[space]\nseed = {{ low = 0, high = {trials - 1} }}\n"
    )
    options = ("--epochs", epochs, "--hidden", hidden)
    alone = [
        run("train", "classifier", *options, "--seed", seed, "--out", folder / f"alone-{seed}")
        for seed in range(trials)
    ]
    together = run("sweep", space, "--out", folder / "sweep")
    for seed in range(trials):
        assert weights(folder / f"alone-{seed}") == weights(folder / "sweep" / f"{seed:03}")
    return {
        "trainings": trials,
        "cores": cores(),
        "efficiency": significant(sum(alone) / together / cores()),
    }


def ranks(folder: Path, epochs: int, network: str) -> dict[str, float]:
    """Epochs by two processes against one."""
    # Nothing held out: the first process measures alone, and this is about training.
    options = ("--neuron", "ramp", "--network", network, "--epochs", epochs, "--validation", 0)
    for name, given in (("one", ("--shards", 2)), ("two", ("--devices", 2))):
        run("train", "classifier", *options, *given, "--out", folder / name)
    assert weights(folder / "one") == weights(folder / "two")
    one, two = (epoch_seconds(folder / name) for name in ("one", "two"))
    return {"speed-up": significant(statistics.median(one) / statistics.median(two))}


def weights(folder: Path) -> bytes:
    return (folder / "checkpoint" / "model.safetensors").read_bytes()


def epoch_seconds(folder: Path) -> list[float]:
    """Of each epoch but the first, which warms up."""
    told = [line["seconds"] for line in RunDirectory.open(folder).read_stats()]
    return [late - early for early, late in itertools.pairwise(told)]


def plan(name: str, batch: int, repeats: int, folder: Path) -> dict[str, float]:
    """What a network costs; one whose step is too long is counted only, with ``batch`` 0."""
    line, channels, side, classes = NETWORKS[name]
    shape = Shape(channels, side, side, tuple(map(str, range(classes))))
    twin = DenseTraining(AnnClassifierConfig(network=line, shift=0), shape)
    macs, count = twin.macs, sum(it.numel() for it in twin.model.parameters())
    told = {"MACs an image": float(macs), "weights": float(count), "gradient MB": count * 4 / 1e6}
    if not batch:
        return told
    defaults: Any = classifier_defaults({"neuron": "ramp", "network": line})
    trainer = RampTraining(defaults, shape)
    images = torch.randint(0, 256, (batch, *shape.image), dtype=torch.uint8)
    labels = torch.randint(0, classes, (batch,))
    rng = torch.Generator().manual_seed(0)
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        trainer.step(images, labels, rng)
        taken.append((time.process_time() - start) / batch * 1e3)
    made = RunDirectory.create(folder / name, "classifier", defaults.as_dict(), shape)
    made.append_stats({"epoch": 1})
    made.save_checkpoint(trainer.networks, trainer.optimizers, {"epoch": 1})
    size = sum(map(len, parcel.pack(made.path).values()))
    told |= {"parcel MB": size / 1e6, "CPU ms an image": statistics.median(taken[1:])}
    return {key: significant(value) for key, value in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=("sweep", "ranks", "plan"), default=["plan"])
    parser.add_argument("--trials", type=int, default=16, help="of the sweep")
    parser.add_argument("--epochs", type=int, default=4, help="of each training")
    parser.add_argument("--hidden", type=int, default=100, help="neurons of the sweep's networks")
    parser.add_argument("--network", default="cnn", help="of the ranks")
    parser.add_argument("--batch", type=int, default=32, help="of a planned step")
    parser.add_argument("--repeats", type=int, default=5, help="of a planned step")
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], help="to plan with")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if "sweep" in given.parts:
            found["sweep"] = sweep(folder, given.trials, given.epochs, given.hidden)
        if "ranks" in given.parts:
            found["ranks"] = ranks(folder, given.epochs, given.network)
        if "plan" in given.parts:
            found["plan"] = {
                name: plan(name, 0 if "ImageNet" in name else given.batch, given.repeats, folder)
                for name in given.networks
            }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
