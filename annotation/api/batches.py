"""Batches of tasks: made of answers that came along, or of responses that are there; opened, closed, looked at."""

from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_batch, access_batch_to_read, shown_batches, shown_tasks, shown_to
from annotation.api.batch_bodies import ChangedBatch, NewBatch, NewTasks
from annotation.assigning.actions import set_batch_audience
from annotation.batches import actions, exclusion
from annotation.batches.progress import batch_progress
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.models import Assignment, Batch, Prompt, Response, Source, Task, TaskResponse
from annotation.preferences.content_warnings import split_warnings
from annotation.queue.opt_outs import set_content_warnings
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.roles import Capability


class BatchSerializer(serializers.ModelSerializer[Batch]):
    criterion = serializers.CharField(source="criterion.name")
    content_warnings = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_content_warnings(self, batch: Batch) -> list[str]:
        return split_warnings(batch.content_warnings)

    class Meta:
        model = Batch
        fields = [
            "id", "name", "criterion", "kind", "responses_per_task", "overlap", "quota", "priority", "round_number",
            "state", "excluded", "content_warnings", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ProgressSerializer(serializers.Serializer[Any]):
    counted = serializers.IntegerField(help_text="Judgments that count.")
    quota = serializers.IntegerField()
    surplus = serializers.IntegerField()
    skipped = serializers.IntegerField()
    leased = serializers.IntegerField()
    tasks = serializers.IntegerField()
    tasks_done = serializers.IntegerField()


class OneBatchSerializer(BatchSerializer):
    progress = serializers.SerializerMethodField()

    class Meta(BatchSerializer.Meta):
        fields = [*BatchSerializer.Meta.fields, "progress"]
        read_only_fields = fields

    def get_progress(self, batch: Batch) -> ProgressSerializer:
        view = self.context["view"]
        seen = shown_to(view.actor, Assignment.objects.all(), view.capabilities)
        return ProgressSerializer(batch_progress(batch, seen)).data  # type: ignore[return-value]


class BatchQuery(PageQuery):
    order = OrderField("id", "name", "priority")
    state = serializers.ChoiceField(Batch.State.choices, required=False)
    kind = serializers.ChoiceField(Batch.Kind.choices, required=False)
    criterion = serializers.CharField(source="criterion__name", required=False)
    round_number = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    excluded = serializers.ChoiceField(["true", "false"], required=False)


class AddedTasksSerializer(serializers.Serializer[Any]):
    task_ids = serializers.ListField(child=serializers.IntegerField())


class _BatchView(ProjectApiView):
    def add_tasks(self, batch: Batch, rows: list[dict[str, Any]]) -> list[Task]:
        """Prompts and answers of the rows stored where they are new, and a task of each row."""
        given = [{"messages": row["messages"]} for row in rows if "messages" in row]
        added = iter(add_prompts(actor=self.actor, project=self.project, rows=given) if given else [])
        named = {row["prompt_id"] for row in rows if "prompt_id" in row}
        known = {
            prompt.external_id: prompt
            for prompt in Prompt.objects.filter(project=self.project, external_id__in=named)
        }
        ids = {
            answer["response_id"] for row in rows for answer in row["responses"] if "response_id" in answer
        }
        there = {
            response.external_id: response
            for response in Response.objects.filter(project=self.project, external_id__in=ids)
        }
        sources: dict[str, Source] = {}
        new: list[NewResponse] = []
        tasks: list[tuple[Any, list[Response | None], dict[str, Any]]] = []
        for number, row in enumerate(rows):
            if ("prompt_id" in row) == ("messages" in row):
                raise ValidationError({f"tasks.{number}": ["Give the prompt's id or its messages."]})
            prompt = next(added) if "messages" in row else known.get(row["prompt_id"])
            if prompt is None:
                raise ValidationError({f"tasks.{number}.prompt_id": ["The project has no such prompt."]})
            answers: list[Response | None] = []
            for place, answer in enumerate(row["responses"]):
                where = f"tasks.{number}.responses.{place}"
                if "response_id" in answer and "text" not in answer and "turns" not in answer:
                    if answer["response_id"] not in there:
                        raise ValidationError({where: ["The project has no such response."]})
                    answers.append(there[answer["response_id"]])
                    continue
                if "source" not in answer:
                    raise ValidationError({where: ["A new answer needs its source."]})
                name = answer["source"]
                if name not in sources:
                    sources[name] = get_or_create_source(
                        actor=self.actor, project=self.project, kind=Source.Kind.IMPORT, name=name
                    )
                new.append(
                    NewResponse(
                        prompt=prompt,
                        source=sources[name],
                        text=answer.get("text", ""),
                        turns=answer.get("turns"),
                        response_id=answer.get("response_id"),
                    )
                )
                answers.append(None)
            tasks.append((prompt, answers, row))
        stored = iter(add_responses(actor=self.actor, project=self.project, rows=new) if new else [])
        return actions.add_tasks(
            actor=self.actor,
            batch=batch,
            tasks=[
                actions.NewTask(
                    prompt=prompt,
                    responses=[response or next(stored) for response in answers],
                    priority=row.get("priority", 0),
                )
                for prompt, answers, row in tasks
            ],
        )


class Batches(_BatchView):
    @operation(Capability.REVIEW, lists=BatchSerializer, query=BatchQuery)
    def get(self, request: Request) -> QuerySet[Batch]:
        """The project's batches."""
        visible = self.project.batches.filter(visible=True).select_related("criterion")
        found = shown_batches(visible, self.capabilities)
        excluded = self.query.pop("excluded", None)
        return found if excluded is None else found.filter(excluded=excluded == "true")

    @operation(Capability.MANAGE, body=NewBatch, answers=OneBatchSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Batch:
        """A batch, in draft or open, with its first tasks: prompts and answers, new or by their ids."""
        criterion = find_criterion(self.project, data.pop("criterion", None))
        rows, opened, audience = data.pop("tasks", []), data.pop("open"), data.pop("audience", None)
        with transaction.atomic():
            batch = actions.create_batch(actor=self.actor, project=self.project, criterion=criterion, **data)
            if audience:
                set_batch_audience(actor=self.actor, batch=batch, **audience)
                batch.refresh_from_db()
            if rows:
                self.add_tasks(batch, rows)
            if opened:
                batch = actions.open_batch(actor=self.actor, batch=batch)
        return batch


class OneBatch(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneBatchSerializer)
    def get(self, request: Request, pk: int) -> Batch:
        """A batch and how far it is."""
        return access_batch_to_read(self.project, pk, self.capabilities)

    @operation(Capability.MANAGE, body=ChangedBatch, answers=OneBatchSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> Batch:
        """Change how many people judge each task (what is judged stays, and open slots follow), or what it warns of."""
        batch = access_batch(self.project, pk)
        names = data.pop("content_warnings", None)
        with transaction.atomic():
            if names is not None:
                batch = set_content_warnings(actor=self.actor, batch=batch, names=names)
            if "overlap" in data:
                batch = actions.change_overlap(actor=self.actor, batch=batch, **data)
        return batch


class BatchTasks(_BatchView):
    @operation(Capability.MANAGE, body=NewTasks, answers=AddedTasksSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """More tasks for a batch that is not closed."""
        batch = access_batch(self.project, pk)
        with transaction.atomic():
            return {"task_ids": [task.pk for task in self.add_tasks(batch, data["tasks"])]}


class OpenBatch(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneBatchSerializer)
    def post(self, request: Request, pk: int) -> Batch:
        """Hand its tasks out."""
        return actions.open_batch(actor=self.actor, batch=access_batch(self.project, pk))


class CloseBatch(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneBatchSerializer)
    def post(self, request: Request, pk: int) -> Batch:
        """Hand out no more of it."""
        return actions.close_batch(actor=self.actor, batch=access_batch(self.project, pk))


class ExcludeBatch(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneBatchSerializer)
    def post(self, request: Request, pk: int) -> Batch:
        """Leave its judgments out of datasets from now on."""
        return exclusion.exclude_batch(actor=self.actor, batch=access_batch(self.project, pk))


class IncludeBatch(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneBatchSerializer)
    def post(self, request: Request, pk: int) -> Batch:
        """Take its judgments into datasets again."""
        return exclusion.include_batch(actor=self.actor, batch=access_batch(self.project, pk))


class SkipSerializer(serializers.ModelSerializer[Assignment]):
    task: Any = serializers.IntegerField(source="task_id")
    prompt_id = serializers.CharField(source="task.prompt.external_id")
    annotator: Any = serializers.CharField(source="annotator.pseudonym")
    reason = serializers.CharField(source="skip_reason")

    class Meta:
        model = Assignment
        fields = ["id", "task", "prompt_id", "annotator", "reason", "created_at"]
        read_only_fields = fields


class SkipQuery(PageQuery):
    order = OrderField("id")
    annotator = serializers.CharField(source="annotator__pseudonym", required=False)


class BatchSkips(ProjectApiView):
    @operation(Capability.REVIEW, lists=SkipSerializer, query=SkipQuery)
    def get(self, request: Request, pk: int) -> QuerySet[Assignment]:
        """Who skipped which of its tasks, and why; `created_at`: when it was handed out."""
        batch = access_batch_to_read(self.project, pk, self.capabilities)
        skipped = Assignment.objects.filter(task__batch=batch, state=Assignment.State.SKIPPED)
        return shown_to(self.actor, skipped, self.capabilities).select_related("annotator", "task__prompt")


class TaskSerializer(serializers.ModelSerializer[Task]):
    batch: Any = serializers.IntegerField(source="batch_id")
    prompt_id = serializers.CharField(source="prompt.external_id")
    response_ids = serializers.SerializerMethodField(help_text="For managers; else empty.")

    class Meta:
        model = Task
        fields = [
            "id", "batch", "prompt_id", "response_ids", "purpose", "priority", "required_judgments",
            "counted_judgments", "open_slots", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_response_ids(self, task: Task) -> list[str]:
        if Capability.MANAGE not in self.context["view"].capabilities:
            return []
        return [shown.response.external_id for shown in task.task_responses.all()]


class TaskQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(required=False, **KEY)
    prompt_id = serializers.CharField(source="prompt__external_id", required=False)
    purpose = serializers.ChoiceField(Task.Purpose.choices, required=False)


class Tasks(ProjectApiView):
    @operation(Capability.REVIEW, lists=TaskSerializer, query=TaskQuery)
    def get(self, request: Request) -> QuerySet[Task]:
        """What annotators are asked, with how many judgments each task has; without known answers and repeats for who
        judges and does not manage.
        """
        shown = Prefetch(
            "task_responses",
            TaskResponse.objects.select_related("response").only(
                "task_id", "position", "response__external_id"
            ),
        )
        return (
            shown_tasks(
                Task.objects.filter(batch__project=self.project, batch__visible=True), self.capabilities
            )
            .select_related("prompt")
            .prefetch_related(shown)
        )
