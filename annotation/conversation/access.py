"""Conversations and their batches by the ids in addresses; missing and forbidden are both 404."""

from uuid import UUID

from django.http import Http404

from annotation.models import Conversation, LiveBatch
from workspace.models import Project, User


def access_conversation(actor: User, project: Project, public_id: UUID) -> Conversation:
    """The actor's own. Raises Http404."""
    found = (
        Conversation.objects.select_related(
            "live__batch__project", "live__batch__criterion", "live__first_source", "live__second_source"
        )
        .filter(annotator=actor, public_id=public_id, live__batch__project=project)
        .first()
    )
    if found is None:
        raise Http404("No such conversation.")
    return found


def access_live_batch(project: Project, pk: int) -> LiveBatch:
    """Raises Http404."""
    found = (
        LiveBatch.objects.select_related(
            "batch__criterion", "batch__project", "first_source", "second_source"
        )
        .filter(batch__project=project, batch__visible=True, batch=pk)
        .first()
    )
    if found is None:
        raise Http404("No such batch of conversations.")
    return found
