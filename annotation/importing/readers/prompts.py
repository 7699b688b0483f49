"""Readers of prompts and demonstrations: one row of a file -> one checked mapping, or a RowError."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from django.utils.translation import gettext_noop

from annotation.content.transcripts import ASSISTANT_MARKER, from_transcript, tidy_transcript
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_choice, parse_id, parse_name, parse_nonempty_text
from annotation.importing.readers.messages import Message, MessageParser, check_prompt
from annotation.importing.readers.prompt_columns import (
    PROMPT_FIELDS,
    PROMPT_FORMS,
    add_system,
    has_prompt,
    prompt_name,
    read_prompt,
)
from annotation.importing.readers.whole_conversations import read_responses
from annotation.importing.rows import RowError
from annotation.text import GOES_ON
from learning.interface.messages import Answer, answer_text, goes_on, to_answer
from learning.interface.vocabulary import PROMPT_KINDS

RESPONSE_FIELDS = ("completion", "response", "output")
DIALOGUE_FIELDS = ("messages", "conversations")


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
    """`messages` (or `prompt`) as messages or text, or `instruction` and `input`; and optional `prompt_id`, `kind`,
    `tags`, `author`.

    """

    description: ClassVar[str] = gettext_noop("our own records, or prompts as messages or text")
    fields: ClassVar[tuple[str, ...]] = (
        "messages", *PROMPT_FIELDS, "prompt_id", "kind", "tags", "author", "split",
    )  # fmt: skip
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("messages", *PROMPT_FORMS),)
    ids_are_unique: ClassVar[bool] = True

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        field = "prompt" if has_prompt(self._columns, row) else "messages"
        return {
            "messages": read_prompt(self._columns, row, field),
            "prompt_id": self.row_id(row),
            "kind": self._columns.parse_optional(row, "kind", parse_choice, PROMPT_KINDS) or PROMPT_KINDS[0],
            "tags": self._columns.parse_optional(row, "tags", _parse_tags) or [],
            "author": self._author(row),
        }


def _parse_tags(value: Any, column: str) -> list[str]:
    """A list of tags, or one tag."""
    return [parse_name(tag, column) for tag in (value if isinstance(value, list) else [value])]


class DemonstrationReader(_OwnRowReader):
    """`prompt` and `response` (or `completion`, or `output`); or `messages`, a conversation whose last assistant turn
    is the response. Whatever of them holds the whole conversation, what comes before its last turn is the prompt; a
    prompt beside it must agree.

    Text in `messages` is read as a transcript ("\\n\\nHuman: ...\\n\\nAssistant: ...").
    """

    description: ClassVar[str] = gettext_noop("our own records, or conversations that end with the response")
    fields: ClassVar[tuple[str, ...]] = (
        *PROMPT_FIELDS, *RESPONSE_FIELDS, *DIALOGUE_FIELDS, "turns", "prompt_id", "author", "split",
    )  # fmt: skip
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (PROMPT_FORMS, (*RESPONSE_FIELDS, *DIALOGUE_FIELDS))
    ids_are_unique: ClassVar[bool] = False

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        prompt, response, column = self._prompt_and_response(row)
        parse_nonempty_text(answer_text(response), column)
        # A column that was named for the response wins over what has the name `turns`.
        named = any(map(self._columns.is_mapped, (*RESPONSE_FIELDS, *DIALOGUE_FIELDS)))
        turns = None
        if not named or self._columns.is_mapped("turns"):
            turns = self._columns.parse_optional(row, "turns", self._columns.messages.response)
            _require_single_answer(turns or "", self._columns.name("turns"))
        return {
            "messages": prompt,
            "response": response if turns is None else turns,
            "prompt_id": self.row_id(row),
            "author": self._author(row),
        }

    def _prompt_and_response(self, row: Mapping[str, Any]) -> tuple[list[Message], Answer, str]:
        """(prompt, response, the column of the response)."""
        field = self._first_present(row, RESPONSE_FIELDS)
        dialogue = self._first_present(row, DIALOGUE_FIELDS)
        if dialogue is not None and (field is None or not has_prompt(self._columns, row)):
            column = self._columns.name(dialogue)
            turns = self._columns.parse(row, dialogue, _parse_dialogue, self._columns.messages)
            if has_prompt(self._columns, row):
                return *self._beside_prompt(row, turns, column), column
            prompt = add_system(self._columns, row, check_prompt(turns[:-1], column))
            return prompt, to_answer(turns[-1:]), column
        column = self._columns.name(field or "response")
        return *self._beside_prompt(row, self._columns.value(row, field or "response"), column), column

    def _beside_prompt(self, row: Mapping[str, Any], value: Any, column: str) -> tuple[list[Message], Answer]:
        prompt, (response,) = read_responses(
            self._columns.messages,
            read_prompt(self._columns, row),
            prompt_name(self._columns, row),
            [value],
            [column],
        )
        _require_single_answer(response, column)
        return prompt, response

    def _first_present(self, row: Mapping[str, Any], fields: Sequence[str]) -> str | None:
        return next((field for field in fields if self._columns.has(row, field)), None)


def _require_single_answer(answer: Answer, column: str) -> None:
    if goes_on(answer):
        raise RowError(column, GOES_ON)


def _parse_dialogue(value: Any, column: str, messages: MessageParser) -> list[Message]:
    """A conversation that ends with the response."""
    if isinstance(value, str):
        text = tidy_transcript(parse_nonempty_text(value, column))
        turns = from_transcript(text.rstrip() + ASSISTANT_MARKER)
        if turns is None:
            raise RowError(column, "is text but no transcript that begins with “Human:”")
    else:
        turns = messages.conversation(value, column)
    if turns[-1]["role"] != "assistant":
        raise RowError(column, f"should end with an assistant turn but ends with {turns[-1]['role']}")
    if len(turns) == 1:
        raise RowError(column, "has no prompt before the response")
    return turns
