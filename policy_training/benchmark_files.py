"""Files of tasks that policies are measured by: JSON Lines, checked whole before anything is stored.

The format is in docs/researcher-guide.md.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext

from learning.interface.text import find_unstorable_character
from workspace.errors import ActionError

KINDS = ("perplexity", "choice", "generation")
FIELDS = {
    "perplexity": {"text"},
    "choice": {"prompt", "choices", "answer", "example"},
    "generation": {"prompt", "answer", "answers", "example", "answer_pattern"},
}
ROLES = ("system", "user", "assistant")
MAX_BYTES = 16 * 1024 * 1024
MAX_TASKS = 200
MAX_CHOICES = 50
MAX_NAME = 80
MAX_PATTERN = 200


class BadTasksFile(ActionError):
    code = "bad_tasks_file"


def parse_tasks(content: str) -> list[dict[str, Any]]:
    """The rows as BENCHMARK_ITEMS has them. Raises BadTasksFile, which names the line."""
    rows = [_row(number, line) for number, line in _lines(content)]
    summary = summarize(rows)
    if not summary:
        raise BadTasksFile(gettext("The file has no lines."))
    if len(summary) > MAX_TASKS:
        raise BadTasksFile(
            gettext("The file has %(n)s tasks; at most %(most)s are measured together.")
            % {"n": len(summary), "most": MAX_TASKS}
        )
    kinds: dict[str, set[str]] = {}
    for row in rows:
        kinds.setdefault(row["task"], set()).add(row["kind"])
    for task, own in summary.items():
        if len(kinds[task]) > 1:
            raise BadTasksFile(
                gettext("The task “%(task)s” has lines of several kinds: give each kind a task of its own.")
                % {"task": task}
            )
        if not own["items"]:
            raise BadTasksFile(
                gettext("The task “%(task)s” has examples alone: nothing of it is asked.") % {"task": task}
            )
        patterns = {row["answer_pattern"] for row in rows if row["task"] == task} - {None}
        if len(patterns) > 1:
            raise BadTasksFile(
                gettext(
                    "The task “%(task)s” has two answer patterns: give it one, in one of its lines or in all."
                )
                % {"task": task}
            )
    pattern_of = {row["task"]: row["answer_pattern"] for row in rows if row["answer_pattern"]}
    return [row | {"answer_pattern": pattern_of.get(row["task"])} for row in rows]


def summarize(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Task -> {kind, items, examples}, in the order of the file."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = found.setdefault(row["task"], {"kind": row["kind"], "items": 0, "examples": 0})
        own["examples" if row["is_example"] else "items"] += 1
    return found


def _lines(content: str) -> Iterator[tuple[int, Any]]:
    if len(content.encode(errors="replace")) > MAX_BYTES:
        raise BadTasksFile(
            gettext("The file is larger than %(most)s MB: measure by a part of it.")
            % {"most": MAX_BYTES >> 20}
        )
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                raise _fault(number, gettext("no JSON object.")) from None


def _row(number: int, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise _fault(number, gettext("no JSON object."))
    kind = given.get("kind")
    if kind not in KINDS:
        raise _fault(number, gettext("“kind” is one of %(kinds)s.") % {"kinds": ", ".join(KINDS)})
    if unknown := sorted(set(map(str, given)) - FIELDS[kind] - {"task", "kind"}):
        raise _fault(
            number,
            gettext("“%(name)s” is unknown; of this kind are %(known)s.")
            % {"name": unknown[0], "known": ", ".join(["task", "kind", *sorted(FIELDS[kind])])},
        )
    task = _text(number, "task", given.get("task"))
    if len(task) > MAX_NAME:
        raise _fault(number, gettext("a task's name has at most %(most)s characters.") % {"most": MAX_NAME})
    row: dict[str, Any] = {
        "task": task, "kind": kind, "text": None, "prompt": None, "choices": None, "answers": None,
        "answer_pattern": None, "is_example": False,
    }  # fmt: skip
    if kind == "perplexity":
        return row | {"text": _text(number, "text", given.get("text"))}
    example = given.get("example", False)
    if not isinstance(example, bool):
        raise _fault(number, gettext("“example” is true or false."))
    row |= {"prompt": _prompt(number, given.get("prompt")), "is_example": example}
    if kind == "generation":
        if ("answer" in given) == ("answers" in given):
            raise _fault(number, gettext("give either “answer” or “answers”."))
        answers = [given["answer"]] if "answer" in given else given["answers"]
        if "answer_pattern" in given:
            row["answer_pattern"] = _pattern(number, given["answer_pattern"])
        return row | {"answers": _texts(number, "answers", answers, least=1)}
    answer = _text(number, "answer", given.get("answer"))
    choices = (
        None
        if example and "choices" not in given
        else _texts(number, "choices", given.get("choices"), least=2)
    )
    if choices is not None and answer not in choices:
        raise _fault(number, gettext("the answer is none of the choices."))
    if choices is not None and len(set(choices)) < len(choices):
        raise _fault(number, gettext("two choices are the same."))
    return row | {"choices": choices, "answers": [answer]}


def _pattern(number: int, given: Any) -> str:
    pattern = _text(number, "answer_pattern", given)
    try:
        groups = re.compile(pattern).groups if len(pattern) <= MAX_PATTERN else 0
    except (re.error, RecursionError, OverflowError):
        groups = 0
    if groups != 1:
        raise _fault(
            number,
            gettext(
                "“answer_pattern” is a regular expression of at most %(most)s characters with one group, which is the "
                "answer, for example “#### *(-?[0-9.,]+)”."
            )
            % {"most": MAX_PATTERN},
        )
    return pattern


def _prompt(number: int, given: Any) -> list[dict[str, str]]:
    """A text, or messages of which the last is the user's."""
    if isinstance(given, str):
        return [{"role": "user", "content": _text(number, "prompt", given)}]
    if not isinstance(given, list) or not given:
        raise _fault(number, gettext("“prompt” is a text or a list of messages."))
    messages = []
    for message in given:
        if (
            not isinstance(message, Mapping)
            or set(message) != {"role", "content"}
            or message["role"] not in ROLES
        ):
            raise _fault(
                number,
                gettext("a message has a “role” (%(roles)s) and a “content”.") % {"roles": ", ".join(ROLES)},
            )
        messages.append({"role": message["role"], "content": _text(number, "content", message["content"])})
    if messages[-1]["role"] != "user":
        raise _fault(number, gettext("the last message of a prompt is the user's."))
    return messages


def _texts(number: int, name: str, given: Any, *, least: int) -> list[str]:
    if not isinstance(given, list) or not least <= len(given) <= MAX_CHOICES:
        raise _fault(
            number,
            gettext("“%(name)s” is a list of %(least)s to %(most)s texts.")
            % {"name": name, "least": least, "most": MAX_CHOICES},
        )
    return [_text(number, name, text) for text in given]


def _text(number: int, name: str, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise _fault(number, gettext("“%(name)s” is a text that is not empty.") % {"name": name})
    if found := find_unstorable_character(given):
        raise _fault(number, gettext("“%(name)s” has %(found)s.") % {"name": name, "found": found.name})
    return given


def _fault(number: int, said: str) -> BadTasksFile:
    return BadTasksFile(gettext("Line %(number)s: %(said)s") % {"number": number, "said": said})
