"""The documentation builds without a warning and says what is so."""

import html
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

from tools import write_cli_reference  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built pages; the build takes a second."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(DOCS, folder / "docs")
    for name in ("src", "tools", "examples"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "site"


def test_formulas_are_mathml(site):
    text = (site / "theory" / "index.html").read_text(encoding="utf-8")
    assert text.count("<math") > 20 and "\\frac" not in text and "{http" not in text


def test_functions_are_documented(site):
    text = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("fire", "nn.FirstSpikeLinear", "losses.aggressive_ttfs", "load_run"):
        assert f'id="firstspike.{name}"' in text


def test_every_example_is_on_a_page(site):
    pages = "".join(page.read_text(encoding="utf-8") for page in site.rglob("index.html"))
    text = html.unescape(re.sub("<[^>]+>", "", pages))  # without the spans of the colours
    for example in (ROOT / "examples").rglob("*.py"):
        assert example.read_text(encoding="utf-8").strip() in text, example.name


def test_pages_fetch_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="([^"]+)"', text)
        assert not [source for source in fetched if source.startswith(("http:", "https:", "//"))]


def test_every_page_is_in_the_navigation():
    """A page that is not in zensical.toml cannot be found."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert set(_pages(project["nav"])) == {file.name for file in DOCS.glob("*.md")}


def _pages(entry: Any) -> Iterator[str]:
    """The files that a part of the navigation names."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _pages(part)


def test_the_command_line_reference_is_current():
    """After a change of options: python tools/write_cli_reference.py."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == write_cli_reference.page()
