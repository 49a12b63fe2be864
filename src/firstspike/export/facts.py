"""What a file tells of a network besides its layers: its images, its classes, what it is fed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CODING = "time-to-first-spike"

# Strings, numbers and lists of strings, such as `firstspike.training.trainer.Trainer.facts` gives;
# docs/nir.md explains each.
Facts = Mapping[str, Any]


def plain(facts: Facts) -> dict[str, str | int | float]:
    """Facts as formats hold them that know no lists, which become JSON."""
    return {
        name: json.dumps(fact, ensure_ascii=False) if isinstance(fact, list) else fact
        for name, fact in facts.items()
    }
