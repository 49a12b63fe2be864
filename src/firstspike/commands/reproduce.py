"""``firstspike reproduce``: the whole paper, run and compared on one page."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from firstspike.commands.terminal import Stopped
from firstspike.extras import require


@dataclass(frozen=True)
class Reproduce:
    """Run what the paper shows and leaves to others, on one web page; goes on after a kill."""

    out: Path | None = None
    """Folder for the page, the runs and their logs; reproduction or, with --quick,
    reproduction-quick if not given."""
    quick: bool = False
    """Look at it within ten minutes on two cores: fewer epochs, seeds, digits and families."""
    from_: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Train nothing; gather the run directories below this folder."""

    def __call__(self) -> None:
        needed = "matplotlib", "torchmetrics", "jinja2", "latex2mathml"
        require("report", *needed, purpose="reproduce")
        from firstspike.report.reproduction import reproduce

        try:
            reproduce(self.out, self.from_, quick=self.quick)
        except KeyboardInterrupt as stop:
            raise Stopped(self._again()) from stop

    def _again(self) -> str:
        """The command that goes on."""
        places = ("--out", self.out), ("--from", self.from_)
        given = [word for name, place in places if place for word in (name, str(place))]
        return shlex.join(["firstspike", "reproduce", *(["--quick"] * self.quick), *given])
