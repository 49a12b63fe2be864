"""Options of ``firstspike train KIND`` in a TOML file, which ``--config`` takes.

    kind = "gan"
    digit = "7"
    hidden = 200

The keys are the options as ``options.json`` has them, each where its default is not wanted. Two
more are allowed: ``kind``, which must be that of the command, and, for networks that draw,
``digits``. TOML has no null; as on the command line, ``"None"`` says it.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from firstspike._version import __version__
from firstspike.training.kinds import Kind
from firstspike.training.options import Options, is_of, types_of

NONE = "None"
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): json.dumps(NONE),
}


def read(file: Path, kind: Kind) -> dict[str, Any]:
    """What a file says of a run of this kind, without ``kind`` itself.

    Raises:
        ValueError: it cannot be read, is of another kind, or holds an unknown option or a value of
            another type; the message names file and key. Ranges are checked with all options.
    """
    told = parsed(file)
    if (said := told.pop("kind", kind.name)) != kind.name:
        raise ValueError(f"{file}: kind is {said!r}; use it with `train {said}`")
    types = types_of(kind.config) | ({"digits": str} if kind.draws else {})
    return {name: value_of(file, name, value, types) for name, value in told.items()}


def parsed(file: Path) -> dict[str, Any]:
    """The content of a file in TOML. ValueError if it cannot be read or is none."""
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # no UTF-8, no TOML
        raise ValueError(f"{file}: no TOML: {' '.join(str(error).split())}") from None


def value_of(file: Path, name: str, value: Any, types: Mapping[str, Any]) -> Any:
    """The value of an option, once it is one. ValueError that names the file if it is none.

    Args:
        file: that says it.
        name: of the option.
        value: as TOML has it.
        types: of all options, by name.
    """
    if name not in types:
        raise ValueError(f"{file}: unknown option {name}{nearest(name, types)}")
    kind = types[name]
    if value == NONE and is_of(None, kind):
        return None
    if not is_of(value, kind):
        raise ValueError(f"{file}: {name} must be {in_words(kind)}, got {value!r}")
    return float(value) if type(value) is int and is_of(0.5, kind) else value


def in_words(kind: Any) -> str:
    """What a value of a type may be."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if of_union := get_args(kind):
        return " or ".join(map(in_words, of_union))
    return _WORDS.get(kind, str(kind))


def nearest(name: str, names: Iterable[str]) -> str:
    """What a name was meant to be, as the end of a complaint; empty if nothing is near."""
    near = difflib.get_close_matches(name.replace("-", "_"), names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def text_of(kind: Kind, config: Options, digits: str | None = None) -> str:
    """The content of a file that makes the same options again: all that count beside the others.

    Args:
        kind: of the run.
        config: its options.
        digits: of a set of runs, what ``--digits`` takes, in place of ``digit``.
    """
    defaults = config.recipe_defaults().as_dict()
    idle = {name for name, _ in config.idle()} | (set() if digits is None else {"digit"})
    told = {"kind": kind.name} | ({} if digits is None else {"digits": digits})
    told |= {
        name: value
        for name, value in config.as_dict().items()
        if name not in idle and (value, defaults[name]) != (None, None)
    }
    head = f"# firstspike {__version__}: firstspike train {kind.name} --config FILE"
    return "\n".join([head, *(f"{name} = {_toml(value)}" for name, value in told.items())])


def _toml(value: Any) -> str:
    if value is None:
        return json.dumps(NONE)
    if isinstance(value, float):
        return repr(value)  # JSON has no infinity
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
