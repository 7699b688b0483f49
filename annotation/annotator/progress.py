"""How far an annotator is: only their own counts and judgments, never anybody else's."""

from typing import Any

from django.db.models import Exists, F, OuterRef

from annotation.models import Assignment, Batch, Judgment, Task
from workspace.models import Project, User

# Counting stops here: "500+" says as much as the number.
REMAINING_LIMIT = 500


def count_remaining_tasks(actor: User, project: Project) -> int:
    """How many tasks the actor could still be given, counted up to REMAINING_LIMIT."""
    assigned = Assignment.objects.filter(task=OuterRef("pk"), annotator=actor).exclude(
        state=Assignment.State.EXPIRED
    )
    tasks = Task.objects.filter(
        batch__in=Batch.objects.open_to_annotators(project).order_by(), open_slots__gt=0
    ).filter(~Exists(assigned))
    return (
        tasks.filter(reserved_for__isnull=True)
        .union(tasks.filter(reserved_for=actor))[:REMAINING_LIMIT]
        .count()
    )


def annotator_progress(actor: User, project: Project) -> dict[str, Any]:
    """The annotator's counts, and the last of their assignments that can still be changed."""
    own = Assignment.objects.filter(annotator=actor, task__batch__project=project)
    # Tasks without slots (gold, repeats) are not among those left either: the count must not give them away.
    leased = own.filter(
        state=Assignment.State.LEASED,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
        task__required_judgments__gt=0,
    ).count()
    remaining = count_remaining_tasks(actor, project) + leased
    last_assignment = (
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor, task__batch__state=Batch.State.OPEN)
        .order_by("-pk")
        .values_list("assignment__public_id", flat=True)
        .first()
    )
    return {
        "last_assignment": str(last_assignment) if last_assignment else None,
        "judged": own.filter(state=Assignment.State.SUBMITTED).count(),
        "remaining": remaining,
        "remaining_label": f"{REMAINING_LIMIT}+" if remaining > REMAINING_LIMIT else str(remaining),
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
