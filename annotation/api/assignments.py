"""The annotator's own work: claim a task, submit, revise, withdraw, skip.

As blind as the work page: labels and texts, one opaque handle, never a source, a purpose or an id of a response.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_assignment, access_assignment_to_judge, access_batch
from annotation.judging.actions import revise_judgment, submit_judgment, withdraw_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, CurrentJudgment, Judgment, Qualification, Task
from annotation.preferences.scale import labels_to_responses, marks_by_label, tiers_to_labels
from annotation.qualification.actions import submit_practice
from annotation.qualification.feedback import told_in_training
from annotation.queue import actions as queue
from annotation.queue.claimed_tasks import TaskContent, read_content
from annotation.queue.search import read_annotator_counts
from learning.interface.messages import Answer, answer_text
from workspace.api.asked import AskedSerializer
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.idempotency import read_key
from workspace.api.operations import operation
from workspace.asked import MAX_POINTS, Asked
from workspace.roles import Capability

# Of what is handed out: what is kept from its writer is not among the caller's tasks.
STATES = [choice for choice in Assignment.State.choices if choice[0] != Assignment.State.OWN]


class ShownResponseSerializer(serializers.Serializer[Any]):
    label: Any = serializers.CharField(help_text="A is what is shown first; judgments speak of labels.")
    text = serializers.CharField()
    turns = serializers.JSONField(
        allow_null=True, help_text="Of a response with tool calls or several turns."
    )


class OwnJudgmentSerializer(serializers.Serializer[Any]):
    tiers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    marks = serializers.DictField(child=serializers.DictField(), help_text='{"A": {"name": value}}')
    confidence = serializers.IntegerField(allow_null=True)
    rationale = serializers.CharField()
    flags = serializers.ListField(child=serializers.CharField())
    withdrawn = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class AssignedTaskSerializer(serializers.Serializer[Any]):
    assignment = serializers.UUIDField(help_text="The handle of this task for this annotator.")
    state = serializers.ChoiceField(STATES)
    leased_until = serializers.DateTimeField()
    practice = serializers.BooleanField(help_text="A task of a training; what is right is told after it.")
    question = serializers.CharField()
    content_warnings = serializers.ListField(
        child=serializers.CharField(), help_text="What the texts may show: say so before they are read."
    )
    messages = serializers.JSONField()
    responses = ShownResponseSerializer(many=True)
    allow_ties = serializers.BooleanField()
    ask_rationale = serializers.BooleanField()
    asked = AskedSerializer(help_text="What is asked beside the order.")
    settings_version = serializers.IntegerField()
    guideline_version = serializers.IntegerField()
    draft = serializers.JSONField(allow_null=True)
    judgment = OwnJudgmentSerializer(allow_null=True)


class MyProgressSerializer(serializers.Serializer[Any]):
    judged = serializers.IntegerField()
    remaining = serializers.IntegerField(help_text="Tasks that could still be given; those held among them.")


class ClaimedSerializer(serializers.Serializer[Any]):
    task = AssignedTaskSerializer(allow_null=True, help_text="null: nothing is left for this annotator.")
    progress = MyProgressSerializer()


class StoredJudgmentSerializer(serializers.Serializer[Any]):
    stored = serializers.BooleanField()
    is_counted = serializers.BooleanField(
        help_text="No: it came when no slot was open; it is kept all the same."
    )


class TrainingToldSerializer(serializers.Serializer[Any]):
    right = serializers.BooleanField()
    tiers = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="What is expected, in labels."
    )
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    reason = serializers.CharField(help_text="Markdown.")
    state = serializers.ChoiceField(Qualification.State.choices, help_text="Of the training, by now.")
    answered = serializers.IntegerField()
    right_so_far = serializers.IntegerField()


class SubmittedSerializer(StoredJudgmentSerializer):
    training: Any = TrainingToldSerializer(
        allow_null=True, help_text="Of a task of a training: what is right; else null."
    )


class Claim(Body):
    after = serializers.UUIDField(
        required=False, help_text="What is being judged now: the task behind it, to have it ready."
    )
    batch = serializers.IntegerField(required=False, **KEY)


class SubmittedJudgment(Body):
    tiers = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(max_length=1), min_length=1, max_length=9),
        min_length=1,
        max_length=9,
        help_text='Labels, best first; a tie is a shared tier: [["B"], ["A", "C"]].',
    )
    strengths = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=3, allow_null=True),
        max_length=8,
        help_text="Of each step between tiers: 0 to 3, or null.",
    )
    marks = serializers.DictField(
        child=serializers.DictField(), required=False, help_text='{"A": {"name": value}}'
    )
    confidence = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_POINTS,
        help_text="How sure, where the task asks for it.",
    )
    rationale = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")
    flags = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    seconds = serializers.FloatField(required=False, default=0.0, help_text="Active time.")
    guideline_version = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    settings_version = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class Skipped(Body):
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class Draft(serializers.Serializer[Any]):
    """What has been done so far, as the program likes it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise ValidationError({"non_field_errors": ["Send an object."]})
        return dict(data)


