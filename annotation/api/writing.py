"""Texts that people write on the site: work opened and closed, texts claimed, sent and checked.

What a writer is answered holds no id of a response and no source: of an answer to correct, its text alone.
"""

import hashlib
from typing import Any
from uuid import UUID, uuid4

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.api.writing_fields import (
    ClaimedTextSerializer,
    DraftNumberSerializer,
    NewWritingWork,
    OneTextSerializer,
    OneWritingWorkSerializer,
    OwnTextQuery,
    OwnTextRowSerializer,
    OwnTextSerializer,
    SaidOfText,
    SentText,
    SentTextSerializer,
    TextQuery,
    TextSerializer,
    WhyGivenBack,
    WorkToWriteSerializer,
    WritingWorkQuery,
    WritingWorkSerializer,
    WrittenDraft,
)
from annotation.models import WritingItem, WritingWork
from annotation.writing.access import (
    access_own_item,
    access_version,
    access_writing_item,
    access_writing_work,
)
from annotation.writing.actions import (
    claim_item,
    own_items,
    release_item,
    save_draft,
    skip_item,
    submit_text,
)
from annotation.writing.checking import review_text
from annotation.writing.works import item_counts, open_work, set_work_state, who_wrote
from workspace.api.base import ProjectApiView
from workspace.api.idempotency import read_key
from workspace.api.operations import operation
from workspace.roles import Capability


def describe_work(work: WritingWork) -> dict[str, Any]:
    return {"work": work, "texts": item_counts(work), "writers": who_wrote(work)}


def describe_own(item: WritingItem) -> dict[str, Any]:
    """What its writer may read: what is asked, what they typed and sent, what was said of it; not by whom."""
    versions = list(item.versions.select_related("review").order_by("number"))
    return {
        "row": item,
        "instruction": item.work.instruction,
        "prompt_kind": item.work.prompt_kind,
        "min_words": item.work.min_words,
        "max_words": item.work.max_words,
        "messages": item.prompt.messages if item.prompt is not None else None,
        "to_correct": item.edited_response.text if item.edited_response is not None else None,
        "draft": item.draft,
        "draft_number": item.draft_number,
        "seen_version": versions[-1].number if versions else 0,
        "versions": [
            {
                "number": version.number,
                "turns": version.turns,
                "own": version.written_by_id == item.writer_id,
                "created_at": version.created_at,
                "review": getattr(version, "review", None),
            }
            for version in versions
        ],
    }


