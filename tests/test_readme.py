"""What README and the page of loops show works: their examples learn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import firstspike as fs
from firstspike.data import ImageSet

ROOT = Path(__file__).parents[1]
USED = {"train": 6000, "test": 1000}  # images; the pages use all
# % of each example with so few images; with all of them 98.3; 97.8 and 96
LEAST = {"README.md": (88,), "docs/loops.md": (90, 88)}
EXAMPLES = [(page, n, least) for page, all_of in LEAST.items() for n, least in enumerate(all_of)]


@pytest.mark.parametrize(("page", "number", "least"), EXAMPLES)
def test_the_examples_learn(monkeypatch, capsys, page, number, least):
    def some(split: str) -> ImageSet:
        whole, count = load(split), USED[split]
        return ImageSet(whole.images[:count], whole.labels[:count], "some", whole.names)

    load = fs.load_mnist
    monkeypatch.setattr(fs, "load_mnist", some)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert len(blocks) == len(LEAST[page])
    exec(compile(blocks[number], page, "exec"), {})
    said = capsys.readouterr().out
    assert float(re.match(r"([\d.]+)% of the test images", said)[1]) > least


def test_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    own = [link for link in links if not link.startswith("http")]
    assert len(own) > 15 and not [link for link in own if not (ROOT / link).exists()]