def describe(
    assignment: Assignment, content: TaskContent, view: ProjectApiView, judgment: Judgment | None
) -> dict[str, Any]:
    settings = view.project.question_settings.filter(version=assignment.settings_version).first()
    return {
        "assignment": assignment.public_id,
        "state": assignment.state,
        "leased_until": assignment.leased_until,
        "practice": content.purpose == Task.Purpose.PRACTICE,
        "question": settings.question_of(content.criterion, content.question)
        if settings
        else content.question,
        "content_warnings": list(content.content_warnings),
        "messages": content.messages,
        "responses": [
            {"label": label, **_shown(content.answers[key])}
            for label, key in labels_to_responses(assignment.order_shown).items()
        ],
        "allow_ties": settings is None or settings.allow_ties,
        "ask_rationale": settings is not None and settings.ask_rationale,
        "asked": settings.asks if settings else Asked(),
        "settings_version": assignment.settings_version,
        "guideline_version": assignment.guideline_version,
        "draft": assignment.draft or None,
        "judgment": None if judgment is None else _own(judgment),
    }


def _shown(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, str):
        return {"text": answer, "turns": None}
    # As passages are counted in it.
    return {"text": answer_text(answer), "turns": answer}


def _own(judgment: Judgment) -> dict[str, Any]:
    return {
        "tiers": tiers_to_labels(judgment.order_shown, judgment.tiers),
        "strengths": judgment.strengths,
        "marks": marks_by_label(judgment.order_shown, judgment.marks),
        "confidence": judgment.confidence,
        "rationale": judgment.rationale,
        "flags": judgment.flags,
        "withdrawn": judgment.withdrawn,
        "created_at": judgment.created_at,
    }


class ClaimTask(ProjectApiView):
    @operation(Capability.ANNOTATE, body=Claim, answers=ClaimedSerializer)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """The caller's next task, reserved for them until the lease ends; one that they hold comes first."""
        batch = access_batch(self.project, data["batch"]) if "batch" in data else None
        claimed = queue.claim_with_content(
            actor=self.actor, project=self.project, after=data.get("after"), batch=batch
        )
        if claimed is None:
            counts = read_annotator_counts(self.actor, self.project)
            return {"task": None, "progress": counts}
        task = describe(claimed.assignment, claimed.content, self, None)
        return {"task": task, "progress": claimed.counts}


class AssignmentSerializer(serializers.ModelSerializer[Assignment]):
    assignment = serializers.UUIDField(source="public_id")
    state = serializers.ChoiceField(STATES)

    class Meta:
        model = Assignment
        fields = ["assignment", "state", "leased_until", "submitted_at", "created_at"]
        read_only_fields = fields


class AssignmentQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(STATES, required=False)


class Assignments(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=AssignmentSerializer, query=AssignmentQuery)
    def get(self, request: Request) -> QuerySet[Assignment]:
        """The caller's own tasks, the last first."""
        own = Assignment.objects.filter(annotator=self.actor, task__batch__project=self.project)
        return own.exclude(state=Assignment.State.OWN)


