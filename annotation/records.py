"""From the database to records, a page at a time: memory does not grow with the project.

Pages are keyset pages over primary keys. Rows come ordered by batch, task and judgment, so that all judgments
of one task are neighbours. Judgments of invisible batches (an import that is not finished) do not exist here.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Max, QuerySet

from annotation.models import (
    COUNTED_PURPOSES,
    Batch,
    Demonstration,
    Judgment,
    Prompt,
    PromptSet,
    Response,
    Task,
    TaskResponse,
    Text,
)
from annotation.preferences.flags import without_group
from learning.interface.record_rows import (
    DemonstrationRow,
    JudgedResponse,
    JudgmentRow,
    PromptRow,
    ResponseRow,
    TextRow,
    iso_utc,
)
from learning.interface.vocabulary import SAMPLING_FIELDS
from workspace.models import Criterion, Project, User

TASKS_PER_PAGE = 200
ROWS_PER_PAGE = 1000


def judgment_rows(
    project: Project,
    *,
    criterion: Criterion | None = None,
    criteria: Collection[Criterion] = (),
    batches: Collection[Batch] | None = None,
    purposes: Collection[str] = COUNTED_PURPOSES,
    annotator_kinds: Collection[str] | None = None,
    splits: Collection[str] | None = None,
) -> Iterator[JudgmentRow]:
    """JUDGMENTS rows, the whole append-only history of what is selected; None selects everything.

    What is submitted while the rows are read is left out, so that a chain is never seen half.
    """
    newest = Judgment.objects.of_project(project).aggregate(newest=Max("pk"))["newest"]
    if newest is None:
        return
    for batch in _selected_batches(project, [criterion] if criterion is not None else criteria, batches):
        tasks = Task.objects.filter(batch=batch, purpose__in=purposes).select_related("prompt")
        if splits is not None:
            tasks = tasks.filter(prompt__split__in=splits)
        for page in _pages(tasks, TASKS_PER_PAGE):
            yield from _rows_of_tasks(project, batch, page, newest, annotator_kinds)


def imports_of_judgments(
    project: Project,
    *,
    criteria: Collection[Criterion] = (),
    batches: Collection[Batch] | None = None,
    purposes: Collection[str] = COUNTED_PURPOSES,
    annotator_kinds: Collection[str] | None = None,
) -> list[int]:
    """The keys of the imports whose judgments `judgment_rows` gives for this selection."""
    judgments = Judgment.objects.known().filter(
        task__batch__in=_selected_batches(project, criteria, batches), task__purpose__in=purposes
    )
    if annotator_kinds is not None:
        judgments = judgments.of_annotator_kinds(*annotator_kinds)
    keys = judgments.filter(from_import__isnull=False).values_list("from_import_id", flat=True)
    return list(keys.distinct().order_by("from_import_id"))


def _selected_batches(
    project: Project, criteria: Collection[Criterion], batches: Collection[Batch] | None
) -> QuerySet[Batch]:
    """Without criteria, those of all."""
    selected = Batch.objects.for_datasets(project).select_related("criterion").order_by("pk")
    if criteria:
        selected = selected.filter(criterion__in=criteria)
    if batches is not None:
        selected = selected.filter(pk__in=[batch.pk for batch in batches])
    return selected


def _pages(rows: QuerySet[Any], size: int) -> Iterator[list[Any]]:
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:size]):
        yield page
        last = page[-1].pk


def _rows_of_tasks(
    project: Project,
    batch: Batch,
    tasks: Sequence[Task],
    newest: int,
    annotator_kinds: Collection[str] | None,
) -> Iterator[JudgmentRow]:
    judgments = Judgment.objects.known().filter(task__in=tasks, pk__lte=newest).select_related("annotator")
    if annotator_kinds is not None:
        judgments = judgments.of_annotator_kinds(*annotator_kinds)
    found = list(judgments.order_by("task_id", "pk"))
    superseded = {judgment.supersedes_id for judgment in found}
    responses: dict[int, list[Response]] = defaultdict(list)
    task_responses = TaskResponse.objects.filter(task__in={judgment.task_id for judgment in found})
    for task_response in task_responses.select_related("response__source").order_by("task_id", "position"):
        responses[task_response.task_id].append(task_response.response)
    tasks_by_id = {task.pk: task for task in tasks}
    for judgment in found:
        task = tasks_by_id[judgment.task_id]
        shown = responses[task.pk]
        external_ids = {response.pk: response.external_id for response in shown}
        yield {
            "judgment_id": str(judgment.pk),
            "supersedes": str(judgment.supersedes_id) if judgment.supersedes_id else None,
            "is_current": judgment.pk not in superseded,
            "withdrawn": judgment.withdrawn,
            "surplus": judgment.surplus,
            "project": project.slug,
            "batch": batch.name,
            "round": batch.round_number,
            "criterion": batch.criterion.name,
            "purpose": task.purpose,
            "task_id": str(task.pk),
            "prompt_id": task.prompt.external_id,
            "prompt": task.prompt.messages,
            "responses": [_judged_response(response, judgment.marks) for response in shown],
            "order_shown": [external_ids[key] for key in judgment.order_shown],
            "tiers": [[external_ids[key] for key in tier] for tier in judgment.tiers],
            "strengths": [None if strength is None else int(strength) for strength in judgment.strengths],
            "annotator": judgment.annotator.pseudonym,
            "annotator_kind": judgment.annotator.kind,
            "rationale": judgment.rationale,
            # Only an import can say that judgments belong together.
            "flags": judgment.flags if judgment.from_import_id else without_group(judgment.flags),
            "seconds": judgment.seconds,
            "guideline_version": judgment.guideline_version,
            "settings_version": judgment.settings_version,
            "split": task.prompt.split,
            "created_at": iso_utc(judgment.created_at),
        } | _of_its_file(judgment)


def _of_its_file(row: Any) -> Any:
    """Its id there, and the columns that nobody reads, as JSON text."""
    metadata = row.metadata
    return {
        "source_id": row.source_id,
        "metadata": None if metadata is None else json.dumps(metadata, ensure_ascii=False, sort_keys=True),
    }


def _judged_response(response: Response, marks: Mapping[str, Mapping[str, Any]]) -> JudgedResponse:
    own = marks.get(str(response.pk), {})
    return {
        "response_id": response.external_id,
        "text": response.text,
        "source": response.source.kind,
        "policy": _policy_name(response),
        "sampling": _sampling_fields(response),
        # Records hold numbers; yes/no is 1 or 0. What is none to a record (a word, an integer that was stored before
        # they were bounded and is beyond every float) stays in the database.
        "marks": {name: float(own[name]) for name in sorted(own) if _is_number_of_record(own[name])},
        "turns": response.turns,
        "ended": response.ended,
    }


def _is_number_of_record(mark: Any) -> bool:
    return not isinstance(mark, str) and abs(mark) <= sys.float_info.max


def _sampling_fields(response: Response) -> Any:
    if response.sampling is None:
        return None
    return {field: response.sampling.get(field) for field in SAMPLING_FIELDS}


def _policy_name(response: Response) -> str | None:
    return response.source.name if response.source.kind == response.source.Kind.POLICY else None


def prompt_rows(
    project: Project,
    *,
    prompt_ids: Sequence[str] | None = None,
    prompt_set: PromptSet | None = None,
    splits: Collection[str] | None = None,
) -> Iterator[PromptRow]:
    """PROMPTS rows of the project, in the order of their creation; with `prompt_ids` those, a page at a time."""
    prompts = _selected(Prompt.objects.filter(project=project), "", prompt_set, splits)
    for selection in _selections(prompts.select_related("author"), prompt_ids):
        for page in _pages(selection, ROWS_PER_PAGE):
            yield from map(_prompt_row, page)


def _prompt_row(prompt: Prompt) -> PromptRow:
    return {
        "prompt_id": prompt.external_id,
        "messages": prompt.messages,
        "kind": prompt.kind,
        "split": prompt.split,
        "author": _pseudonym(prompt.author),
        "tags": prompt.tags,
    } | _of_its_file(prompt)


def demonstration_rows(
    project: Project, *, prompt_set: PromptSet | None = None, splits: Collection[str] | None = None
) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows in the order of their creation."""
    rows = _selected(Demonstration.objects.filter(project=project), "prompt__", prompt_set, splits)
    for page in _pages(rows.select_related("prompt", "author"), ROWS_PER_PAGE):
        for demonstration in page:
            yield {
                "prompt_id": demonstration.prompt.external_id,
                "prompt": demonstration.prompt.messages,
                "response": demonstration.response_text,
                "author": _pseudonym(demonstration.author),
                "split": demonstration.prompt.split,
                "turns": demonstration.turns,
            } | _of_its_file(demonstration)


