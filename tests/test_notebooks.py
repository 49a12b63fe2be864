"""The notebooks run from top to bottom, and what they keep is small and their own."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(__file__).parents[1] / "notebooks"
LARGEST = 200_000  # bytes of a notebook with its pictures
SHORT = {  # instead of what the cell of parameters says
    "first-network": "images, epochs = 600, 1",
    "draw": "images, epochs, columns = 600, 1, 4",
    "own-data": "each, epochs, hidden = 40, 1, 8",
}


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def parameters(notebook: Any) -> Any:
    [cell] = [one for one in notebook.cells if "parameters" in one.metadata.get("tags", [])]
    return cell


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def pictures(notebook: Any) -> list[str]:
    shown = [output.get("data", {}) for output in outputs(notebook)]
    return [data["image/png"] for data in shown if "image/png" in data]


def execute(notebook: Any, folder: Path) -> Any:
    client = nbclient.NotebookClient(notebook, timeout=1200, kernel_name="python3")
    return client.execute(cwd=str(folder))


def test_every_notebook_is_tried():
    assert {file.stem for file in FOLDER.glob("*.ipynb")} == SHORT.keys()


@pytest.mark.parametrize("name", SHORT)
def test_what_a_notebook_keeps(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds <= {"stream", "display_data", "execute_result"}  # no error
    assert len(pictures(notebook)) >= 2
    for picture in pictures(notebook):
        assert base64.b64decode(picture).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SHORT)
def test_a_notebook_runs_with_few_data(name, tmp_path):
    notebook, kept = read(name), read(name)
    assert parameters(notebook).source.split("=")[0] == SHORT[name].split("=")[0]
    parameters(notebook).source = SHORT[name]
    execute(notebook, tmp_path)
    assert len(pictures(notebook)) == len(pictures(kept))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_notebook_finds_again_what_it_says(name, tmp_path):
    """With all data, up to what another number of threads changes."""
    shares = []
    for notebook in (read(name), execute(read(name), tmp_path)):
        said = "".join(output.get("text", "") for output in outputs(notebook))
        shares.append([float(share) for share in re.findall(r"([\d.]+)%", said)])
    assert shares[1] == pytest.approx(shares[0], abs=5)
