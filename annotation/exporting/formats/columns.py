"""Columns that several formats have: messages, texts, and what is said of a pair and the group it comes from."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from annotation.content.transcripts import is_lossless_transcript, to_transcript
from annotation.exporting.formats.base import UNWRITABLE, ExportOptions
from learning.interface.messages import Answer, answer_turns, has_calls, to_openai_messages
from learning.interface.record_rows import ComparisonRow

TEXT = pa.string()
_MESSAGE = [pa.field("role", TEXT, nullable=False), pa.field("content", TEXT, nullable=False)]
_MESSAGES = pa.list_(pa.struct(_MESSAGE))
# Only where a dataset has calls: chat templates look whether a message has the field, and null is not absent.
_FUNCTION = pa.struct([pa.field("name", TEXT), pa.field("arguments", TEXT)])
_CALL = pa.struct([pa.field("id", TEXT), pa.field("type", TEXT), pa.field("function", _FUNCTION)])
_MESSAGES_WITH_CALLS = pa.list_(
    pa.struct(
        [
            *_MESSAGE,
            pa.field("tool_calls", pa.list_(_CALL)),
            pa.field("tool_call_id", TEXT),
            pa.field("name", TEXT),
        ]
    )
)
# Of the file that the judgments came from.
OF_ITS_FILE = [pa.field("source_id", TEXT), pa.field("metadata", TEXT)]


def messages_type(options: ExportOptions) -> pa.DataType:
    return _MESSAGES_WITH_CALLS if options.with_turns else _MESSAGES


def conversation_type(options: ExportOptions) -> pa.DataType:
    """Of prompts and responses: messages, or text where the caller wants it."""
    return TEXT if options.plain else messages_type(options)


def needs_turns(row: ComparisonRow) -> bool:
    """Whether the comparison has tool calls or a response of several turns: text alone does not hold it."""
    return has_calls(row["prompt"]) or bool(row.get("turns"))


def count_unwritable(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> bool:
    """True where the caller wants text and the row is none: the export will be refused."""
    if options.plain and needs_turns(row):
        counts[UNWRITABLE] += 1
        return True
    return False


def prompt_cell(prompt: Any, options: ExportOptions, counts: Counter[str]) -> Any:
    """As messages; as text: that of a single user turn, else a transcript that ends where the response goes on."""
    if not options.plain:
        return to_openai_messages(prompt)
    return plain_prompt([{"role": turn["role"], "content": turn["content"]} for turn in prompt], counts)


def plain_prompt(messages: list[dict[str, str]], counts: Counter[str]) -> str:
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    if not is_lossless_transcript(messages):
        counts["prompts_ambiguous_as_text"] += 1
    return to_transcript(messages)


def response_cell(answer: Answer, options: ExportOptions) -> Any:
    return answer if options.plain else to_openai_messages(answer_turns(answer))


def of_its_file(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"source_id": row.get("source_id"), "metadata": row.get("metadata")}
