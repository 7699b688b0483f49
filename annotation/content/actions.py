"""Actions on what is judged and learned: prompts, prompt sets, sources, responses, demonstrations, texts."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import transaction
from django.utils.translation import gettext

from annotation.content.adopting import keep_rows
from annotation.content.clean_rows import (
    clean_id,
    clean_licence,
    clean_or_new_id,
    clean_prompt_row,
)
from annotation.content.near_duplicates import PromptGroups
from annotation.content.sides import NO_GROUPS, sides_of_prompts
from annotation.content.splits import SplitRule, assign_split
from annotation.content.waiting_groups import group_within_request
from annotation.errors import InvalidBatch, InvalidTask, InvalidText, PromptConflict
from annotation.models import (
    Demonstration,
    Import,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Source,
    Text,
)
from annotation.models.bulk import BULK_CREATE_SIZE
from annotation.text import clean_answer, clean_single_answer, clean_text
from learning.interface.messages import Messages, answer_columns, answer_key
from workspace.actions import record_audit
from workspace.bulk_insert import insert_objects, new_object, time_ordered_uuids
from workspace.models import Project, User

StoredRow = TypeVar("StoredRow", Response, Demonstration)
NewRow = TypeVar("NewRow")


@dataclass(frozen=True, kw_only=True)
class NewResponse:
    prompt: Prompt
    source: Source
    text: str
    turns: Messages | None = None  # of a response that is more than a text; `text` is then made of them
    response_id: str | None = None
    sampling: Mapping[str, Any] | None = None
    from_import: Import | None = None
    token_ids: Sequence[int] | None = None
    logprobs: Sequence[float] | None = None
    ended: bool | None = None  # False: cut at the sampler's limit; None: nobody knows


@dataclass(frozen=True, kw_only=True)
class NewDemonstration:
    prompt: Prompt
    text: str
    turns: Messages | None = None  # as of a response
    author: User | None = None
    demonstration_id: str | None = None
    from_import: Import | None = None
    source_id: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class NewText:
    text: str
    text_id: str | None = None
    licence: str = ""
    split: str | None = None  # None: by the project's rule
    from_import: Import | None = None
    source_id: str | None = None
    metadata: Mapping[str, Any] | None = None


@transaction.atomic
def add_prompts(
    *,
    actor: User,
    project: Project,
    rows: Sequence[Mapping[str, Any]],
    prompt_set: PromptSet | None = None,
    from_import: Import | None = None,
) -> list[Prompt]:
    """The prompts of `rows`, in their order; those that are there already are returned as they are.

    A row is {messages, kind?, tags?, prompt_id?, author?, split?, source_id?, metadata?}. Without an id a prompt is
    known by its conversation. The split is decided here, once: the side of prompts that begin alike, else the row's,
    else, where the project keeps near-duplicates together, that of their group, else by the project's rule. Raises
    InvalidText, and PromptConflict for an id that is taken by another conversation, and for a split that is not the
    side of a prompt that begins alike.
    """
    # Whoever adds prompts that begin alike sees this one's side. (no_key: rows that name the project do not wait.)
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    cleaned = [clean_prompt_row(row) for row in rows]
    by_id: dict[str, Prompt] = {}
    by_content: dict[str, Prompt] = {}
    for chunk in _in_chunks(cleaned):
        ids = [row.external_id for row in chunk if row.external_id]
        hashes = [row.content_hash for row in chunk if not row.external_id]
        # Two searches, put in order here: for one by either or in order SQLite reads the whole project.
        of_project = Prompt.objects.filter(project=project)
        known = [*of_project.filter(external_id__in=ids), *of_project.filter(content_hash__in=hashes)]
        for stored in sorted(known, key=lambda prompt: -prompt.pk):
            by_id[stored.external_id] = by_content[stored.content_hash] = stored
    keep_rows(Prompt, by_id.values(), from_import)
    group_of = settled = NO_GROUPS
    if groups := PromptGroups(project) if project.near_duplicates_together else None:
        others_wait = group_within_request(project, groups)
        group_of = groups.groups_of(cleaned, others_wait=others_wait)
        settled = groups.settled()
    side_of = sides_of_prompts(project, cleaned, group_of)
    new_prompts: list[Prompt] = []
    prompts: list[Prompt] = []
    for row in cleaned:
        prompt = by_id.get(row.external_id) if row.external_id else by_content.get(row.content_hash)
        if prompt is not None and prompt.content_hash != row.content_hash:
            raise PromptConflict(
                gettext("The prompt id “%(id)s” belongs to another conversation already.")
                % {"id": row.external_id}
            )
        if prompt is None:
            prompt = new_object(
                Prompt,
                project=project,
                external_id=row.external_id or f"p-{row.content_hash[:32]}",
                messages=row.messages,
                kind=row.kind,
                tags=row.tags,
                split=side_of[row.first_turn_hash],
                author=row.author,
                content_hash=row.content_hash,
                first_turn_hash=row.first_turn_hash,
                group_hash=settled.get(row.first_turn_hash),
                source_id=row.source_id,
                metadata=row.metadata,
                from_import=from_import,
            )
            by_id[prompt.external_id] = prompt
            by_content.setdefault(row.content_hash, prompt)
            new_prompts.append(prompt)
        prompts.append(prompt)
    insert_objects(new_prompts)
    if groups is not None:
        groups.save({prompt.first_turn_hash: prompt.pk for prompt in reversed(new_prompts)})
    if prompt_set is not None:
        PromptSetMember.objects.bulk_create(
            [
                PromptSetMember(prompt_set=prompt_set, prompt=prompt, from_import=from_import)
                for prompt in dict.fromkeys(prompts)
            ],
            batch_size=BULK_CREATE_SIZE,
            ignore_conflicts=True,
        )
    record_audit(actor=actor, action="prompts.add", project=project, rows=len(rows), new=len(new_prompts))
    return prompts


@transaction.atomic
def get_or_create_prompt_set(
    *, actor: User, project: Project, name: str, purpose: str, from_import: Import | None = None
) -> PromptSet:
    """The prompt set of this name. Raises PromptConflict when it has another purpose."""
    if purpose not in PromptSet.Purpose.values:
        raise PromptConflict(
            gettext("“%(purpose)s” is not a purpose: use one of %(what)s.")
            % {"purpose": purpose, "what": ", ".join(PromptSet.Purpose.values)}
        )
    # PostgreSQL would refuse a longer one; SQLite takes any.
    if len(clean_text(name, "The prompt set's name")) > 120:
        raise PromptConflict(
            gettext("A prompt set needs a name of at most 120 characters."), code="name_too_long"
        )
    stored, is_new = PromptSet.objects.get_or_create(
        project=project, name=name, defaults={"purpose": purpose, "from_import": from_import}
    )
    if stored.purpose != purpose:
        raise PromptConflict(
            gettext("The prompt set “%(name)s” has the purpose %(purpose)s.")
            % {"name": name, "purpose": stored.purpose}
        )
    if is_new:
        record_audit(actor=actor, action="prompt_set.create", project=project, target=stored)
    return stored


@transaction.atomic
def get_or_create_source(*, actor: User, project: Project, kind: str, name: str) -> Source:
    """The source of this kind and name."""
    if kind not in Source.Kind.values:
        raise InvalidBatch(
            gettext("“%(kind)s” is not a kind of source: use one of %(values)s.")
            % {"kind": kind, "values": ", ".join(Source.Kind.values)}
        )
    source, is_new = Source.objects.get_or_create(project=project, kind=kind, name=name)
    if is_new:
        record_audit(actor=actor, action="source.create", project=project, target=source)
    return source


@transaction.atomic
def add_responses(*, actor: User, project: Project, rows: Sequence[NewResponse]) -> list[Response]:
    """The responses of `rows`, in their order; an id that is there already gives the row that is there.

    Raises InvalidText, and InvalidTask for a prompt or source of another project or an id whose text differs.
    """

    new_ids = iter(time_ordered_uuids(len(rows)) if any(row.from_import for row in rows) else ())

    def stored_or_new(row: NewResponse, stored: Response | None) -> Response:
        if row.prompt.project_id != project.id or row.source.project_id != project.id:
            raise InvalidTask(gettext("A response's prompt and source must be of its own project."))
        answer = clean_answer(row.text if row.turns is None else row.turns)
        if stored is not None:
            if answer_key(stored.answer) != answer_key(answer) or stored.prompt_id != row.prompt.pk:
                raise InvalidTask(
                    gettext("The response id “%(response_id)s” belongs to another text already.")
                    % {"response_id": row.response_id}
                )
            return stored
        text, turns = answer_columns(answer)
        return new_object(
            Response,
            project=project,
            external_id=clean_or_new_id(row.response_id, "The response's id", next(new_ids, None)),
            prompt=row.prompt,
            source=row.source,
            text=text,
            turns=turns,
            sampling=dict(row.sampling) if row.sampling is not None else None,
            from_import=row.from_import,
            token_ids=list(row.token_ids) if row.token_ids is not None else None,
            logprobs=list(row.logprobs) if row.logprobs is not None else None,
            ended=row.ended,
        )

    responses, n_new = _insert_new(
        Response, project, rows, [row.response_id for row in rows], _import_of(rows), stored_or_new
    )
    record_audit(actor=actor, action="responses.add", project=project, rows=len(rows), new=n_new)
    return responses


@transaction.atomic
def add_demonstrations(
    *, actor: User, project: Project, rows: Sequence[NewDemonstration]
) -> list[Demonstration]:
    """The demonstrations of `rows`, in their order; an id that is there already gives the row that is there."""

    def stored_or_new(row: NewDemonstration, stored: Demonstration | None) -> Demonstration:
        if row.prompt.project_id != project.pk:
            raise InvalidTask(gettext("A demonstration's prompt must be of its own project."))
        answer = clean_single_answer(row.text if row.turns is None else row.turns, "The demonstration")
        text, turns = answer_columns(answer)
        clean_text(text, "The demonstration")
        if stored is not None:
            return stored
        return new_object(
            Demonstration,
            project=project,
            external_id=clean_or_new_id(row.demonstration_id, "The demonstration's id"),
            prompt=row.prompt,
            response_text=text,
            turns=turns,
            author=row.author,
            from_import=row.from_import,
            source_id=row.source_id,
            metadata=dict(row.metadata) if row.metadata else None,
        )

    demonstrations, n_new = _insert_new(
        Demonstration, project, rows, [row.demonstration_id for row in rows], _import_of(rows), stored_or_new
    )
    record_audit(actor=actor, action="demonstrations.add", project=project, rows=len(rows), new=n_new)
    return demonstrations


@transaction.atomic
def add_texts(*, actor: User, project: Project, rows: Sequence[NewText]) -> int:
    """Store the texts that the project does not have yet, and say how many those are.

    A text is known by its content, whatever its id. Raises InvalidText, also for an id that is taken by another text.
    """
    # Two that bring the same text, at once: the second finds it.
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    by_hash: dict[str, Text] = {}
    for row in rows:
        content_hash = hash_text(clean_text(row.text, "The text"))
        external_id = clean_id(row.text_id, "The text's id") if row.text_id else f"x-{content_hash[:32]}"
        by_hash.setdefault(
            content_hash,
            Text(
                project=project,
                external_id=external_id,
                text=row.text,
                licence=clean_licence(row.licence),
                split=row.split
                or assign_split(
                    [{"role": "user", "content": row.text}],
                    project.split_salt,
                    SplitRule(train_share=project.train_share, validation_share=project.validation_share),
                ),
                content_hash=content_hash,
                from_import=row.from_import,
                source_id=row.source_id,
                metadata=dict(row.metadata) if row.metadata else None,
            ),
        )
    stored_texts = Text._base_manager.filter(project=project, taken_back=False)
    for chunk in _in_chunks(by_hash):
        known = list(stored_texts.filter(content_hash__in=chunk).only("content_hash", "from_import"))
        keep_rows(Text, known, _import_of(rows))
        for text in known:
            del by_hash[text.content_hash]
    for chunk in _in_chunks(text.external_id for text in by_hash.values()):
        if taken := stored_texts.filter(external_id__in=chunk).first():
            raise InvalidText(
                gettext("The text id “%(external_id)s” belongs to another text already.")
                % {"external_id": taken.external_id}
            )
    Text.objects.bulk_create(by_hash.values(), batch_size=BULK_CREATE_SIZE)
    record_audit(actor=actor, action="texts.add", project=project, rows=len(rows), new=len(by_hash))
    return len(by_hash)


def hash_text(text: str) -> str:
    """SHA-256 of a plain text: its identity."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _insert_new(
    model: type[StoredRow],
    project: Project,
    rows: Sequence[NewRow],
    ids: Sequence[str | None],
    own: Import | None,
    stored_or_new: Callable[[NewRow, StoredRow | None], StoredRow],
) -> tuple[list[StoredRow], int]:
    """The object of each row, the new ones inserted, and how many are new.

    `stored_or_new` gets a row and what is known under its id, and returns that or a new object.
    """
    known: dict[str, StoredRow] = {}
    for chunk in _in_chunks(external_id for external_id in ids if external_id):
        # Those of imports that still come in, too: nobody reads them, and their ids are taken.
        for stored in model._base_manager.filter(project=project, external_id__in=chunk, taken_back=False):
            known[stored.external_id] = stored
    keep_rows(model, known.values(), own)
    objects: list[StoredRow] = []
    new_objects: list[StoredRow] = []
    for row, external_id in zip(rows, ids, strict=True):
        stored_object = known.get(external_id) if external_id else None
        instance = stored_or_new(row, stored_object)
        if instance is not stored_object:
            known[instance.external_id] = instance
            new_objects.append(instance)
        objects.append(instance)
    insert_objects(new_objects)
    return objects, len(new_objects)


def _import_of(rows: Sequence[NewResponse | NewDemonstration | NewText]) -> Import | None:
    return next((row.from_import for row in rows if row.from_import is not None), None)


def _in_chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    rows = list(values)
    for start in range(0, len(rows), BULK_CREATE_SIZE):
        yield rows[start : start + BULK_CREATE_SIZE]
