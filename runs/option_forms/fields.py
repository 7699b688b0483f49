"""The options of a trainer as fields of a form, by their dotted paths: `data.steps`, `optimizer.learning_rate`.

A value is written as JSON where it is JSON and as text where it is not, as after `--set` of the commands; whether it
fits is for the options' own check, so that a form refuses what a command refuses, in the same words.
"""

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.training_options import ModelSource
from runs.option_forms.comments import field_comments

# Names of files and models of the server: a page must not read what is named to it.
NEVER_ASKED = ("path", "hub_id", "revision", "model_path", "reward_model_path", "preset")


# What people change first stands first; the others as the class has them.
_ORDER = {name: place for place, name in enumerate(("runtime", "model", "from_scratch", "tokenizer"), 1)}
_ORDER |= {"data": -2, "objective": -1}
_SECTION_LABELS = {
    "": "Run",
    "batch": "Lengths and passes",
    "from_scratch": "Model from scratch",
    "judge.server": "Server of the judge",
    "outside": "Server of outside models",
    "rollout.server": "Server of the answers",
    "sampling.server": "Server of the answers",
    "runtime": "Machine",
}


@dataclass(frozen=True)
class Option:
    path: str
    label: str
    help: str
    choices: tuple[Any, ...] = ()  # of which its value is one
    is_list: bool = False
    is_text: bool = False  # its value, or each of the list
    may_be_empty: bool = False  # null


@dataclass(frozen=True)
class Section:
    path: str
    label: str
    note: str  # what is to be known of all of it
    options: tuple[Option, ...]


def sections_of(cls: type[Any], *, leave_out: Collection[str] = ()) -> list[Section]:
    """The options of a configuration, a section for each nested class of them; sections named by `leave_out` are not.

    Another model (`reference`) and lists of sections (`rewards.models`) have fields of their own.
    """
    found = [section for section in _sections(cls, "", leave_out) if section.options]
    return sorted(found, key=lambda section: _ORDER.get(section.path.rpartition(".")[2], 0))


def _sections(cls: type[Any], prefix: str, leave_out: Collection[str]) -> Iterator[Section]:
    hints = typing.get_type_hints(cls)
    options, inner = [], []
    for field in dataclasses.fields(cls):
        path, hint = prefix + field.name, hints[field.name]
        if path in leave_out or field.name in NEVER_ASKED or not field.init:
            continue
        nested = next((part for part in (hint, *_members(hint)) if dataclasses.is_dataclass(part)), None)
        # A section that may be null is made of what is filled in; another model has a field of its own.
        if nested is not None and (nested is hint or nested is not ModelSource):
            inner.append((nested, path))
        elif (option := _option(cls, path, field.name, hint)) is not None:
            options.append(option)
    section = prefix.rstrip(".")
    names = section.split(".")
    # Sections of one name in several others are told apart by where they stand.
    label = _SECTION_LABELS.get(".".join(names[-2:])) or _SECTION_LABELS.get(names[-1]) or _label(names[-1])
    yield Section(section, label, _note(cls), tuple(options))
    for nested, path in inner:
        yield from _sections(typing.cast(type[Any], nested), f"{path}.", leave_out)


def _option(cls: type[Any], path: str, name: str, hint: Any) -> Option | None:
    parts = _members(hint) or (hint,)
    others = [part for part in parts if part is not type(None)]
    inner = [part for other in others for part in (other, *typing.get_args(other))]
    if any(dataclasses.is_dataclass(part) for part in inner):  # a section, or a list of them
        return None
    choices: tuple[Any, ...] = ()
    if others == [bool]:
        choices = (True, False)
    elif len(others) == 1 and typing.get_origin(others[0]) is typing.Literal:
        choices = typing.get_args(others[0])
    return Option(
        path=path,
        label=_label(name),
        help=_help(cls, name),
        choices=choices,
        is_list=any(typing.get_origin(part) is tuple for part in others),
        is_text=bool(others) and all(_is_text(part) for part in others),
        may_be_empty=type(None) in parts,
    )


def _is_text(hint: Any) -> bool:
    if typing.get_origin(hint) is tuple:
        return all(_is_text(part) for part in typing.get_args(hint) if part is not Ellipsis)
    return hint is str or all(isinstance(choice, str) for choice in typing.get_args(hint) or [None])


def _members(hint: Any) -> tuple[Any, ...]:
    """Of a union; none of anything else."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()


def _help(cls: type[Any], name: str) -> str:
    """By the class that declares the field."""
    for declaring in cls.__mro__:
        if text := field_comments(declaring).get(name) if dataclasses.is_dataclass(declaring) else None:
            return text[:1].upper() + text[1:]
    return ""


def _note(cls: type[Any]) -> str:
    text = inspect.cleandoc(cls.__doc__ or "")
    # Docstrings of dataclasses without one are their signature; those of commands name the command.
    return "" if text.startswith((f"{cls.__name__}(", "python -m", "Options of")) else text.replace("`", "")


ABBREVIATIONS = {
    "lr": "LR",
    "gae": "GAE",
    "kl": "KL",
    "lm": "LM",
    "eos": "EOS",
    "zero": "ZeRO",
    "ptx": "ptx",
    "ema": "EMA",
    "ppo": "PPO",
    "lora": "LoRA",
}


def _label(name: str) -> str:
    words = [ABBREVIATIONS.get(word, word) for word in name.split("_")]
    return (words[0][:1].upper() + words[0][1:] + " " + " ".join(words[1:])).strip()


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """None too where a section of the path is not there."""
    found: Any = config
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def as_text(value: Any) -> str:
    """As a field shows it: what is read again as the same value."""
    if value is None:
        return ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(as_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def yes_or_no(text: str) -> str:
    """A choice as the page says it."""
    return {"true": gettext("yes"), "false": gettext("no")}.get(text, text)


def assignment(option: Option, text: str) -> str:
    """What a field says, as `--set` would have it.

    A list is written with commas between its values, or as JSON: names with a comma in them need that.
    """
    text = text.strip()
    if text == "" and option.may_be_empty:
        return f"{option.path}=null"
    if (option.is_list or option.is_text) and isinstance(_json(text), list if option.is_list else str):
        return f"{option.path}={text}"
    if option.is_list:
        separator = "," if option.is_text else r"[,;\s]"
        parts = [part.strip() for part in re.split(separator, text.strip("[] ")) if part.strip()]
        return f"{option.path}=[{', '.join(map(json.dumps, parts) if option.is_text else parts)}]"
    return f"{option.path}={json.dumps(text) if option.is_text else text}"


def _json(text: str) -> Any:
    """None too where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def path_in(message: str, paths: Collection[str]) -> str | None:
    """Which of the options a refusal is about: “config.data.steps: ...”, or “config.data: steps must be ...”."""
    found = re.match(r"config((?:\.\w+)*)(?:\[\d+\])*: (\w*)", message)
    if found is None:
        return None
    section = found[1].lstrip(".")
    exact = [path for path in (section, f"{section}.{found[2]}".lstrip(".")) if path in paths]
    return exact[0] if exact else None
