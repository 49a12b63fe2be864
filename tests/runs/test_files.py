"""Files that are whole or absent, and the folders that are made for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from firstspike.drawing import figures, grids
from firstspike.runs import files


def save_figure(file: Path) -> None:
    figures.save(file, figures.new_figure(1, 1))


def save_grid(file: Path) -> None:
    grids.save_image_grid(file, np.zeros((2, 3, 3), np.uint8))


def save_walk(file: Path) -> None:
    grids.save_walks(file.with_suffix(".gif"), np.zeros((2, 3, 3), np.uint8), 2)


def save_record(file: Path) -> None:
    files.save_json(file, {"a": 1})


@pytest.mark.parametrize("save", [save_figure, save_grid, save_walk, save_record])
def test_what_cannot_be_written_leaves_neither_file_nor_folders(tmp_path, monkeypatch, save):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    (tmp_path / "there").mkdir()
    for folder in ("there", "new/deeper"):
        with pytest.raises(ValueError, match=r"a\.\w+: cannot be written: No space .*; make room"):
            save(tmp_path / folder / "a.png")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]  # which others have made
    monkeypatch.undo()
    save(tmp_path / "new" / "a.png")
    assert len(list((tmp_path / "new").iterdir())) == 1
