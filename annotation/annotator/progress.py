"""How far an annotator is: only their own counts and judgments, never anybody else's."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q, Sum
from django.utils import timezone

from annotation.models import Judgment, Task
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
        # Of a training its own page tells.
        .exclude(task__purpose=Task.Purpose.PRACTICE)
        .select_related("assignment", "task__prompt", "task__batch")
        .order_by(F("created_at").desc(), "-pk")[:limit]
    )


@dataclass(frozen=True)
class TimeWorked:
    """Active seconds in the judgments of somebody, those that were changed or taken back later included: the time went
    into them. Days and weeks, which begin on Mondays, are those of the project's time zone.
    """

    today: float
    week: float
    day_ends_in: float  # seconds
    week_ends_in: float

    @property
    def today_words(self) -> str:
        return duration_words(self.today)

    @property
    def week_words(self) -> str:
        return duration_words(self.week)


def duration_words(seconds: float) -> str:
    """As the work page's script writes it: "7 min", "1 h 05 min"."""
    hours, minutes = divmod(int(seconds // 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def time_worked(actor: User, project: Project) -> TimeWorked:
    """Reads the actor's judgments of this week by an index of their own, when a page is opened."""
    zone = ZoneInfo(project.time_zone)
    now = timezone.now().astimezone(zone)
    day = now.date()
    monday = day - timedelta(days=day.weekday())

    def begins(date: Any) -> datetime:
        return datetime.combine(date, time(), tzinfo=zone)

    own = Judgment.objects.filter(annotator=actor, created_at__gte=begins(monday)).of_project(project)
    sums = own.aggregate(week=Sum("seconds"), today=Sum("seconds", filter=Q(created_at__gte=begins(day))))
    return TimeWorked(
        today=sums["today"] or 0.0,
        week=sums["week"] or 0.0,
        # Of what is the same instant in both: a day may have 23 or 25 hours.
        day_ends_in=(begins(day + timedelta(days=1)).timestamp() - now.timestamp()),
        week_ends_in=(begins(monday + timedelta(days=7)).timestamp() - now.timestamp()),
    )
