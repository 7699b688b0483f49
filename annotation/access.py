"""From an id in a URL to an object of a project that the caller may see; missing and forbidden are both 404."""

from uuid import UUID

from django.http import Http404

from annotation.models import Assignment, Batch, Import, Judgment
from workspace.models import Project, User


def access_assignment(actor: User, project: Project, public_id: UUID) -> Assignment:
    """The actor's own assignment; nobody else's, whatever their role."""
    assignment = (
        Assignment.objects.select_related(
            "task__batch__criterion", "task__batch__project", "task__prompt", "annotator"
        )
        .filter(task__batch__project=project, public_id=public_id, annotator_id=actor.pk)
        .first()
    )
    if assignment is None:
        raise Http404("No such task.")
    return assignment


def access_batch(project: Project, pk: int) -> Batch:
    batch = (
        Batch.objects.select_related("criterion", "project")
        .filter(project=project, visible=True, pk=pk)
        .first()
    )
    if batch is None:
        raise Http404("No such batch.")
    return batch


def access_import(project: Project, pk: int) -> Import:
    imported = Import.objects.select_related("actor").filter(project=project, pk=pk).first()
    if imported is None:
        raise Http404("No such import.")
    return imported


def access_judgment(batch: Batch, pk: int) -> Judgment:
    judgment = (
        Judgment.objects.select_related("annotator", "task__prompt", "assignment")
        .filter(task__batch=batch, pk=pk)
        .first()
    )
    if judgment is None:
        raise Http404("No such judgment.")
    return judgment
