"""What README shows works: its examples learn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import firstspike as fs
from firstspike.data import ImageSet

README = Path(__file__).parents[1] / "README.md"
USED = {"train": 6000, "test": 1000}  # images; README uses all
LEAST = (88, 90, 88)  # % of each example with so few images; with all of them 98.3, 97.8 and 96


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_learn(monkeypatch, capsys, number):
    def some(split: str) -> ImageSet:
        whole, count = load(split), USED[split]
        return ImageSet(whole.images[:count], whole.labels[:count], "some", whole.names)

    load = fs.load_mnist
    monkeypatch.setattr(fs, "load_mnist", some)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == len(LEAST)
    exec(compile(blocks[number], "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert float(re.match(r"([\d.]+)% of the test images", said)[1]) > LEAST[number]
