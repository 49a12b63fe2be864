"""Measured rows, as figures for JSON and as a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from _timing import alternate, median_ratio
from rich.console import Console
from rich.table import Table

Function = Callable[[], object]
Entries = dict[str, Function | str]  # what to time, or why that cannot be
Rows = dict[str, dict[str, float] | str]


def measure(entries: Entries, base: str, repeats: int, clock: Callable[[], float]) -> Rows:
    """Milliseconds of each entry and how many times those of the entry ``base`` they are."""
    functions = {name: entry for name, entry in entries.items() if not isinstance(entry, str)}
    measured = alternate(functions, repeats, clock)

    def row(name: str) -> dict[str, float]:
        ratio = median_ratio(measured[name], measured[base])
        milliseconds = statistics.median(measured[name])
        return {"ms": significant(milliseconds), f"/ {base}": significant(ratio)}

    return {name: row(name) if name in functions else str(entries[name]) for name in entries}


def significant(value: float, digits: int = 3) -> float:
    return float(np.format_float_positional(value, digits, fractional=False))


def show(title: str, rows: dict[str, Any], console: Console) -> None:
    """Print rows of numbers under the names of the columns; other rows say something instead."""
    columns = next(list(row) for row in rows.values() if isinstance(row, dict))
    table = Table(title)
    for column in columns:
        table.add_column(column, justify="right")
    remarks = []
    for name, row in rows.items():
        if isinstance(row, dict):
            table.add_row(name, *(f"{value:g}" for value in row.values()))
        else:
            remarks.append(f"{name}: {row}")
    console.print(table, *remarks, sep="\n")
