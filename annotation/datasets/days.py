"""Days as people write them, as instants of a project's time zone."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date, parse_datetime

from workspace.errors import ActionError
from workspace.models import Project


def begin_of(project: Project, text: str) -> datetime:
    """`2026-11-28` is the beginning of that day, `2026-11-28T09:30` that minute. Raises ActionError."""
    return _instant(project, text, days=0)


def end_of(project: Project, text: str) -> datetime:
    """The end of a day named, or the instant named. Raises ActionError."""
    return _instant(project, text, days=1)


def _instant(project: Project, text: str, days: int) -> datetime:
    zone = ZoneInfo(project.time_zone)
    try:
        if day := parse_date(text):
            return datetime.combine(day + timedelta(days=days), time(), zone)
        if moment := parse_datetime(text):
            return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        pass
    raise ActionError(f"{text} is no date: write it as 2026-11-28 or 2026-11-28T09:30.", code="not_a_date")
