"""Judgments from the database to columns, a page of tasks at a time: memory does not grow with the project.

Pages are keyset pages over the keys of tasks, and four queries each, of values and not of objects. Rows come ordered by
batch, task and judgment, so that all judgments of one task are neighbours. Judgments of invisible batches (an import
that is not finished) do not exist here.
"""

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import Max, QuerySet

from annotation.models import COUNTED_PURPOSES, Batch, Judgment, Task, TaskResponse, standing_decisions
from annotation.preferences.evidence import evidence_of_record
from annotation.preferences.flags import without_group
from learning.interface.messages import without_nulls
from learning.interface.record_rows import JudgmentRow, iso_utc
from learning.interface.record_schemas import JUDGMENTS
from learning.interface.vocabulary import POLICY, SAMPLING_FIELDS
from workspace.models import Criterion, Project

TASKS_PER_PAGE = 500
_RESPONSE = JUDGMENTS.field("responses").type.value_type
_NUMBERS_OF_RECORD = int | float | bool
Marks = Mapping[str, Mapping[str, Any]]


def judgment_tables(
    project: Project,
    *,
    criterion: Criterion | None = None,
    criteria: Collection[Criterion] = (),
    batches: Collection[Batch] | None = None,
    purposes: Collection[str] = COUNTED_PURPOSES,
    annotator_kinds: Collection[str] | None = None,
    splits: Collection[str] | None = None,
    decisions: bool = False,
) -> Iterator[pa.Table]:
    """JUDGMENTS, the whole append-only history of what is selected; None selects everything.

    With `decisions` a task that a reviewer has decided gives that decision (of the purpose of the task it decides; its
    `metadata` names task and kind of disagreement) in place of its judgments.

    What is submitted while the rows are read is left out, so that a chain is never seen half.
    """
    # Before the newest judgment is looked up: a decision that is made in between is not taken, and the judgments are.
    decided = _Decided(project, purposes) if decisions else None
    newest = Judgment.objects.of_project(project).aggregate(newest=Max("pk"))["newest"]
    if newest is None:
        return
    known = Judgment.objects.known().filter(pk__lte=newest)
    if annotator_kinds is not None:
        known = known.of_annotator_kinds(*annotator_kinds)
    wanted = [*purposes, Task.Purpose.ADJUDICATION] if decisions else purposes
    for batch in selected_batches(project, [criterion] if criterion is not None else criteria, batches):
        tasks = Task.objects.filter(batch=batch, purpose__in=wanted)
        if splits is not None:
            tasks = tasks.filter(prompt__split__in=splits)
        for page in _pages_of_tasks(tasks):
            if decided is not None and not (page := decided.in_place_of_judgments(page)):
                continue
            if (table := _page_table(project, batch, page, known)) is not None:
                yield table


def judgment_rows(project: Project, **selection: Any) -> Iterator[JudgmentRow]:
    """The same as rows."""
    for table in judgment_tables(project, **selection):
        yield from rows_as_written(table.to_pylist())


def rows_as_written(rows: Sequence[Any]) -> Iterator[JudgmentRow]:
    """JUDGMENTS rows as they went into a table: Arrow gives a map as pairs, and messages fields that they lack."""
    for row in rows:
        row["prompt"] = [without_nulls(message) for message in row["prompt"]]
        for response in row["responses"]:
            if "marks" in response:
                response["marks"] = dict(response["marks"])
            if response.get("turns") is not None:
                response["turns"] = [without_nulls(message) for message in response["turns"]]
        yield row


def selected_batches(
    project: Project, criteria: Collection[Criterion], batches: Collection[Batch] | None
) -> QuerySet[Batch]:
    """Without criteria, those of all."""
    selected = Batch.objects.for_datasets(project).select_related("criterion").order_by("pk")
    if criteria:
        selected = selected.filter(criterion__in=criteria)
    if batches is not None:
        selected = selected.filter(pk__in=[batch.pk for batch in batches])
    return selected


def _pages_of_tasks(tasks: QuerySet[Task]) -> Iterator[list[tuple[Any, ...]]]:
    columns = ("pk", "purpose", "prompt__external_id", "prompt__messages", "prompt__split")
    last = 0
    while page := list(tasks.filter(pk__gt=last).order_by("pk").values_list(*columns)[:TASKS_PER_PAGE]):
        yield page
        last = page[-1][0]


