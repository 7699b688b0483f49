"""Messages of a conversation, and responses that are more than one text: tool calls, several turns.

A message is {role, content} and, only where it has them, `tool_calls` (each {id, name, arguments: JSON text}),
`tool_call_id` and `name`. A response is its text, or its turns where the text alone does not say all: a turn that calls
a tool, several turns up to the next user turn or, where whole conversations are compared, all turns after the prompt.
OpenAI's {id, type, function: {name, arguments}} is read as a call.
Pure functions; nothing is dropped: what cannot be kept is a MessageProblem that names it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Messages = list[dict[str, Any]]
Answer = str | Messages  # a response: its text, or its turns

OPTIONAL_FIELDS = ("tool_calls", "tool_call_id", "name")
_NOTHING: tuple[Any, ...] = (None, "", [], {})  # a field with such a value says nothing
_MESSAGE_FIELDS = {"role", "content", *OPTIONAL_FIELDS}


class MessageProblem(Exception):
    """A part of a message that cannot be taken: where it is in the message, and a reason that continues a sentence."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


def without_nulls(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with the optional fields it really has: Parquet gives every row all of them, as null."""
    found = {"role": message["role"], "content": message["content"]}
    if message.get("tool_calls"):
        found["tool_calls"] = [
            {"id": call.get("id"), "name": call["name"], "arguments": call["arguments"]}
            for call in message["tool_calls"]
        ]
    for field in ("tool_call_id", "name"):
        if message.get(field) is not None:
            found[field] = message[field]
    return found


def read_optional_fields(message: Mapping[str, Any], check_text: Callable[[Any, str], str]) -> dict[str, Any]:
    """The optional fields that this message has, as they are stored.

    `check_text(value, path)` returns a text that may be stored, or raises. Raises MessageProblem for a field that
    cannot be kept, and for tool calls of anybody but the assistant.
    """
    for field, value in message.items():
        if field not in _MESSAGE_FIELDS and field != "function_call" and value not in _NOTHING:
            raise MessageProblem(str(field), "cannot be kept; take it out")
    found: dict[str, Any] = {}
    calls = message.get("tool_calls")
    if calls in _NOTHING and message.get("function_call") not in _NOTHING:
        calls = [{"function": message["function_call"]}]  # OpenAI's older form of a single call
        _read_calls(calls, "function_call", check_text)
    if calls not in _NOTHING:
        if message.get("role") != "assistant":
            raise MessageProblem("tool_calls", "is on a turn of somebody else than the assistant")
        found["tool_calls"] = _read_calls(calls, "tool_calls", check_text)
    for field in ("tool_call_id", "name"):
        if (value := message.get(field)) not in _NOTHING:
            found[field] = check_text(value, field)
    return found


def _read_calls(calls: Any, path: str, check_text: Callable[[Any, str], str]) -> Messages:
    if not isinstance(calls, list):
        raise MessageProblem(path, "should be a list of calls")
    return [_read_call(call, f"{path}.{index}", check_text) for index, call in enumerate(calls)]


def _read_call(call: Any, path: str, check_text: Callable[[Any, str], str]) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        raise MessageProblem(path, "should be a call (id, name, arguments)")
    kind = call.get("type")
    if kind not in (*_NOTHING, "function"):
        raise MessageProblem(f"{path}.type", "is not function, and no other kind of call can be kept")
    function = call.get("function")
    inner, where = (function, f"{path}.function") if isinstance(function, Mapping) else (call, path)
    known = {"id", "type", "name", "arguments", "index"} if inner is call else {"name", "arguments"}
    outer = {"id", "type", "function", "index"} if inner is not call else known
    for fields, names, place in ((call, outer, path), (inner, known, where)):
        for field, value in fields.items():
            if field not in names and value not in _NOTHING:
                raise MessageProblem(f"{place}.{field}", "cannot be kept; take it out")
    arguments = inner.get("arguments")
    if isinstance(arguments, (Mapping, list)) or arguments is None:
        arguments = json.dumps({} if arguments is None else arguments, ensure_ascii=False)
    call_id = call.get("id")
    name = check_text(inner.get("name"), f"{where}.name")
    if not name.strip():
        raise MessageProblem(f"{where}.name", "is empty")
    return {
        "id": None if call_id in _NOTHING else check_text(call_id, f"{path}.id"),
        "name": name,
        "arguments": check_text(arguments, f"{where}.arguments"),
    }


def has_calls(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a tool is called in these messages."""
    return any(message.get("tool_calls") for message in messages)


def to_answer(turns: Sequence[Mapping[str, Any]]) -> Answer:
    """The turns of a response, as its text alone where that says all."""
    cleaned = [without_nulls(turn) for turn in turns]
    if len(cleaned) == 1 and cleaned[0].keys() == {"role", "content"} and cleaned[0]["role"] == "assistant":
        return str(cleaned[0]["content"])
    return cleaned


def answer_turns(answer: Answer) -> Messages:
    """The response as messages."""
    return [{"role": "assistant", "content": answer}] if isinstance(answer, str) else answer


def goes_on(answer: Answer) -> bool:
    """Whether it is the rest of a whole conversation, with turns of the user."""
    return not isinstance(answer, str) and any(turn["role"] == "user" for turn in answer)


def answer_text(answer: Answer) -> str:
    """The response in one text, for people and programs that know no calls. Different calls give different texts."""
    if isinstance(answer, str):
        return answer
    return "\n\n".join(part for turn in answer for part in _turn_texts(turn))


def _turn_texts(turn: Mapping[str, Any]) -> list[str]:
    texts = [turn["content"]] if turn["content"] else []
    if turn["role"] != "assistant":
        texts = [f"[{' '.join(filter(None, [turn['role'], turn.get('name')]))}] {turn['content']}"]
    return texts + [f"[call] {call['name']}({call['arguments']})" for call in turn.get("tool_calls") or ()]


def message_texts(message: Mapping[str, Any]) -> list[str]:
    """Everything in the message that somebody wrote: its content, and names and arguments of its calls."""
    calls = message.get("tool_calls") or ()
    return [message["content"], *(text for call in calls for text in (call["name"], call["arguments"]))]


def answer_texts(answer: Answer) -> list[str]:
    """The same of a response."""
    return [text for turn in answer_turns(answer) for text in message_texts(turn)]


def messages_key(messages: Sequence[Mapping[str, Any]]) -> str:
    """Equal for equal conversations."""
    return json.dumps([without_nulls(message) for message in messages])


def answer_key(answer: Answer) -> str:
    """Equal for equal responses. The ids of calls do not count: they are the caller's numbering, not what is said."""
    if isinstance(answer, str):
        return answer
    turns = [
        {field: value for field, value in turn.items() if field not in ("tool_calls", "tool_call_id")}
        | {"tool_calls": [[call["name"], call["arguments"]] for call in turn.get("tool_calls") or ()]}
        for turn in answer
    ]
    return "\0" + json.dumps(
        turns, ensure_ascii=False, sort_keys=True
    )  # no text that is stored has a NUL in it


def stored_answer(text: str, turns: Sequence[Mapping[str, Any]] | None) -> Answer:
    """A response from the two columns it is kept in: `turns` is null when the text says all."""
    return text if turns is None else [without_nulls(turn) for turn in turns]


def answer_columns(answer: Answer) -> tuple[str, Messages | None]:
    """(text, turns) as the response is kept."""
    return answer_text(answer), None if isinstance(answer, str) else answer


def comparison_answers(row: Mapping[str, Any]) -> list[Answer]:
    """The responses of a COMPARISONS row."""
    turns = row.get("turns") or [None] * len(row["responses"])
    return [stored_answer(text, own) for text, own in zip(row["responses"], turns, strict=True)]


def to_openai_messages(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Messages as OpenAI's interface and chat templates know them: {id, type, function: {name, arguments}}."""
    return [
        message
        | (
            {
                "tool_calls": [
                    {
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"]},
                    }
                    for call in message["tool_calls"]
                ]
            }
            if "tool_calls" in message
            else {}
        )
        for message in map(without_nulls, messages)
    ]
