"""What annotators ask about tasks, and the answers."""

import uuid
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import access_assignment, access_question, shown_to
from annotation.models import TaskQuestion
from annotation.questions.actions import (
    MAX_QUESTION_CHARACTERS,
    answer_question,
    ask_question,
    questions_of_project,
)
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.roles import Capability


class QuestionSerializer(serializers.ModelSerializer[TaskQuestion]):
    task: Any = serializers.IntegerField(source="task_id", read_only=True)
    batch: Any = serializers.IntegerField(source="task.batch_id", read_only=True)
    author: Any = serializers.CharField(source="author.pseudonym", read_only=True)
    answered_by: Any = serializers.CharField(
        source="answered_by.username", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = TaskQuestion
        fields = [
            "id",
            "batch",
            "task",
            "author",
            "text",
            "answer",
            "answered_by",
            "answered_at",
            "created_at",
        ]
        read_only_fields = fields


class OwnQuestionSerializer(serializers.ModelSerializer[TaskQuestion]):
    assignment: Any = serializers.UUIDField(source="assignment.public_id", read_only=True)

    class Meta:
        model = TaskQuestion
        fields = ["assignment", "text", "answer", "answered_at", "created_at"]
        read_only_fields = fields


class QuestionQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(source="task__batch_id", required=False, **KEY)
    task = serializers.IntegerField(required=False, **KEY)
    answered = serializers.ChoiceField(["true", "false"], required=False)


class OwnQuestionQuery(PageQuery):
    order = OrderField("id")


class NewQuestion(Body):
    text = serializers.CharField(max_length=MAX_QUESTION_CHARACTERS)


class NewAnswer(Body):
    answer = serializers.CharField(max_length=MAX_QUESTION_CHARACTERS)
    expected_answer = serializers.CharField(
        max_length=MAX_QUESTION_CHARACTERS,
        required=False,
        allow_blank=True,
        default="",
        help_text="The answer that this one takes the place of; left out: there is none. Refused when it is another.",
    )


class Questions(ProjectApiView):
    @operation(Capability.REVIEW, lists=QuestionSerializer, query=QuestionQuery)
    def get(self, request: Request) -> QuerySet[TaskQuestion]:
        """What annotators asked about tasks, the newest first."""
        rows = shown_to(self.actor, questions_of_project(self.project), self.capabilities, "author")
        rows = rows.select_related("author", "answered_by", "task")
        if (answered := self.query.pop("answered", None)) is not None:
            rows = rows.filter(answered_at__isnull=answered == "false")
        return rows


class AnswerQuestion(ProjectApiView):
    @operation(Capability.ANSWER, body=NewAnswer, answers=QuestionSerializer)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> TaskQuestion:
        """Answer it; its author is shown the answer."""
        question = access_question(self.project, pk, self.capabilities)
        return answer_question(actor=self.actor, question=question, **data)


class OwnQuestions(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=OwnQuestionSerializer, query=OwnQuestionQuery)
    def get(self, request: Request, public_id: uuid.UUID) -> QuerySet[TaskQuestion]:
        """What the caller asked about this task of theirs, with the answers."""
        assignment = access_assignment(self.actor, self.project, public_id)
        return TaskQuestion.objects.filter(assignment=assignment).select_related("assignment")

    @operation(Capability.ANNOTATE, body=NewQuestion, answers=OwnQuestionSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any], public_id: uuid.UUID) -> TaskQuestion:
        """Ask about a task of the caller's. The same question again is one."""
        assignment = access_assignment(self.actor, self.project, public_id)
        return ask_question(actor=self.actor, assignment=assignment, text=data["text"])
