"""How fast a batch is judged, when it will be done, and what it costs: from the stored counts of hours."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Min, Sum
from django.utils import timezone

from annotation.batches.pay import pay_rate
from annotation.batches.progress import BatchProgress, batch_progress
from annotation.models import Batch, PayRate, WorkCount
from annotation.review.forecast import MOST_DAYS, Forecast, forecast
from workspace.models import User

SHOWN_HOURS = 24
# Beyond it a date says nothing.
MAX_FORECAST_DAYS = 3660


@dataclass(frozen=True)
class Cost:
    """Of what people did; machines are not paid."""

    rate: PayRate
    so_far: Decimal
    per_judgment: Decimal | None  # None: nobody has judged yet
    to_come: Decimal | None  # if the rest costs as much each

    @property
    def currency(self) -> str:
        return self.rate.currency


@dataclass(frozen=True)
class Throughput:
    batch: Batch
    progress: BatchProgress
    by_day: dict[
        date, int
    ]  # of the project's zone, the last MOST_DAYS whole ones and today, the oldest first
    by_hour: dict[datetime, int]  # the last SHOWN_HOURS, this one among them
    whole_days: int  # that the forecast is made of
    per_day: float | None  # mean of these
    forecast: Forecast | None
    expected_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    cost: Cost | None = None

    @property
    def remaining(self) -> int:
        return max(0, self.progress.quota - self.progress.counted)


def _hour_of(at: datetime, zone: ZoneInfo) -> datetime:
    """When the hour on the clocks of the zone began, which is not a whole one of UTC everywhere."""
    local = at.astimezone(zone)
    return at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def read_throughput(batch: Batch, *, with_cost: bool) -> Throughput:
    """A forecast only of open batches."""
    now = timezone.now()
    zone = ZoneInfo(batch.project.time_zone)
    today = now.astimezone(zone).date()
    since = datetime.combine(today - timedelta(days=MOST_DAYS), datetime.min.time(), tzinfo=zone)
    progress = batch_progress(batch)
    remaining = max(0, progress.quota - progress.counted)
    counts = WorkCount.objects.filter(batch=batch)
    reserved = not batch.tasks.counted().filter(reserved_for__isnull=True).exists()
    counted_by = "counted_reserved" if reserved else "counted"
    by_day = {today - timedelta(days=n): 0 for n in range(MOST_DAYS, -1, -1)}
    counted = dict(by_day)
    this_hour = _hour_of(now, zone)
    by_hour = {this_hour - timedelta(hours=n): 0 for n in range(SHOWN_HOURS - 1, -1, -1)}
    sums = counts.filter(quarter__gte=since).values("quarter").annotate(n=Sum("judgments"), c=Sum(counted_by))
    for row in sums.order_by("quarter"):
        day = row["quarter"].astimezone(zone).date()
        if day in by_day:
            by_day[day] += row["n"]
            counted[day] += row["c"]
        if (hour := _hour_of(row["quarter"], zone)) in by_hour:
            by_hour[hour] += row["n"]
    first = counts.aggregate(first=Min("quarter"))["first"]
    # The day of the first judgment began before it, and today has not ended.
    begun = first.astimezone(zone).date() if first else today
    whole = [number for day, number in counted.items() if begun < day < today]
    expects = forecast(remaining, whole) if batch.state == Batch.State.OPEN else None

    def at(days: float | None) -> datetime | None:
        return now + timedelta(days=days) if days is not None and days <= MAX_FORECAST_DAYS else None

    return Throughput(
        batch=batch,
        progress=progress,
        by_day=by_day,
        by_hour=by_hour,
        whole_days=len(whole),
        per_day=sum(whole) / len(whole) if whole else None,
        forecast=expects,
        expected_at=at(expects.expected) if expects else None,
        earliest_at=at(expects.earliest) if expects else None,
        latest_at=at(expects.latest) if expects else None,
        cost=_cost(batch, remaining) if with_cost else None,
    )


def _cost(batch: Batch, remaining: int) -> Cost | None:
    rate = pay_rate(batch.project)
    if rate is None:
        return None
    people = User.objects.filter(kind=User.Kind.PERSON).values("pk")
    done: dict[str, Any] = WorkCount.objects.filter(batch=batch, annotator_id__in=people).aggregate(
        judgments=Sum("judgments", default=0), seconds=Sum("seconds", default=0.0)
    )
    hours = Decimal(str(done["seconds"])) / 3600
    so_far = rate.amount * (hours if rate.unit == PayRate.Unit.HOUR else done["judgments"])
    each = so_far / done["judgments"] if done["judgments"] > 0 else None
    return Cost(rate, so_far, each, None if each is None else each * remaining)
