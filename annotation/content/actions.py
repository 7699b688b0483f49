"""Actions on what is judged: prompts, prompt sets, sources, responses, demonstrations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from annotation.content.splits import assign_split
from annotation.errors import InvalidBatch, InvalidTask, PromptConflict
from annotation.models import (
    Demonstration,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Source,
    hash_messages,
    new_external_id,
)
from annotation.text import clean_messages, clean_text
from workspace.actions import record_audit
from workspace.models import Project, User

BULK_BATCH_SIZE = 1000


@dataclass(frozen=True, kw_only=True)
class NewResponse:
    prompt: Prompt
    source: Source
    text: str
    response_id: str | None = None
    sampling: Mapping[str, Any] | None = None
    token_ids: Sequence[int] | None = None
    logprobs: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class NewDemonstration:
    prompt: Prompt
    text: str
    author: User | None = None
    demonstration_id: str | None = None


def _check_id(value: Any, what: str) -> str:
    clean_text(value, what)
    if len(value) > 200:
        raise InvalidBatch(f"{what} has more than 200 characters.", code="id_too_long")
    return value


def _in_chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    rows = list(values)
    for start in range(0, len(rows), BULK_BATCH_SIZE):
        yield rows[start : start + BULK_BATCH_SIZE]


@transaction.atomic
def add_prompts(
    *, actor: User, project: Project, rows: Sequence[Mapping[str, Any]], prompt_set: PromptSet | None = None
) -> list[Prompt]:
    """The prompts of `rows`, in their order; those that are there already are returned as they are.

    A row is {messages, kind?, tags?, prompt_id?, author?}. Without an id a prompt is known by its
    conversation. The split is decided here, once. Raises InvalidText, and PromptConflict for an id that
    is taken by another conversation.
    """
    checked = []
    for row in rows:
        messages = clean_messages(row.get("messages"))
        kind = row.get("kind") or Prompt.Kind.PLAIN
        if kind not in Prompt.Kind.values:
            raise PromptConflict(f"“{kind}” is not a kind of prompt: use plain, few-shot or user-based.")
        tags = [clean_text(tag, "A tag") for tag in row.get("tags") or []]
        given = row.get("prompt_id")
        external_id = _check_id(given, "The prompt's id") if given is not None else None
        checked.append((external_id, hash_messages(messages), messages, kind, tags, row.get("author")))
    by_id: dict[str, Prompt] = {}
    by_content: dict[str, Prompt] = {}
    for chunk in _in_chunks(checked):
        ids, contents = [r[0] for r in chunk if r[0]], [r[1] for r in chunk if not r[0]]
        known = Prompt.objects.filter(project=project).filter(
            Q(external_id__in=ids) | Q(content_hash__in=contents)
        )
        for stored in known.order_by("-pk"):
            by_id[stored.external_id] = by_content[stored.content_hash] = stored
    fresh: list[Prompt] = []
    found: list[Prompt] = []
    for external_id, content, messages, kind, tags, author in checked:
        there = by_id.get(external_id) if external_id else by_content.get(content)
        if there is not None and there.content_hash != content:
            raise PromptConflict(f"The prompt id “{external_id}” belongs to another conversation already.")
        prompt = there
        if prompt is None:
            prompt = Prompt(
                project=project,
                external_id=external_id or f"p-{content[:32]}",
                messages=messages,
                kind=kind,
                tags=tags,
                split=assign_split(messages, project.split_salt),
                author=author,
                content_hash=content,
            )
            by_id[prompt.external_id] = prompt
            by_content.setdefault(content, prompt)
            fresh.append(prompt)
        found.append(prompt)
    Prompt.objects.bulk_create(fresh, batch_size=BULK_BATCH_SIZE)
    if prompt_set is not None:
        PromptSetMember.objects.bulk_create(
            [PromptSetMember(prompt_set=prompt_set, prompt=prompt) for prompt in dict.fromkeys(found)],
            batch_size=BULK_BATCH_SIZE,
            ignore_conflicts=True,
        )
    record_audit(actor=actor, action="prompts.add", project=project, rows=len(rows), new=len(fresh))
    return found


@transaction.atomic
def get_or_create_prompt_set(*, actor: User, project: Project, name: str, purpose: str) -> PromptSet:
    """The prompt set of this name. Raises PromptConflict when it has another purpose."""
    if purpose not in PromptSet.Purpose.values:
        raise PromptConflict(
            f"“{purpose}” is not a purpose: use one of {', '.join(PromptSet.Purpose.values)}."
        )
    # PostgreSQL would refuse a longer one; SQLite takes any.
    if len(clean_text(name, "The prompt set's name")) > 120:
        raise PromptConflict("A prompt set needs a name of at most 120 characters.", code="name_too_long")
    made, new = PromptSet.objects.get_or_create(project=project, name=name, defaults={"purpose": purpose})
    if made.purpose != purpose:
        raise PromptConflict(f"The prompt set “{name}” has the purpose {made.purpose}.")
    if new:
        record_audit(actor=actor, action="prompt_set.create", project=project, target=made)
    return made


@transaction.atomic
def get_or_create_source(*, actor: User, project: Project, kind: str, name: str) -> Source:
    """The source of this kind and name."""
    if kind not in Source.Kind.values:
        raise InvalidBatch(f"“{kind}” is not a kind of source: use one of {', '.join(Source.Kind.values)}.")
    made, new = Source.objects.get_or_create(project=project, kind=kind, name=name)
    if new:
        record_audit(actor=actor, action="source.create", project=project, target=made)
    return made


@transaction.atomic
def add_responses(*, actor: User, project: Project, rows: Sequence[NewResponse]) -> list[Response]:
    """The responses of `rows`, in their order; an id that is there already gives the row that is there.

    Raises InvalidText, and InvalidTask for a prompt or source of another project or an id whose text
    differs.
    """
    known: dict[str, Response] = {}
    for chunk in _in_chunks(row.response_id for row in rows if row.response_id):
        for stored in Response.objects.filter(project=project, external_id__in=chunk):
            known[stored.external_id] = stored
    fresh: list[Response] = []
    found: list[Response] = []
    for row in rows:
        if row.prompt.project_id != project.pk or row.source.project_id != project.pk:
            raise InvalidTask("A response's prompt and source must be of its own project.")
        # Empty is an answer too: a policy may end at once, and people see and judge that.
        text = clean_text(row.text, "The response", allow_empty=True)
        response = known.get(row.response_id) if row.response_id else None
        if response is not None and (response.text != text or response.prompt_id != row.prompt.pk):
            raise InvalidTask(f"The response id “{row.response_id}” belongs to another text already.")
        if response is None:
            response = Response(
                project=project,
                external_id=_check_id(row.response_id, "The response's id")
                if row.response_id
                else new_external_id(),
                prompt=row.prompt,
                source=row.source,
                text=text,
                sampling=dict(row.sampling) if row.sampling is not None else None,
                token_ids=list(row.token_ids) if row.token_ids is not None else None,
                logprobs=list(row.logprobs) if row.logprobs is not None else None,
            )
            known[response.external_id] = response
            fresh.append(response)
        found.append(response)
    Response.objects.bulk_create(fresh, batch_size=BULK_BATCH_SIZE)
    record_audit(actor=actor, action="responses.add", project=project, rows=len(rows), new=len(fresh))
    return found


@transaction.atomic
def add_demonstrations(
    *, actor: User, project: Project, rows: Sequence[NewDemonstration]
) -> list[Demonstration]:
    """The demonstrations of `rows`, in their order; an id that is there already gives the row that is
    there.
    """
    known: dict[str, Demonstration] = {}
    for chunk in _in_chunks(row.demonstration_id for row in rows if row.demonstration_id):
        for stored in Demonstration.objects.filter(project=project, external_id__in=chunk):
            known[stored.external_id] = stored
    fresh: list[Demonstration] = []
    found: list[Demonstration] = []
    for row in rows:
        if row.prompt.project_id != project.pk:
            raise InvalidTask("A demonstration's prompt must be of its own project.")
        text = clean_text(row.text, "The demonstration")
        demonstration = known.get(row.demonstration_id) if row.demonstration_id else None
        if demonstration is None:
            demonstration = Demonstration(
                project=project,
                external_id=_check_id(row.demonstration_id, "The demonstration's id")
                if row.demonstration_id
                else new_external_id(),
                prompt=row.prompt,
                response_text=text,
                author=row.author,
            )
            known[demonstration.external_id] = demonstration
            fresh.append(demonstration)
        found.append(demonstration)
    Demonstration.objects.bulk_create(fresh, batch_size=BULK_BATCH_SIZE)
    record_audit(actor=actor, action="demonstrations.add", project=project, rows=len(rows), new=len(fresh))
    return found
