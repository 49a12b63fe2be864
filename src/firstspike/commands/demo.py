"""``firstspike demo``: a local web page to draw digits on and to watch spikes."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from firstspike.commands.terminal import Killed


@dataclass(frozen=True)
class Demo:
    """Open a web page: watch spikes recognise, draw, encode, translate and find digits."""

    runs: Positional[tuple[Path, ...]] = ()
    """Run directories, or folders that hold some, offered besides the bundled networks."""
    port: int = 8028
    """Where the page is, for this machine only; 0 for any that is free."""
    browser: bool = True
    """Open the page in a browser."""

    def __call__(self) -> None:
        from firstspike.demo.api import Api
        from firstspike.demo.networks import Shelf, bundled, given
        from firstspike.demo.server import Server

        offers, left_out = given(self.runs)
        api = Api(Shelf([*offers, *bundled()]))
        with Server(self.port, api) as server:
            for reason in left_out:
                print(f"left out: {reason}")
            print(f"{server.url}  (Ctrl+C ends it)", flush=True)
            threading.Thread(target=api.warm_up, daemon=True).start()
            if self.browser and _has_screen():
                webbrowser.open(server.url)
            try:
                server.serve_forever()
            except Killed:
                raise
            except KeyboardInterrupt:
                print()


def _has_screen() -> bool:
    """Whether a browser would have a window of its own, not this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
