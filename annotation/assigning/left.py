"""Why somebody gets no more tasks, where it is by a limit of theirs; asked only when nothing is left for them."""

from django.db.models import Sum

from annotation.models import Assignment, Batch, TaskCount
from workspace.models import Project, User


def own_quotas_done(actor: User, project: Project) -> int:
    """How many open batches still have tasks, of which the actor has judged as many as one person may."""
    done = 0
    for batch in Batch.objects.open_to_annotators(project).filter(person_quota__isnull=False):
        counts = TaskCount.objects.filter(batch=batch)
        own = counts.filter(annotator_id=actor.pk).aggregate(n=Sum("submitted"))["n"] or 0
        left = counts.filter(annotator_id__in=(0, actor.pk)).aggregate(n=Sum("available"))["n"] or 0
        held = Assignment.objects.filter(
            task__batch=batch, annotator=actor, state=Assignment.State.LEASED
        ).count()
        if left > 0 and own + held >= batch.person_quota:
            done += 1
    return done
