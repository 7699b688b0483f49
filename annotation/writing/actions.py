"""The writer's side: be given an item, keep a draft, send the text, give it back.

A queue of its own beside annotation/queue: a Batch needs a criterion and responses and counts judgments, and none of
that is here. The rules are the same: an item has one holder; a lease that has run out gives it to the next who asks;
whoever held it keeps their own, with what they typed, and can still send it.
"""

from typing import Any

from django.db.models import Case, Q, QuerySet, When
from django.utils.translation import gettext

from annotation.errors import InvalidWriting, WritingChanged, WritingRefused
from annotation.models import WritingItem, WritingSkip, WritingVersion, WritingWork
from annotation.queue.offers import require_guideline_confirmed
from annotation.queue.search import lock_member
from annotation.text import clean_text
from annotation.writing.alike import find_same
from annotation.writing.texts import clean_draft, clean_turns
from workspace.actions import record_audit
from workspace.database import database_now, database_now_plus, write_transaction
from workspace.models import Project, User

# A text takes longer than a judgment; each draft that is kept begins it anew.
LEASE_SECONDS = 2 * 60 * 60
MAX_REASON_CHARACTERS = 500
MAX_KEY_CHARACTERS = 64
State = WritingItem.State


@write_transaction
def claim_item(*, actor: User, work: WritingWork) -> WritingItem | None:
    """The item of this work that the actor holds, or else the first that is free; None when there is none.

    Raises NotAMember, MemberPaused, AcknowledgementNeeded.
    """
    project = work.project
    # One request of a person at a time: a second window gets what the first one holds.
    lock_member(actor, project, takes_task=True)
    require_guideline_confirmed(actor, project)
    work = WritingWork.objects.get(pk=work.pk)
    own = work.items.filter(writer=actor, state=State.WRITING, is_late=False).order_by("pk").first()
    # Also one whose lease has run out meanwhile and that nobody else was given.
    if own is not None and _hold(actor, own.pk):
        own.refresh_from_db()
        return own
    if work.state != WritingWork.State.OPEN:
        return None
    item = _free(actor, work).select_for_update(skip_locked=True, of=("self",), no_key=True).first()
    if item is None:
        return None
    if item.state == State.WRITING:
        item = _replaced(item)
    item.writer, item.state = actor, State.WRITING
    item.leased_until = database_now_plus(LEASE_SECONDS)
    item.save(update_fields=["writer", "state", "leased_until"])
    item.refresh_from_db()
    return item


def _replaced(item: WritingItem) -> WritingItem:
    """A fresh item in place of one that is taken from its writer, who keeps theirs and may send it beside the other."""
    WritingItem.objects.filter(pk=item.pk).update(is_late=True)
    return WritingItem.objects.create(
        work_id=item.work_id, prompt_id=item.prompt_id, edited_response_id=item.edited_response_id
    )


def _free(actor: User, work: WritingWork) -> QuerySet[WritingItem]:
    """What the actor could be given, those that nobody has begun first: held by nobody, or no longer; not given back
    by them; of no prompt of this work that they write, wrote for or gave back already."""
    skips = WritingSkip.objects.filter(writer=actor, item__work=work)
    mine = WritingItem.objects.filter(work=work, writer=actor, prompt__isnull=False)
    return (
        work.items.filter(Q(state=State.WAITING) | Q(state=State.WRITING, leased_until__lt=database_now()))
        .filter(is_late=False)
        .exclude(pk__in=skips.values("item"))
        .exclude(prompt__in=skips.filter(item__prompt__isnull=False).values("item__prompt"))
        .exclude(prompt__in=mine.values("prompt"))
        .exclude(prompt__taken_back=True)
        .order_by(Case(When(state=State.WAITING, then=0), default=1), "pk")
    )


def count_free(actor: User, work: WritingWork) -> int:
    return _free(actor, work).count() if work.state == WritingWork.State.OPEN else 0


def _hold(actor: User, pk: int) -> bool:
    held = WritingItem.objects.filter(pk=pk, writer=actor, state=State.WRITING)
    return bool(held.update(leased_until=database_now_plus(LEASE_SECONDS)))


@write_transaction
def save_draft(*, actor: User, item: WritingItem, turns: Any, draft_number: int) -> int:
    """Keeps what is typed, and the item; the draft's new number. No audit row: it is nobody's word yet.

    Raises WritingChanged when another window has kept something else since `draft_number`, WritingRefused when the
    item is no longer the actor's.
    """
    texts = clean_draft(turns)
    lock_member(actor, item.work.project)
    stored = WritingItem.objects.select_for_update(no_key=True).get(pk=item.pk)
    if stored.writer_id != actor.pk or stored.state not in (State.WRITING, State.RETURNED):
        raise WritingRefused(
            gettext("This text was sent, or given back: nothing more is kept of it on the server.")
        )
    if stored.draft == texts:
        _hold(actor, stored.pk)
        return stored.draft_number
    if stored.draft_number != draft_number:
        raise WritingChanged(gettext("You have written something else in another window."))
    stored.draft, stored.draft_number = texts, draft_number + 1
    if stored.state == State.WRITING:
        stored.leased_until = database_now_plus(LEASE_SECONDS)
    stored.save(update_fields=["draft", "draft_number", "leased_until"])
    return draft_number + 1


