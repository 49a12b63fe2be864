"""One network in one file: safetensors, with all that loading it needs in its metadata.

The metadata's entry ``firstspike`` is a JSON object with a checksum of its own: what the network
is (``network``), a SHA-256 of the tensors, and whatever its maker wants to tell (``card``).
``network`` names a class and describes its modules one by one, or, of a GAN, has the options of its
run; nothing in a file is ever executed. Files may come from anybody: everything is checked before
it is used, and the weights of modules take memory only if they are in the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from firstspike._version import __version__
from firstspike.hub import modules
from firstspike.models import Classifier
from firstspike.models.networks import NetworkClassifier
from firstspike.nn import FirstSpikeSequential, SpikingNetwork, by_input
from firstspike.runs import checkpoint, files
from firstspike.shape import Shape
from firstspike.training import kinds
from firstspike.training.gan import UNSEEN, Gan

SUFFIX = ".safetensors"
_KEY, _FORMAT = "firstspike", 1
_CLASSES: dict[str, Any] = {
    made.__name__: made
    for made in (SpikingNetwork, NetworkClassifier, FirstSpikeSequential, Classifier)
}
_DTYPES = {str(one): one for one in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}
_LARGEST_HEADER = 1 << 24  # bytes

Network = SpikingNetwork | FirstSpikeSequential | Gan


def save(
    network: Network, path: str | os.PathLike[str], *, card: Mapping[str, Any] | None = None
) -> None:
    """Write a network as one file, which `load` reads.

    Args:
        network: as `firstspike.fit`, `firstspike.load_run` or `firstspike.load` give it, or one of
            your own that consists of modules of `firstspike.nn`; of a GAN, what draws.
        path: the file, replaced if it is there; its suffix must be ``.safetensors``.
        card: what else the file should tell, as JSON values: data, figures, licence, ...

    Raises:
        ValueError: the network holds something that a file cannot say, or an argument does not fit.
    """
    path = Path(path).expanduser()
    if path.suffix != SUFFIX:
        raise ValueError(f"path must end with {SUFFIX}, got {path.name}")
    described, tensors = _described(network)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"network: {name} is not finite; train anew with a smaller rate")
    import safetensors.torch

    record = {
        "format": _FORMAT,
        "version": __version__,
        "network": described,
        "card": dict(card or {}),
        "sha256": _hash(safetensors.torch.save(tensors)),
    }
    told = files.to_json(files.sealed(record), path, indent=None).decode()
    files.save(path, safetensors.torch.save(tensors, metadata={_KEY: told}))


def load(path: str | os.PathLike[str]) -> Any:
    """The network of a file that `save` wrote, in evaluation mode.

    Raises:
        ValueError: there is no such file, it is damaged, or this version cannot say what it holds.
    """
    path = Path(path).expanduser()
    content = files.read(path)
    described = _record(path, content)["network"]
    try:
        if described.get("class") == "Gan":
            network, part = _gan(described)
        else:
            network = part = _modules(described)
    except (AttributeError, KeyError, TypeError, RuntimeError, MemoryError) as error:
        raise files.damaged(path, f"describes no network ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    tensors = checkpoint.unpack_weights(path, content, part)
    part.load_state_dict(tensors, assign=True)
    if network is part:
        network.eval()
        return by_input(network) if isinstance(network, FirstSpikeSequential) else network
    network.loaded()
    return network


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the maker of a file tells of its network. ValueError as for `load`."""
    path = Path(path).expanduser()
    card: dict[str, Any] = _record(path, files.read(path))["card"]
    return card


def _described(network: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a network is, as JSON values, and its tensors."""
    if isinstance(network, Gan):
        part = "best" if network.best_distance < UNSEEN else "average"
        of_gan: dict[str, Any] = {
            "class": "Gan",
            "kind": _kind_of(network),
            "options": network.config.as_dict() | {"data": None},
            "shape": network.shape.as_dict(),
            "part": part,
        }
        return of_gan, _tensors(network.networks[part])
    if type(network) not in _CLASSES.values():
        raise ValueError(
            f"network must be a SpikingNetwork, Classifier or GAN, got {type(network).__name__}"
        )
    network.check()
    dtypes = {str(parameter.dtype) for parameter in network.parameters()}
    if len(dtypes) > 1:
        raise ValueError(f"network must be of one dtype, got {', '.join(sorted(dtypes))}")
    described: dict[str, Any] = {
        "class": type(network).__name__,
        "dtype": dtypes.pop() if dtypes else str(torch.float32),
        "modules": modules.described(network),
    }
    wanted = _modules(described).state_dict()
    tensors = _tensors(network)
    return described, {name: tensors[name] for name in wanted}


def _kind_of(gan: Gan) -> str:
    return next(kind.name for kind in kinds.every() if type(gan.config) is kind.config)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}


def _modules(described: Mapping[str, Any]) -> Any:
    """A network of modules, without memory for its weights."""
    made, dtype = _CLASSES[described["class"]], _DTYPES[described["dtype"]]
    with torch.device("meta"):
        return made(*modules.made(described["modules"])).to(dtype)


def _gan(described: Mapping[str, Any]) -> tuple[Any, nn.Module]:
    """A GAN, and the network of it whose weights are in the file."""
    kind = kinds.find(described["kind"], "kind")
    if not kind.draws or described["part"] not in ("best", "average"):
        raise ValueError(f"damaged: no part {described['part']!r} of {kind.name} draws")
    config = kind.read(described["options"], "options")
    gan = kinds.load(kind.trainer)(config, Shape.from_dict(described["shape"]))
    return gan, gan.networks[described["part"]]


def _record(path: Path, content: bytes) -> dict[str, Any]:
    """The metadata of a file; its tensors are as they were written."""
    header = files.from_json(content[8 : 8 + _header_size(path, content)], path)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise ValueError(f"{path}: holds weights, but not what network they are of; see fs.save")
    record = files.unsealed(files.from_json(metadata[_KEY].encode(), path), path)
    if type(record.get("format")) is not int or record["format"] > _FORMAT:
        raise ValueError(f"{path}: of format {record.get('format')!r:.20}; update firstspike")
    for name in ("network", "card"):
        if not isinstance(record.get(name), dict):
            raise files.damaged(path, f"{name!r} is missing or of another type")
    if record.get("sha256") != _hash(content):
        raise files.damaged(path, "tensors are not those that were saved")
    return record


def _header_size(path: Path, content: bytes) -> int:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= size <= min(_LARGEST_HEADER, len(content) - 8):
        raise files.damaged(path, "no safetensors file")
    return size


def _hash(content: bytes) -> str:
    """SHA-256 of names, shapes and values of the tensors in the bytes of a file."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    entries = json.dumps(header, sort_keys=True).encode()
    return hashlib.sha256(entries + content[8 + size :]).hexdigest()
