"""tools/check_exports.py finds files right that are, and wrong that are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from untrained import classifier

from firstspike.models.networks import deployed, spiking

pytest.importorskip("nir")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tools import check_exports  # noqa: E402

# A simulator in the place of the others, which runs NIR files by itself: our reader and layers.
SIMULATOR = """
import sys
import torch
sys.path[:0] = {places}
sys.argv = sys.argv[1:]
from tools.nir_peers import simulate
from firstspike.export import nir

def ours(file, adjusted):
    network = nir.load(file)
    def run(raster):
        steps = torch.arange(raster.shape[1] + 1.0)
        fired = network(torch.cat([raster, torch.ones_like(raster[:, :1])], 1).argmax(1).float())
        fired = fired - 2 + {late}  # steps that our delays take
        return (fired[:, None] == steps[:-1, None]).float()
    return run

simulate.norse = ours
simulate.importlib.metadata.version = lambda name: "0"
simulate.main()
"""


@pytest.fixture
def models():
    torch.manual_seed(0)
    ramp = deployed(spiking("12", t_max=16).eval(), -0.5, 1.0).requires_grad_(False)
    return {"step": classifier((784, 6, 10), t_max=24).requires_grad_(False), "ramp": ramp}


@pytest.fixture
def check(monkeypatch, capsys, models):
    """Runs the tool on small networks; returns the rows that it prints, cell by cell."""

    def run(*arguments: object) -> list[list[str]]:
        monkeypatch.setattr(sys, "argv", ["check_exports.py", *map(str, arguments)])
        monkeypatch.setattr(check_exports, "_models", lambda runs: models)
        monkeypatch.setattr(check_exports, "TURNS", 1)
        threads = torch.get_num_threads()
        check_exports.main()
        torch.set_num_threads(threads)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
        return [row for row in rows if row[0] not in ("network", "simulator")]

    return run


def test_onnx_files_give_our_classes_potentials_and_spikes(check):
    step, ramp = check("--images", 30)
    assert step[:3] == ["step", "30", "0"] and step[4] == f"0 of {30 * 16}"
    assert ramp[:3] == ["ramp", "30", "0"] and ramp[4] == f"0 of {30 * 22}"
    assert all(float(row[3]) < 1e-4 and float(row[5]) > 0 for row in (step, ramp))


def test_a_file_of_another_network_is_found_out(check, monkeypatch):
    def damaged(file, model, **options):
        with torch.no_grad():
            last = list(model.parameters())[-2]
            before = last.clone()
            last.copy_(last.roll(1, 0))
            save(file, model, **options)
            last.copy_(before)

    save = check_exports.onnx_io.save
    monkeypatch.setattr(check_exports.onnx_io, "save", damaged)
    for row in check("--images", 30):
        assert int(row[2]) > 0 and float(row[3]) > 0.01 and int(row[4].split()[0]) > 0


@pytest.mark.parametrize("late", [0, 1])
def test_simulators_are_asked_in_environments_of_their_own(check, tmp_path, late):
    code = tmp_path / "simulator.py"
    places = [str(ROOT), str(ROOT / "src")]
    code.write_text(SIMULATOR.format(places=places, late=late), encoding="utf-8")
    python = tmp_path / "norse" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {code} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    plain, portable, *_ = check("--images", 20, "--environments", tmp_path, "--simulators", "norse")
    for row, file in ((plain, "plain"), (portable, "portable")):
        assert row[:4] == ["norse", "0", file, ""] and row[6:] == ["up to 1", ""]
        assert (row[4] == "20") == (late == 0) and int(row[5]) <= 20