@write_transaction
def submit_text(
    *,
    actor: User,
    item: WritingItem,
    turns: Any,
    key: str,
    seen_version: int = 0,
    draft_number: int | None = None,
) -> WritingVersion:
    """The text as the item's next version, which waits to be checked. The same key again is the version that is there.

    `seen_version`: the number of the last one that the actor saw (0: none); `draft_number`: of the draft that they saw,
    where a draft of another window must not be lost. Raises InvalidWriting, InvalidText, NotAMember, WritingChanged,
    WritingRefused.
    """
    if not key or len(key) > MAX_KEY_CHARACTERS:
        raise InvalidWriting(
            gettext("The key of a text has 1 to %(max_key_characters)s characters.")
            % {"max_key_characters": MAX_KEY_CHARACTERS}
        )
    project = item.work.project
    lock_member(actor, project)
    there = WritingVersion.objects.filter(written_by=actor, key=key).select_related("item").first()
    texts = clean_turns(item.work, turns)
    if there is not None:
        if there.item_id != item.pk or there.turns != texts:
            raise WritingRefused(
                gettext(
                    "Your text had been sent already, as it was before: that one is being checked. What you typed is "
                    "kept in this browser."
                )
            )
        return there
    if item.work.kind == WritingWork.Kind.PROMPT and find_same(item.work, texts[0]) is not None:
        raise InvalidWriting(
            gettext("The project has just this prompt already. Write another one."), code="prompt_known"
        )
    stored = WritingItem.objects.select_for_update(no_key=True).get(pk=item.pk)
    if stored.writer_id != actor.pk:
        raise WritingRefused(gettext("This text is not yours to write."))
    last = stored.versions.count()
    if last != seen_version:
        raise WritingChanged(
            gettext("This text was sent already, or corrected, since you opened it. Reload to see it.")
        )
    if stored.state not in (State.WRITING, State.RETURNED):
        raise WritingRefused(gettext("This text is being checked, or accepted: it cannot be sent again."))
    if draft_number not in (None, stored.draft_number) and stored.draft not in (None, texts):
        raise WritingChanged(gettext("You have written something else in another window."))
    stored.state, stored.leased_until, stored.draft = State.CHECKING, None, None
    stored.draft_number += 1
    stored.save(update_fields=["state", "leased_until", "draft", "draft_number"])
    version = WritingVersion.objects.create(
        item=stored, number=last + 1, turns=texts, written_by=actor, key=key
    )
    record_audit(actor=actor, action="writing.submit", project=project, target=version, late=stored.is_late)
    return version


@write_transaction
def skip_item(*, actor: User, item: WritingItem, reason: str) -> None:
    """Gives the item back to others, and why. Raises InvalidWriting, WritingRefused."""
    reason = clean_text(reason, "The reason", allow_empty=True).strip()
    if not reason:
        raise InvalidWriting(gettext("Say why you give it back."))
    if len(reason) > MAX_REASON_CHARACTERS:
        raise InvalidWriting(
            gettext("The reason has more than %(most)d characters.") % {"most": MAX_REASON_CHARACTERS}
        )
    lock_member(actor, item.work.project)
    given_back = WritingItem.objects.filter(pk=item.pk, writer=actor, state=State.WRITING).update(
        state=State.WAITING, writer=None, leased_until=None, draft=None
    )
    if not given_back:
        raise WritingRefused(gettext("This text is not yours to give back."))
    WritingSkip.objects.create(item=item, writer=actor, reason=reason)
    record_audit(actor=actor, action="writing.skip", project=item.work.project, target=item, reason=reason)


@write_transaction
def release_item(*, actor: User, item: WritingItem) -> None:
    """Asks somebody else for what the item asks for, from the beginning; its writer keeps their own. Raises
    WritingRefused.
    """
    before = WritingItem.objects.select_for_update(no_key=True).get(pk=item.pk)
    if before.state not in (State.WRITING, State.RETURNED) or before.is_late:
        raise WritingRefused(
            gettext("Nobody is writing this text now, or somebody else has been asked already.")
        )
    _replaced(before)
    record_audit(
        actor=actor, action="writing.release", project=item.work.project, target=item, writer=before.writer_id
    )


def own_items(actor: User, project: Project) -> QuerySet[WritingItem]:
    """What the actor wrote or writes, the newest first; of what went to others, where they had begun to write."""
    nothing_written = Q(is_late=True, state=State.WRITING, draft__isnull=True)
    return (
        WritingItem.objects.filter(work__project=project, writer=actor)
        .exclude(nothing_written)
        .select_related("work", "prompt")
        .order_by("-pk")
    )
