"""The queue: who holds which task until when, which come back unjudged again and again, what managers do about it."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request

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
from workspace.models import MAX_OVERLAP, Project
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
        """Who holds which task until when; ended leases that were not given back yet among them."""
        return held_tasks(self.project)


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


def _task(project: Project, pk: int) -> Task:
    tasks = Task.objects.select_related("prompt", "batch__project")
    task = tasks.filter(batch__project=project, batch__visible=True, pk=pk).first()
    if task is None:
        raise Http404("No such task.")
    return task


class OneTask(ProjectApiView):
    @operation(Capability.REVIEW, answers=TaskSerializer)
    def get(self, request: Request, pk: int) -> Task:
        """A task, with how many judgments it has."""
        return _task(self.project, pk)

    @operation(Capability.MANAGE, body=ChangedTask, answers=TaskSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> Task:
        """Change its priority: of a batch's tasks those of the highest are handed out first."""
        change_task_priority(actor=self.actor, task=_task(self.project, pk), **data)
        return _task(self.project, pk)


class AskOneMoreOfTask(ProjectApiView):
    @operation(Capability.MANAGE, body=OneMore, answers=TaskSerializer, creates=True, status=200)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Task:
        """Have one more person judge it, done or not; the batch's quota stays."""
        ask_one_more(actor=self.actor, task=_task(self.project, pk), **data)
        return _task(self.project, pk)
