"""Words for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``: a number and a noun with a regular plural."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
