"""The messages of a conversation as files write them: the one place that knows other names of keys and roles.

A message becomes one as `learning.interface.messages` has it. What cannot be kept is refused by name, never dropped,
unless the caller names it with --map ignored=KEY.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.content.transcripts import from_transcript, tidy_transcript
from annotation.importing.readers.fields import parse_list, parse_nonempty_text, parse_text
from annotation.importing.rows import RowError, TextCell, describe_json_type
from annotation.text import find_turns_problem
from learning.interface.messages import Answer, MessageProblem, read_optional_fields, to_answer
from learning.interface.vocabulary import LAST_ROLES, ROLES

Message = dict[str, Any]

# The keys of a message: ours, ShareGPT's, Open Assistant's.
ROLE_KEYS = ("role", "from")
CONTENT_KEYS = ("content", "value", "text")
# What other tools call our roles, whatever the case.
OTHER_ROLE_NAMES = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
}
TEXT_PARTS = ("text", "input_text", "output_text")

_PYTHON_MESSAGES = re.compile(r"\s*\[?\s*\{\s*'(role|from|content|value)'")

# What --map may rename inside messages, in every format: the keys, and the names of roles.
ROLE_FIELDS = {f"role.{role}": role for role in ROLES}
MESSAGE_FIELDS = ("role", "content", *ROLE_FIELDS, "ignored")


def looks_like_messages(value: Any) -> bool:
    return isinstance(value, list) or _is_struct_of_lists(value)


def _is_struct_of_lists(value: Any) -> bool:
    """Messages as `datasets` stores a Sequence of them: {"role": [...], "content": [...]}."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(column, list) for column in value.values())
    )


@dataclass(frozen=True, kw_only=True)
class MessageParser:
    """From the cells of a file to messages. The names given win over the ones that are known."""

    role_keys: Sequence[str] = ROLE_KEYS
    content_keys: Sequence[str] = CONTENT_KEYS
    role_names: Mapping[str, str] | None = None  # name in the file -> role
    ignored: frozenset[str] = frozenset()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Sequence[str]]) -> "MessageParser":
        """`mapping` is that of --map; what is no MESSAGE_FIELDS in it is passed over."""
        return cls(
            role_keys=mapping.get("role", ROLE_KEYS),
            content_keys=mapping.get("content", CONTENT_KEYS),
            role_names={
                name.casefold(): role
                for field, role in ROLE_FIELDS.items()
                for name in mapping.get(field, [])
            },
            ignored=frozenset(mapping.get("ignored", [])),
        )

    def prompt(self, value: Any, column: str) -> list[Message]:
        """A prompt: messages that end with a user or tool turn, or text: a transcript, else one user turn."""
        value = _messages_in_cell(value, column)
        if isinstance(value, str):
            turns = from_transcript(tidy_transcript(value))
            if turns is None:
                return [{"role": "user", "content": parse_nonempty_text(value, column)}]
        elif looks_like_messages(value):
            turns = self.conversation(value, column)
        else:
            raise RowError(column, f"should be text or a list of messages but is {describe_json_type(value)}")
        return check_prompt(turns, column)

    def conversation(self, value: Any, column: str) -> list[Message]:
        """At least one message, each with a known role and text."""
        value = _messages_in_cell(value, column)
        if _is_struct_of_lists(value):
            if len({len(column) for column in value.values()}) != 1:
                raise RowError(
                    column, "has lists of different lengths: they should be the keys of its messages"
                )
            value = [dict(zip(value, turn, strict=True)) for turn in zip(*value.values(), strict=True)]
        turns = [
            self._message(turn, f"{column}.{index}") for index, turn in enumerate(parse_list(value, column))
        ]
        if not turns:
            raise RowError(column, "is empty")
        return turns

    def response(self, value: Any, column: str) -> Answer:
        """A response: text, or messages (one by itself, too); its turns only where the text does not say all."""
        value = _messages_in_cell(value, column)
        if isinstance(value, Mapping) and not looks_like_messages(value):
            value = [value]
        if looks_like_messages(value):
            return parse_answer(self.conversation(value, column), column)
        return parse_text(value, column)

    def _message(self, turn: Any, where: str) -> Message:
        if not isinstance(turn, Mapping):
            raise RowError(where, f"should be a message (role, content) but is {describe_json_type(turn)}")
        role_key = _first_present(turn, self.role_keys)
        content_key = _first_present(turn, self.content_keys)
        role, content = turn.get(role_key), turn.get(content_key)
        rest = {
            key: value
            for key, value in turn.items()
            if key not in (role_key, content_key) and key not in self.ignored
        }
        if _is_call(role):
            role, content, rest = "assistant", None, rest | {"tool_calls": _parse_call(content, where)}
        rest["role"] = self._role(role, f"{where}.{role_key}")
        try:
            optional = read_optional_fields(rest, lambda value, path: parse_text(value, f"{where}.{path}"))
        except MessageProblem as problem:
            own = problem.path in turn and problem.reason.startswith("cannot be kept")
            remedy = f", or leave it out with --map ignored={problem.path}" if own else ""
            raise RowError(f"{where}.{problem.path}", problem.reason + remedy) from problem
        if content is None and "tool_calls" in optional:
            content = ""  # a call needs no words
        content = _parse_content(content, f"{where}.{content_key}")
        return {"role": rest["role"], "content": content, **optional}

    def _role(self, value: Any, where: str) -> str:
        name = value.strip().casefold() if isinstance(value, str) else None
        role = (self.role_names or {}).get(name or "") or OTHER_ROLE_NAMES.get(name or "", name)
        if role not in ROLES:
            shown = f"“{value[:40]}”" if isinstance(value, str) else describe_json_type(value)
            remedy = "; say which it is with --map role.user=NAME" if name else ""
            raise RowError(where, f"should be one of {', '.join(ROLES)} but is {shown}{remedy}")
        return str(role)


