"""Readers of prompts and demonstrations: one row of a file -> one checked mapping, or a RowError."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from annotation.content.transcripts import ASSISTANT_MARKER, from_transcript
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    Message,
    parse_choice,
    parse_conversation,
    parse_id,
    parse_name,
    parse_nonempty_text,
    parse_prompt,
    parse_response,
)
from annotation.importing.rows import RowError
from learning.interface.messages import Answer, answer_text, to_answer
from learning.interface.vocabulary import PROMPT_KINDS


class PromptFileReader(Protocol):
    description: ClassVar[str]  # what the rows of such a file are, for the help of the command
    fields: ClassVar[tuple[str, ...]]
    ids_are_unique: ClassVar[bool]  # whether two rows of a file may have the same prompt

    def __init__(self, columns: ColumnMap) -> None: ...

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]: ...

    def row_id(self, row: Mapping[str, Any]) -> str | None: ...

    def row_id_column(self, row: Mapping[str, Any]) -> str: ...


class _OwnRowReader:
    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        return self._columns.parse_optional(row, "prompt_id", parse_id)

    def row_id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name("prompt_id")

    def _author(self, row: Mapping[str, Any]) -> str | None:
        return self._columns.parse_optional(row, "author", parse_name)


class PromptReader(_OwnRowReader):
    """`messages` (or `prompt`) as messages or text, and optional `prompt_id`, `kind`, `tags`, `author`.

    A `split` column is not read: a prompt's split follows from the project's own salt.
    """

    description: ClassVar[str] = "our own records, or prompts as messages or text"
    fields: ClassVar[tuple[str, ...]] = (
        "messages", "prompt", "prompt_id", "kind", "tags", "author", "split",
    )  # fmt: skip
    ids_are_unique: ClassVar[bool] = True

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        field = "prompt" if self._columns.has(row, "prompt") else "messages"
        return {
            "messages": self._columns.parse(row, field, parse_prompt),
            "prompt_id": self.row_id(row),
            "kind": self._columns.parse_optional(row, "kind", parse_choice, PROMPT_KINDS) or PROMPT_KINDS[0],
            "tags": self._columns.parse_optional(row, "tags", _parse_tags) or [],
            "author": self._author(row),
        }


def _parse_tags(value: Any, column: str) -> list[str]:
    """A list of tags, or one tag."""
    return [parse_name(tag, column) for tag in (value if isinstance(value, list) else [value])]


class DemonstrationReader(_OwnRowReader):
    """`prompt` and `response` (or `completion`); or `messages`, a conversation whose last assistant turn is
    the response.

    Text in `messages` is read as a transcript ("\\n\\nHuman: ...\\n\\nAssistant: ...").
    """

    description: ClassVar[str] = "our own records, or conversations that end with the response"
    fields: ClassVar[tuple[str, ...]] = (
        "prompt", "response", "completion", "messages", "turns", "prompt_id", "author", "split",
    )  # fmt: skip
    ids_are_unique: ClassVar[bool] = False

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        if self._columns.has(row, "messages") and not self._columns.has(row, "prompt"):
            prompt, response = self._columns.parse(row, "messages", _parse_dialogue)
        else:
            prompt = self._prompt(row)
            field = "completion" if self._columns.has(row, "completion") else "response"
            response = _require_text(
                self._columns.parse(row, field, parse_response), self._columns.name(field)
            )
            if (turns := self._columns.parse_optional(row, "turns", parse_response)) is not None:
                response = turns
        return {
            "messages": prompt,
            "response": response,
            "prompt_id": self.row_id(row),
            "author": self._author(row),
        }

    def _prompt(self, row: Mapping[str, Any]) -> list[Message]:
        value, column = self._columns.value(row, "prompt"), self._columns.name("prompt")
        prompt = parse_prompt(value, column)
        if isinstance(value, str) and (turns := from_transcript(value)):
            return parse_prompt(turns, column)
        return prompt


def _require_text(response: Answer, column: str) -> Answer:
    parse_nonempty_text(answer_text(response), column)
    return response


def _parse_dialogue(value: Any, column: str) -> tuple[list[Message], Answer]:
    """(prompt, response) of a conversation that ends with the response."""
    if isinstance(value, str):
        turns = from_transcript(parse_nonempty_text(value, column).rstrip() + ASSISTANT_MARKER)
        if turns is None:
            raise RowError(column, "is text but no transcript that begins with “Human:”")
    else:
        turns = parse_conversation(value, column)
    if turns[-1]["role"] != "assistant":
        raise RowError(column, f"should end with an assistant turn but ends with {turns[-1]['role']}")
    if len(turns) == 1:
        raise RowError(column, "has no prompt before the response")
    return parse_prompt(turns[:-1], column), _require_text(to_answer(turns[-1:]), column)
