"""What the options of every kind of training have in common: ranges, rules, their way into JSON.

A dataclass holds the options of one kind; its docstrings are the help of the command line. Options
that only count under one choice, such as those of one learning rule, are a dataclass of their own
(`RuleOptions`), from which the options of the kind inherit. This module and those built on it do
not import PyTorch, so that the command line can start without it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

RuleT = TypeVar("RuleT", bound="RuleOptions")

LARGEST_SEED = 2**63 - 1  # what PyTorch's generators take
LARGEST = 10**9  # of options that have no reason for a limit of their own
SMALLEST = 1e-12  # of options that must be above 0: what is less divides like 0
MOST = 10**6  # epochs, or samples at a time


@dataclass(frozen=True)
class Options:
    """What the options of every kind of training can do."""

    def check(self) -> None:
        """Raise ValueError if an option is out of its range or does nothing beside the others."""
        self.check_ranges()
        self._refuse_idle(self.recipe_defaults())

    def check_ranges(self) -> None:
        """Raise ValueError if an option is out of its range, whatever the others are."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _check_literal(field.name, value, types_of(type(self))[field.name])
            if "limits" in field.metadata:
                _check_limits(field.name, value, *field.metadata["limits"])

    def recipe_defaults(self) -> Self:
        """The defaults that hold beside the choices that these options make."""
        return type(self)()

    def part(self, rule: type[RuleT]) -> RuleT:
        """The options of one rule alone."""
        return rule(**{f.name: getattr(self, f.name) for f in dataclasses.fields(rule)})

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any], place: object = "options.json") -> Self:
        """The opposite of `as_dict`.

        An option that a run of an older version lacks has the value that was in force then: the
        field's ``before``, or its default.

        Raises:
            ValueError: an option is unknown, of another type or out of its range.
        """
        types = types_of(cls)
        try:
            options = cls.of_today(options)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        if unknown := sorted(options.keys() - types.keys()):
            raise ValueError(
                f"{place}: unknown option {unknown[0]!r}; use the version that wrote it, "
                "or train again"
            )
        for name, value in options.items():
            if not is_of(value, types[name]):
                raise ValueError(f"{place}: damaged: option {name!r} cannot be {value!r}")
        before = {
            field.name: field.metadata["before"]
            for field in dataclasses.fields(cls)
            if "before" in field.metadata
        }
        config = cls(**(before | dict(options)))
        defaults = config.recipe_defaults()
        config = dataclasses.replace(config, **{n: getattr(defaults, n) for n, _ in config.idle()})
        try:
            config.check_ranges()
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        return config

    @classmethod
    def of_today(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options of a run of any version in the words of this one.

        Raises:
            ValueError: there are no such words.
        """
        return options

    @classmethod
    def retired(cls, options: Mapping[str, Any]) -> str:
        """Why a run with these options cannot be trained on here; empty if it can."""
        return ""

    def _refuse_idle(self, defaults: Self) -> None:
        """An option of a rule that was not chosen must be as the defaults have it."""
        for name, rule in self.idle():
            if getattr(self, name) != getattr(defaults, name):
                wanted = " and ".join(f"{k} {' or '.join(v)}" for k, v in rule.when.items())
                chosen = ", ".join(f"{k} {getattr(self, k)}" for k in rule.when)
                raise ValueError(
                    f"{name} does nothing with {chosen}: it belongs to {wanted}; leave it out"
                )

    def idle(self) -> list[tuple[str, type[RuleOptions]]]:
        """The options that do nothing beside the others, each with the rule that it belongs to."""
        rules: list[type[RuleOptions]] = [b for b in type(self).__mro__ if "when" in vars(b)]
        names = {rule: [field.name for field in dataclasses.fields(rule)] for rule in rules}
        used = {name for rule in rules if rule.is_chosen(self) for name in names[rule]}
        return [(name, rule) for rule in rules for name in names[rule] if name not in used]


@dataclass(frozen=True)
class RuleOptions:
    """Options that count only under certain choices; a base of a kind's `Options`.

    Attributes:
        when: by name of an option, the values of it under which these options count.
    """

    when: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @classmethod
    def is_chosen(cls, options: Options) -> bool:
        """Whether these options count beside the others."""
        return all(getattr(options, name) in values for name, values in cls.when.items())


def within(default: Any, low: float, high: float = LARGEST, **more: Any) -> Any:
    """A field whose value must lie in low..high; ``before``: its value in runs that lack it."""
    return dataclasses.field(default=default, metadata={"limits": (low, high), **more})


def above(default: float, low: float = 0.0, high: float = LARGEST) -> Any:
    """A field whose value must be larger than ``low``, and at most ``high``."""
    return dataclasses.field(default=default, metadata={"limits": (low, high, True)})


def added(default: Any, before: Any) -> Any:
    """A field that runs of older versions lack, which did as if it had been ``before``."""
    return dataclasses.field(default=default, metadata={"before": before})


def _check_limits(name: str, value: Any, low: float, high: float, open_end: bool = False) -> None:
    if value is None:
        return
    if (low + SMALLEST < value if open_end else low <= value) and value <= high:
        return
    if not open_end and high not in (MOST, LARGEST):
        raise ValueError(f"{name} must be between {low} and {high}, got {value}")
    bound = f"at most {high}" if value > high else f"{'above' if open_end else 'at least'} {low}"
    raise ValueError(f"{name} must be {bound}, got {value}")


def _check_literal(name: str, value: Any, kind: Any) -> None:
    if get_origin(kind) is Literal and value not in get_args(kind):
        choices = ", ".join(map(str, get_args(kind)))
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def types_of(cls: type[Options]) -> dict[str, Any]:
    """The type of every option, by name; not to be changed."""
    made: Any = cls  # of a metaclass that mypy cannot hash
    return _types(made)


@functools.cache  # a sweep checks thousands of options
def _types(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def is_of(value: Any, kind: Any) -> bool:
    """Whether a JSON value is of the type of a field."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if args := get_args(kind):  # a union
        return any(is_of(value, one) for one in args)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is type(None):
        return value is None
    return type(value) is kind


def absolute(path: str) -> str:
    """A path that means the same from any folder."""
    return str(Path(path).expanduser().resolve())
