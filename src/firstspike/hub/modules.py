"""Modules of spiking networks as JSON values and back: sizes and options, no weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from firstspike.nn import (
    EarliestPool2d,
    FirstSpikeConv2d,
    FirstSpikeConvTranspose2d,
    FirstSpikeLinear,
    MeanPool2d,
    RampNeuron,
    Residual,
    SpikeDropout,
    StepNeuron,
)

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
# By class, the arguments of its constructor, which are its attributes as well.
_LAYERS: dict[Any, tuple[str, ...]] = {
    FirstSpikeLinear: ("in_features", "out_features", "t_max"),
    FirstSpikeConv2d: (*_CONVOLUTION, "dilation", "groups", "pool", "t_max"),
    FirstSpikeConvTranspose2d: (*_CONVOLUTION, "output_padding", "t_max"),
}
_OTHERS: dict[Any, tuple[str, ...]] = {
    EarliestPool2d: ("kernel_size", "stride", "t_max"),
    MeanPool2d: ("kernel_size", "stride", "t_max"),
    SpikeDropout: ("p", "t_max", "rescale"),
    nn.Flatten: ("start_dim", "end_dim"),
    nn.Unflatten: ("dim", "unflattened_size"),
    nn.Identity: (),
}
_MAPS: dict[Any, tuple[str, ...]] = {  # of shortcuts, without a bias
    nn.Linear: ("in_features", "out_features"),
    nn.Conv2d: (*_CONVOLUTION, "dilation", "groups"),
    nn.ConvTranspose2d: (*_CONVOLUTION, "output_padding", "groups"),
}
_NEURONS: dict[Any, tuple[str, ...]] = {
    RampNeuron: ("threshold", "leak", "margin"),
    StepNeuron: ("threshold", "delay", "silent"),
}
_NORMS: dict[Any, tuple[str, ...]] = {
    nn.BatchNorm1d: ("num_features", "eps", "momentum"),
    nn.BatchNorm2d: ("num_features", "eps", "momentum"),
}
_WORDS = {"silent": ("zero", "pull")}
_LARGEST = 1 << 20  # of a size or option
_DEEPEST = 8  # branches within branches


def described(row: Iterable[nn.Module]) -> list[dict[str, Any]]:
    """Modules in a row as JSON values. ValueError if one of them is not known."""
    return [_told(module) for module in row]


def made(row: Any, depth: int = 0) -> list[nn.Module]:
    """The opposite of `described`, with fresh weights.

    Raises:
        ValueError: what is described is no row of modules.
    """
    if not isinstance(row, list) or depth > _DEEPEST:
        raise ValueError("damaged: no row of modules")
    return [_made(record, depth) for record in row]


def _told(module: Any) -> dict[str, Any]:
    kind = type(module)
    if kind is Residual:
        shortcut = module.shortcut
        return {
            "module": kind.__name__,
            "layers": described([*module.body, module.last]),
            "shortcut": None if shortcut is None else _options(shortcut, _MAPS),
        }
    if kind in _LAYERS:
        norm = module.norm
        if getattr(module, "padding_mode", "zeros") != "zeros" or isinstance(
            getattr(module, "padding", 0), str
        ):
            raise ValueError(f"{kind.__name__} must have padding in numbers, with silence")
        return {
            **_options(module, _LAYERS),
            "bias": module.bias is not None,
            "neuron": _options(module.neuron, _NEURONS),
            "norm": None if norm is None else _norm(norm),
        }
    return _options(module, _OTHERS)


def _norm(norm: Any) -> dict[str, Any]:
    if type(norm) in _NORMS and (norm.running_var is None or norm.weight is None):
        raise ValueError("norm must have statistics and weights to be saved")
    return {**_options(norm, _NORMS), "fixed": not getattr(norm.weight, "requires_grad", True)}


def _options(module: Any, known: dict[Any, tuple[str, ...]]) -> dict[str, Any]:
    kind = type(module)
    if kind not in known:
        raise ValueError(f"network: a file cannot say what a {kind.__name__} is")
    values = {name: getattr(module, name) for name in known[kind]}
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return {"module": kind.__name__, **plain}


def _made(record: Any, depth: int) -> nn.Module:
    if not isinstance(record, dict):
        raise ValueError("damaged: a module is no JSON object")
    if record.get("module") == Residual.__name__:
        shortcut = record.get("shortcut")
        layers = made(record.get("layers"), depth + 1)
        beside = None if shortcut is None else _call(shortcut, _MAPS, bias=False)
        return Residual(*layers, shortcut=beside)
    if record.get("module") in {kind.__name__ for kind in _OTHERS}:
        other: nn.Module = _call(record, _OTHERS)
        return other
    rest = {name: record[name] for name in record if name not in ("bias", "neuron", "norm")}
    neuron, norm = _call(record.get("neuron"), _NEURONS), record.get("norm")
    options = {"bias": _checked("bias", record.get("bias")), "neuron": neuron}
    options["norm"] = None if norm is None else _norm_of(norm)
    if isinstance(neuron, StepNeuron):  # whose layers have its options themselves
        told = {name: getattr(neuron, name) for name in _NEURONS[StepNeuron]}
        options |= {"neuron": "step", **told}
    layer: nn.Module = _call(rest, _LAYERS, **options)
    return layer


def _norm_of(record: Any) -> nn.Module:
    fixed = isinstance(record, dict) and record.get("fixed") is True
    rest = {name: record[name] for name in record if name != "fixed"}
    norm: Any = _call(rest, _NORMS)
    norm.weight.requires_grad_(not fixed)
    return norm


def _call(record: Any, known: dict[Any, tuple[str, ...]], **more: Any) -> Any:
    """What a record describes, one of the known classes."""
    by_name = {kind.__name__: kind for kind in known}
    name = record.get("module") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in by_name:
        raise ValueError(f"no module {name!r:.40} is known here; update firstspike")
    kind = by_name[name]
    if odd := sorted(record.keys() ^ {"module", *known[kind]}):
        raise ValueError(f"damaged: {name} with unknown or missing {odd[0]!r:.40}")
    return kind(**{one: _checked(one, record[one]) for one in known[kind]}, **more)


def _checked(name: str, value: Any) -> Any:
    """An option as constructors take it. ValueError if it can be none."""
    if isinstance(value, list) and 1 <= len(value) <= 4:
        return tuple(_checked(name, one) for one in value)
    if name in _WORDS and value in _WORDS[name]:
        return value
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if name in _WORDS or not is_number or not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"damaged: {name} cannot be {value!r:.40}")
    return value
