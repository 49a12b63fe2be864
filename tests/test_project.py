"""Promises about the repository itself: one test command, no machine names, import direction."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstspike.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "firstspike"

# Modules may import from those before them only (see `test_imports_go_one_way`).
ORDER = (
    "_version",
    "_moved",
    "torch_private",
    "times",
    "words",
    "shape",
    "energy",
    "extras",
    "coding",
    "metrics",
    "losses",
    "ops",
    "nn",
    "counts",
    "data",
    "models",
    "runs",
    "drawing",
    "training",
    "evaluation",
    "export",
    "report",
    "sweeps",
    "hub",
    "sklearn",
    "demo",
    "commands",
    "cli",
)
ENTRY_POINTS = ("__init__", "__main__")  # may import everything; nothing imports them
NOT_OURS = {
    ".git",
    ".venv",
    "runs",
    "dist",
    "build",
    "__pycache__",
    ".hypothesis",
    "site",
    ".cache",
}
MODULES = [file for file in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in file.parts]


def test_ci_runs_the_test_command_of_the_readme():
    ci_lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    [command] = [line for line in ci_lines if line.startswith("python3 -m venv")]
    assert command == ci_lines[-1]
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def text_files() -> Iterator[tuple[Path, str]]:
    """The repository's text files with their content; caches and build results left out."""
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [
            name for name in subfolders if name not in NOT_OURS and not name.endswith("_cache")
        ]
        for file in (Path(folder, name) for name in names if name != ".git"):
            try:
                yield file, file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_file_names_a_machine_or_a_registry():
    folders = "|".join(("work", "home", "root", "Users"))
    hosts = "|".join(("pypi" + r"\.org", "python" + "hosted", r"download\.py" + "torch"))
    needle = re.compile(rf"(?<![\w.])/(?:{folders})/|{hosts}")
    found = {
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file, text in text_files()
        for match in needle.finditer(text)
    }
    assert not found


def test_the_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w-]+)==", constraints, re.MULTILINE)
    assert {re.split(r"[<>=\[]", item)[0] for item in wanted} <= set(pinned)


def test_the_doctor_knows_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    imported = {"scikit_learn": "sklearn"}  # packages that are not imported by their own names
    names = {
        name: [re.split(r"[<>=\[]", item)[0].replace("-", "_") for item in wanted]
        for name, wanted in project["optional-dependencies"].items()
        if name not in ("dev", "docs")
    }
    declared = {extra: [imported.get(one, one) for one in each] for extra, each in names.items()}
    assert {name: [*packages] for name, packages in EXTRAS.items()} == declared


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path):
    own = file.relative_to(PACKAGE).with_suffix("").parts[0]
    if own in ENTRY_POINTS:
        return
    assert own in ORDER, f"add {own} to ORDER in this test, at its place"
    allowed = {own, *ORDER[: ORDER.index(own)]}
    assert own_imports(file) <= allowed


def own_imports(file: Path) -> set[str]:
    """Top-level modules of the package that a module imports anywhere; '' is the package."""
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ("firstspike", *file.relative_to(PACKAGE).parts[:-1])
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*base, *filter(None, [node.module])))
            is_package = source == "firstspike"
            imported |= {f"{source}.{a.name}" for a in node.names} if is_package else {source}
    ours = [name.split(".") for name in imported if name.split(".")[0] == "firstspike"]
    return {name[1] if len(name) > 1 else "" for name in ours}


def test_own_imports_are_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "ops").mkdir()
    file = tmp_path / "ops" / "x.py"
    file.write_text(
        "import torch, firstspike\nfrom firstspike import nn\nfrom firstspike.times import T_MAX\n"
        "from . import reference\nfrom .. import losses\nfrom ..data import ImageSet\n"
        "def f():\n    import firstspike.cli\n"
    )
    assert own_imports(file) == {"", "nn", "times", "ops", "losses", "data", "cli"}
