"""From an id in a URL to an object of a project that the caller may see; missing and forbidden are both 404."""

import json
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404

from annotation.models import (
    Assignment,
    Batch,
    Demonstration,
    Import,
    Judgment,
    PreferenceDataset,
    Prompt,
    PromptSet,
    Task,
    TaskQuestion,
    Text,
    Training,
)
from workspace.database import run_prepared
from workspace.models import Project, User
from workspace.roles import Capability

# Tasks that check who judges them, and come unnoticed among the others.
CHECKS = (Task.Purpose.GOLD, Task.Purpose.REPEAT)

M = TypeVar("M", bound=models.Model)


def access_assignment(actor: User, project: Project, public_id: UUID) -> Assignment:
    """The actor's own assignment; nobody else's, whatever their role."""
    assignment = (
        Assignment.objects.select_related(
            "task__batch__criterion", "task__batch__project", "task__prompt", "annotator"
        )
        .filter(task__batch__project=project, public_id=public_id, annotator_id=actor.pk)
        .exclude(state=Assignment.State.OWN)
        .first()
    )
    if assignment is None:
        raise Http404("No such task.")
    return assignment


_LEASED = f"""SELECT
    a.id, a.state, a.order_shown, a.settings_version, a.guideline_version, t.id, t.purpose, b.id, b.state
    FROM {Assignment._meta.db_table} a JOIN {Task._meta.db_table} t ON t.id = a.task_id
    JOIN {Batch._meta.db_table} b ON b.id = t.batch_id
    WHERE a.public_id = %s AND a.annotator_id = %s AND b.project_id = %s AND a.state <> 'own'"""


def access_assignment_to_judge(actor: User, project: Project, public_id: UUID) -> Assignment:
    """The same as access_assignment, with those columns alone that a judgment needs; others are read when asked for."""
    key = public_id if connection.features.has_native_uuid_field else public_id.hex
    rows, _ = run_prepared(_LEASED, [key, actor.pk, project.pk])
    if not rows:
        raise Http404("No such task.")
    [row] = rows
    pk, state, order, settings_version, guideline_version, task_id, purpose, batch_id, batch_state = row
    batch = _partly_read(Batch, id=batch_id, project_id=project.pk, state=batch_state)
    batch.project = project
    task = _partly_read(Task, id=task_id, batch_id=batch_id, purpose=purpose)
    task.batch = batch
    assignment = _partly_read(
        Assignment,
        id=pk,
        task_id=task_id,
        annotator_id=actor.pk,
        public_id=public_id,
        state=state,
        order_shown=json.loads(order),
        settings_version=settings_version,
        guideline_version=guideline_version,
    )
    assignment.task, assignment.annotator = task, actor
    return assignment


def _partly_read(model: type[M], **values: Any) -> M:
    """A row of which these columns were read; the others are read when asked for."""
    names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
    return model.from_db(connection.alias, names, [values[name] for name in names])


def access_batch(project: Project, pk: int) -> Batch:
    batch = (
        Batch.objects.select_related("criterion", "project")
        .filter(project=project, visible=True, pk=pk)
        .first()
    )
    if batch is None:
        raise Http404("No such batch.")
    return batch


def sees_checks(capabilities: frozenset[Capability]) -> bool:
    """Who manages sets the checks. Who judges, whatever else they may, must not find out which tasks are checks: for
    them such tasks, and batches of nothing else, are not there. Who only reads sees everything.
    """
    return Capability.MANAGE in capabilities or Capability.ANNOTATE not in capabilities


def shown_tasks(rows: QuerySet[M], capabilities: frozenset[Capability], of: str = "") -> QuerySet[M]:
    """Tasks, or rows that belong to one by the path `of` ("task__"), without the checks for who must not see them."""
    return rows if sees_checks(capabilities) else rows.exclude(**{f"{of}purpose__in": CHECKS})


def shown_to(
    actor: User, rows: QuerySet[M], capabilities: frozenset[Capability], person: str = "annotator"
) -> QuerySet[M]:
    """The same of what a person holds, skips or asks, also without the actor's own: one of their tasks that is missing
    among the others would be known for a check while it is on their screen. Their own pages have all of it.
    """
    if sees_checks(capabilities):
        return rows
    return shown_tasks(rows, capabilities, "task__").exclude(**{person: actor})


