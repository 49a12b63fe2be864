"""What has come of a sweep: trials in their order, settings over seeds, the best one's command."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firstspike.report.gather import command_of
from firstspike.runs.directory import RunDirectory
from firstspike.sweeps.directory import SweepDirectory, figures_of
from firstspike.sweeps.space import Plan, Trial, in_words

State = Literal["ended", "stopped", "not begun", "damaged"]


@dataclass(frozen=True)
class Result:
    """What has come of a trial.

    Args:
        name: of its folder.
        trial: the options in which it differs.
        state: ended; stopped, which one that runs now is too; not begun; or damaged.
        epochs: that it has been trained for.
        curve: the figure that decides, by epoch.
    """

    name: str
    trial: Trial
    state: State
    epochs: int
    curve: Mapping[int, float]

    @property
    def figure(self) -> float | None:
        """As it was told last."""
        return self.curve[max(self.curve)] if self.curve else None


@dataclass(frozen=True)
class Setting:
    """Trials that differ in their seeds alone, and have ended.

    Args:
        options: that they share.
        figures: of each.
        best: the trial with the best figure.
    """

    options: Trial
    figures: list[float]
    best: Result

    @property
    def mean(self) -> float:
        return statistics.fmean(self.figures)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; 0 of a single one."""
        return statistics.stdev(self.figures) if len(self.figures) > 1 else 0.0


def results(sweep: SweepDirectory) -> list[Result]:
    """Every trial, the best first: those that have ended before the others."""
    found = [_result(sweep, name, trial) for name, trial in sweep.trials.items()]

    def place(one: Result) -> tuple[bool, int, float]:
        ended = one.state == "ended"
        worth = float("-inf") if one.figure is None else sweep.plan.better(one.figure)
        return not ended, 0 if ended else -one.epochs, -worth

    return sorted(found, key=place)


def _result(sweep: SweepDirectory, name: str, trial: Trial) -> Result:
    path = sweep.path / name
    if not (path / "options.json").is_file():
        return Result(name, trial, "not begun", 0, {})
    try:
        stats = RunDirectory.open(path).read_stats()
    except ValueError:
        return Result(name, trial, "damaged", 0, {})
    state: State = "ended" if (path / "summary.json").is_file() else "stopped"
    return Result(name, trial, state, len(stats), figures_of(stats, sweep.plan.metric))


def settings(found: Sequence[Result], plan: Plan) -> list[Setting]:
    """What the trials that have ended say of each setting, the best mean first."""
    groups: dict[str, list[Result]] = {}
    for one in found:
        if one.state == "ended" and one.figure is not None:
            groups.setdefault(in_words(_setting(one.trial)), []).append(one)
    made = []
    for group in groups.values():
        figures = [one.figure for one in group if one.figure is not None]
        best = max(group, key=lambda one: plan.better(one.figure or 0.0))
        made.append(Setting(_setting(group[0].trial), figures, best))
    return sorted(made, key=lambda one: -plan.better(one.mean))


def _setting(trial: Trial) -> Trial:
    return {name: value for name, value in trial.items() if name != "seed"}


def command(sweep: SweepDirectory, one: Result) -> str:
    """The ``firstspike train`` command of a trial."""
    return command_of(RunDirectory.open(sweep.path / one.name))


def importance(found: Sequence[Result], plan: Plan) -> dict[str, float]:
    """The share of each option in what makes trials good; empty if there are too few.

    By PED-ANOVA (Watanabe et al., IJCAI 2023), as of Optuna, over all trials that told the figure.

    Raises:
        ImportError: there is no Optuna.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    told = [one for one in found if one.figure is not None]
    tried = _tried(told)
    if len(told) < 4 or not tried or len({one.figure for one in told}) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if plan.goal == "max" else "minimize")
    spread = {name: _distribution(values) for name, values in tried.items()}
    for one in told:
        parameters = {name: _plain(one.trial[name]) for name in tried}
        study.add_trial(
            optuna.trial.create_trial(params=parameters, distributions=spread, value=one.figure)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parts of it call themselves experimental
        return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))


def _tried(told: Sequence[Result]) -> dict[str, list[Any]]:
    """The options that have several values, with these."""
    names = told[0].trial if told else {}
    values = {name: [_plain(one.trial[name]) for one in told] for name in names}
    return {name: column for name, column in values.items() if len(set(column)) > 1}


def _plain(value: Any) -> Any:
    """A value as Optuna takes it: categories may not be mixed with numbers."""
    return value if type(value) in (int, float) else str(value)


def _distribution(column: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if all(type(value) is int for value in column):
        return IntDistribution(min(column), max(column))
    if all(type(value) in (int, float) for value in column):
        low, high = min(column), max(column)
        return FloatDistribution(low, high, log=low > 0 and high / low > 20)
    return CategoricalDistribution(list(dict.fromkeys(column)))
