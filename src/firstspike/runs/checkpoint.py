"""A checkpoint: a folder that is replaced as a whole, so that a complete one always remains.

    NAME.safetensors     the weights of each network
    NAME.optimizer.pt    the state of each optimiser, loaded with ``weights_only``
    state.json           what else resuming needs, the SHA-256 of the files above, and its own

It is written into ``FOLDER.new``; then ``FOLDER`` becomes ``FOLDER.old``, ``FOLDER.new`` becomes
``FOLDER``, and the old one goes. A folder with ``state.json``, the last file to be written, is
complete. Whatever a kill cuts off, one complete checkpoint is there: reading finds it and changes
nothing, so it may go on beside the training; the next `save` clears the rest away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
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
_WEIGHTS = ".safetensors"
_LOOKS = 5  # at a checkpoint that is being replaced
_LARGEST_STATE = 1 << 24  # bytes
_NAMES = {"Adam": {"step", "exp_avg", "exp_avg_sq"}}  # what optimisers keep of a parameter
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
        ValueError: ``state`` holds a value that is no JSON, or weights are not finite.
    """
    assert _HASHES not in state, "a reserved field"
    contents = {
        f"{name}{_WEIGHTS}": _pack_weights(folder / f"{name}{_WEIGHTS}", model)
        for name, model in models.items()
    }
    contents |= {f"{name}.optimizer.pt": _pack_slots(it) for name, it in optimizers.items()}
    hashes = {name: _sha256(content) for name, content in contents.items()}
    files.to_json(state, folder / _STATE)  # complains, if it must, with the name of a value
    last = files.to_json(files.sealed({**state, _HASHES: hashes}), folder / _STATE)
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