def shown_batches(rows: QuerySet[Batch], capabilities: frozenset[Capability]) -> QuerySet[Batch]:
    """The same of batches: without those of checks alone."""
    if sees_checks(capabilities):
        return rows
    tasks = Task.objects.filter(batch=OuterRef("pk"))
    # In this order: nearly every batch has a usual task among its first.
    return rows.filter(Exists(tasks.exclude(purpose__in=CHECKS)) | ~Exists(tasks))


def access_batch_to_read(project: Project, pk: int, capabilities: frozenset[Capability]) -> Batch:
    """Raises Http404."""
    batch = access_batch(project, pk)
    if not shown_batches(Batch.objects.filter(pk=pk), capabilities).exists():
        raise Http404("No such batch.")
    return batch


def access_import(project: Project, pk: int) -> Import:
    imported = Import.objects.select_related("actor").filter(project=project, pk=pk).first()
    if imported is None:
        raise Http404("No such import.")
    return imported


def access_prompt(project: Project, pk: int) -> Prompt:
    return _in_project(Prompt, project, pk, "author", "from_import")


def access_prompt_set(project: Project, pk: int) -> PromptSet:
    return _in_project(PromptSet, project, pk, "from_import")


def access_demonstration(project: Project, pk: int) -> Demonstration:
    return _in_project(Demonstration, project, pk, "author", "from_import", "prompt")


def access_text(project: Project, pk: int) -> Text:
    return _in_project(Text, project, pk, "from_import")


def access_dataset(project: Project, pk: int) -> PreferenceDataset:
    return _in_project(PreferenceDataset, project, pk, "criterion", "created_by")


def _in_project(model: type[M], project: Project, pk: int, *related: str) -> M:
    """By the model's own manager: what was taken back is as good as missing."""
    found: M | None = model._default_manager.select_related(*related).filter(project=project, pk=pk).first()
    if found is None:
        raise Http404("No such thing.")
    return found


def access_training(project: Project, pk: int) -> Training:
    return _in_project(Training, project, pk, "batch__criterion")


def access_known_task(project: Project, pk: int) -> Task:
    """A gold or practice task."""
    task = (
        Task.objects.select_related("prompt", "batch__criterion", "batch__project")
        .filter(batch__project=project, batch__visible=True, pk=pk)
        .filter(purpose__in=(Task.Purpose.GOLD, Task.Purpose.PRACTICE))
        .first()
    )
    if task is None:
        raise Http404("No such task.")
    return task


def access_question(project: Project, pk: int, capabilities: frozenset[Capability]) -> TaskQuestion:
    found = TaskQuestion.objects.select_related(
        "author", "answered_by", "task__batch__project", "task__prompt"
    )
    found = found.filter(task__batch__project=project, task__batch__visible=True, pk=pk)
    question = shown_tasks(found, capabilities, "task__").first()
    if question is None:
        raise Http404("No such question.")
    return question


def access_judgment(batch: Batch, pk: int, capabilities: frozenset[Capability]) -> Judgment:
    found = Judgment.objects.select_related("annotator", "task__prompt", "assignment")
    judgment = shown_tasks(found.filter(task__batch=batch, pk=pk), capabilities, "task__").first()
    if judgment is None:
        raise Http404("No such judgment.")
    return judgment


def access_task_of_project(project: Project, pk: int, capabilities: frozenset[Capability]) -> Task:
    found = Task.objects.select_related("prompt", "batch__criterion", "batch__project")
    found = found.filter(batch__project=project, batch__visible=True, pk=pk)
    task = shown_tasks(found, capabilities).first()
    if task is None:
        raise Http404("No such task.")
    return task


def access_judgment_of_project(project: Project, pk: int, capabilities: frozenset[Capability]) -> Judgment:
    found = Judgment.objects.select_related("annotator", "task__batch__project")
    found = found.filter(task__batch__project=project, task__batch__visible=True, pk=pk)
    judgment = shown_tasks(found, capabilities, "task__").first()
    if judgment is None:
        raise Http404("No such judgment.")
    return judgment
