"""What README shows works: its example learns."""

from __future__ import annotations

import re
from pathlib import Path

import firstspike as fs
from firstspike.data import ImageSet

README = Path(__file__).parents[1] / "README.md"
USED = {"train": 6000, "test": 1000}  # images; README uses all, and reaches 97.8 %


def test_the_example_learns(monkeypatch, capsys):
    def some(split: str) -> ImageSet:
        whole, count = load(split), USED[split]
        return ImageSet(whole.images[:count], whole.labels[:count], "some", whole.names)

    load = fs.load_mnist
    monkeypatch.setattr(fs, "load_mnist", some)
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert float(re.match(r"([\d.]+)% of the test images", said)[1]) > 90
