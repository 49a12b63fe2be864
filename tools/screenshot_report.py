"""Take a picture of the top of a page of firstspike reproduce, with Chromium (Debian: chromium).

python tools/screenshot_report.py REPORT.html [OUTPUT] [--dark] [--width N] [--height N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright
from screenshot_demo import launch

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "reproduction.png"


def main() -> None:
    """Take the picture and say where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=PICTURE)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--height", type=int, default=1200)
    options = parser.parse_args()
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
        )
        page.goto(options.report.resolve().as_uri())
        page.screenshot(path=options.output)
    print(f"{options.output}: {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
