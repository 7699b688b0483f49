"""The queue: who holds which task until when, which come back unjudged again and again, what managers do about it."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import access_task_of_project, shown_to
from annotation.api.batches import TaskSerializer
from annotation.models import Assignment, Task
from annotation.queue.managing import (
    MAX_TASK_PRIORITY,
    ask_one_more,
    change_task_priority,
    release_lease,
)
from annotation.review.queue import held_tasks, stuck_tasks
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability


class LeaseSerializer(serializers.ModelSerializer[Assignment]):
    task: Any = serializers.IntegerField(source="task_id")
    batch = serializers.IntegerField(source="task.batch_id")
    annotator: Any = serializers.CharField(source="annotator.pseudonym")

    class Meta:
        model = Assignment
        fields = ["id", "batch", "task", "annotator", "created_at", "leased_until"]
        read_only_fields = fields


class LeaseQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(source="task__batch_id", required=False, **KEY)
    task = serializers.IntegerField(required=False, **KEY)
    annotator = serializers.CharField(source="annotator__pseudonym", required=False)


class Leases(ProjectApiView):
    @operation(Capability.REVIEW, lists=LeaseSerializer, query=LeaseQuery)
    def get(self, request: Request) -> QuerySet[Any]:
        """Who holds which task until when; ended leases that were not given back yet among them. For who judges and
        does not manage: without their own, and without known answers and repeats.
        """
        return shown_to(self.actor, held_tasks(self.project), self.capabilities)


class ReleaseLease(ProjectApiView):
    @operation(Capability.MANAGE, status=204)
    def post(self, request: Request, pk: int) -> None:
        """Give a task that somebody holds to others. Their draft stays, and what they still submit is kept."""
        lease = (
            Assignment.objects.select_related("task__batch__project")
            .filter(task__batch__project=self.project, task__batch__visible=True, pk=pk)
            .first()
        )
        if lease is None:
            raise Http404("No such lease.")
        release_lease(actor=self.actor, assignment=lease)


class StuckTaskSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    batch = serializers.IntegerField(source="batch_id")
    prompt_id = serializers.CharField(source="prompt.external_id")
    priority = serializers.IntegerField()
    counted_judgments = serializers.IntegerField()
    required_judgments = serializers.IntegerField()
    skipped = serializers.IntegerField(source="trouble.skipped", help_text="People who have skipped it.")
    expired = serializers.IntegerField(
        source="trouble.expired", help_text="Leases that ended without a judgment."
    )


class StuckQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(required=False, **KEY)


class StuckTasks(ProjectApiView):
    @operation(Capability.REVIEW, lists=StuckTaskSerializer, query=StuckQuery)
    def get(self, request: Request) -> QuerySet[Any]:
        """Tasks with room that came back without a judgment again and again."""
        return stuck_tasks(self.project)


class ChangedTask(Body):
    priority = serializers.IntegerField(min_value=-MAX_TASK_PRIORITY, max_value=MAX_TASK_PRIORITY)
    expected_priority = serializers.IntegerField(
        required=False, help_text="Refused when it is another by now."
    )


class OneMore(Body):
    expected_required = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP, required=False, help_text="Refused when it is another by now."
    )


class OneTask(ProjectApiView):
    @operation(Capability.REVIEW, answers=TaskSerializer)
    def get(self, request: Request, pk: int) -> Task:
        """A task, with how many judgments it has."""
        return access_task_of_project(self.project, pk, self.capabilities)

    @operation(Capability.MANAGE, body=ChangedTask, answers=TaskSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> Task:
        """Change its priority: of a batch's tasks those of the highest are handed out first."""
        change_task_priority(
            actor=self.actor, task=access_task_of_project(self.project, pk, self.capabilities), **data
        )
        return access_task_of_project(self.project, pk, self.capabilities)


class AskOneMoreOfTask(ProjectApiView):
    @operation(Capability.MANAGE, body=OneMore, answers=TaskSerializer, creates=True, status=200)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Task:
        """Have one more person judge it, done or not; the batch's quota stays."""
        ask_one_more(
            actor=self.actor, task=access_task_of_project(self.project, pk, self.capabilities), **data
        )
        return access_task_of_project(self.project, pk, self.capabilities)
