"""Open and close what writers are asked for; how far it is."""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext

from annotation.errors import InvalidWriting
from annotation.models import Prompt, PromptSet, Response, WritingItem, WritingVersion, WritingWork
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.models import Project, User

MAX_ITEMS = 20_000
MAX_COPIES = 20
MAX_WORDS = 20_000
MAX_INSTRUCTION_CHARACTERS = 10_000
Kind = WritingWork.Kind
State = WritingItem.State


@transaction.atomic
def open_work(
    *,
    actor: User,
    project: Project,
    name: str,
    kind: str,
    instruction: str = "",
    prompt_set: PromptSet | None = None,
    prompt_kind: str = "",
    items: int | None = None,
    copies: int = 1,
    min_words: int = 1,
    max_words: int = 2000,
) -> WritingWork:
    """Work that writers find on their first page at once.

    `answer`: each prompt of the set is answered by `copies` people. `edit`: of each prompt the newest answer that is
    one text is corrected by so many. `dialogue` and `prompt`: `items` texts, whose prompts go into the set, if one is
    given. Raises InvalidWriting.
    """
    name = clean_text(name, "The name").strip()
    if len(name) > 120:
        raise InvalidWriting(gettext("A name has at most 120 characters."))
    instruction = clean_text(instruction, "The instruction", allow_empty=True).strip()
    if len(instruction) > MAX_INSTRUCTION_CHARACTERS:
        raise InvalidWriting(
            gettext("The instruction has more than %(max_instruction_characters)s characters.")
            % {"max_instruction_characters": f"{MAX_INSTRUCTION_CHARACTERS:,}"}
        )
    if kind not in Kind.values:
        raise InvalidWriting(
            gettext("“%(kind)s” is not a kind of writing: use one of %(values)s.")
            % {"kind": kind, "values": ", ".join(Kind.values)}
        )
    if not 1 <= min_words <= max_words <= MAX_WORDS:
        raise InvalidWriting(
            gettext(
                "The limits of words are %(min_words)s to %(max_words)s: give 1 to %(max_words2)s, "
                "the least first."
            )
            % {"min_words": min_words, "max_words": max_words, "max_words2": f"{MAX_WORDS:,}"}
        )
    if not 1 <= copies <= MAX_COPIES:
        raise InvalidWriting(
            gettext("%(copies)s people a prompt: give 1 to %(max_copies)s.")
            % {"copies": copies, "max_copies": MAX_COPIES}
        )
    if prompt_set is not None and prompt_set.project_id != project.pk:
        raise InvalidWriting(gettext("The prompt set is another project's."))
    if kind == Kind.PROMPT and prompt_kind not in Prompt.Kind.values:
        raise InvalidWriting(
            gettext("Say which kind of prompts: one of %(values)s.")
            % {"values": ", ".join(Prompt.Kind.values)}
        )
    if kind != Kind.PROMPT and prompt_kind:
        raise InvalidWriting(gettext("A kind of prompts belongs to work that asks for prompts."))
    new_items = _new_items(kind, prompt_set, items, copies)
    try:
        with transaction.atomic():
            work = WritingWork.objects.create(
                project=project,
                name=name,
                kind=kind,
                instruction=instruction,
                prompt_set=prompt_set,
                prompt_kind=prompt_kind,
                min_words=min_words,
                max_words=max_words,
                created_by=actor,
            )
    except IntegrityError:
        raise InvalidWriting(
            gettext("There is writing work called “%(name)s” already.") % {"name": name}, code="name_taken"
        ) from None
    for item in new_items:
        item.work = work
    WritingItem.objects.bulk_create(new_items, batch_size=500)
    record_audit(
        actor=actor, action="writing.open", project=project, target=work, kind=kind, items=len(new_items)
    )
    return work


