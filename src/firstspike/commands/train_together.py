"""``firstspike train --devices N``, or under torchrun: several processes train one network.

The first process does what a single one does: it reads options, keeps the run, measures and speaks.
The others are told by it what to train, and need nothing of the run but the data.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from firstspike.commands.train import Place, Work, settled, told
from firstspike.runs import parcel
from firstspike.runs.directory import RunDirectory
from firstspike.runs.nowhere import Elsewhere
from firstspike.shape import Shape
from firstspike.training import kinds, loop, processes
from firstspike.training.kinds import Kind
from firstspike.training.team import Lost, check_shards


def run(kind: Kind, config: Any, place: Place, devices: int, nodes: int) -> None:
    """Train as one of ``devices`` processes on each of ``nodes`` machines.

    Raises:
        ValueError: such a network is trained by one process only, or they cannot be joined.
        SystemExit: of another process than the first, which is silent.
    """
    if processes.is_first():
        _lead(kind, config, place, devices, nodes)
    else:
        _follow(kind, place, devices, nodes)


def _lead(kind: Kind, config: Any, place: Place, devices: int, nodes: int) -> None:
    size = devices * nodes
    if place.resume is None:
        if not hasattr(config, "shards") or "shards" in dict(config.idle()):
            raise _by_one(kind)
        config = dataclasses.replace(config, shards=size if config.shards == 1 else config.shards)
    found, config = settled(kind, config, place)
    if place.dry_run:
        print(told(kind, config, place))
        return
    work = Work.prepare(kind, config, found)
    if not work.trainer.shared:
        raise _by_one(kind)
    check_shards(config.shards, size)
    with processes.joined(kind.name, devices, nodes, place.device) as team:
        work.trainer.on(team.device)
        work.trainer.team = team

        def begun(begun: RunDirectory) -> None:
            shape = begun.shape.as_dict()
            team.tell((begun.options, shape, parcel.pack(begun.path), place.until))

        work.train(place, begun)


def _by_one(kind: Kind) -> ValueError:
    return ValueError(
        "devices: only classifiers of ramp neurons, and dense twins in their loop, are trained by "
        f"several processes; this {kind.name} is trained by one"
    )


def _follow(kind: Kind, place: Place, devices: int, nodes: int) -> None:
    try:
        with processes.joined(kind.name, devices, nodes, place.device) as team:
            options, shape, saved, until = team.tell(None)
            trainer_class = kinds.load(kind.trainer)
            trainer = trainer_class(kind.read(options, "options"), Shape.from_dict(shape))
            trainer.on(team.device)
            trainer.team = team
            parts = trainer_class.load_data(trainer.config)
            trainer.check(parts.training)
            there = Elsewhere(kind.name, saved)
            loop.train(there, trainer, parts, lambda _: None, None, until)
    except (Lost, KeyboardInterrupt):
        raise SystemExit(1) from None  # the first process says what has happened
