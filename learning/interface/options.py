"""Options as nested frozen dataclasses, loaded strictly from JSON-like mappings.

Every configuration of a run goes through `load_options`, so a misspelt key, a number given as text or a
missing value ends in one sentence for the person who wrote it. This module knows no particular option and
imports nothing heavy: the web process uses it too.
"""

import dataclasses
import difflib
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class UserError(Exception):
    """A mistake the user can repair: one sentence that says what, where and what to do."""


def load_options(cls: type[T], mapping: Mapping[str, Any], where: str = "config") -> T:
    """Build the dataclass `cls` from `mapping`.

    Unknown keys, missing values, wrong types and values refused by `__post_init__` (ValueError) raise
    UserError naming the dotted path below `where` and the value. Nothing is converted silently, except that
    a whole number is accepted where a float is declared.
    """
    return typing.cast(T, _load_dataclass(cls, mapping, where))


def options_to_dict(options: Any) -> dict[str, Any]:
    """JSON-ready mapping of a dataclass; `load_options` of it gives an equal object."""
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        raise TypeError(f"{options!r} is not an options object")
    return {
        field.name: _to_json(getattr(options, field.name))
        for field in dataclasses.fields(options)
        if field.init
    }


_BEFORE = "before"  # in a field's metadata


def added_option(default: Any, *, before: Any) -> Any:
    """A field of an options dataclass that a later version added; `before`: the value that means what was done without.

    A run that began before the option existed may go on where it has this value, see `options_to_compare`.
    """
    return dataclasses.field(default=default, metadata={_BEFORE: before})


def options_to_compare(options: Any) -> dict[str, Any]:
    """As `options_to_dict`, without added options that have the value of the time before them: two versions of the
    program give equal mappings exactly where they were asked the same.
    """
    return {
        field.name: _to_json(getattr(options, field.name), options_to_compare)
        for field in dataclasses.fields(options)
        if field.init
        and not (_BEFORE in field.metadata and getattr(options, field.name) == field.metadata[_BEFORE])
    }


def _to_json(value: Any, to_dict: Callable[[Any], dict[str, Any]] = options_to_dict) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _to_json(item, to_dict) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, to_dict) for item in value]
    return value


def _load_dataclass(cls: type[Any], mapping: Any, where: str) -> Any:
    if not isinstance(mapping, Mapping):
        raise UserError(f"{where}: expected an object with named values, found {_short_repr(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in mapping:
        if key not in fields:
            raise UserError(
                f"{where}.{key}: unknown option with value {_short_repr(mapping[key])}{_suggestion(key, fields)}"
            )
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _load_value(hints[name], mapping[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{where}.{name}: missing, and it has no default; add it")
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _suggestion(key: str, fields: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(key), fields, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(fields)}"


def _load_value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _load_union(typing.get_args(hint), value, where)
    if origin is typing.Literal:
        return _load_literal(typing.get_args(hint), value, where)
    if origin in (tuple, list, Sequence):
        return _load_sequence(origin, typing.get_args(hint), value, where)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise UserError(f"{where}: expected an object with named values, found {_short_repr(value)}")
        item_hint = typing.get_args(hint)[1]
        return {key: _load_value(item_hint, item, f"{where}.{key}") for key, item in value.items()}
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _load_dataclass(typing.cast(type[Any], hint), value, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            raise UserError(f"{where}: {_short_repr(value)} is not one of {known}") from None
    return _load_scalar(hint, value, where)


def _load_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is type(None) and value is None:
        return None
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise UserError(f"{where}: expected a finite number, found {_short_repr(value)}")
        return number
    # bool is a subclass of int: true must not pass as 1.
    if hint in (int, str, bool) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    if hint in (int, float, str, bool, type(None)):
        raise UserError(f"{where}: expected {_type_name(hint)}, found {_short_repr(value)}")
    raise TypeError(f"{where}: options cannot hold {hint!r}")


def _load_union(alternatives: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None:
        if type(None) in alternatives:
            return None
        raise UserError(f"{where}: must not be null")
    others = [alternative for alternative in alternatives if alternative is not type(None)]
    if len(others) == 1:
        return _load_value(others[0], value, where)
    errors = []
    for alternative in others:
        try:
            return _load_value(alternative, value, where)
        except UserError as error:
            errors.append(str(error))
    raise UserError(f"{where}: no alternative fits {_short_repr(value)} ({'; '.join(errors)})")


def _load_literal(allowed: tuple[Any, ...], value: Any, where: str) -> Any:
    for choice in allowed:
        if type(choice) is type(value) and choice == value:
            return choice
    known = ", ".join(str(choice) for choice in allowed)
    raise UserError(f"{where}: {_short_repr(value)} is not one of {known}")


def _load_sequence(origin: Any, hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise UserError(f"{where}: expected a list, found {_short_repr(value)}")
    if origin is tuple and not (len(hints) == 2 and hints[1] is Ellipsis):
        if len(value) != len(hints):
            raise UserError(f"{where}: expected {len(hints)} values, found {len(value)}")
        item_hints = list(hints)
    else:
        item_hints = [hints[0]] * len(value)
    items = [
        _load_value(item_hint, item, f"{where}[{index}]")
        for index, (item_hint, item) in enumerate(zip(item_hints, value, strict=True))
    ]
    return tuple(items) if origin is tuple else items


def _type_name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, "null")


def _short_repr(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