class AssignmentView(ProjectApiView):
    def find(self, public_id: uuid.UUID) -> Assignment:
        return access_assignment(self.actor, self.project, public_id)

    def described(self, assignment: Assignment) -> dict[str, Any]:
        pointer = (
            CurrentJudgment.objects.filter(task=assignment.task_id, annotator=self.actor)
            .select_related("judgment")
            .first()
        )
        content = read_content(assignment.task_id)
        return describe(assignment, content, self, pointer.judgment if pointer else None)

    @property
    def key(self) -> str:
        """Of the judgment: the request's own, or a new one."""
        return read_key(self.request) or uuid.uuid4().hex


class OneAssignment(AssignmentView):
    @operation(Capability.ANNOTATE, answers=AssignedTaskSerializer)
    def get(self, request: Request, public_id: uuid.UUID) -> dict[str, Any]:
        """One of the caller's tasks, with what they said of it."""
        return self.described(self.find(public_id))


class Submit(AssignmentView):
    @operation(
        Capability.ANNOTATE, body=SubmittedJudgment, answers=SubmittedSerializer, status=201, keyed=True
    )
    def post(self, request: Request, data: dict[str, Any], public_id: uuid.UUID) -> dict[str, Any]:
        """Judge it. A late judgment is kept, too. Of a task of a training it also says what is right."""
        assignment = access_assignment_to_judge(self.actor, self.project, public_id)
        if assignment.task.purpose != Task.Purpose.PRACTICE:
            judgment = submit_judgment(
                actor=self.actor,
                assignment=assignment,
                content=JudgmentInput(**data),
                idempotency_key=self.key,
            )
            return {"stored": True, "is_counted": not judgment.surplus, "training": None}
        answered = submit_practice(
            actor=self.actor, assignment=assignment, content=JudgmentInput(**data), idempotency_key=self.key
        )
        return {"stored": True, "is_counted": True, "training": told_in_training(answered.answer)}


class Revise(AssignmentView):
    @operation(
        Capability.ANNOTATE, body=SubmittedJudgment, answers=StoredJudgmentSerializer, status=201, keyed=True
    )
    def post(self, request: Request, data: dict[str, Any], public_id: uuid.UUID) -> dict[str, Any]:
        """Another judgment in the place of the caller's last; that one is kept as history."""
        judgment = revise_judgment(
            actor=self.actor,
            assignment=self.find(public_id),
            content=JudgmentInput(**data),
            idempotency_key=self.key,
        )
        return {"stored": True, "is_counted": not judgment.surplus}


class Withdraw(AssignmentView):
    @operation(Capability.ANNOTATE, answers=AssignedTaskSerializer, status=201, keyed=True)
    def post(self, request: Request, public_id: uuid.UUID) -> dict[str, Any]:
        """Take the caller's judgment back."""
        assignment = self.find(public_id)
        withdraw_judgment(actor=self.actor, assignment=assignment, idempotency_key=self.key)
        return self.described(assignment)


class Skip(AssignmentView):
    @operation(Capability.ANNOTATE, body=Skipped, status=204)
    def post(self, request: Request, data: dict[str, Any], public_id: uuid.UUID) -> None:
        """Give the task back; it is not offered to the caller again."""
        queue.skip_task(actor=self.actor, assignment=self.find(public_id), reason=data["reason"])


class UndoSkip(AssignmentView):
    @operation(Capability.ANNOTATE, answers=AssignedTaskSerializer)
    def post(self, request: Request, public_id: uuid.UUID) -> dict[str, Any]:
        """Take a skipped task back, if nobody else has it."""
        queue.undo_skip(actor=self.actor, assignment=self.find(public_id))
        return self.described(self.find(public_id))


class SaveDraft(AssignmentView):
    @operation(Capability.ANNOTATE, body=Draft, status=204)
    def put(self, request: Request, data: dict[str, Any], public_id: uuid.UUID) -> None:
        """Keep what has been done so far, and renew the lease."""
        size = int(request.META.get("CONTENT_LENGTH") or 0)
        queue.save_draft(actor=self.actor, assignment=self.find(public_id), draft=data, characters=size)
