"""Tasks that a person gets a second time, in the opposite order: how far they agree with themselves.

The worker makes them ahead, so that a claim that hands one out costs what every other claim costs. They take no slots:
they count neither for a quota nor for datasets.
"""

import secrets
import time

from django.db import transaction
from django.db.models import Exists, OuterRef

from annotation.models import Assignment, Batch, Task, TaskResponse
from workspace.models import Membership, Project, User

READY = 3  # repeats of a person that wait
CHOICE = 60  # of so many of their judgments one is chosen
PEOPLE_AT_ONCE = 200
LOOK_EVERY_SECONDS = 20.0
_next_look = 0.0


def prepare_repeats(project: Project | None = None, now: float | None = None) -> int:
    """Makes what is missing; how many. Without a project: of all, and at most every twenty seconds."""
    global _next_look
    if project is None:
        if (moment := time.monotonic() if now is None else now) < _next_look:
            return 0
        _next_look = moment + LOOK_EVERY_SECONDS
    projects = Project.objects.filter(repeat_share__gt=0).order_by("pk")
    if project is not None:
        projects = projects.filter(pk=project.pk)
    made = 0
    for one in projects:
        people = User.objects.filter(
            pk__in=Membership.objects.filter(project=one, paused_at__isnull=True).values("user"),
            is_active=True, kind=User.Kind.PERSON,
        )  # fmt: skip
        # Those who judged last.
        for person in people.order_by("-last_login", "pk")[:PEOPLE_AT_ONCE]:
            made += _prepare(one, person)
    return made


@transaction.atomic
def _prepare(project: Project, person: User) -> int:
    # Two workers at once make no more than one.
    if not Membership.objects.select_for_update(no_key=True).filter(project=project, user=person).exists():
        return 0
    waiting = Task.objects.filter(
        ~Exists(Assignment.objects.filter(task=OuterRef("pk"), annotator=person)),
        reserved_for=person,
        purpose=Task.Purpose.REPEAT,
        batch__project=project,
        batch__state=Batch.State.OPEN,
    ).count()
    if waiting >= READY:
        return 0
    judged = Assignment.objects.filter(
        annotator=person, state=Assignment.State.SUBMITTED, task__batch__project=project
    ).order_by("-submitted_at", "-pk")
    window = list(judged.values_list("pk", flat=True)[project.repeat_after : project.repeat_after + CHOICE])
    fit = judged.filter(
        ~Exists(Task.objects.filter(copy_of=OuterRef("task"), purpose=Task.Purpose.REPEAT, reserved_for=person)),
        pk__in=window,
        task__purpose=Task.Purpose.NORMAL,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
        task__current_judgments__annotator=person,
        task__current_judgments__judgment__withdrawn=False,
    ).select_related("task")  # fmt: skip
    found = list(fit)
    secrets.SystemRandom().shuffle(found)
    chosen = found[: READY - waiting]
    for assignment in chosen:
        first = assignment.task
        again = Task.objects.create(
            batch_id=first.batch_id,
            prompt_id=first.prompt_id,
            purpose=Task.Purpose.REPEAT,
            reserved_for=person,
            copy_of=first,
            required_judgments=0,
            open_slots=0,
        )
        # Their order is the one they are shown in: what was last comes first.
        TaskResponse.objects.bulk_create(
            TaskResponse(task=again, response_id=key, position=place)
            for place, key in enumerate(reversed(assignment.order_shown))
        )
    return len(chosen)
