"""The labels of a quality report beside the judgments of a dataset: what the crowd thinks of each pair of responses.

A file of its own in the dataset's folder, one row a task in the order of the judgments' tasks, so that both are read
side by side in constant memory; the manifest names the file, its hash and the report. The judgments stay what they are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.datasets.damage import DatasetDamaged
from annotation.datasets.quality_labels import NoConsensus, require_file
from annotation.datasets.shards import ROWS_PER_GROUP, describe_file
from annotation.models import (
    PreferenceDataset,
    QualityReport,
    Response,
    Task,
    TaskConsensus,
    TaskResponse,
)
from learning.interface.atomic_files import sync_path
from learning.interface.record_rows import JudgmentRow, iso_utc

CONSENSUS_FILE = "consensus.parquet"
TASKS_AT_ONCE = 500
PAIR = pa.struct(
    [
        pa.field("first", pa.string(), nullable=False),  # ids of responses
        pa.field("second", pa.string(), nullable=False),
        pa.field(
            "preference", pa.float64(), nullable=False
        ),  # share of annotators of mean ability for the first
        pa.field("low", pa.float64(), nullable=False),  # its 90 % interval
        pa.field("high", pa.float64(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [pa.field("task_id", pa.string(), nullable=False), pa.field("pairs", pa.list_(PAIR), nullable=False)]
)
# By criterion, whether policies are compared on the pair head to head, and keys of responses.
Labels = dict[tuple[str, bool, int, int], tuple[float, float, float]]


def write_consensus(
    report: QualityReport, folder: Path, files: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The labels of the pairs in the judgments `files` below `folder`; the manifest's lines of them.

    Raises NoConsensus when the report has none of them, or is replaced meanwhile.
    """
    path, tasks, labelled, missing, decided = folder / CONSENSUS_FILE, 0, 0, 0, 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        left = _tasks_of(folder / file["name"] for file in files)
        while some := list(islice(left, TASKS_AT_ONCE)):
            rows: list[dict[str, Any]] = []
            labels, keys = _labels_of(report, some)
            purpose_of = _purposes_of(report, some)
            for task, criterion, ids in some:
                purpose = purpose_of.get(task)
                if (
                    purpose == Task.Purpose.ADJUDICATION
                ):  # it stands in place of what the crowd said of the same responses
                    decided += 1
                    pairs = []
                else:
                    measures = purpose == Task.Purpose.HEAD_TO_HEAD
                    pairs = _pairs_of(criterion, measures, ids, labels, keys)
                    missing += len(ids) * (len(ids) - 1) // 2 - len(pairs)
                rows.append({"task_id": task, "pairs": pairs})
                labelled += len(pairs)
            tasks += len(rows)
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    sync_path(path)
    # A new measurement removes the rows of the one before.
    if not labelled or not QualityReport.objects.filter(pk=report.pk, is_complete=True).exists():
        raise NoConsensus(
            "The measurement of quality has no pair of this selection, or was replaced while it was read: do it again."
        )
    return {
        "report": report.pk,
        "measured_at": iso_utc(report.created_at),
        "judgments_measured": report.judgments,
        "pairs": labelled,
        # Their label is the share of the votes.
        "pairs_without": missing,
        # Tasks of which a reviewer's decision is in the dataset: that is their label.
        **({"decided_tasks": decided} if decided else {}),
        "file": describe_file(path, tasks, folder),
    }


def _tasks_of(paths: Iterable[Path]) -> Iterator[tuple[str, str, list[str]]]:
    """(task, criterion, ids of its responses), each task once, in the order of the judgments."""
    columns = ["task_id", "criterion", "responses.list.element.response_id"]
    last = None
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=columns):
                for row in batch.to_pylist():
                    if row["task_id"] != last:
                        last = row["task_id"]
                        yield last, row["criterion"], [one["response_id"] for one in row["responses"]]


def _purposes_of(report: QualityReport, tasks: Sequence[tuple[str, str, list[str]]]) -> dict[str, str]:
    found = Task.objects.filter(batch__project=report.project_id, pk__in=[int(task) for task, *_ in tasks])
    return {str(key): purpose for key, purpose in found.values_list("pk", "purpose")}


def _labels_of(
    report: QualityReport, tasks: Sequence[tuple[str, str, list[str]]]
) -> tuple[Labels, dict[str, int]]:
    """(labels, the keys of responses by their ids). The report names a pair's first task, which may be another one of
    the same responses.
    """
    ids = {one for *_, responses in tasks for one in responses}
    found = Response.objects.filter(project=report.project_id, external_id__in=ids)
    keys = dict(found.values_list("external_id", "pk"))
    of_responses = TaskResponse.objects.filter(response__in=keys.values()).values("task")
    rows = TaskConsensus.objects.filter(report=report, task__in=of_responses)
    labels: Labels = {}
    for criterion, purpose, pairs in rows.values_list("criterion__name", "task__purpose", "pairs").iterator():
        measures = purpose == Task.Purpose.HEAD_TO_HEAD
        for first, second, preference, low, high in pairs:
            labels[criterion, measures, int(first), int(second)] = (preference, low, high)
            labels[criterion, measures, int(second), int(first)] = (1 - preference, 1 - high, 1 - low)
    return labels, keys


def _pairs_of(
    criterion: str, measures: bool, ids: Sequence[str], labels: Labels, keys: Mapping[str, int]
) -> list[dict[str, Any]]:
    pairs = []
    for place, first in enumerate(ids):
        for second in ids[place + 1 :]:
            label = labels.get((criterion, measures, keys[first], keys[second]))
            if label is not None:
                preference, low, high = label
                pairs.append(
                    {"first": first, "second": second, "preference": preference, "low": low, "high": high}
                )
    return pairs


def labelled(
    rows: Iterable[JudgmentRow], dataset: PreferenceDataset, manifest: Mapping[str, Any]
) -> Iterator[JudgmentRow]:
    """The dataset's rows, or those of some splits, each with what the crowd thinks of its pairs under `consensus`:
    (response, response) -> preference. Raises DatasetDamaged.
    """
    path = require_file(dataset, manifest, "consensus")
    if path is None:
        yield from rows
        return
    with pq.ParquetFile(path) as file:
        known = (row for batch in file.iter_batches(batch_size=ROWS_PER_GROUP) for row in batch.to_pylist())
        task, labels = None, {}
        for row in rows:
            while task != row["task_id"]:
                if (found := next(known, None)) is None:
                    raise DatasetDamaged(f"A task of the dataset “{dataset.name}” is not in {path}.")
                task = found["task_id"]
                labels = {(pair["first"], pair["second"]): pair["preference"] for pair in found["pairs"]}
            yield cast(JudgmentRow, {**row, "consensus": labels})
