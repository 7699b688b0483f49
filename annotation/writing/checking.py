"""The second person: accept a text, correct and accept it, or send it back with a remark.

What is accepted becomes a demonstration or a prompt in the same transaction. A dialogue becomes one demonstration for
each of its answers: every answer is one to be imitated after what was said before it. They begin alike, so the
project's rule puts them on one side.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext

from annotation.content.actions import NewDemonstration, add_demonstrations, add_prompts
from annotation.errors import InvalidWriting, WritingChanged, WritingRefused
from annotation.models import (
    WritingItem,
    WritingResult,
    WritingReview,
    WritingVersion,
    WritingWork,
)
from annotation.queue.search import lock_member
from annotation.text import clean_text
from annotation.writing.alike import find_same
from annotation.writing.texts import clean_turns, messages_of
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import Project, User

MAX_REMARK_CHARACTERS = 2_000
Outcome = WritingReview.Outcome
State = WritingItem.State
Kind = WritingWork.Kind


@write_transaction
def review_text(
    *,
    actor: User,
    version: WritingVersion,
    outcome: str,
    remark: str = "",
    turns: Any = None,
) -> WritingReview:
    """What the actor says of a version. `turns`: the corrected text, for `edit` alone.

    Raises WritingRefused for one's own text, WritingChanged when it was checked or sent anew meanwhile,
    InvalidWriting, InvalidText.
    """
    if outcome not in Outcome.values:
        raise InvalidWriting(
            gettext("“%(outcome)s” is no outcome: use one of %(values)s.")
            % {"outcome": outcome, "values": ", ".join(Outcome.values)}
        )
    remark = clean_text(remark, "The remark", allow_empty=True).strip()
    if len(remark) > MAX_REMARK_CHARACTERS:
        raise InvalidWriting(
            gettext("The remark has more than %(max_remark_characters)s characters.")
            % {"max_remark_characters": f"{MAX_REMARK_CHARACTERS:,}"}
        )
    if outcome == Outcome.SEND_BACK and not remark:
        raise InvalidWriting(
            gettext("Say what should be changed: the writer reads it."), code="remark_needed"
        )
    if (turns is not None) != (outcome == Outcome.EDIT):
        raise InvalidWriting(
            gettext("A corrected text belongs to “correct and accept”, and to nothing else.")
        )
    work = version.item.work
    # Two who accept the same prompt at once, or an import that adds it: the second waits and is told.
    Project.objects.select_for_update(no_key=True).get(pk=work.project_id)
    lock_member(actor, work.project)
    item = WritingItem.objects.select_for_update(no_key=True, of=("self",)).get(pk=version.item_id)
    if item.writer_id == actor.pk or item.versions.filter(written_by=actor).exists():
        raise WritingRefused(gettext("This is your own text: another person checks it."), code="own_text")
    last = item.versions.order_by("-number").first()
    if item.state != State.CHECKING or last is None or last.pk != version.pk:
        raise WritingChanged(
            gettext("Somebody has checked this text meanwhile, or it was sent anew. Nothing was changed.")
        )
    review = WritingReview.objects.create(
        version=version, reviewer=actor, writer=version.written_by, outcome=outcome, remark=remark
    )
    accepted = version
    if outcome == Outcome.EDIT:
        corrected = clean_turns(work, turns)
        if corrected == version.turns:
            raise InvalidWriting(
                gettext("Nothing was corrected: accept the text as it is."), code="nothing_corrected"
            )
        accepted = WritingVersion.objects.create(
            item=item, number=version.number + 1, turns=corrected, written_by=actor, key=uuid.uuid4().hex
        )
    item.state = State.RETURNED if outcome == Outcome.SEND_BACK else State.ACCEPTED
    item.draft = None
    item.draft_number += 1
    item.save(update_fields=["state", "draft", "draft_number"])
    if outcome != Outcome.SEND_BACK:
        _store(actor, work, item, accepted)
    record_audit(
        actor=actor, action=f"writing.{outcome}", project=work.project, target=version, remark=remark
    )
    return review


def _store(actor: User, work: WritingWork, item: WritingItem, version: WritingVersion) -> None:
    project, writer, turns = work.project, item.writer, version.turns
    assert writer is not None
    if work.kind == Kind.PROMPT:
        if find_same(work, turns[0]) is not None:
            # It would stay that one's author's, and this one would have come to nothing unsaid.
            raise InvalidWriting(
                gettext("The project has just this prompt meanwhile. Correct it, or send it back."),
                code="prompt_known",
            )
        row = {"messages": messages_of(turns), "kind": work.prompt_kind, "author": writer}
        [prompt] = add_prompts(actor=actor, project=project, rows=[row], prompt_set=work.prompt_set)
        WritingResult.objects.create(version=version, prompt=prompt)
        return
    if work.kind == Kind.DIALOGUE:
        rows = _dialogue_rows(actor, work, item, turns)
    else:
        assert item.prompt is not None
        rows = [NewDemonstration(prompt=item.prompt, text=turns[0], author=writer)]
    demonstrations = add_demonstrations(actor=actor, project=project, rows=rows)
    WritingResult.objects.bulk_create(
        [WritingResult(version=version, demonstration=demonstration) for demonstration in demonstrations]
    )


def _dialogue_rows(
    actor: User, work: WritingWork, item: WritingItem, turns: Sequence[str]
) -> list[NewDemonstration]:
    messages = messages_of(turns)
    ends = range(1, len(messages), 2)
    prompts = add_prompts(
        actor=actor,
        project=work.project,
        rows=[{"messages": messages[:end], "author": item.writer} for end in ends],
        prompt_set=work.prompt_set,
    )
    return [
        NewDemonstration(prompt=prompt, text=turns[end], author=item.writer)
        for prompt, end in zip(prompts, ends, strict=True)
    ]
