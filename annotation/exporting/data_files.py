"""The data files of an export, one after the other: whoever asks for them says what becomes of each.

A folder keeps them all; a download sends each and lets it go, so that the whole is never on this machine's disk.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from annotation.datasets.files import dataset_batches, dataset_comparisons, dataset_judgments, rows_of_batch
from annotation.datasets.shards import ShardWriter, describe_file
from annotation.exporting.dataset_card import split_of_file
from annotation.exporting.formats.base import UNWRITABLE, ExportFormat, ExportOptions, ExportRefused
from annotation.exporting.raw_columns import COLUMNS, RowsOfBatch, raw_comparison_columns, take_splits
from annotation.models import PreferenceDataset
from annotation.preferences.comparisons import raw_comparisons
from annotation.preferences.consensus import judgments_by_question
from learning.interface.record_rows import ComparisonRow
from learning.interface.vocabulary import SPLITS


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is written of a dataset, and how."""

    dataset: PreferenceDataset
    format: ExportFormat
    options: ExportOptions
    split: str | None = None
    consensus: bool = False

    @property
    def splits(self) -> Collection[str] | None:
        return None if self.split is None else (self.split,)

    @property
    def schema(self) -> pa.Schema:
        return self.format.schema(self.options)


@dataclass
class Written:
    """What has been written: the files as a manifest lists them, what was counted, the names of marks seen."""

    files: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    marks: set[str] = field(default_factory=set)

    def in_order(self) -> list[dict[str, Any]]:
        """The files by split and number, whichever was complete first."""
        return sorted(self.files, key=lambda file: (SPLITS.index(split_of_file(file)), file["name"]))


def write_data_files(folder: Path, export: Export, written: Written) -> Iterator[Path]:
    """Gives each file below `folder`/data when it is complete; it may be removed then. Raises ExportRefused."""
    finished: deque[tuple[Path, int]] = deque()
    shards = {
        name: ShardWriter(folder / "data", name, export.schema, export.options.files, finished.append)
        for name in SPLITS
    }

    def complete() -> Iterator[Path]:
        while finished:
            path, rows = finished.popleft()
            written.files.append(describe_file(path, rows, folder))
            yield path

    for _ in _add_all(export, written, shards):
        yield from complete()
    if unwritable := written.counts[UNWRITABLE]:
        raise cannot_hold_calls(export, unwritable, written.counts["groups"])
    for shard in shards.values():
        shard.close()
        yield from complete()


def cannot_hold_calls(export: Export, unwritable: int, groups: int) -> ExportRefused:
    return ExportRefused(
        f"{unwritable} of {groups} comparisons have tool calls or responses of several turns, which "
        f"{export.format.name} as plain text cannot hold: leave --plain out, or use the format records.",
        code="cannot_hold_calls",
    )


def require_rows(export: Export, *, may_hold_calls: bool) -> None:
    """Raises ExportRefused for an export that would end in it; where nothing can be refused any more, one row is
    enough to know.
    """
    counts: Counter[str] = Counter()
    found = False
    rows: Iterable[Any]
    if export.format.of_judgments:
        rows = dataset_judgments(export.dataset, splits=export.splits)
    elif export.format.of_questions:
        rows = judgments_by_question(dataset_judgments(export.dataset, splits=export.splits))
    else:
        rows = dataset_comparisons(export.dataset, consensus=export.consensus, splits=export.splits)
    for row in rows:
        counts["groups"] += 1
        found = any(True for _ in export.format.rows(row, export.options, counts)) or found
        if found and not may_hold_calls:
            break
    if unwritable := counts[UNWRITABLE]:
        raise cannot_hold_calls(export, unwritable, counts["groups"])
    if not found:
        raise no_rows(export, counts)


def no_rows(export: Export, counts: Mapping[str, int]) -> ExportRefused:
    """With what the format left out, where that is why."""
    left_out = [
        f"{counts[what]}: {meaning}"
        for what, meaning in export.format.losses.items()
        if counts.get(what) and what != "groups_without_rows"
    ]
    message = f"No row of the dataset “{export.dataset.label}” is in this selection"
    if groups := counts.get("groups"):
        of = "the one comparison" if groups == 1 else f"the {groups} comparisons"
        message = f"{export.format.name} has no row for {of} of “{export.dataset.label}”"
    return ExportRefused(
        message + (f" ({'; '.join(left_out)})." if left_out else "."),
        code="no_rows",
    )


def _add_all(export: Export, written: Written, shards: Mapping[str, ShardWriter]) -> Iterator[None]:
    """Write the rows; pauses now and then, for whoever looks what is complete."""
    export_format, options, counts, splits = export.format, export.options, written.counts, export.splits
    if export_format.of_judgments:
        for judgment in dataset_judgments(export.dataset, splits=splits):
            written.marks.update(name for response in judgment["responses"] for name in response["marks"])
            for row in export_format.rows(judgment, options, counts):
                shards[judgment["split"]].add(row)
            yield
    elif export_format.of_questions:
        for group_id, judgments in judgments_by_question(dataset_judgments(export.dataset, splits=splits)):
            counts["groups"] += 1
            for row in export_format.rows((group_id, judgments), options, counts):
                shards[judgments[0]["split"]].add(row)
            yield
    elif export.consensus:
        for comparison in dataset_comparisons(export.dataset, consensus=True, splits=splits):
            _add_rows([comparison], export, counts, shards)
            yield
    else:
        yield from _add_raw(export, counts, shards)


def _add_rows(
    comparisons: Iterable[ComparisonRow],
    export: Export,
    counts: Counter[str],
    shards: Mapping[str, ShardWriter],
) -> None:
    for comparison in comparisons:
        counts["groups"] += 1
        for row in export.format.rows(comparison, export.options, counts):
            shards[comparison["split"]].add(row)


def _add_raw(export: Export, counts: Counter[str], shards: Mapping[str, ShardWriter]) -> Iterator[None]:
    """The raw comparisons: a batch at once where the format can, else row by row. While one batch is worked on the next
    is read and the last one written.
    """
    batches = dataset_batches(export.dataset, splits=export.splits, columns=COLUMNS)
    columns_of = export.format.columns
    shapes: dict[int, ComparisonRow] = {}
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading = reader.submit(next, batches, None)
        writing = writer.submit(lambda: None)
        while (batch := reading.result()) is not None:
            reading = reader.submit(next, batches, None)
            raw = None if columns_of is None else raw_comparison_columns(batch, shapes)
            rows = None
            if raw is not None and columns_of is not None:
                rows = columns_of(raw, export.options, counts)
            writing.result()
            yield
            if raw is None or rows is None:
                _add_rows(raw_comparisons(rows_of_batch(batch)), export, counts, shards)
            else:
                counts["groups"] += len(raw)
                writing = writer.submit(_add_many, rows, shards)
        writing.result()


def _add_many(rows: RowsOfBatch, shards: Mapping[str, ShardWriter]) -> None:
    for split, of_split in take_splits(rows, SPLITS):
        shards[split].add_many(of_split)
