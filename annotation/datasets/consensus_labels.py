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
from django.conf import settings
from django.db.models import Q

from annotation.datasets.damage import DatasetDamaged
from annotation.datasets.selection import Selection
from annotation.datasets.shards import ROWS_PER_GROUP, describe_file
from annotation.models import (
    COUNTED_PURPOSES,
    PreferenceDataset,
    QualityReport,
    Response,
    Task,
    TaskConsensus,
    TaskResponse,
)
from learning.interface.atomic_files import sync_path
from learning.interface.record_rows import JudgmentRow, iso_utc
from workspace.errors import ActionError
from workspace.models import AuditEvent

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
Labels = dict[tuple[str, int, int], tuple[float, float, float]]


class NoConsensus(ActionError):
    """No report has labels for what is selected."""

    code = "no_consensus"


def report_for(selection: Selection) -> QualityReport:
    """The newest report, when it has measured all that is selected. Raises NoConsensus."""
    project = selection.project
    report: QualityReport | None = project.quality_reports.filter(is_complete=True).order_by("-pk").first()
    again = f"measure again (Quality > Measure, or manage.py measure_quality {project.slug})"
    if report is None:
        raise NoConsensus(f"The quality of {project.slug} was never measured: {again} for its consensus.")
    if set(selection.purposes) - set(COUNTED_PURPOSES):
        raise NoConsensus(
            f"A consensus is of normal and head-to-head tasks: select these alone, not {', '.join(selection.purposes)}."
        )
    if selection.conditions.until is not None:
        raise NoConsensus(
            "The consensus is of all judgments there are, not of those up to a day: leave out one of both."
        )
    criteria = list(selection.criteria) or list(
        project.criteria.filter(batches__in=selection.judgments().values("task__batch")).distinct()
    )
    for criterion in criteria:
        summary: Mapping[str, Any] | None = report.summaries.get(str(criterion.pk))
        if summary is None or summary.get("crowd") is None:
            raise NoConsensus(
                f"The newest measurement has no consensus on {criterion.name}: nobody has judged what another did, or "
                f"it was measured before; {again}."
            )
        if set(selection.annotator_kinds) != {summary["kind"]}:
            raise NoConsensus(
                f"The consensus on {criterion.name} is that of annotators of kind {summary['kind']}: select their "
                "judgments alone."
            )
    if report.changed_at() is not None:
        raise NoConsensus(
            "Since the newest measurement of quality a batch was excluded or taken in again, or an import taken back: "
            f"{again}."
        )
    unseen = Q(pk__gt=report.newest_judgment) | Q(from_import__in=_imports_since(report))
    if newer := selection.judgments().filter(unseen).count():
        raise NoConsensus(
            f"{newer:,} of the selected judgments came after the newest measurement of quality: {again}, so that the "
            "consensus has them."
        )
    return report


def _imports_since(report: QualityReport) -> list[int]:
    """Their judgments may have smaller keys than the newest one measured: the keys are given when a file is begun, and
    nobody reads its judgments until it is done.
    """
    begun = (report.run.started_at if report.run else None) or report.created_at
    done = AuditEvent.objects.filter(
        project=report.project_id, action="comparisons.import", created_at__gt=begun
    )
    return [details["imported"] for details in done.values_list("details", flat=True)]


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
            decisions = _decisions_among(report, some)
            for task, criterion, ids in some:
                if task in decisions:  # it stands in place of what the crowd said of the same responses
                    decided += 1
                    pairs = []
                else:
                    pairs = _pairs_of(criterion, ids, labels, keys)
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


def _decisions_among(report: QualityReport, tasks: Sequence[tuple[str, str, list[str]]]) -> set[str]:
    found = Task.objects.filter(batch__project=report.project_id, purpose=Task.Purpose.ADJUDICATION)
    return set(map(str, found.filter(pk__in=[int(task) for task, *_ in tasks]).values_list("pk", flat=True)))


def _labels_of(
    report: QualityReport, tasks: Sequence[tuple[str, str, list[str]]]
) -> tuple[Labels, dict[str, int]]:
    """(labels by criterion and keys of responses, the keys by their ids). The report names a pair's first task, which
    may be another one of the same responses.
    """
    ids = {one for *_, responses in tasks for one in responses}
    found = Response.objects.filter(project=report.project_id, external_id__in=ids)
    keys = dict(found.values_list("external_id", "pk"))
    of_responses = TaskResponse.objects.filter(response__in=keys.values()).values("task")
    rows = TaskConsensus.objects.filter(report=report, task__in=of_responses)
    labels: Labels = {}
    for criterion, pairs in rows.values_list("criterion__name", "pairs").iterator():
        for first, second, preference, low, high in pairs:
            labels[criterion, int(first), int(second)] = (preference, low, high)
            labels[criterion, int(second), int(first)] = (1 - preference, 1 - high, 1 - low)
    return labels, keys


def _pairs_of(
    criterion: str, ids: Sequence[str], labels: Labels, keys: Mapping[str, int]
) -> list[dict[str, Any]]:
    pairs = []
    for place, first in enumerate(ids):
        for second in ids[place + 1 :]:
            label = labels.get((criterion, keys[first], keys[second]))
            if label is not None:
                preference, low, high = label
                pairs.append(
                    {"first": first, "second": second, "preference": preference, "low": low, "high": high}
                )
    return pairs


def require_consensus_file(dataset: PreferenceDataset, manifest: Mapping[str, Any]) -> Path | None:
    """The file, checked against the manifest; None of a dataset without labels. Raises DatasetDamaged."""
    if (consensus := manifest.get("consensus")) is None:
        return None
    folder = Path(settings.DATA_DIR) / dataset.directory
    described = consensus["file"]
    path = folder / described["name"]
    if not path.is_file() or describe_file(path, described["rows"], folder) != described:
        raise DatasetDamaged(f"A file of the dataset “{dataset.name}” is missing or was changed: {path}.")
    return path


def labelled(
    rows: Iterable[JudgmentRow], dataset: PreferenceDataset, manifest: Mapping[str, Any]
) -> Iterator[JudgmentRow]:
    """The dataset's rows, or those of some splits, each with what the crowd thinks of its pairs under `consensus`:
    (response, response) -> preference. Raises DatasetDamaged.
    """
    path = require_consensus_file(dataset, manifest)
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
