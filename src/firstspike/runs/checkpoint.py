"""A checkpoint: a folder that is replaced as a whole, so that a complete one always remains.

    NAME.safetensors     the weights of each network
    NAME.optimizer.pt    the state of each optimiser, loaded with ``weights_only``
    state.json           what else resuming needs, and the SHA-256 of the files above

It is written into ``FOLDER.new``; then ``FOLDER`` becomes ``FOLDER.old``, ``FOLDER.new`` becomes
``FOLDER``, and the old one goes. A folder with ``state.json``, the last file to be written, is
complete. Whatever a kill cuts off, one complete checkpoint is there: reading finds it and changes
nothing, so it may go on beside the training; the next `save` clears the rest away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstspike.runs import files

if TYPE_CHECKING:  # looking at runs needs no PyTorch, which takes seconds to import
    from torch import Tensor, nn
    from torch.optim import Optimizer

_STATE = "state.json"
_HASHES = "sha256"  # the field of state.json that `save` adds
_REMEDY = "build it with the options of the run"


def save(
    folder: Path,
    models: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    state: Mapping[str, Any],
) -> None:
    """Replace the checkpoint in ``folder``.

    Raises:
        OSError: the disk is full, for example; the previous checkpoint is as it was.
        ValueError: ``state`` holds a value that is no JSON.
    """
    assert _HASHES not in state, "a reserved field"
    contents = {f"{name}.safetensors": _pack_weights(model) for name, model in models.items()}
    contents |= {f"{name}.optimizer.pt": _pack_slots(it) for name, it in optimizers.items()}
    hashes = {name: _sha256(content) for name, content in contents.items()}
    last = files.to_json({**state, _HASHES: hashes}, folder / _STATE)
    try:
        _settle(folder)
        _write(folder, contents, last)
    except OSError:
        with contextlib.suppress(OSError):
            _settle(folder)
        raise


def exists(folder: Path) -> bool:
    """Whether there is a complete checkpoint."""
    return _newest(folder) is not None


def check(folder: Path) -> dict[str, Any]:
    """The ``state`` that was saved. ValueError if no checkpoint is there or a file is damaged."""
    return _read(None, folder)[1]


def load(
    folder: Path, models: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> dict[str, Any]:
    """Load networks and optimisers in place, all of them or, on an error, none.

    Returns:
        The ``state`` that was saved.

    Raises:
        ValueError: there is no checkpoint, a file is missing or damaged, or it belongs to another
            architecture or optimiser.
    """
    weights = {f"{name}.safetensors": model for name, model in models.items()}
    slots = {f"{name}.optimizer.pt": optimizer for name, optimizer in optimizers.items()}
    found, state, contents = _read([*weights, *slots], folder)
    tensors = {
        name: _unpack_weights(found / name, contents[name], model)
        for name, model in weights.items()
    }
    states = {
        name: _unpack_slots(found / name, contents[name], optimizer)
        for name, optimizer in slots.items()
    }
    for name, model in weights.items():
        model.load_state_dict(tensors[name])
    for name, optimizer in slots.items():
        optimizer.load_state_dict(states[name])
    return state


def _places(folder: Path) -> tuple[Path, Path, Path]:
    """Where a complete checkpoint may be, the best first."""
    return folder, folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")


def _newest(folder: Path) -> Path | None:
    return next((place for place in _places(folder) if (place / _STATE).is_file()), None)


def _settle(folder: Path) -> None:
    """End a save that was cut off between its renames, and clear what it left."""
    newest = _newest(folder)
    if newest and not folder.exists():
        newest.rename(folder)
    for leftover in _places(folder)[1:]:
        shutil.rmtree(leftover, ignore_errors=True)


def _write(folder: Path, contents: Mapping[str, bytes], state: bytes) -> None:
    _, new, old = _places(folder)
    new.mkdir()
    for name, content in contents.items():
        files.write(new / name, content)
    files.replace(new / _STATE, state)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    files.sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _read(
    names: Sequence[str] | None, folder: Path
) -> tuple[Path, dict[str, Any], dict[str, bytes]]:
    """Where the checkpoint is, its state and the content of the files, all of one checkpoint.

    Without names, of all files.
    """
    for _ in range(2):  # a training run may replace the folder meanwhile
        with contextlib.suppress(ValueError):
            return _read_once(names, folder)
    return _read_once(names, folder)


def _read_once(
    names: Sequence[str] | None, folder: Path
) -> tuple[Path, dict[str, Any], dict[str, bytes]]:
    found = _newest(folder)
    if found is None:
        raise ValueError(f"{folder}: no checkpoint here; one is saved after the first epoch")
    state = files.from_json(files.read(found / _STATE), found / _STATE)
    hashes = state.pop(_HASHES, {})
    contents = {name: files.read(found / name) for name in (hashes if names is None else names)}
    for name, content in contents.items():
        if hashes.get(name) != _sha256(content):
            raise files.damaged(found / name, f"not what was saved together with {_STATE}")
    return found, state, contents


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack_weights(model: nn.Module) -> bytes:
    import safetensors.torch

    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(tensors)


def _unpack_weights(file: Path, content: bytes, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a file, checked to have the names and shapes of the network's."""
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise files.damaged(file, str(error)) from None
    found, wanted = _shapes(tensors), _shapes(model.state_dict())
    for name in [*wanted, *sorted(found)]:
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"{file}: a checkpoint of another architecture: {file.name} has "
                f"{_shape(name, found)}, this network {_shape(name, wanted)}; {_REMEDY}"
            )
    return tensors


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def _shape(name: str, shapes: Mapping[str, list[int]]) -> str:
    return f"{name} {shapes[name]}" if name in shapes else f"no {name}"


def _pack_slots(optimizer: Optimizer) -> bytes:
    """The state of an optimiser; unlike safetensors, this keeps the strides of its tensors."""
    import torch

    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    return stream.getvalue()


def _unpack_slots(file: Path, content: bytes, optimizer: Optimizer) -> dict[str, Any]:
    """The state of an optimiser, checked to be of the same kind with as many parameters."""
    import torch

    try:
        slots: dict[str, Any] = torch.load(io.BytesIO(content), "cpu", weights_only=True)
        same = _alike(slots["param_groups"], optimizer.param_groups)
    except Exception as error:  # there is no telling what unpickling raises for damaged bytes
        raise files.damaged(file, type(error).__name__) from None
    if not same:
        raise ValueError(f"{file}: the state of another optimiser; {_REMEDY}")
    return slots


def _alike(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> bool:
    """Whether parameter groups are of one kind of optimiser and as large.

    A scheduler or a newer PyTorch adds options, so one side may have more of them than the other.
    """
    sizes = ([len(group["params"]) for group in groups] for groups in (theirs, ours))
    if next(sizes) != next(sizes):
        return False
    pairs = zip(theirs, ours, strict=True)
    return all(a.keys() <= b.keys() or b.keys() <= a.keys() for a, b in pairs)
