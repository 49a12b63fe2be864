"""Networks in which every neuron spikes at most once and the time of the spike is the message."""

import importlib
from typing import TYPE_CHECKING, Any

from firstspike import _moved
from firstspike._version import __version__
from firstspike.times import T_MAX

if TYPE_CHECKING:
    from firstspike import coding, data, losses, metrics, models, nn, ops
    from firstspike.coding import decode, encode
    from firstspike.data import encode_events, load_images, load_mnist
    from firstspike.hub.loading import load
    from firstspike.hub.network_file import save
    from firstspike.metrics import decide, spike_stats
    from firstspike.models.conversion import convert
    from firstspike.ops.fire import fire
    from firstspike.training.fitting import Callback, fit
    from firstspike.training.loading import load_run

# Public names and where they come from. They are imported when they are first used: the command
# line, which imports this package, must start without PyTorch.
_HOMES = {
    "Callback": "training.fitting",
    "convert": "models.conversion",
    "decide": "metrics",
    "decode": "coding",
    "encode": "coding",
    "encode_events": "data",
    "fire": "ops",
    "fit": "training.fitting",
    "load": "hub.loading",
    "load_images": "data",
    "load_mnist": "data",
    "load_run": "training.loading",
    "save": "hub.network_file",
    "spike_stats": "metrics",
}
_MODULES = ("coding", "data", "losses", "metrics", "models", "nn", "ops")

__all__ = [
    "T_MAX",
    "Callback",
    "__version__",
    "coding",
    "convert",
    "data",
    "decide",
    "decode",
    "encode",
    "encode_events",
    "fire",
    "fit",
    "load",
    "load_images",
    "load_mnist",
    "load_run",
    "losses",
    "metrics",
    "models",
    "nn",
    "ops",
    "save",
    "spike_stats",
]

_moved.install()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"firstspike.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'firstspike' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"firstspike.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
