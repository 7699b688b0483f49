"""From the database to records, a page at a time: memory does not grow with the project.

Pages are keyset pages over primary keys. Judgments come as columns (`record_columns`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from annotation.models import (
    COUNTED_PURPOSES,
    Batch,
    Demonstration,
    Judgment,
    Prompt,
    PromptSet,
    Response,
    Text,
)
from annotation.record_columns import json_of_metadata, selected_batches
from learning.interface.record_rows import (
    DemonstrationRow,
    PromptRow,
    ResponseRow,
    TextRow,
    iso_utc,
)
from learning.interface.vocabulary import SAMPLING_FIELDS
from workspace.models import Criterion, Project, User

ROWS_PER_PAGE = 1000


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
        task__batch__in=selected_batches(project, criteria, batches), task__purpose__in=purposes
    )
    if annotator_kinds is not None:
        judgments = judgments.of_annotator_kinds(*annotator_kinds)
    keys = judgments.filter(from_import__isnull=False).values_list("from_import_id", flat=True)
    return list(keys.distinct().order_by("from_import_id"))


def _pages(rows: QuerySet[Any], size: int) -> Iterator[list[Any]]:
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:size]):
        yield page
        last = page[-1].pk


def _of_its_file(row: Any) -> Any:
    """Its id there, and the columns that nobody reads, as JSON text."""
    return {"source_id": row.source_id, "metadata": json_of_metadata(row.metadata)}


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
