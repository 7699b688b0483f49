"""Writing work and its items by the ids in addresses; missing and forbidden are both 404."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404

from annotation.models import WritingItem, WritingVersion, WritingWork
from workspace.models import Project, User


def access_writing_work(project: Project, pk: int) -> WritingWork:
    """Raises Http404."""
    found = WritingWork.objects.select_related("project", "prompt_set").filter(project=project, pk=pk).first()
    if found is None:
        raise Http404("No such writing work.")
    return found


def access_writing_item(project: Project, pk: int) -> WritingItem:
    """For who reviews. Raises Http404."""
    found = _items(project).filter(pk=pk).first()
    if found is None:
        raise Http404("No such text.")
    return found


def access_own_item(actor: User, project: Project, public_id: UUID) -> WritingItem:
    """What the actor writes or wrote. Raises Http404."""
    found = _items(project).filter(public_id=public_id, writer=actor).first()
    if found is None:
        raise Http404("No such text.")
    return found


def access_version(item: WritingItem, number: int) -> WritingVersion:
    """Raises Http404."""
    found = item.versions.select_related("item__work__project", "written_by").filter(number=number).first()
    if found is None:
        raise Http404("No such version.")
    return found


def _items(project: Project) -> QuerySet[WritingItem]:
    return WritingItem.objects.select_related("work__project", "prompt", "edited_response", "writer").filter(
        work__project=project
    )
