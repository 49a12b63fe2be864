"""Networks of ramp neurons as a row of parts, for programs that know nothing of PyTorch.

What joins and what is pooled inside of a layer becomes a part of its own, so that each part does
one thing to the levels, ``t_max - t``, of the part that it names as its source.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeSequential,
    MeanPool2d,
    RampNeuron,
    Residual,
    SpikeDropout,
    SpikingLayer,
    SpikingNetwork,
    fold,
)

Exportable = FirstSpikeSequential | SpikingNetwork

_MAPS = {nn.Conv2d: "convolution", nn.ConvTranspose2d: "transposed"}
_MOVES_NOTHING = (SpikeDropout, nn.Identity)  # outside of training


@dataclass(frozen=True, eq=False)
class Part:
    """One part: a map, with or without neurons behind it, or something that moves spikes.

    Args:
        kind: ``dense``, ``convolution``, ``transposed`` (a transposed convolution), ``sum`` (of the
            levels of each block), ``earliest`` (the largest level of each block), ``flatten`` or
            ``unflatten``.
        source: number of the part whose levels it takes, from 1 on; 0 is the network's input.
        weight: of a map, as PyTorch shapes it.
        bias: of the neurons or channels, in potentials.
        threshold: of its neurons; None if it has none, and what it calculates goes on as it is.
        beside: number of a part that is added before the threshold; None for none.
        options: of the map or block, by PyTorch's names: sides as pairs, ``groups``, ``shape``.
    """

    kind: str
    source: int
    weight: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    threshold: float | None = None
    beside: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


def parts(network: SpikingNetwork) -> list[Part]:
    """The parts of a network, in an order in which they can be calculated; normalisation folded.

    Raises:
        ValueError: the network has step neurons, or a module that no file can say.
    """
    if not network.windowed:
        raise ValueError(
            "network must have ramp neurons; of step neurons a FirstSpikeSequential can be written"
        )
    network.check()
    found: list[Part] = []
    _add_all(found, fold(network).named_children(), 0, "")
    return found


def decides(row: list[Part]) -> bool:
    """Whether the outputs are neurons of a dense layer, of which the first to spike decides."""
    return row[-1].kind == "dense" and row[-1].threshold is not None


def compact(weight: NDArray[Any]) -> NDArray[Any]:
    """Weights as int8 if that is what they are, see `firstspike.models.quantized_ramps`."""
    small = weight.clip(-127, 127).astype(np.int8)
    return small if (small == weight).all() else weight


def _add_all(
    found: list[Part], modules: Iterable[tuple[str, nn.Module]], source: int, prefix: str
) -> int:
    """Add the parts of modules in a row; the number of the last of them."""
    for name, module in modules:
        source = _add(found, module, source, prefix + name)
    return source


def _add(found: list[Part], module: nn.Module, source: int, name: str) -> int:
    """Add the parts of a module; the number of the last of them."""
    if isinstance(module, _MOVES_NOTHING):
        return source
    if isinstance(module, Residual):
        inner = _add_all(found, module.body.named_children(), source, f"{name}.body.")
        beside = source
        if module.shortcut is not None:
            beside = _append(found, _map(module.shortcut, source, f"{name}.shortcut"))
        return _append(found, _map(module.last, inner, f"{name}.last", beside))
    if isinstance(module, SpikingLayer):
        number = _append(found, _map(module, source, name))
        if module.pool == 1:
            return number
        sides = _pair(module.pool)
        return _append(found, Part("earliest", number, options=_block(sides, sides)))
    return _append(found, _mover(module, source, name))


def _append(found: list[Part], part: Part) -> int:
    found.append(part)
    return len(found)


def _map(module: Any, source: int, name: str, beside: int | None = None) -> Part:
    """A linear map, with neurons if it has them."""
    kinds = [kind for known, kind in _MAPS.items() if isinstance(module, known)]
    options: dict[str, Any] = {}
    if kinds:
        sides = ["stride", "padding", "dilation"]
        sides += ["output_padding"] if kinds == ["transposed"] else []
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise ValueError(f"module {name} must have padding in numbers, with silence")
        options = {side: _pair(getattr(module, side)) for side in sides}
        options["groups"] = module.groups
    elif not hasattr(module, "in_features"):
        raise _unknown(module, name)
    neuron = getattr(module, "neuron", None)
    if neuron is not None and not isinstance(neuron, RampNeuron):
        raise _unknown(neuron, f"{name}.neuron")
    return Part(
        kinds[0] if kinds else "dense",
        source,
        _array(module.weight),
        None if module.bias is None else _array(module.bias),
        None if neuron is None else neuron.threshold,
        beside,
        options,
    )


def _mover(module: Any, source: int, name: str) -> Part:
    """What has no weights."""
    if isinstance(module, (EarliestPool2d, MeanPool2d)):
        options = _block(_pair(module.kernel_size), _pair(module.stride))
        if isinstance(module, EarliestPool2d):
            return Part("earliest", source, options=options)
        return Part("sum", source, threshold=module.neuron.threshold, options=options)
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return Part("flatten", source)
    if isinstance(module, nn.Unflatten) and module.dim == 1:
        sizes: Any = module.unflattened_size
        return Part("unflatten", source, options={"shape": tuple(map(int, sizes))})
    raise _unknown(module, name)


def _unknown(module: Any, name: str) -> ValueError:
    return ValueError(
        f"module {name} is a {type(module).__name__}, which files of ramp networks cannot say"
    )


def _block(sides: tuple[int, int], stride: tuple[int, int]) -> dict[str, Any]:
    return {"kernel_size": sides, "stride": stride}


def _pair(sides: Any) -> tuple[int, int]:
    down, right = sides if isinstance(sides, tuple) else (sides, sides)
    return int(down), int(right)


def _array(tensor: Tensor) -> NDArray[Any]:
    made: NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return np.ascontiguousarray(made)
