"""A sweep as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firstspike._version import __version__
from firstspike.report.pictures import Picture, from_figure
from firstspike.runs import files
from firstspike.sweeps import drawings, results
from firstspike.sweeps.directory import PAGE, SweepDirectory
from firstspike.sweeps.results import Result
from firstspike.sweeps.space import in_words


def write(sweep: SweepDirectory, found: Sequence[Result]) -> Path:
    """Draw a sweep and write its page into its folder.

    Args:
        sweep: the sweep.
        found: its results, the best first.

    Returns:
        The file.

    Raises:
        ValueError: it cannot be written.
    """
    import jinja2

    loaders = [jinja2.PackageLoader("firstspike", name) for name in ("sweeps", "report")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = results.settings(found, sweep.plan)
    best = settings[0].best if settings else None
    pictures, why = _pictures(sweep, found)
    content = environment.get_template("page.html.jinja").render(
        sweep=sweep,
        found=found,
        ended=sum(one.state == "ended" for one in found),
        settings=settings,
        best=best,
        command=results.command(sweep, best) if best else "",
        pictures=pictures,
        why=why,
        words=in_words,
        version=__version__,
    )
    file = sweep.path / PAGE
    with files.explained(file, "make room there"):
        files.replace(file, content.encode())
    return file


def _pictures(sweep: SweepDirectory, found: Sequence[Result]) -> tuple[list[Picture], str]:
    """What can be drawn, and why something is missing."""
    plan = sweep.plan
    if all(one.figure is None for one in found):
        return [], ""
    made = [
        from_figure(lambda: drawings.curves(found, plan), f"{plan.metric} by epoch, a line a trial")
    ]
    why = "Importance: needs at least four trials with different figures."
    try:
        shares = results.importance(found, plan)
    except ImportError:
        shares, why = {}, "Importance: needs Optuna, pip install 'firstspike[sweep]'."
    if shares:
        alt = "Importance of the options for being among the best trials (PED-ANOVA)"
        made.append(from_figure(lambda: drawings.bars(shares), alt))
        why = ""
    alt = "Parallel coordinates: a line a trial, bright ones are the best"
    made.append(from_figure(lambda: drawings.parallel(found, plan), alt))
    return made, why