def _new_items(kind: str, prompt_set: PromptSet | None, items: int | None, copies: int) -> list[WritingItem]:
    if kind in (Kind.DIALOGUE, Kind.PROMPT):
        if items is None or not 1 <= items <= MAX_ITEMS:
            raise InvalidWriting(
                gettext("Say how many are asked for: 1 to %(max_items)s.") % {"max_items": f"{MAX_ITEMS:,}"}
            )
        return [WritingItem() for _ in range(items)]
    if items is not None:
        raise InvalidWriting(
            gettext("How many answers are asked for follows from the prompt set and the people a prompt.")
        )
    if prompt_set is None:
        raise InvalidWriting(gettext("Choose the prompt set whose prompts are answered."))
    found: Iterable[tuple[int, int | None]]
    prompts = Prompt.objects.filter(prompt_sets=prompt_set).order_by("pk")
    if kind == Kind.ANSWER:
        found = [(pk, None) for pk in prompts.values_list("pk", flat=True)[: MAX_ITEMS + 1]]
    else:
        newest = (
            Response.objects.filter(prompt__in=prompts, turns__isnull=True)
            .exclude(text="")
            .order_by("prompt_id", "-pk")
            .values_list("prompt_id", "pk")
        )
        by_prompt: dict[int, int] = {}
        for prompt_id, pk in newest.iterator():
            by_prompt.setdefault(prompt_id, pk)
        found = list(by_prompt.items())
    if not found:
        raise InvalidWriting(
            gettext("The prompt set “%(name)s” has no prompt") % {"name": prompt_set.name}
            + (gettext(" with an answer that could be corrected.") if kind == Kind.EDIT else ".")
        )
    if len(found) * copies > MAX_ITEMS:
        raise InvalidWriting(
            gettext("More than %(max_items)s texts: take a smaller prompt set or fewer people a prompt.")
            % {"max_items": f"{MAX_ITEMS:,}"}
        )
    # All prompts once before any is asked for a second time.
    return [
        WritingItem(prompt_id=prompt_id, edited_response_id=response_id)
        for _ in range(copies)
        for prompt_id, response_id in found
    ]


@transaction.atomic
def set_work_state(*, actor: User, work: WritingWork, state: str) -> WritingWork:
    """Open or closed; to what it is already, nothing changes. Raises InvalidWriting."""
    if state not in WritingWork.State.values:
        raise InvalidWriting(gettext("“%(state)s” is not a state: use open or closed.") % {"state": state})
    if WritingWork.objects.filter(pk=work.pk).exclude(state=state).update(state=state):
        record_audit(actor=actor, action=f"writing.{state}", project=work.project, target=work)
    work.state = state
    return work


def item_counts(work: WritingWork) -> dict[str, int]:
    """How many items are in each state."""
    # What is asked of somebody else by now counts once it was sent.
    unsent = Q(is_late=True, state__in=[State.WAITING, State.WRITING])
    counted = work.items.exclude(unsent).order_by().values_list("state").annotate(n=Count("pk"))
    return {str(state): 0 for state in State.values} | dict(counted)


def who_wrote(work: WritingWork) -> list[dict[str, Any]]:
    """Of each writer how many they sent and how many were accepted, by name."""
    rows: dict[str, dict[str, Any]] = {}
    counted = work.items.filter(writer__isnull=False).order_by("writer__username")
    for name, state, n in counted.values_list("writer__username", "state").annotate(n=Count("pk")):
        row = rows.setdefault(name, {"name": name, "sent": 0, "accepted": 0, "returned": 0})
        if state != State.WRITING:
            row["sent"] += n
        if state in (State.ACCEPTED, State.RETURNED):
            row[state] += n
    return list(rows.values())


def waiting_to_be_checked(project: Project) -> QuerySet[WritingItem]:
    """The items that wait for a reviewer, the one that waits longest first."""
    return (
        WritingItem.objects.filter(work__project=project, state=State.CHECKING)
        .select_related("work", "writer", "prompt")
        .annotate(first_sent=Min("versions__created_at"))
        .order_by("first_sent", "pk")
    )


def last_version(item: WritingItem) -> WritingVersion | None:
    return item.versions.order_by("-number").first()
