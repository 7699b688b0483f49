"""The reader of tasks to be judged: a prompt and answers that somebody else's models or people wrote."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_choice, parse_id, parse_list, parse_name, parse_text
from annotation.importing.readers.judgments import MAX_RESPONSES
from annotation.importing.readers.messages import looks_like_messages
from annotation.importing.readers.prompt_columns import (
    PROMPT_FIELDS,
    PROMPT_FORMS,
    add_system,
    has_prompt,
    prompt_name,
    read_prompt,
)
from annotation.importing.readers.whole_conversations import read_responses, split_shared_prompt
from annotation.importing.rows import RowError, TextCell
from learning.interface.vocabulary import PROMPT_KINDS

# Where an answer that is an object names who wrote it: the first of these that it has.
SOURCE_KEYS = ("policy", "model", "source")


class TaskReader:
    """`prompt` (or `instruction` and `input`) and `responses`: a list of texts, of messages, or of {text, source}; with
    several columns (--map responses=A --map responses=B) one from each, and none where it is null. One column of
    text that is named (--map responses=A) has one answer, which only a batch of ratings takes; a cell of a CSV file
    that is a list of answers, written as JSON, has those.

    Who wrote them: `sources`, a list or a column for each; else the object's own; else the name of the column.
    """

    description: ClassVar[str] = gettext_noop("our own records, or a prompt with 1 to 9 answers")
    fields: ClassVar[tuple[str, ...]] = (*PROMPT_FIELDS, "responses", "sources", "prompt_id", "kind", "tags")
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (PROMPT_FORMS,)

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        return self._columns.parse_optional(row, "prompt_id", parse_id)

    def row_id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name("prompt_id")

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        """{messages, prompt_id, kind, tags, answers, sources}; a source is None where the file says nothing of it."""
        cells = self._cells(row)
        sources = self._sources(row, cells)
        present = [place for place, (_, value) in enumerate(cells) if value is not None]
        if not 1 <= len(present) <= MAX_RESPONSES:
            raise RowError(
                self._columns.name("responses"),
                f"has {len(present)} answers; between 1 and {MAX_RESPONSES} are taken",
            )
        names = [cells[place][0] for place in present]
        values = [_text_of(cells[place][1], name) for place, name in zip(present, names, strict=True)]
        # Only whole conversations say themselves what was asked.
        if has_prompt(self._columns, row) or not all(map(looks_like_messages, values)):
            prompt, answers = read_responses(
                self._columns.messages,
                read_prompt(self._columns, row),
                prompt_name(self._columns, row),
                values,
                names,
            )
        else:
            conversations = [
                self._columns.messages.conversation(value, name)
                for value, name in zip(values, names, strict=True)
            ]
            prompt, answers = split_shared_prompt(conversations, names)
            prompt = add_system(self._columns, row, prompt)
        return {
            "messages": prompt,
            "prompt_id": self.row_id(row),
            "kind": self._columns.parse_optional(row, "kind", parse_choice, PROMPT_KINDS) or PROMPT_KINDS[0],
            "tags": self._columns.parse_optional(row, "tags", _parse_tags) or [],
            "answers": answers,
            "sources": [sources[place] for place in present],
        }

    def _cells(self, row: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """(column, value) of each answer."""
        cells = self._columns.cells(row, "responses")
        if len(cells) > 1:
            return cells
        column, value = cells[0]
        if self._columns.is_mapped("responses") and isinstance(value, str) and not _holds_answers(value):
            return cells
        return [(f"{column}.{index}", part) for index, part in enumerate(parse_list(value, column))]

    def _sources(self, row: Mapping[str, Any], cells: list[tuple[str, Any]]) -> list[str | None]:
        if self._columns.has(row, "sources"):
            column = self._columns.name("sources")
            names = self._columns.parse(row, "sources", parse_list)
            if len(names) != len(cells):
                raise RowError(column, f"has {len(names)} sources for {len(cells)} answers")
            return [parse_name(name, column) for name in names]
        own = [_own_source(value, column) for column, value in cells]
        if len(self._columns.columns_of("responses")) > 1:
            return [name or column for name, (column, _) in zip(own, cells, strict=True)]
        return own


def _holds_answers(text: str) -> bool:
    """Whether the cell of a CSV file is a list of answers written as JSON: not one answer that begins with "[", as
    "[1, 2]" and "[1] See the source." do.
    """
    if not isinstance(text, TextCell) or not text.lstrip().startswith("["):
        return False
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(parts) and all(map(_may_be_answer, parts))


def _may_be_answer(part: Any) -> bool:
    """A text, {text, source}, or messages."""
    if isinstance(part, list):
        return bool(part) and all(isinstance(message, Mapping) for message in part)
    return isinstance(part, str | Mapping)


def _is_described(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("text"), str)


def _text_of(value: Any, column: str) -> Any:
    """The text of an answer that is {text, source}; anything else as it is."""
    return parse_text(value["text"], f"{column}.text") if _is_described(value) else value


def _own_source(value: Any, column: str) -> str | None:
    if not isinstance(value, Mapping):
        return None
    key = next((key for key in SOURCE_KEYS if value.get(key) is not None), None)
    return None if key is None else parse_name(value[key], f"{column}.{key}")


def _parse_tags(value: Any, column: str) -> list[str]:
    return [parse_name(tag, column) for tag in (value if isinstance(value, list) else [value])]
