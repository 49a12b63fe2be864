"""Successive halving without waiting: which trial is trained next, and how far (ASHA).

Trials are trained for ``first`` epochs; the best one of ``keep`` goes on to ``keep`` times as many,
and so on up to all epochs (Li et al., "A system for massively parallel hyperparameter tuning",
MLSys 2020, algorithm 2). A trial that waits is a run directory with a checkpoint and goes on from
there with the bytes of one that was never stopped, so that all there is to know is on the disk and
a killed sweep goes on. Ray Tune and Optuna have ASHA too, the one for trials in its own cluster
only, the other for trials that ask it from inside; neither decides on files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def rungs(first: int, keep: int, epochs: int) -> list[int]:
    """The epochs at which trials are compared, and the last one."""
    found = [first]
    while found[-1] * keep < epochs:
        found.append(found[-1] * keep)
    return found if found[-1] == epochs else [*found, epochs]


def following(
    told: Mapping[str, Mapping[int, float]],
    steps: Sequence[int],
    keep: int,
    busy: Sequence[str] = (),
    waiting: Sequence[str] = (),
) -> tuple[str, int] | None:
    """The trial to train next, and the epoch up to which.

    Args:
        told: by trial, its figures at those epochs of ``steps`` that it has reached; more is
            better. Trials that failed are left out.
        steps: the epochs of `rungs`.
        keep: one of so many goes on.
        busy: trials that are being trained.
        waiting: trials that have not begun, in order.

    Returns:
        A trial that may go on, the furthest first; else one that has not begun; else, if nothing
        runs and none has come to the end, the best of the furthest. None if there is none.
    """
    for place in reversed(range(len(steps) - 1)):
        ranked = _ranked(told, steps[place])
        for name in ranked[: len(ranked) // keep]:
            if name not in busy and steps[place + 1] not in told[name]:
                return name, steps[place + 1]
    if waiting:
        return waiting[0], steps[0]
    if busy or _ranked(told, steps[-1]):
        return None
    for place in reversed(range(len(steps) - 1)):
        if ranked := _ranked(told, steps[place]):
            return ranked[0], steps[place + 1]
    return None


def _ranked(told: Mapping[str, Mapping[int, float]], epoch: int) -> list[str]:
    """The trials that have reached an epoch, the best first; of equals the first."""
    there = [name for name, figures in told.items() if epoch in figures]
    return sorted(there, key=lambda name: -told[name][epoch])


def planned(trials: int, first: int, keep: int, epochs: int) -> int:
    """Epochs that so many trials are trained altogether, if none fails."""
    total, before = 0, 0
    for epoch in rungs(first, keep, epochs):
        total += max(1, trials) * (epoch - before)
        trials, before = max(1, trials // keep), epoch
    return total
