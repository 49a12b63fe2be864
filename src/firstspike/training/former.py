"""Options of runs of 0.1.0's first versions, in today's words.

What a run lacks has the value that was in force when it was made. Rules that are no longer there
leave networks that can be used and measured, but not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_GONE = ("softness", "jitter", "dropout")  # of the first GANs
_BEFORE_SURROGATES: dict[str, Any] = {  # of GANs, which had temporal backpropagation only
    "gradient": "temporal",
    "look_from": 1.0,
    "look_to": 1.0,
    "latent_last": None,
    "latent_silent": 0.0,
}


def gan(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a GAN or its dense twin.

    Raises:
        ValueError: its networks are not those that these options mean today.
    """
    found = dict(options)
    is_paired = found.get("neuron") == "ramp" or found.get("loss") == "relativistic"
    if is_paired and found.get("conditional") and "channels" not in found:
        raise ValueError(
            "a conditional network of a day in which classes were told in another way; this "
            "version cannot use it: train again"
        )
    if isinstance(found.get("decay"), bool):
        found["decay"] = "both" if found["decay"] else "none"
    elif "decay" not in found:
        found["decay"] = "none"
    chosen = found.get("loss") == "relativistic"  # first alone in keeping the best snapshot
    return {"snapshots": 10 if chosen else 0, **found}


def spiking_gan(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of Spiking-GAN."""
    found = gan(options)
    if found.get("neuron") == "ramp":  # whose recipe said nothing
        found["recipe"] = "best"
    if "gradient" in found:
        return found
    found = {name: value for name, value in found.items() if name not in _GONE}
    if found.get("loss") == "cross-entropy":  # of spike times; see `retired_gan`
        found["loss"] = "least-squares"
    return _BEFORE_SURROGATES | found


def retired_gan(options: Mapping[str, Any]) -> str:
    """Why such a GAN cannot be trained on; empty if it can."""
    noisy = options.get("jitter", 0) or options.get("dropout", 0)
    if "gradient" not in options and (options.get("loss") == "cross-entropy" or noisy):
        return "its loss and noise are not part of this version"
    return ""


def classifier(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a spiking classifier."""
    found = {"sparsity": 0.0, **options}
    found.pop("framed_cut", None)
    if found.get("neuron") == "ramp" and "silence" not in found:  # it did nothing then
        found["earliness"] = 0.0
    same = {"silence": 0.0, **options}  # once the same for images that fill their frame
    framed = {f"framed_{n}": same[n] for n in ("earliness", "silence") if n in same}
    return _moved(framed | found)


def ann_classifier(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a dense classifier, whose twins once had two that did nothing."""
    idle = ("window", "start")
    return _moved({name: value for name, value in options.items() if name not in idle})


def _moved(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a classifier, whose images all moved at first, if any did."""
    return {"whole": not options["shift"], **options}


def retired_classifier(options: Mapping[str, Any]) -> str:
    """Why such a classifier cannot be trained on; empty if it can."""
    if options.get("gradient") == "decision" and "temperature" not in options:
        return "its rule at the decision is not part of this version"
    if options.get("framed_cut"):
        return "the square that it blackens in some images is not part of this version"
    return ""
