"""Files of figures are whole or absent, and Matplotlib is imported when it is needed."""

from __future__ import annotations

import errno

import pytest
from matplotlib.figure import Figure
from PIL import Image
from processes import run

from firstspike.drawing import figures


def test_a_figure_is_saved_with_its_folder_and_replaces_an_older_one(tmp_path):
    file = tmp_path / "a" / "b" / "figure.png"
    figures.save(file, Figure(figsize=(1, 1)))
    figures.save(str(file), Figure(figsize=(4, 2)))
    with Image.open(file) as picture:
        assert picture.size == (600, 300)
    assert [path.name for path in file.parent.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_an_unknown_figure_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: no figure format has this suffix; use .png"):
        figures.save(tmp_path / name, Figure())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_older_figure(tmp_path, monkeypatch):
    file = tmp_path / "figure.png"
    file.write_bytes(b"old")

    def write_half(_, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", write_half)
    with pytest.raises(ValueError, match=r"figure\.png: cannot be written: No space left"):
        figures.save(file, Figure())
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    assert file.read_bytes() == b"old"


def test_matplotlib_is_imported_when_something_is_drawn_and_pyplot_never(tmp_path):
    code = (
        "import sys; from firstspike.drawing import decisions, figures; "
        "assert 'matplotlib' not in sys.modules; "
        "figures.save(sys.argv[1], decisions.confusion([[1, 2], [3, 4]])); "
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    run("-c", code, tmp_path / "a.png")
