"""The formats an import reads, by the name of --format. A new one is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any, TypeVar

from annotation.importing.readers.base import Reader
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.dialogues import DialogueTurnReader
from annotation.importing.readers.fields import NamedStrengths
from annotation.importing.readers.helpsteer3 import Helpsteer3Reader
from annotation.importing.readers.hh import HhReader
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.oasst import OasstReader
from annotation.importing.readers.prompts import DemonstrationReader, PromptFileReader, PromptReader
from annotation.importing.readers.ranked import RankedReader
from annotation.importing.readers.ratings import RatingsReader
from annotation.importing.readers.records import RecordsReader
from annotation.importing.readers.row_extras import EXTRA_FIELDS, RowExtras
from annotation.importing.readers.tasks import TaskReader
from annotation.importing.readers.texts import TextReader
from annotation.importing.readers.trl import TrlReader
from annotation.importing.report import ImportRefused

COMPARISON_READERS: Mapping[str, type[Reader]] = {
    "records": RecordsReader,
    "trl": TrlReader,
    "hh": HhReader,
    "ranked": RankedReader,
    "helpsteer3": Helpsteer3Reader,
    "oasst": OasstReader,
    "ratings": RatingsReader,
}
PROMPT_READERS: Mapping[str, type[PromptFileReader]] = {"records": PromptReader}
DEMONSTRATION_READERS: Mapping[str, type[PromptFileReader]] = {"records": DemonstrationReader}
TASK_READERS: Mapping[str, type[TaskReader]] = {"records": TaskReader}
DIALOGUE_READERS: Mapping[str, type[DialogueTurnReader]] = {"dialogues": DialogueTurnReader}
TEXT_READERS: Mapping[str, type[TextReader]] = {"records": TextReader}

T = TypeVar("T")


def row_extras(
    readers: Mapping[str, type[Any]],
    format_name: str,
    mapping: Mapping[str, list[str]],
    *,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
) -> RowExtras:
    """What rows say beside what their format reads, and in `reader_columns` the columns for its reader; `readers`:
    those of COMPARISON_READERS or another of these.
    """
    reader = _find(readers, format_name, "this import")
    return RowExtras(
        reader.fields,
        mapping,
        split_names=split_names,
        project_splits=project_splits,
        reads_split=readers is not TEXT_READERS,
        reader_columns=_column_map(reader, mapping, format_name),
        # Our own records have columns that follow from others: there every field counts as read.
        keeps_unread=hasattr(reader, "alternatives"),
    )


def _column_map(reader: type[Any], mapping: Mapping[str, list[str]], format_name: str) -> ColumnMap:
    own = {
        field: columns
        for field, columns in mapping.items()
        if field in reader.fields or field not in EXTRA_FIELDS
    }
    return ColumnMap(
        reader.fields, own, format_name=format_name, alternatives=getattr(reader, "alternatives", ())
    )


def comparison_reader(
    format_name: str,
    columns: ColumnMap,
    *,
    criterion: str,
    named_strengths: NamedStrengths,
    margins: Margins,
) -> Reader:
    reader = _find(COMPARISON_READERS, format_name, "comparisons")
    return reader(columns, criterion=criterion, named_strengths=named_strengths, margins=margins)


def prompt_reader(format_name: str, columns: ColumnMap) -> PromptFileReader:
    reader = _find(PROMPT_READERS, format_name, "prompts")
    return reader(columns)


def demonstration_reader(format_name: str, columns: ColumnMap) -> PromptFileReader:
    reader = _find(DEMONSTRATION_READERS, format_name, "demonstrations")
    return reader(columns)


def task_reader(format_name: str, columns: ColumnMap) -> TaskReader:
    reader = _find(TASK_READERS, format_name, "tasks")
    return reader(columns)


def dialogue_turn_reader(columns: ColumnMap, *, seed: int) -> DialogueTurnReader:
    return DialogueTurnReader(columns, seed=seed)


def text_reader(format_name: str, columns: ColumnMap) -> TextReader:
    reader = _find(TEXT_READERS, format_name, "texts")
    return reader(columns)


def _find(readers: Mapping[str, T], format_name: str, what: str) -> T:
    if format_name not in readers:
        raise ImportRefused(
            f"There is no format “{format_name}” for {what}: use {', '.join(readers)}.",
            code="unknown_format",
        )
    return readers[format_name]
