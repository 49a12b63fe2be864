"""Networks in which every neuron spikes at most once and the time of the spike is the message."""

from firstspike import losses, models, nn
from firstspike._version import __version__
from firstspike.coding import decode, encode
from firstspike.data import load_images, load_mnist
from firstspike.metrics import spike_stats
from firstspike.ops import fire
from firstspike.times import T_MAX
from firstspike.training.loading import load_run

__all__ = [
    "T_MAX",
    "__version__",
    "decode",
    "encode",
    "fire",
    "load_images",
    "load_mnist",
    "load_run",
    "losses",
    "models",
    "nn",
    "spike_stats",
]
