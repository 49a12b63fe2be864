"""Successive halving: who goes on, and how far."""

from __future__ import annotations

import random

import pytest

from firstspike.sweeps.halving import following, planned, rungs


@pytest.mark.parametrize(
    ("first", "keep", "epochs", "wanted"),
    [(1, 3, 9, [1, 3, 9]), (1, 3, 10, [1, 3, 9, 10]), (2, 2, 3, [2, 3]), (5, 4, 5, [5])],
)
def test_rungs(first, keep, epochs, wanted):
    assert rungs(first, keep, epochs) == wanted


def test_the_best_goes_on_as_soon_as_it_is_one_of_so_many():
    steps = [1, 3, 9]
    told = {"a": {1: 0.1}, "b": {1: 0.3}}
    assert following(told, steps, 3, waiting=["c"]) == ("c", 1)
    told["c"] = {1: 0.2}
    assert following(told, steps, 3, waiting=["d"]) == ("b", 3)
    assert following(told, steps, 3, busy=["b"], waiting=["d"]) == ("d", 1)
    assert following(told, steps, 3, busy=["b"]) is None


def test_whoever_is_furthest_goes_on_first():
    told = {name: {1: place / 10, 3: place / 10} for place, name in enumerate("abc")}
    told |= {name: {1: 0.9} for name in "defghi"}
    assert following(told, [1, 3, 9], 3) == ("c", 9)


def test_where_too_few_are_left_the_best_comes_to_the_end():
    told = {"a": {1: 0.1}, "b": {1: 0.3}}
    assert following(told, [1, 3], 3, busy=["c"]) is None
    assert following(told, [1, 3], 3) == ("b", 3)
    told["b"][3] = 0.3
    assert following(told, [1, 3], 3) is None
    assert following({}, [1, 3], 3) is None


def test_a_simulated_sweep_finds_the_best_with_a_part_of_the_epochs():
    """Trials that end in a random order, three at a time; the figure is the trial's number."""
    rng, steps = random.Random(0), rungs(1, 3, 27)
    told: dict[str, dict[int, float]] = {}
    waiting = [f"{number:02}" for number in range(27)]
    rng.shuffle(waiting)
    busy: list[tuple[str, int]] = []
    trained, at = 0, dict.fromkeys(waiting, 0)
    while True:
        while len(busy) < 3 and (
            job := following(told, steps, 3, [name for name, _ in busy], waiting)
        ):
            busy.append(job)
            waiting = [name for name in waiting if name != job[0]]
        if not busy:
            break
        name, epoch = busy.pop(rng.randrange(len(busy)))
        told.setdefault(name, {})[epoch] = float(name)
        trained, at[name] = trained + epoch - at[name], epoch
    assert at["26"] == 27 and all(at.values())
    assert trained <= 1.5 * planned(27, 1, 3, 27) < 27 * 27 / 4
