"""Readers of prompts and demonstrations: one row of a file -> one checked mapping, or a RowProblem."""

from collections.abc import Mapping
from typing import Any

from annotation.importing import cells
from annotation.importing.cells import Columns, Message
from annotation.importing.report import RowProblem
from annotation.importing.transcripts import ANSWER, from_transcript

PROMPT_KINDS = ("plain", "few-shot", "user-based")


class _TextReader:
    fields: tuple[str, ...]

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def id_of(self, row: Mapping[str, Any]) -> str | None:
        if not self._columns.has(row, "prompt_id"):
            return None
        return cells.identifier(self._columns.value(row, "prompt_id"), self._columns.name("prompt_id"))

    def id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name("prompt_id")

    def _author(self, row: Mapping[str, Any]) -> str | None:
        if not self._columns.has(row, "author"):
            return None
        return cells.name(self._columns.value(row, "author"), self._columns.name("author"))


class PromptReader(_TextReader):
    """`messages` (or `prompt`) as messages or text, and optional `prompt_id`, `kind`, `tags`, `author`.

    A `split` column is not read: a prompt's side follows from the project's own salt.
    """

    fields = ("messages", "prompt", "prompt_id", "kind", "tags", "author", "split")

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        field = "prompt" if self._columns.has(row, "prompt") else "messages"
        return {
            "messages": cells.messages(self._columns.value(row, field), self._columns.name(field)),
            "prompt_id": self.id_of(row),
            "kind": self._kind(row),
            "tags": self._tags(row),
            "author": self._author(row),
        }

    def _kind(self, row: Mapping[str, Any]) -> str:
        if not self._columns.has(row, "kind"):
            return PROMPT_KINDS[0]
        column = self._columns.name("kind")
        kind = cells.name(self._columns.value(row, "kind"), column)
        if kind not in PROMPT_KINDS:
            raise RowProblem(column, f"is {kind}; it should be one of {', '.join(PROMPT_KINDS)}")
        return kind

    def _tags(self, row: Mapping[str, Any]) -> list[str]:
        if not self._columns.has(row, "tags"):
            return []
        column = self._columns.name("tags")
        value = self._columns.value(row, "tags")
        return [cells.name(tag, column) for tag in (value if isinstance(value, list) else [value])]


class DemonstrationReader(_TextReader):
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
            prompt = cells.messages(value, column)
            if isinstance(value, str) and (turns := from_transcript(value)):
                prompt = cells.messages(turns, column)
            field = "completion" if self._columns.has(row, "completion") else "response"
            column = self._columns.name(field)
            response = cells.filled_text(cells.answer(self._columns.value(row, field), column), column)
        return {
            "messages": prompt,
            "response": response,
            "prompt_id": self.id_of(row),
            "author": self._author(row),
        }

    def _conversation(self, row: Mapping[str, Any]) -> tuple[list[Message], str]:
        column, value = self._columns.name("messages"), self._columns.value(row, "messages")
        if isinstance(value, str):
            turns = from_transcript(cells.filled_text(value, column).rstrip() + ANSWER)
            if turns is None:
                raise RowProblem(column, "is text but no transcript that begins with “Human:”")
        else:
            turns = cells.conversation(value, column)
        if turns[-1]["role"] != "assistant":
            raise RowProblem(column, f"should end with an assistant turn but ends with {turns[-1]['role']}")
        if len(turns) == 1:
            raise RowProblem(column, "has no prompt before the response")
        return cells.messages(turns[:-1], column), cells.filled_text(turns[-1]["content"], column)
