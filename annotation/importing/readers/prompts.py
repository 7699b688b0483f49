"""Readers of prompts and demonstrations: one row of a file -> one checked mapping, or a RowError."""

from collections.abc import Mapping
from typing import Any

from annotation.content.transcripts import ASSISTANT_MARKER, from_transcript
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    Message,
    parse_conversation,
    parse_id,
    parse_name,
    parse_nonempty_text,
    parse_prompt,
    parse_response,
)
from annotation.importing.report import RowError

PROMPT_KINDS = ("plain", "few-shot", "user-based")


class _PromptFileReader:
    fields: tuple[str, ...]

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        if not self._columns.has(row, "prompt_id"):
            return None
        return parse_id(self._columns.value(row, "prompt_id"), self._columns.name("prompt_id"))

    def row_id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name("prompt_id")

    def _author(self, row: Mapping[str, Any]) -> str | None:
        if not self._columns.has(row, "author"):
            return None
        return parse_name(self._columns.value(row, "author"), self._columns.name("author"))


class PromptReader(_PromptFileReader):
    """`messages` (or `prompt`) as messages or text, and optional `prompt_id`, `kind`, `tags`, `author`.

    A `split` column is not read: a prompt's side follows from the project's own salt.
    """

    fields = ("messages", "prompt", "prompt_id", "kind", "tags", "author", "split")

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        field = "prompt" if self._columns.has(row, "prompt") else "messages"
        return {
            "messages": parse_prompt(self._columns.value(row, field), self._columns.name(field)),
            "prompt_id": self.row_id(row),
            "kind": self._kind(row),
            "tags": self._tags(row),
            "author": self._author(row),
        }

    def _kind(self, row: Mapping[str, Any]) -> str:
        if not self._columns.has(row, "kind"):
            return PROMPT_KINDS[0]
        column = self._columns.name("kind")
        kind = parse_name(self._columns.value(row, "kind"), column)
        if kind not in PROMPT_KINDS:
            raise RowError(column, f"is {kind}; it should be one of {', '.join(PROMPT_KINDS)}")
        return kind

    def _tags(self, row: Mapping[str, Any]) -> list[str]:
        if not self._columns.has(row, "tags"):
            return []
        column = self._columns.name("tags")
        value = self._columns.value(row, "tags")
        return [parse_name(tag, column) for tag in (value if isinstance(value, list) else [value])]


class DemonstrationReader(_PromptFileReader):
    """`prompt` and `response` (or `completion`); or `messages`, a conversation whose last assistant turn is
    the response.

    Text in `messages` is read as a transcript ("\\n\\nHuman: ...\\n\\nAssistant: ...").
    """

    fields = ("prompt", "response", "completion", "messages", "prompt_id", "author", "split")

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        if self._columns.has(row, "messages") and not self._columns.has(row, "prompt"):
            prompt, response = self._conversation(row)
        else:
            value, column = self._columns.value(row, "prompt"), self._columns.name("prompt")
            prompt = parse_prompt(value, column)
            if isinstance(value, str) and (turns := from_transcript(value)):
                prompt = parse_prompt(turns, column)
            field = "completion" if self._columns.has(row, "completion") else "response"
            column = self._columns.name(field)
            response = parse_nonempty_text(parse_response(self._columns.value(row, field), column), column)
        return {
            "messages": prompt,
            "response": response,
            "prompt_id": self.row_id(row),
            "author": self._author(row),
        }

    def _conversation(self, row: Mapping[str, Any]) -> tuple[list[Message], str]:
        column, value = self._columns.name("messages"), self._columns.value(row, "messages")
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
        return parse_prompt(turns[:-1], column), parse_nonempty_text(turns[-1]["content"], column)
