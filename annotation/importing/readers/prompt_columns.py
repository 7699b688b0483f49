"""Where a row of the foreign formats has its prompt: one column, or an instruction with its input."""

from collections.abc import Mapping
from typing import Any

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_text
from annotation.importing.readers.messages import Message
from annotation.importing.rows import RowError

# `system` is read only where --map names its column: files have other things under that name.
PROMPT_FIELDS = ("prompt", "instruction", "input", "system")
PROMPT_FORMS = ("prompt", "instruction")


def has_prompt(columns: ColumnMap, row: Mapping[str, Any], field: str = "prompt") -> bool:
    return columns.has(row, field) or columns.has(row, "instruction")


def prompt_name(columns: ColumnMap, row: Mapping[str, Any], field: str = "prompt") -> str:
    return columns.name("instruction" if _has_instruction(columns, row, field) else field)


def read_prompt(columns: ColumnMap, row: Mapping[str, Any], field: str = "prompt") -> list[Message]:
    """The prompt: `field`, or `instruction` and, after an empty line, the `input` where there is one."""
    if _has_instruction(columns, row, field):
        prompt = [{"role": "user", "content": _instruction_and_input(columns, row)}]
    else:
        prompt = columns.parse(row, field, columns.messages.prompt)
    return add_system(columns, row, prompt)


def add_system(columns: ColumnMap, row: Mapping[str, Any], prompt: list[Message]) -> list[Message]:
    """The prompt after the system turn of the column that --map names, if the row has one."""
    system = columns.parse_optional(row, "system", parse_text) if columns.is_mapped("system") else None
    if not system or not system.strip():
        return prompt
    if prompt[0]["role"] == "system":
        raise RowError(columns.name("system"), "is a second system turn: the prompt begins with one")
    return [{"role": "system", "content": system}, *prompt]


def _has_instruction(columns: ColumnMap, row: Mapping[str, Any], field: str) -> bool:
    return not columns.has(row, field) and columns.has(row, "instruction")


def _instruction_and_input(columns: ColumnMap, row: Mapping[str, Any]) -> str:
    instruction = columns.parse(row, "instruction", parse_text)
    given = columns.parse_optional(row, "input", parse_text) or ""
    parts = [part for part in (instruction, given) if part.strip()]
    if not parts:
        raise RowError(columns.name("instruction"), "is empty")
    return "\n\n".join(parts)
