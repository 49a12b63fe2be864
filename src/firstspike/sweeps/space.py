"""What a sweep tries: a file of options, values and ranges, and the trials that come of it.

    kind = "classifier"             # of `firstspike train`

    [sweep]
    search = "asha"                 # grid, random, or asha: successive halving
    metric = "validation_set_accuracy"
    goal = "max"                    # or min
    trials = 27                     # of random and asha
    first = 1                       # asha: epochs after which trials are compared first
    keep = 3                        # asha: one of so many goes on to so many times the epochs
    seed = 0                        # of the draws

    [options]                       # of every trial, as --config takes them
    epochs = 9

    [space]
    lr = { low = 1e-4, high = 1e-2, log = true, points = 5 }    # points: of a grid
    hidden = [100, 200, 400]
    seed = { low = 0, high = 4 }    # whole numbers: all of them

Trials are drawn once, before the first one runs, so that a sweep is the same wherever and in
whatever order they run. Grids and independent draws are a few lines; what learns from trials where
to draw next (Optuna's samplers, for one) would make a trial depend on which others had ended.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from firstspike.training import config_file, kinds
from firstspike.training.kinds import Kind
from firstspike.training.options import Options, absolute, is_of, types_of

HELD_OUT = "validation_set_"  # how figures of held-out images begin
MOST_TRIALS = 100_000
_TABLES = ("kind", "sweep", "options", "space")
_SHARED = ("data", "size", "colour", "validation")  # or trials could not be compared
_RANGE = {"low": float, "high": float, "log": bool, "points": int}

Search = Literal["grid", "random", "asha"]


@dataclass(frozen=True)
class Plan:
    """How the trials of a sweep are made and compared.

    Args:
        search: ``grid``: every combination; ``random``: independent draws; ``asha``: draws, of
            which the better ones are trained on.
        metric: figure of ``stats.jsonl`` that is measured on held-out images.
        goal: whether the largest or the smallest is best.
        trials: number of draws; None for a grid.
        first: epochs after which asha compares trials first.
        keep: asha trains the best one of so many on, to so many times the epochs.
        seed: of the draws.
    """

    search: Search = "grid"
    metric: str = "validation_set_accuracy"
    goal: Literal["max", "min"] = "max"
    trials: int | None = None
    first: int = 1
    keep: int = 3
    seed: int = 0

    def better(self, value: float) -> float:
        """A figure as a number of which more is better."""
        return value if self.goal == "max" else -value

    def check(self) -> None:
        """Raise ValueError if a value is out of its range or says nothing."""
        for name, lowest in (("trials", 1), ("first", 1), ("keep", 2), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {value}")
        if (self.trials is None) != (self.search == "grid"):
            said = "a grid has as many as its values" if self.trials else "say how many"
            raise ValueError(f"trials: {said}, with search {self.search}")
        if self.trials is not None and self.trials > MOST_TRIALS:
            raise ValueError(f"trials must be at most {MOST_TRIALS}, got {self.trials}")
        usual = Plan()
        for name in ("first", "keep"):
            if self.search != "asha" and getattr(self, name) != getattr(usual, name):
                raise ValueError(f"{name} does nothing with search {self.search}; leave it out")
        if not self.metric.startswith(HELD_OUT):
            raise ValueError(
                f"metric must be measured on held-out images, {HELD_OUT}..., got {self.metric!r}"
            )


@dataclass(frozen=True)
class Values:
    """An option's values, one by one."""

    values: tuple[Any, ...]

    def grid(self) -> list[Any]:
        return list(self.values)

    def draw(self, rng: random.Random) -> Any:
        return rng.choice(self.values)


