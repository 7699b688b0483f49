"""Who did how much: judgments and active time of each annotator over the whole project, and by day or week."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, Sum
from django.db.models.functions import TruncDay, TruncWeek
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.models import Judgment
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

DAY, WEEK = "day", "week"
SHOWN_PERIODS = {DAY: 14, WEEK: 12}


@dataclass(frozen=True)
class PersonWork:
    name: str  # of an import's annotator the pseudonym: the account's name says nothing
    pseudonym: str
    kind: str
    judgments: int
    hours: float  # active
    last_at: datetime
    by_period: Mapping[date, int]


@dataclass(frozen=True)
class ProjectWork:
    periods: list[date]  # the first days of the shown ones, the newest first
    people: list[PersonWork]  # who judged most first


def read_work(project: Project, by: str = DAY) -> ProjectWork:
    """Of the judgments that people and machines hold now; periods are those of the project's time zone, weeks begin on
    Mondays.
    """
    zone = ZoneInfo(project.time_zone)
    today = timezone.now().astimezone(zone).date()
    first = today if by == DAY else today - timedelta(days=today.weekday())
    step = timedelta(days=1 if by == DAY else 7)
    periods = [first - step * number for number in range(SHOWN_PERIODS[by])]
    judgments = Judgment.objects.current().of_project(project).in_visible_batches().order_by()
    totals = judgments.values(
        "annotator", "annotator__username", "annotator__pseudonym", "annotator__kind"
    ).annotate(
        judgments=Count("pk"), seconds=Sum("seconds"), last=Max("created_at"), imported=Count("from_import")
    )
    truncate = TruncDay if by == DAY else TruncWeek
    shown = judgments.filter(created_at__gte=datetime.combine(periods[-1], time(), tzinfo=zone))
    counts: dict[int, dict[date, int]] = {}
    for row in (
        shown.annotate(period=truncate("created_at", tzinfo=zone))
        .values("annotator", "period")
        .annotate(n=Count("pk"))
    ):
        counts.setdefault(row["annotator"], {})[row["period"].astimezone(zone).date()] = row["n"]
    people = [
        PersonWork(
            name=row["annotator__pseudonym" if row["imported"] else "annotator__username"],
            pseudonym=row["annotator__pseudonym"],
            kind=row["annotator__kind"],
            judgments=row["judgments"],
            hours=row["seconds"] / 3600,
            last_at=row["last"],
            by_period=counts.get(row["annotator"], {}),
        )
        for row in totals.order_by("-judgments", "annotator__username")
    ]
    return ProjectWork(periods, people)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def work_done(request: ProjectRequest) -> HttpResponse:
    by = request.GET.get("by", DAY)
    by = by if by in SHOWN_PERIODS else DAY
    work = read_work(request.project, by)
    rows: list[dict[str, Any]] = [
        {"person": person, "counts": [person.by_period.get(period, 0) for period in work.periods]}
        for person in work.people
    ]
    context = {
        "by": by,
        "periods": work.periods,
        "rows": rows,
        "total": sum(person.judgments for person in work.people),
        "hours": sum(person.hours for person in work.people),
        "sums": [sum(person.by_period.get(period, 0) for person in work.people) for period in work.periods],
    }
    return render(request, "annotation/review/work_done.html", context)
