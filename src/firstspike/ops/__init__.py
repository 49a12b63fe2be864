"""The one operation of the package: `fire`, a layer of neurons that spike at most once."""

from firstspike.ops.fire import Impl, Silent, fire

__all__ = ["Impl", "Silent", "fire"]