def _first_present(turn: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The key that the message has, one with a value before one without; the first where it has none."""
    present = [key for key in keys if key in turn]
    return next((key for key in present if turn[key] is not None), (present or list(keys))[0])


def _is_call(role: Any) -> bool:
    """ShareGPT's turn that is a call: {"from": "function_call", "value": '{"name": ..., "arguments": ...}'}."""
    return isinstance(role, str) and role.strip().casefold() in ("function_call", "tool_call")


def _parse_call(content: Any, where: str) -> list[Any]:
    try:
        calls = json.loads(content)
    except (TypeError, ValueError):
        calls = None
    if not isinstance(calls, Mapping | list):
        raise RowError(where, "is a call but no JSON object with name and arguments")
    return calls if isinstance(calls, list) else [calls]


def _parse_content(value: Any, where: str) -> str:
    """Text, or parts of text, which follow each other without anything between them."""
    if not isinstance(value, list):
        return parse_text(value, where)
    return "".join(_parse_part(part, f"{where}.{index}") for index, part in enumerate(value))


def _parse_part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return parse_text(part, where)
    if not isinstance(part, Mapping):
        raise RowError(where, f"should be a part of type text but is {describe_json_type(part)}")
    kind = part.get("type")
    if kind not in TEXT_PARTS:
        shown = f"“{kind[:40]}”" if isinstance(kind, str) else describe_json_type(kind)
        raise RowError(f"{where}.type", f"is {shown}: only parts of type text are taken")
    for key, value in part.items():
        if key not in ("type", "text") and value not in (None, "", [], {}):
            raise RowError(f"{where}.{key}", "cannot be kept; take it out")
    return parse_text(part.get("text"), f"{where}.text")


def _messages_in_cell(value: Any, column: str) -> Any:
    """A cell of a CSV file that holds messages as JSON, as these; anything else as it is."""
    if isinstance(value, TextCell) and value.lstrip().startswith(("[{", "{")):
        try:
            parsed = json.loads(value)
        except ValueError:
            if _PYTHON_MESSAGES.match(value):
                raise RowError(column, "has messages as Python prints them: write them as JSON") from None
            return value
        first = parsed[0] if isinstance(parsed, list) and parsed else parsed
        if isinstance(first, Mapping) and any(key in first for key in ROLE_KEYS):
            return parsed
    return value


def check_prompt(turns: list[Message], column: str) -> list[Message]:
    """The turns, if they are a prompt."""
    if turns[-1]["role"] not in LAST_ROLES:
        raise RowError(column, f"should end with a user or tool turn but ends with {turns[-1]['role']}")
    if not turns[-1]["content"].strip():
        raise RowError(column, "is empty (its last turn has no text)")
    return turns


def parse_answer(turns: list[Message], column: str) -> Answer:
    """The turns that are a response: the assistant's, with results of tools, or the user's turns of a conversation that
    goes on, between them.
    """
    if problem := find_turns_problem([turn["role"] for turn in turns]):
        raise RowError(column, problem)
    return to_answer(turns)
