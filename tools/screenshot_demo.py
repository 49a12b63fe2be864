"""Take the picture of the demo in docs/images/demo.png, with Chromium (Debian: chromium).

    python tools/screenshot_demo.py [OUTPUT] [--dark] [--width PIXELS] [--height PIXELS]

A seven is drawn with the mouse and recognised by the first bundled classifier.
"""

from __future__ import annotations

import argparse
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from firstspike.demo.api import Api
from firstspike.demo.networks import Shelf, bundled
from firstspike.demo.server import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.png"
# Coordinates in the pad, as shares of its side.
SEVEN = ((0.27, 0.27), (0.45, 0.25), (0.72, 0.24), (0.62, 0.45), (0.52, 0.62), (0.47, 0.84))


def launch(playwright: Playwright) -> Browser:
    """A headless browser that talks to nobody of its own accord."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    flags = [*QUIET, *(["--no-sandbox"] if is_root else [])]  # root may not have a sandbox
    return playwright.chromium.launch(executable_path=CHROMIUM, args=flags)


def draw(page: Page, stroke: Sequence[tuple[float, float]], pad: str = "#pad") -> None:
    """Draw on a pad with the mouse."""
    box = page.locator(pad).bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def take(url: str, options: argparse.Namespace) -> None:
    """Open the page, draw a seven, wait for the end of its race and save the picture."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
            reduced_motion="reduce",
        )
        page.goto(url)
        page.wait_for_selector("html[data-ready]")
        draw(page, SEVEN)
        page.mouse.move(1, 1)
        expect(page.locator("#spoken")).to_contain_text("7. ")
        page.wait_for_timeout(1000)  # until bars and colours have settled
        page.screenshot(path=options.output)


def main() -> None:
    """Serve the bundled networks, take the picture and say where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, nargs="?", default=PICTURE)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=1022)
    options = parser.parse_args()
    with Server(0, Api(Shelf(bundled()))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        take(server.url, options)
        server.shutdown()
    print(f"{options.output}: {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
