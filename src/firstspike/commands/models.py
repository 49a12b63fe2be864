"""``firstspike models``: the networks that come with the package, and their cards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from firstspike.hub import bundled
from firstspike.hub.bundled import Card
from firstspike.training import kinds


@dataclass(frozen=True)
class Models:
    """List the networks that come with the package: data, figures, spikes, licence, command."""

    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None
    """Of one network, or a file of fs.save; all in the package if not given."""
    json: bool = False
    """As JSON, for scripts."""

    def __call__(self) -> None:
        if self.name is not None and Path(self.name).is_file():
            from firstspike.hub import network_file

            print(json.dumps(network_file.read_card(self.name), indent=2))
            return
        names = bundled.names() if self.name is None else [self.name]
        cards = [bundled.card(name) for name in names]
        if self.json:
            print(json.dumps([card.as_dict() for card in cards], indent=2))
        else:
            print("\n\n".join(map(_told, cards)))


def _told(card: Card) -> str:
    """A card in a few lines."""
    figures = ", ".join(f"{name.replace('_', ' ')} {v:.4g}" for name, v in card.measured.items())
    draws = kinds.find(card.kind).draws
    use = f"firstspike generate {card.name}" if draws else "firstspike demo"
    rows = {
        "data": card.data,
        "measured": figures,
        "weights": f"{card.bytes / 1e6:.1f} MB, {card.licence}",
        "command": f"{card.command}  (seed {card.seed})",
        "use": f'{use}; fs.load("{card.name}")',
    }
    lines = [f"  {name:<9}{text}" for name, text in rows.items()]
    return "\n".join([f"{card.name}: {card.about}", *lines])