def networks(folder: Path) -> list[str]:
    """Names of the networks that it holds: of a bundled run the one that draws alone.

    Raises:
        ValueError: no checkpoint is there, or its ``state.json`` is damaged.
    """
    found = _newest(folder)
    if found is None:
        raise _none_in(folder)
    _, hashes = _read_state(found / _STATE)
    return [name.removesuffix(_WEIGHTS) for name in hashes if name.endswith(_WEIGHTS)]


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
    weights = {f"{name}{_WEIGHTS}": model for name, model in models.items()}
    slots = {f"{name}.optimizer.pt": optimizer for name, optimizer in optimizers.items()}
    found, state, contents = _read([*weights, *slots], folder)
    tensors = {
        name: unpack_weights(found / name, contents[name], model) for name, model in weights.items()
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


def packed(folder: Path) -> dict[str, bytes]:
    """The files of the checkpoint by name, all of one; none if there is no checkpoint.

    Raises:
        ValueError: a file is damaged.
    """
    fault: ValueError = files.damaged(folder, "changes all the time")
    for _ in range(_LOOKS):  # a training run may replace the folder meanwhile
        found = _newest(folder)
        if found is None:
            return {}
        try:
            state = files.read(found / _STATE)
            _, _, contents = _read_once(None, found)
            if files.read(found / _STATE) == state:
                return {**contents, _STATE: state}
        except ValueError as error:
            fault = error
    raise fault


def unpack(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace the checkpoint in ``folder`` by one that was `packed`. OSError as for `save`."""
    _settle(folder)
    others = {name: content for name, content in contents.items() if name != _STATE}
    _write(folder, others, contents[_STATE])


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
        raise _none_in(folder)
    state, hashes = _read_state(found / _STATE)
    if lacking := [name for name in names or () if name not in hashes]:
        raise ValueError(
            f"{found}: saved without {lacking[0]}, with {', '.join(hashes) or 'nothing'} alone: a "
            "part of a run, such as the package's, which may draw but neither be measured nor "
            "trained on; use the whole run"
        )
    contents = {name: files.read(found / name) for name in (hashes if names is None else names)}
    for name, content in contents.items():
        if hashes.get(name) != _sha256(content):
            raise files.damaged(found / name, f"not what was saved together with {_STATE}")
    return found, state, contents


def _none_in(folder: Path) -> ValueError:
    return ValueError(f"{folder}: no checkpoint here; one is saved after the first epoch")


def _read_state(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``state.json`` holds, and the hashes of the files beside it."""
    state = files.unsealed(files.from_json(files.read(file, _LARGEST_STATE), file), file)
    hashes = state.pop(_HASHES, {})
    if not isinstance(hashes, dict) or not all(map(files.is_name, hashes)):
        raise files.damaged(file, f"{_HASHES} is no list of its files")
    return state, hashes


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack_weights(file: Path, model: nn.Module) -> bytes:
    import safetensors.torch

    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    if name := _not_finite(tensors):
        raise ValueError(
            f"{file}: {name} is no longer finite, so that nothing can be learned any more; train "
            "anew with a smaller learning rate"
        )
    return safetensors.torch.save(tensors)


def unpack_weights(file: Path, content: bytes, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a file, checked to have the names, shapes and types of the network's."""
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise files.damaged(file, str(error)) from None
    own = model.state_dict()
    found, wanted = _shapes(tensors), _shapes(own)
    for name in [*wanted, *sorted(found)]:
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"{file}: a checkpoint of another architecture: {file.name} has "
                f"{_shape(name, found)}, this network {_shape(name, wanted)}; {_REMEDY}"
            )
        if tensors[name].dtype != own[name].dtype:
            raise files.damaged(
                file, f"{name} is of {tensors[name].dtype} in place of {own[name].dtype}"
            )
    if culprit := _not_finite(tensors):
        raise files.damaged(file, f"{culprit} is not finite")
    variances = (name for name in tensors if name.endswith("running_var"))
    if culprit := next((name for name in variances if (tensors[name] < 0).any()), ""):
        raise files.damaged(file, f"{culprit} is a variance below 0")
    return tensors


def _not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The name of a tensor that holds NaN or infinity; empty if none does."""
    odd = (name for name, it in tensors.items() if it.is_floating_point())
    return next((name for name in odd if not tensors[name].isfinite().all()), "")


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
    """The state of an optimiser, checked to be one that it could have saved itself.

    Kernels write into these tensors without looking at their sizes. They come with the strides of
    their parameters, whatever the file has.
    """
    import torch

    try:
        slots: dict[str, Any] = torch.load(io.BytesIO(content), "cpu", weights_only=True)
        same = _alike(slots["param_groups"], optimizer.param_groups)
    except Exception as error:  # there is no telling what unpickling raises for damaged bytes
        raise files.damaged(file, type(error).__name__) from None
    if not same:
        raise ValueError(f"{file}: the state of another optimiser; {_REMEDY}")
    try:
        _check_groups(slots["param_groups"], optimizer)
        slots["state"] = _fitted(slots["state"], optimizer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise files.damaged(file, f"no state of such an optimiser ({error})") from None
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


def _check_groups(theirs: Sequence[Mapping[str, Any]], optimizer: Optimizer) -> None:
    """ValueError unless options have the types of ours, and parameters their numbers."""
    for group, own in zip(theirs, optimizer.state_dict()["param_groups"], strict=True):
        if group["params"] != own["params"]:
            raise ValueError("parameters are not numbered in their order")
        for name in group.keys() & own.keys() - {"params"}:
            if not _is_like(group[name], own[name]):
                raise ValueError(f"{name} cannot be {group[name]!r:.40}")


def _is_like(value: Any, own: Any) -> bool:
    """Whether an option has the type of ours, and is finite if it is a number."""
    if isinstance(own, (tuple, list)):
        return (
            isinstance(value, (tuple, list))
            and len(value) == len(own)
            and all(map(_is_like, value, own))
        )
    if isinstance(own, float):
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is type(own) or value is None or own is None


def _fitted(state: Mapping[int, Mapping[str, Any]], optimizer: Optimizer) -> dict[int, Any]:
    """What is kept of each parameter. ValueError if it is not what the optimiser keeps."""

    parameters = [it for group in optimizer.param_groups for it in group["params"]]
    names = _NAMES.get(type(optimizer).__name__)
    result: dict[int, Any] = {}
    for number, slots in state.items():
        parameter = parameters[range(len(parameters)).index(number)]
        if names is not None and slots.keys() != names:
            raise ValueError(f"{sorted(slots)} are kept of parameter {number}")
        result[number] = {
            name: _slot(value, parameter, name, is_moment=names is not None and name != "step")
            for name, value in slots.items()
        }
    return result


def _slot(value: Any, parameter: Tensor, name: str, *, is_moment: bool) -> Any:
    """One value that is kept of a parameter; ``is_moment`` if it is as large as that for sure."""
    import torch

    if not isinstance(value, torch.Tensor):
        if is_moment or not (value is None or type(value) in (int, float, bool)):
            raise ValueError(f"{name} is a {type(value).__name__}")
        return value
    if not value.isfinite().all():
        raise ValueError(f"{name} is not finite")
    if value.ndim or is_moment:
        if (value.shape, value.dtype) != (parameter.shape, parameter.dtype):
            raise ValueError(f"{name} is {value.dtype} {list(value.shape)}")
        value = torch.empty_like(parameter, requires_grad=False).copy_(value)  # on its device
    return value
