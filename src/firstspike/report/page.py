"""Results as one self-contained HTML page."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from firstspike._version import __version__
from firstspike.report import beyond, samples
from firstspike.report.claims import CLAIMS, PARTS, Claim, Verdict
from firstspike.report.drawings import Drawn
from firstspike.report.equations import EQUATIONS, Equation, Place, locate
from firstspike.report.gather import Measured, Results, command_of, shortness
from firstspike.report.measures import Sample, digits_of
from firstspike.report.plan import missing
from firstspike.report.plates import PLATES, Plate
from firstspike.runs import files, jobs
from firstspike.runs.jobs import Outcome
from firstspike.training import kinds
from firstspike.words import counted

if TYPE_CHECKING:  # only a page needs it
    from jinja2 import Template

_MOST_DIGITS = 2  # decimal places of a mean


@dataclass(frozen=True)
class Row:
    """A number of the paper beside ours, in words."""

    claim: Claim
    sample: Sample | None
    verdict: Verdict
    ours: str
    beside: list[tuple[str, str]]
    origin: str
    commands: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Shown:
    """A figure of the paper; ``fault`` says why ours is missing, ``missing`` what would make it."""

    plate: Plate
    drawn: Drawn | None
    origin: str
    commands: list[str]
    fault: str
    missing: list[str]


@dataclass(frozen=True)
class Further:
    """A figure of what the paper leaves to others, with the commands that made it or would."""

    row: beyond.Row
    commands: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Located:
    """An equation with its places in the code."""

    equation: Equation
    places: list[Place]


def write(
    file: Path,
    results: Results,
    outcomes: Sequence[Outcome],
    *,
    quick: bool,
    shortened: str = "",
) -> Counter[str]:
    """Draw everything and write the page.

    Args:
        file: the page; it has its old content or all of the new.
        results: what was measured.
        outcomes: of the jobs that ran; none if the results were only gathered.
        quick: whether training was cut short, which the page says.
        shortened: how, in words.

    Returns:
        How often each verdict was given.

    Raises:
        ValueError: the file cannot be written.
    """
    rows = [_row(claim, results) for claim in CLAIMS]
    tally = Counter(row.verdict for row in rows)
    page = _template().render(
        rows=rows,
        parts=PARTS,
        tally=tally,
        columns=list(samples.COLUMNS.values()),
        samples=samples.rows(results),
        digits=samples.digits(results),
        beyond=[_further(row, results) for row in beyond.rows(results)],
        figures=[_show(plate, results) for plate in PLATES],
        equations=[Located(one, [locate(name) for name in one.places]) for one in EQUATIONS],
        failed=[one for one in outcomes if one.state in ("failed", "skipped")],
        outcomes=outcomes,
        left_out=results.left_out,
        quick=quick,
        shortened=shortened,
        facts=_facts(),
        counted=counted,
    )
    with files.explained(file, "make room there or choose another --out"):
        files.replace(file, page.encode())
    return Counter({str(verdict): count for verdict, count in tally.items()})


def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("firstspike", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def _row(claim: Claim, results: Results) -> Row:
    try:
        sample = claim.ours(results)
        beside = [(name, found) for name, find in claim.beside if (found := find(results))]
        withheld = claim.withheld(results)
    except ValueError as error:  # a damaged run: the page is about the others as well
        return Row(claim, None, "open", "", [], str(error), [], [])
    if sample is None:
        missing = _missing(claim.roles, results) or ["firstspike figures"]
        return Row(claim, None, "open", "", [], "not measured", [], missing)
    notes = [note for note in (sample.note, withheld) if note]
    return Row(
        claim,
        sample,
        "withheld" if withheld else claim.judge(sample),
        _number(sample, claim),
        [(name, _number(found, claim)) for name, found in beside],
        _origin(sample.runs, *notes),
        _commands(sample.runs),
        _missing(claim.roles, results) if len(beside) < len(claim.beside) else [],
    )


def _missing(roles: Sequence[str], results: Results) -> list[str]:
    """The commands that would measure what these roles lack."""
    return [line for role in roles for line in missing(role, results)]


def _number(sample: Sample, claim: Claim) -> str:
    """Mean ± standard deviation with sensible digits."""
    deviation = sample.deviation
    if not deviation:
        return f"{sample.mean:,.{claim.digits}f}"
    digits = min(_MOST_DIGITS, max(claim.digits, digits_of(deviation)))
    return f"{sample.mean:,.{digits}f} ± {deviation:,.{digits}f}"


def _origin(runs: list[Measured], *notes: str) -> str:
    """Whose mean it is, and whether training was cut short."""
    parts = [note for note in (*notes, _haste(runs)) if note]
    seeds = sorted({run.seed for run in runs})
    if seeds:
        parts.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")
    return "; ".join(parts)


def _haste(runs: list[Measured]) -> str:
    """Which runs had fewer epochs than their commands have by default; empty if none."""
    told = {run.place: cut for run in runs if (cut := shortness(run.run))}
    if not told:
        return ""
    share = "short runs" if len(told) == len(runs) else f"{len(told)} of {len(runs)} runs short"
    return f"{share}: {', '.join(dict.fromkeys(told.values()))}"


def _commands(runs: list[Measured]) -> list[str]:
    """The command lines behind runs, those of all seeds and digits as one."""
    if not runs:
        return ["firstspike figures"]
    lines = []
    for run in runs:
        seeds = sorted({one.seed for one in runs if one.run.kind == run.run.kind})
        line = command_of(run.run, without=("seed", "digit"))
        if kinds.find(run.run.kind).draws and run.digit != "all":
            line += " --digit DIGIT"
        lines.append(line + (" --seed SEED" if seeds != [0] else ""))
        if run.metrics:
            lines.append("firstspike evaluate RUN --split test")
    return list(dict.fromkeys(lines))


def _further(row: beyond.Row, results: Results) -> Further:
    commands = _commands(row.runs) if row.runs else []
    return Further(row, commands, _missing(row.lacking, results))


def _show(plate: Plate, results: Results) -> Shown:
    try:
        drawn, fault = plate.draw(results), "its runs have not been made"
    except ValueError as error:  # a damaged run, as above
        drawn, fault = None, str(error)
    if drawn is None:
        return Shown(plate, None, "", [], fault, _missing(plate.roles, results))
    return Shown(plate, drawn, _origin(drawn.runs, drawn.note), _commands(drawn.runs), "", [])


def _facts() -> list[tuple[str, Any]]:
    """What the page was made with."""
    return [
        ("firstspike", __version__),
        ("PyTorch", torch.__version__),
        ("Python", platform.python_version()),
        ("processor", f"{platform.machine()}, {jobs.cores()} cores used"),
        ("written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
