"""How far an annotator is: only their own counts and judgments, never anybody else's."""

from typing import Any

from django.db.models import F

from annotation.models import Judgment
from annotation.queue.search import AnnotatorCounts, read_annotator_counts
from workspace.models import Project, User

# "500+" says as much as the number.
REMAINING_LIMIT = 500


def count_remaining_tasks(actor: User, project: Project) -> int:
    """How many tasks the actor could still be given, those they hold included."""
    return read_annotator_counts(actor, project).remaining


def annotator_progress(actor: User, project: Project) -> dict[str, Any]:
    """The annotator's counts, and the last of their assignments that can still be changed."""
    return describe_progress(read_annotator_counts(actor, project))


def describe_progress(now: AnnotatorCounts) -> dict[str, Any]:
    return {
        "last_assignment": str(now.last_assignment) if now.last_assignment else None,
        "judged": now.judged,
        "remaining": now.remaining,
        "remaining_label": f"{REMAINING_LIMIT}+" if now.remaining > REMAINING_LIMIT else str(now.remaining),
    }


def recent_judgments(actor: User, project: Project, limit: int) -> list[Judgment]:
    """The actor's last current judgments, the newest first."""
    return list(
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor)
        .select_related("assignment", "task__prompt", "task__batch")
        .order_by(F("created_at").desc(), "-pk")[:limit]
    )