@dataclass(frozen=True)
class Range:
    """An option's values from low to high, both included.

    Args:
        low: the lowest.
        high: the highest.
        log: whether ratios count, not differences.
        whole: whether they are whole numbers.
        points: of a grid; None for all whole numbers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    points: int | None = None

    def grid(self) -> list[Any]:
        """The points, each once. ValueError if nothing says how many."""
        if self.points is None and not self.whole:
            raise ValueError("a range of a grid needs points, the number of its values")
        count = self.points or int(self.high - self.low) + 1
        if count > MOST_TRIALS:
            raise ValueError(f"has {count} values; give points, the number of those to try")
        shares = [place / max(1, count - 1) for place in range(count)]
        return list(dict.fromkeys(map(self._at, shares)))

    def draw(self, rng: random.Random) -> Any:
        if self.whole and not self.log:
            return rng.randint(int(self.low), int(self.high))
        return self._at(rng.random())

    def _at(self, share: float) -> Any:
        """The value at a share of the way, 0..1."""
        if self.log:
            value = math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        else:
            value = self.low * (1 - share) + self.high * share
        value = min(max(value, self.low), self.high)  # whatever rounding makes of the ends
        return round(value) if self.whole else float(value)


Trial = dict[str, Any]  # the options in which a trial differs from the others


@dataclass(frozen=True)
class Space:
    """A sweep as its file has it.

    Args:
        kind: of the networks.
        plan: how to search.
        options: of every trial.
        space: by name of an option, what is tried.
    """

    kind: Kind
    plan: Plan
    options: Mapping[str, Any]
    space: Mapping[str, Values | Range]

    def trials(self) -> list[Trial]:
        """What is tried, in order; the same trials for the same space. ValueError if too many."""
        if self.plan.search == "grid":
            return self._grid()
        rng = random.Random(self.plan.seed)
        count = self.plan.trials or 0
        return [{name: one.draw(rng) for name, one in self.space.items()} for _ in range(count)]

    def _grid(self) -> list[Trial]:
        columns = []
        for name, one in self.space.items():
            try:
                columns.append(one.grid())
            except ValueError as error:
                raise ValueError(f"space.{name}: {error}") from None
        if (count := math.prod(map(len, columns))) > MOST_TRIALS:
            raise ValueError(f"space: makes {count} trials; at most {MOST_TRIALS} can be run")
        return [dict(zip(self.space, row, strict=True)) for row in itertools.product(*columns)]

    def config(self, trial: Trial) -> Options:
        """All options of a trial. ValueError if they cannot be together."""
        return settled(self.kind, {**self.options, **trial})


def settled(kind: Kind, told: Mapping[str, Any]) -> Options:
    """The options of a kind where some are told, checked; paths mean the same from any folder."""
    choices = {name: told[name] for name in kind.choices if name in told}
    config: Any = dataclasses.replace(kind.defaults(choices), **told)
    config.check()
    data = getattr(config, "data", None)
    return config if data is None else dataclasses.replace(config, data=absolute(data))


def read(file: Path) -> Space:
    """A sweep out of its file; every trial is checked.

    Raises:
        ValueError: it cannot be read, or something in it is unknown, empty, of another type or out
            of its range; one line that names file and key.
    """
    told = config_file.parsed(file)
    try:
        return _checked(_space(told, file))
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(str(file)) else f"{file}: {said}") from None


def _space(told: dict[str, Any], file: Path) -> Space:
    for name in told:
        if name not in _TABLES:
            raise ValueError(f"unknown key {name}{config_file.nearest(name, _TABLES)}")
    for name in _TABLES[1:]:
        if not isinstance(told.setdefault(name, {}), dict):
            raise ValueError(f"{name} must be a table, [{name}]")
    if not isinstance(said := told.get("kind"), str):
        raise ValueError('kind is missing: what to train, such as kind = "classifier"')
    known = [kind.name for kind in kinds.every()]
    if said not in known:
        raise ValueError(f"kind must be one of {', '.join(known)}, got {said!r}")
    kind = kinds.find(said)
    types = types_of(kind.config)
    if both := sorted(told["options"].keys() & told["space"].keys()):
        raise ValueError(f"{both[0]} is in [options] and in [space]; leave one out")
    return Space(
        kind,
        plan_of(told["sweep"]),
        {name: config_file.value_of(file, name, it, types) for name, it in told["options"].items()},
        {name: _tried(file, name, it, types) for name, it in told["space"].items()},
    )


def plan_of(told: Mapping[str, Any]) -> Plan:
    """A plan out of a table. ValueError if a key is unknown, or its value of another type."""
    types = get_type_hints(Plan) | {"trials": int}
    for name, value in told.items():
        if name not in types:
            raise ValueError(f"unknown key sweep.{name}{config_file.nearest(name, types)}")
        if not is_of(value, types[name]):
            wanted = config_file.in_words(types[name])
            raise ValueError(f"sweep.{name} must be {wanted}, got {value!r}")
    plan = Plan(**told)
    plan.check()
    return plan


def _tried(file: Path, name: str, told: Any, types: Mapping[str, Any]) -> Values | Range:
    """The values or the range of an option."""
    if name not in types:
        raise ValueError(f"unknown option {name}{config_file.nearest(name, types)}")
    if isinstance(told, list):
        values = [config_file.value_of(file, name, value, types) for value in told]
        if not values:
            raise ValueError(f"space.{name} is empty; give at least one value")
        return Values(tuple(dict.fromkeys(values)))
    if not isinstance(told, dict):
        raise ValueError(f"space.{name} must be a list or a range, got {told!r}; see [options]")
    return _range(name, told, types[name])


def _range(name: str, told: dict[str, Any], kind: Any) -> Range:
    for key, value in told.items():
        if key not in _RANGE or not is_of(value, _RANGE[key]):
            raise ValueError(f"space.{name}: {key} = {value!r}; a range has low, high, log, points")
    if not {"low", "high"} <= told.keys():
        raise ValueError(f"space.{name}: a range needs low and high")
    whole = not is_of(0.5, kind)
    if not ((whole and is_of(1, kind)) or is_of(0.5, kind)):
        raise ValueError(f"space.{name}: has no ranges; give a list of values")
    low, high, log, points = told["low"], told["high"], told.get("log", False), told.get("points")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"space.{name}: low and high must be finite")
    if whole and (type(low), type(high)) != (int, int):
        raise ValueError(f"space.{name}: low and high must be whole numbers")
    if low > high:
        raise ValueError(f"space.{name}: is empty: low = {low} is above high = {high}")
    if log and low <= 0:
        raise ValueError(f"space.{name}: low must be above 0 with log, got {low}")
    if points is not None and points < 1:
        raise ValueError(f"space.{name}: points must be at least 1, got {points}")
    return Range(low, high, log, whole, points)


def _checked(space: Space) -> Space:
    """The space, once all of its trials can be. ValueError otherwise."""
    if not space.space:
        raise ValueError("[space] is missing: options with the values to try")
    if told := [name for name in _SHARED if name in space.space]:
        raise ValueError(f"space.{told[0]}: must be the same for all trials; put it into [options]")
    epochs = set()
    for trial in space.trials():
        try:
            config: Any = space.config(trial)
        except ValueError as error:
            raise ValueError(f"trial {in_words(trial)}: {error}") from None
        if not getattr(config, "validation", 1):
            raise ValueError(
                f"trial {in_words(trial)}: validation must be above 0: trials are compared on "
                "held-out images"
            )
        epochs.add(config.epochs)
    if space.plan.search == "asha":
        _check_rungs(space.plan, sorted(epochs))
    return space


def _check_rungs(plan: Plan, epochs: list[int]) -> None:
    """Raise ValueError unless trials can be compared after the epochs of a plan."""
    if len(epochs) > 1:
        raise ValueError(f"epochs must be the same for all trials of asha, got {epochs}")
    if plan.first > epochs[0]:
        raise ValueError(f"sweep.first must be at most epochs = {epochs[0]}, got {plan.first}")


def in_words(trial: Trial) -> str:
    """The options of a trial in a line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in trial.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