class _Decided:
    """What reviewers have decided by now: read once, so that no task is there twice or not at all."""

    def __init__(self, project: Project, purposes: Collection[str]) -> None:
        rows = standing_decisions().filter(task__batch__project=project, task__purpose__in=purposes)
        self._purpose_of: dict[int, str] = {}
        self._tasks: set[int] = set()
        for task, decision_task, purpose in rows.values_list("task", "decision_task", "task__purpose"):
            self._tasks.add(task)
            self._purpose_of[decision_task] = purpose

    def in_place_of_judgments(self, page: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The tasks of a page (key and purpose first) without those decided, and decisions as what they decide."""
        return [
            (pk, self._purpose_of.get(pk, purpose), *others)
            for pk, purpose, *others in page
            if pk in self._purpose_of or (pk not in self._tasks and purpose != Task.Purpose.ADJUDICATION)
        ]


_JUDGMENT_COLUMNS = (
    "task_id pk supersedes_id withdrawn surplus order_shown tiers strengths confidence marks annotator__pseudonym "
    "annotator__kind rationale flags seconds guideline_version settings_version created_at source_id metadata "
    "evidence from_import_id"
).split()
_RESPONSE_COLUMNS = (
    "task_id response_id response__external_id response__text response__source__kind response__source__name "
    "response__sampling response__turns response__ended"
).split()


def _page_table(
    project: Project,
    batch: Batch,
    tasks: Sequence[tuple[Any, ...]],
    judgments: QuerySet[Judgment],
) -> pa.Table | None:
    """The judgments of these tasks (T of them), J rows; None where there are none."""
    place_of = {task[0]: place for place, task in enumerate(tasks)}
    of_page = judgments.filter(task__batch=batch, task_id__gte=tasks[0][0], task_id__lte=tasks[-1][0])
    rows = of_page.order_by("task_id", "pk").values_list(*_JUDGMENT_COLUMNS)
    found = [row for row in rows if row[0] in place_of]
    if not found:
        return None
    judged = dict(zip(_JUDGMENT_COLUMNS, zip(*found, strict=True), strict=True))
    responses = _Responses(set(judged["task_id"]), place_of)
    place_J = np.array([place_of[task] for task in judged["task_id"]])
    task_columns = list(zip(*tasks, strict=True))
    ids = responses.external_ids
    superseded = set(judged["supersedes_id"])
    columns: dict[str, Any] = {
        "judgment_id": map(str, judged["pk"]),
        "supersedes": (None if key is None else str(key) for key in judged["supersedes_id"]),
        "is_current": (key not in superseded for key in judged["pk"]),
        "withdrawn": judged["withdrawn"],
        "surplus": judged["surplus"],
        "task_id": map(str, judged["task_id"]),
        "responses": responses.of_judgments(place_J, judged["marks"]),
        "order_shown": ([ids[key] for key in keys] for keys in judged["order_shown"]),
        "tiers": ([[ids[key] for key in tier] for tier in tiers] for tiers in judged["tiers"]),
        "strengths": (
            [None if step is None else int(step) for step in steps] for steps in judged["strengths"]
        ),
        "annotator": judged["annotator__pseudonym"],
        "annotator_kind": judged["annotator__kind"],
        "rationale": judged["rationale"],
        # Only an import can say that judgments belong together.
        "flags": (
            flags if from_import is not None or not flags else without_group(flags)
            for flags, from_import in zip(judged["flags"], judged["from_import_id"], strict=True)
        ),
        "seconds": judged["seconds"],
        "guideline_version": judged["guideline_version"],
        "settings_version": judged["settings_version"],
        "created_at": map(iso_utc, judged["created_at"]),
        "source_id": judged["source_id"],
        "metadata": (
            json_of_metadata(_with_evidence(metadata, evidence_of_record(evidence, ids)))
            for metadata, evidence in zip(judged["metadata"], judged["evidence"], strict=True)
        ),
        "confidence": judged["confidence"],
        "other_marks": (
            _other_marks(shown, marks, ids)
            for shown, marks in zip(judged["order_shown"], judged["marks"], strict=True)
        ),
    }
    of_batch = {
        "project": project.slug,
        "batch": batch.name,
        "round": batch.round_number,
        "criterion": batch.criterion.name,
    }
    of_task = {"purpose": 1, "prompt_id": 2, "prompt": 3, "split": 4}
    arrays = []
    for field in JUDGMENTS:
        if field.name in of_batch:
            arrays.append(pa.repeat(pa.scalar(of_batch[field.name], field.type), len(found)))
        elif field.name in of_task:
            values = pa.array(task_columns[of_task[field.name]], field.type)
            arrays.append(values.take(pa.array(place_J)))
        elif isinstance(columns[field.name], pa.Array):
            arrays.append(columns[field.name])
        else:
            arrays.append(pa.array(list(columns[field.name]), field.type))
    return pa.Table.from_arrays(arrays, schema=JUDGMENTS)


class _Responses:
    """The responses of a page of tasks, R of them, those of each task one after the other."""

    def __init__(self, tasks: Collection[int], place_of: Mapping[int, int]) -> None:
        shown = TaskResponse.objects.filter(task__in=tasks).order_by("task_id", "position")
        rows = shown.values_list(*_RESPONSE_COLUMNS)
        task_R, self._keys, external_ids, texts, kinds, names, sampling, turns, ended = zip(
            *rows, strict=True
        )
        self.external_ids = dict(zip(self._keys, external_ids, strict=True))
        self._size_T = np.bincount([place_of[task] for task in task_R], minlength=len(place_of))
        self._first_T = np.cumsum(self._size_T) - self._size_T
        policies = [name if kind == POLICY else None for kind, name in zip(kinds, names, strict=True)]
        values = {
            "response_id": external_ids,
            "text": texts,
            "source": kinds,
            "policy": policies,
            "sampling": [given and {name: given.get(name) for name in SAMPLING_FIELDS} for given in sampling],
            "turns": turns,
            "ended": ended,
        }
        self._columns = {
            name: pa.array(column, _RESPONSE.field(name).type) for name, column in values.items()
        }

    def of_judgments(self, place_J: np.ndarray, marks_J: Sequence[Marks]) -> pa.Array:
        """(J,) the responses of each judgment's task, with its marks. `place_J`: which of the tasks."""
        size_J = self._size_T[place_J]
        first_J = np.cumsum(size_J) - size_J
        shown = np.arange(size_J.sum()) - np.repeat(first_J - self._first_T[place_J], size_J)
        taken = {name: column.take(pa.array(shown)) for name, column in self._columns.items()}
        taken["marks"] = self._marks(shown, np.repeat(np.arange(len(place_J)), size_J), marks_J)
        fields = list(_RESPONSE)
        structs = pa.StructArray.from_arrays([taken[field.name] for field in fields], fields=fields)
        offsets = pa.array(np.append(first_J, len(shown)).astype(np.int32))
        return pa.ListArray.from_arrays(offsets, structs, type=JUDGMENTS.field("responses").type)

    def _marks(self, shown: np.ndarray, judgment: np.ndarray, marks_J: Sequence[Marks]) -> pa.Array:
        kind = _RESPONSE.field("marks").type
        if not any(marks_J):
            offsets = pa.repeat(pa.scalar(0, pa.int32()), len(shown) + 1)
            return pa.MapArray.from_arrays(
                offsets, pa.array([], kind.key_type), pa.array([], kind.item_type), type=kind
            )
        own = (
            marks_J[row].get(str(self._keys[place]), {})
            for row, place in zip(judgment.tolist(), shown.tolist(), strict=True)
        )
        return pa.array([list(numbers_of_record(marks).items()) for marks in own], kind)


def numbers_of_record(marks: Mapping[str, Any]) -> dict[str, float]:
    """A response's marks are numbers; yes/no is 1 or 0. Words and passages are in `other_marks`; an integer that was
    stored before they were bounded and is beyond every float stays in the database.
    """
    return {
        name: float(marks[name])
        for name in sorted(marks)
        if isinstance(marks[name], _NUMBERS_OF_RECORD) and abs(marks[name]) <= sys.float_info.max
    }


def _other_marks(order_shown: Sequence[int], marks: Marks, ids: Mapping[int, str]) -> str | None:
    """The marks that are no numbers, by response id, as JSON text: words, texts and passages."""
    other = {
        ids[key]: said
        for key in order_shown
        if (said := {
            name: value
            for name, value in marks.get(str(key), {}).items()
            if not isinstance(value, _NUMBERS_OF_RECORD)
        })
    }  # fmt: skip
    return json_of_metadata(other or None)


def _with_evidence(
    metadata: Mapping[str, Any] | None, evidence: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    return metadata if evidence is None else {**(metadata or {}), "evidence": evidence}


def json_of_metadata(metadata: Mapping[str, Any] | None) -> str | None:
    """The columns of a file that nobody reads, as JSON text."""
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False, sort_keys=True)
