"""Words for people."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def counted(count: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``: a number and a noun with a regular plural."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def with_article(noun: str) -> str:
    """``a gan run``, ``an ann-gan run``: a noun after its article, by its first letter."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def in_a_line(text: str) -> str:
    """Text in which codes stand for control characters: names of files may move the cursor."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
