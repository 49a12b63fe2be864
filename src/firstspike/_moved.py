"""Where modules of 0.1.0's first versions are now: scripts that name the old places go on.

`install` lets ``import firstspike.gan`` find ``firstspike.training.gan``, and so on. It costs
nothing until an old name is asked for, which warns.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGE = "firstspike"
_MOVED = {
    "adversary": "training.rules.adversarial",
    "checkpoint": "runs.checkpoint",
    "config": "training.config",
    "decision": "training.rules.decision",
    "evaluate": "evaluation.classifiers",
    "evaluate_gan": "evaluation.samples",
    "evaluate_set": "evaluation.comparison",
    "features": "evaluation.features",
    "fidelity": "evaluation.fidelity",
    "figures": "drawing.figures",
    "files": "runs.files",
    "gan": "training.gan",
    "gan_runs": "evaluation.sides",
    "loading": "training.loading",
    "loggers": "runs.loggers",
    "neuron": "report.refractory",
    "nir_io": "export.nir",
    "npz_io": "export.npz",
    "onnx_io": "export.onnx",
    "overview": "runs.overview",
    "plots": "drawing.grids",
    "progress": "training.progress",
    "quantize": "models.quantized",
    "run": "runs.directory",
    "train_classifier": "training.classifier",
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != _PACKAGE or name not in _MOVED:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = f"{_PACKAGE}.{_MOVED[spec.name.partition('.')[2]]}"
        warnings.warn(f"{spec.name} is {new} now", DeprecationWarning, stacklevel=2)
        return importlib.import_module(new)

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed under its own name."""


def install() -> None:
    """Find moved modules under their old names."""
    sys.meta_path.append(_Finder())
