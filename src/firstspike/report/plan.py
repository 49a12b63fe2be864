"""Everything that has to run for the paper's figures and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firstspike.report.beyond import FAMILIES
from firstspike.report.gather import CODING, COMPARISON, METRICS, RAMP, STEP, Results
from firstspike.runs.jobs import Job

CODINGS = Job("figures", ("figures", "--out", str(CODING.parent)), str(CODING))


@dataclass(frozen=True)
class Scale:
    """How much of everything is done; None: as the command itself has it.

    ``families`` are those beyond the paper, by their roles, with what shortens them; None for all.
    """

    seeds: int
    large_seeds: int
    digits: tuple[int, ...]
    family_seeds: int = 1
    epochs: int | None = None
    online_epochs: int | None = None
    ramp_epochs: int | None = None
    gan_epochs: int | None = None
    families: Mapping[str, tuple[str, ...]] | None = None


DIGITS = tuple(range(10))
FULL = Scale(seeds=5, large_seeds=5, digits=DIGITS, family_seeds=3)
QUICK = Scale(
    seeds=2,
    large_seeds=1,
    digits=(0, 3, 7),
    epochs=16,
    online_epochs=10,
    ramp_epochs=4,
    gan_epochs=16,
    families={
        "vae-dense": ("--epochs", "1"),
        "translate-outline": (),
        "detect": ("--canvases", "2000", "--epochs", "3"),
    },
)
_LAYERS = "784-400-10"
_LOOP_TWIN = f"ann-{_LAYERS}"  # of ramp neurons, in their loop
# What the paper is about is trained with its neurons and losses; beside it, our ramp neurons.
GANS = (
    (STEP, "gan", ("--neuron", "step")),
    ("cross-entropy-ann-gan", "ann-gan", ("--loss", "cross-entropy")),
    (RAMP, "gan", ()),
    ("relativistic-ann-gan", "ann-gan", ()),
)


def plan(scale: Scale) -> list[Job]:
    """The jobs of a whole reproduction, long ones first."""
    jobs = [CODINGS]
    for role, kind, options in GANS:
        for digit in scale.digits:
            given = (*options, "--digit", str(digit), *_epochs(scale.gan_epochs))
            job = _train(kind, f"{role}-{digit}", given)
            jobs += [job, _evaluate(job)]
    few, many = scale.large_seeds, scale.seeds
    jobs += _beyond(scale)
    for name, seeds, epochs, kind, options in (
        ("aggressive-1000", few, scale.epochs, "classifier", ("--hidden", "1000")),
        ("aggressive-400", many, scale.epochs, "classifier", ()),
        ("s4nn-400", many, scale.online_epochs, "classifier", ("--loss", "s4nn")),
        ("ramp-400", many, scale.ramp_epochs, "classifier", ("--neuron", "ramp")),
        ("ann-400", many, scale.epochs, "ann-classifier", ()),
        (_LOOP_TWIN, many, scale.ramp_epochs, "ann-classifier", ("--network", _LAYERS)),
    ):
        for seed in range(seeds):
            given = (*options, "--validation", "0", "--seed", str(seed), *_epochs(epochs))
            job = _train(kind, f"{name}-seed{seed}", given)
            jobs += [job, _evaluate(job)]
    return jobs


def _beyond(scale: Scale) -> list[Job]:
    """Networks of the families that the paper leaves to others, each beside its dense twin."""
    jobs = []
    for family in FAMILIES:
        short = () if scale.families is None else scale.families.get(family.role)
        if short is None:
            continue
        for seed in range(scale.family_seeds):
            for role, kind in ((family.role, family.kind), (family.twin, f"ann-{family.kind}")):
                given = (*family.options, "--seed", str(seed), *short)
                job = _train(kind, f"{role}-seed{seed}", given)
                jobs += [job, _evaluate(job)]
    return jobs


def missing(role: str, results: Results) -> list[str]:
    """The commands that would make and measure what a role lacks; none if all was measured."""
    if results.evaluated(role):
        return []
    if runs := results.groups.get(role):
        return [f"firstspike evaluate {run.run.path} --split test" for run in runs]
    job = next(job for job in plan(FULL) if (job.run or "").startswith(f"runs/{role}-"))
    return [f"firstspike {' '.join(one.arguments)}" for one in (job, _evaluate(job))]


def _train(kind: str, name: str, options: tuple[str, ...]) -> Job:
    run = f"runs/{name}"
    arguments = ("train", kind, *options, "--out", run)
    return Job(f"train-{name}", arguments, f"{run}/summary.json", run=run)


def _evaluate(training: Job) -> Job:
    arguments = ("evaluate", str(training.run), "--split", "test")
    name = training.name.replace("train", "evaluate", 1)
    file = COMPARISON if "--auxiliary" in training.arguments else METRICS
    return Job(name, arguments, f"{training.run}/{file}", (training.name,))


def _epochs(count: int | None) -> tuple[str, ...]:
    return () if count is None else ("--epochs", str(count))


def shortened(scale: Scale) -> str:
    """In words, what a scale leaves out of the full one."""
    return (
        f"Classifiers were trained for {scale.epochs} epochs (S4NN: {scale.online_epochs}; ramp "
        f"neurons and their twin: {scale.ramp_epochs}) with {scale.seeds} seeds (1000 hidden "
        f"neurons: {scale.large_seeds}), GANs for {scale.gan_epochs} epochs on the digits "
        f"{', '.join(map(str, scale.digits))}. Beyond the paper, "
        f"{len(scale.families or FAMILIES)} of {len(FAMILIES)} kinds of networks were trained, "
        "most of them in short."
    )