class WritingWorks(ProjectApiView):
    @operation(Capability.REVIEW, lists=WritingWorkSerializer, query=WritingWorkQuery)
    def get(self, request: Request) -> QuerySet[WritingWork]:
        """What writers are or were asked for."""
        return self.project.writing_works.all()

    @operation(Capability.MANAGE, body=NewWritingWork, answers=OneWritingWorkSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Ask for texts: writers find the work at once."""
        key = data.pop("prompt_set")
        prompt_set = self.project.prompt_sets.filter(pk=key).first() if key is not None else None
        if key is not None and prompt_set is None:
            raise ValidationError({"prompt_set": ["The project has no such prompt set."]})
        work = open_work(actor=self.actor, project=self.project, prompt_set=prompt_set, **data)
        return describe_work(work)


class OneWritingWork(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneWritingWorkSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """One piece of work: how many of its texts are in which state, and who wrote how many."""
        return describe_work(access_writing_work(self.project, pk))


class OpenWritingWork(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneWritingWorkSerializer)
    def post(self, request: Request, pk: int) -> dict[str, Any]:
        """Hand its texts out again."""
        return _with_state(self, pk, WritingWork.State.OPEN)


class CloseWritingWork(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneWritingWorkSerializer)
    def post(self, request: Request, pk: int) -> dict[str, Any]:
        """Hand nothing new out. What was begun can be sent and checked."""
        return _with_state(self, pk, WritingWork.State.CLOSED)


def _with_state(view: ProjectApiView, pk: int, state: str) -> dict[str, Any]:
    work = access_writing_work(view.project, pk)
    return describe_work(set_work_state(actor=view.actor, work=work, state=state))


class WrittenTexts(ProjectApiView):
    @operation(Capability.REVIEW, lists=TextSerializer, query=TextQuery)
    def get(self, request: Request) -> QuerySet[WritingItem]:
        """The texts that are asked for; `state=checking`: those that wait to be checked."""
        return WritingItem.objects.filter(work__project=self.project).select_related("writer")


class OneWrittenText(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneTextSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """One text: what it answers, its versions, what was said of each and what it became."""
        return _described(access_writing_item(self.project, pk))


def _described(item: WritingItem) -> dict[str, Any]:
    versions = item.versions.select_related("written_by", "review__reviewer").prefetch_related("results")
    return {
        "row": item,
        "messages": item.prompt.messages if item.prompt is not None else None,
        "to_correct": item.edited_response.text if item.edited_response is not None else None,
        "versions": [
            {
                "number": version.number,
                "turns": version.turns,
                "written_by": version.written_by.pseudonym,
                "created_at": version.created_at,
                "review": getattr(version, "review", None),
                "demonstrations": _keys(version.results.all(), "demonstration_id"),
                "prompts": _keys(version.results.all(), "prompt_id"),
            }
            for version in versions.order_by("number")
        ],
        "given_back": item.skips.order_by("pk"),
    }


def _keys(results: Any, field: str) -> list[int]:
    return sorted(key for result in results if (key := getattr(result, field)) is not None)


class ReviewText(ProjectApiView):
    @operation(Capability.DECIDE, body=SaidOfText, answers=OneTextSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """Accept a text, correct and accept it, or send it back. Nobody checks a text of their own."""
        item = access_writing_item(self.project, pk)
        version = access_version(item, data.pop("version"))
        review_text(actor=self.actor, version=version, **data)
        return _described(access_writing_item(self.project, pk))


class ReleaseText(ProjectApiView):
    @operation(Capability.MANAGE, status=204)
    def post(self, request: Request, pk: int) -> None:
        """Ask somebody else for the same, from the beginning. Its writer keeps theirs, and may still send it."""
        release_item(actor=self.actor, item=access_writing_item(self.project, pk))


class WorkToWrite(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=WorkToWriteSerializer, query=OwnTextQuery)
    def get(self, request: Request) -> QuerySet[WritingWork]:
        """The work that is open to writers."""
        return self.project.writing_works.filter(state=WritingWork.State.OPEN)


class ClaimText(ProjectApiView):
    @operation(Capability.ANNOTATE, answers=ClaimedTextSerializer)
    def post(self, request: Request, pk: int) -> dict[str, Any]:
        """A text of this work to write, the caller's until the lease ends; one that they hold comes first."""
        item = claim_item(actor=self.actor, work=access_writing_work(self.project, pk))
        if item is None:
            return {"text": None}
        return {"text": describe_own(access_own_item(self.actor, self.project, item.public_id))}


class OwnTexts(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=OwnTextRowSerializer, query=OwnTextQuery)
    def get(self, request: Request) -> QuerySet[WritingItem]:
        """What the caller wrote or writes."""
        return own_items(self.actor, self.project).order_by()


class OneOwnText(ProjectApiView):
    @operation(Capability.ANNOTATE, answers=OwnTextSerializer)
    def get(self, request: Request, public_id: UUID) -> dict[str, Any]:
        """One of the caller's texts, with what was said of it."""
        return describe_own(access_own_item(self.actor, self.project, public_id))


class SaveTextDraft(ProjectApiView):
    @operation(Capability.ANNOTATE, body=WrittenDraft, answers=DraftNumberSerializer)
    def put(self, request: Request, data: dict[str, Any], public_id: UUID) -> dict[str, int]:
        """Keep what is typed so far, and renew the lease."""
        item = access_own_item(self.actor, self.project, public_id)
        return {"draft_number": save_draft(actor=self.actor, item=item, **data)}


class SubmitText(ProjectApiView):
    @operation(Capability.ANNOTATE, body=SentText, answers=SentTextSerializer, status=201, keyed=True)
    def post(self, request: Request, data: dict[str, Any], public_id: UUID) -> dict[str, Any]:
        """Send it to be checked. Where somebody else was asked for the same meanwhile, it is kept beside theirs."""
        item = access_own_item(self.actor, self.project, public_id)
        version = submit_text(actor=self.actor, item=item, key=self.key_of(item), **data)
        return {"text": version.item.public_id, "version": version.number, "late": version.item.is_late}

    def key_of(self, item: WritingItem) -> str:
        """Of this text alone: a program's key that is used for two texts must not lose the second."""
        key = read_key(self.request)
        return hashlib.sha256(f"{item.public_id} {key}".encode()).hexdigest() if key else uuid4().hex


class GiveTextBack(ProjectApiView):
    @operation(Capability.ANNOTATE, body=WhyGivenBack, status=204)
    def post(self, request: Request, data: dict[str, Any], public_id: UUID) -> None:
        """Give the text to others; the caller is not given it again."""
        item = access_own_item(self.actor, self.project, public_id)
        skip_item(actor=self.actor, item=item, reason=data["reason"])
