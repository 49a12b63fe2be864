"""Packages that only a part of the program needs: extras of the installation."""

from __future__ import annotations

import importlib

# By extra, as in pyproject.toml, the packages under the names by which they are imported.
EXTRAS: dict[str, tuple[str, ...]] = {
    "report": ("matplotlib", "torchmetrics", "jinja2", "latex2mathml"),
    "sweep": ("optuna", "matplotlib", "jinja2"),
    "ray": ("ray",),
    "fabric": ("lightning_fabric",),
    "detection": ("faster_coco_eval",),
    "nir": ("nir", "h5py"),
    "onnx": ("onnx",),
    "hub": ("huggingface_hub", "jinja2"),
    "sklearn": ("sklearn",),
    "log": ("lightning_fabric", "tensorboard"),
}


def require(extra: str, *packages: str, purpose: str) -> None:
    """Raise ValueError, with what to install, unless these packages are there.

    Args:
        extra: the one that has them, as in ``pip install 'firstspike[extra]'``.
        packages: by the names under which they are imported.
        purpose: what needs them, the beginning of a sentence.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            raise ValueError(
                f"{purpose} needs the package {package}: pip install 'firstspike[{extra}]'"
            ) from None