def text_rows(project: Project, *, splits: Collection[str] | None = None) -> Iterator[TextRow]:
    """TEXTS rows in the order of their creation."""
    for page in _pages(_selected(Text.objects.filter(project=project), "", None, splits), ROWS_PER_PAGE):
        for text in page:
            yield {
                "text_id": text.external_id,
                "text": text.text,
                "licence": text.licence or None,
                "split": text.split,
            } | _of_its_file(text)


def response_rows(
    project: Project,
    *,
    response_ids: Sequence[str] | None = None,
    policy: str | None = None,
    splits: Collection[str] | None = None,
) -> Iterator[ResponseRow]:
    """RESPONSES rows of the project: those with these ids, of one policy (its source's name), or all."""
    rows = Response.objects.filter(project=project).select_related("prompt", "source")
    if policy is not None:
        rows = rows.filter(source__kind="policy", source__name=policy)
    if splits is not None:
        rows = rows.filter(prompt__split__in=splits)
    for selection in _selections(rows, response_ids):
        for page in _pages(selection, ROWS_PER_PAGE):
            yield from map(_response_row, page)


def _response_row(response: Response) -> ResponseRow:
    return {
        "response_id": response.external_id,
        "prompt_id": response.prompt.external_id,
        "prompt": response.prompt.messages,
        "text": response.text,
        "source": response.source.kind,
        "policy": _policy_name(response),
        "sampling": _sampling_fields(response),
        "ended": response.ended,
        "created_at": iso_utc(response.created_at),
        "turns": response.turns,
    }


def _selections(rows: QuerySet[Any], external_ids: Sequence[str] | None) -> list[QuerySet[Any]]:
    """All rows, or those with these ids in chunks that a database takes as parameters."""
    if external_ids is None:
        return [rows]
    starts = range(0, len(external_ids), ROWS_PER_PAGE)
    return [rows.filter(external_id__in=external_ids[start : start + ROWS_PER_PAGE]) for start in starts]


def _selected(
    rows: QuerySet[Any], prefix: str, prompt_set: PromptSet | None, splits: Collection[str] | None
) -> QuerySet[Any]:
    if prompt_set is not None:
        rows = rows.filter(**{f"{prefix}memberships__prompt_set": prompt_set})
    if splits is not None:
        rows = rows.filter(**{f"{prefix}split__in": list(splits)})
    return rows


def _pseudonym(author: User | None) -> str | None:
    return author.pseudonym if author is not None else None
