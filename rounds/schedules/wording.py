"""A schedule in words, as pages, commands and timelines name it."""

from calendar import day_name
from datetime import datetime
from zoneinfo import ZoneInfo

from rounds.models import Schedule, Trigger


def describe_trigger(schedule: Schedule) -> str:
    """For example “every Monday at 09:00 (Europe/Berlin)”."""
    zone = schedule.project.time_zone
    match Trigger(schedule.trigger):
        case Trigger.AT:
            assert schedule.at is not None
            return f"at {local_time(schedule.at, zone)} ({zone})"
        case Trigger.WEEKLY:
            assert schedule.weekday is not None and schedule.time_of_day is not None
            return f"every {day_name[schedule.weekday]} at {schedule.time_of_day:%H:%M} ({zone})"
        case Trigger.AFTER_ROUND:
            return "when a round is done" if schedule.repeats else "when the round before is done"
        case Trigger.JUDGMENTS:
            count = f"{schedule.judgments:,} new judgment{'' if schedule.judgments == 1 else 's'}"
            return f"every {count}" if schedule.repeats else f"after {count}"


def local_time(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%-d %b %Y, %H:%M}"
