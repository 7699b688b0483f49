"""How often somebody said what is known: for themselves, so that no single item can be told from it."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from annotation.judging.gold import known_answer
from annotation.models import Assignment, GoldJudgment, Judgment, Task
from annotation.preferences.known_answers import Order, is_right
from workspace.models import Project, User

LEAST_ITEMS = 20  # that a score is of, and by which it grows
NEWEST_ITEMS = 400  # one of more is of the newest


@dataclass(frozen=True)
class OwnScore:
    right: int
    items: int
    until: datetime  # the items came before

    @property
    def percent(self) -> int:
        return round(100 * self.right / self.items)


def own_score(actor: User, project: Project, now: datetime | None = None) -> OwnScore | None:
    """Of what the actor judged before this week's Monday, in whole twenties; None before there are as many.

    It changes once a week at most, and by no fewer than twenty items: nobody learns from it which items they were.
    """
    zone = ZoneInfo(project.time_zone)
    today = (now or timezone.now()).astimezone(zone).date()
    monday = datetime.combine(today - timedelta(days=today.weekday()), time(), tzinfo=zone)
    own = Assignment.objects.filter(
        annotator=actor,
        state=Assignment.State.SUBMITTED,
        task__purpose=Task.Purpose.GOLD,
        task__batch__project=project,
        submitted_at__lt=monday,
        task__gold_judgment__isnull=False,
    )
    whole = own.count() // LEAST_ITEMS * LEAST_ITEMS
    if not whole:
        return None
    # The first of them, so that the last few wait for their twenty.
    keys = list(
        own.order_by("submitted_at", "pk").values_list("pk", flat=True)[max(0, whole - NEWEST_ITEMS) : whole]
    )
    said: dict[int, Order] = {}
    chain = Judgment.objects.filter(assignment__in=keys, created_at__lt=monday).order_by("pk")
    for task, tiers, strengths in chain.values_list("task", "tiers", "strengths"):
        said[task] = Order(tiers, strengths)
    known = GoldJudgment.objects.filter(task__in=said)
    right = sum(is_right(said[gold.task_id], known_answer(gold)) for gold in known)
    return OwnScore(right=right, items=len(said), until=monday)
