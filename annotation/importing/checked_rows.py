"""A row of comparisons as what is staged of it: read and checked as far as it alone can tell, without the database and
without other rows, so that a process beside the import can do it (`row_processes`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.content.splits import hash_first_turn
from annotation.importing.readers.base import Reader
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair
from annotation.importing.readers.row_extras import RowExtras
from annotation.importing.rows import RowError
from annotation.importing.staged_judgments import judgment_row, pair_row, response_digest
from annotation.models import hash_messages

Problem = tuple[str, str]  # column and reason of a RowError


@dataclass(kw_only=True)
class StagedItem:
    """A judgment or a pair, and what it claims: of the whole file only one content may have an id, and one side prompts
    that begin alike.
    """

    split: tuple[str, str] | None  # what the prompt begins with, as a hash, and the side
    contents: list[tuple[str, str, str]]  # prompt or response, its id, a digest of its content
    is_pair: bool
    values: tuple[Any, ...]  # the row of the staging file


@dataclass(kw_only=True)
class CheckedRow:
    line: int
    problem: Problem | None = None
    row_id: str | None = None
    row_id_column: str = ""
    annotators: list[str]
    later_problem: Problem | None = None  # which counts if the row's id is nobody else's
    items: list[StagedItem]


def check_row(reader: Reader, extras: RowExtras, line: int, row: Mapping[str, Any] | RowError) -> CheckedRow:
    checked = CheckedRow(line=line, annotators=[], items=[])
    try:
        if isinstance(row, RowError):
            raise row
        read = reader.read(row, line)
        checked.row_id = reader.row_id(row)
    except RowError as problem:
        checked.problem = (problem.column, problem.reason)
        return checked
    if checked.row_id is not None:
        checked.row_id_column = reader.row_id_column(row)
        checked.annotators = sorted({item.annotator or "" for item in read})
    try:
        beside = extras.read(row) if read else {}
    except RowError as problem:
        checked.later_problem = (problem.column, problem.reason)
        return checked
    for item in read:
        add_extras(item, beside)
        checked.items.append(
            StagedItem(
                split=None if item.split is None else (hash_first_turn(item.prompt), item.split),
                contents=[] if isinstance(item, ImportedPair) else _contents(item),
                is_pair=isinstance(item, ImportedPair),
                values=pair_row(line, item) if isinstance(item, ImportedPair) else judgment_row(line, item),
            )
        )
    return checked


def add_extras(item: ImportedJudgment | ImportedPair, beside: Mapping[str, Any]) -> None:
    """What `RowExtras.read` found, and metadata that the reader found itself beside it."""
    of_item = item.metadata or {}
    for name, value in beside.items():
        setattr(item, name, value)
    if of_item:
        item.metadata = of_item | (item.metadata or {})


def _contents(judgment: ImportedJudgment) -> list[tuple[str, str, str]]:
    if judgment.prompt_id is None and judgment.response_ids is None:
        return []
    prompt = hash_messages(judgment.prompt)
    found = [] if judgment.prompt_id is None else [("prompt", judgment.prompt_id, prompt)]
    for response_id, response in zip(judgment.response_ids or [], judgment.responses, strict=False):
        found.append(("response", response_id, response_digest(judgment.prompt_id, prompt, response)))
    return found
