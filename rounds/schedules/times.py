"""Wall-clock times as instants. Pure functions; a wall-clock time is a datetime without a zone.

Clocks that are put forward leave out an hour, clocks that are put back have one twice (and Pacific/Apia left out a
whole day in 2011). As in RFC 5545 (3.3.5), a time that is left out is read with the offset before the gap, so that
02:30 comes at 03:30, and of a time that comes twice the first is meant.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall-clock time."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def is_absent(wall: datetime, zone: ZoneInfo) -> bool:
    """True for a time that the clocks of the zone never show."""
    return to_utc(wall, zone).astimezone(zone).replace(tzinfo=None, fold=0) != wall


def is_ambiguous(wall: datetime, zone: ZoneInfo) -> bool:
    """True for a time that the clocks of the zone show twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first != second and not is_absent(wall, zone)


def weekly_times(
    weekday: int, time_of_day: time, zone: ZoneInfo, *, after: datetime, until: datetime
) -> list[datetime]:
    """Every instant in (after, until] at which it is that time of that weekday (0: Monday) in the zone, in order."""
    # A gap moves a time by a day at most, so the first candidate lies a week before.
    day = (after.astimezone(zone) - timedelta(days=8)).date()
    day += timedelta(days=(weekday - day.weekday()) % 7)
    instants = []
    while (instant := to_utc(datetime.combine(day, time_of_day), zone)) <= until:
        if instant > after:
            instants.append(instant)
        day += timedelta(days=7)
    return instants


def next_weekly_time(weekday: int, time_of_day: time, zone: ZoneInfo, *, after: datetime) -> datetime:
    """The first such instant after `after`."""
    # Eight days hold one, nine where a gap moved it.
    return weekly_times(weekday, time_of_day, zone, after=after, until=after + timedelta(days=9))[0]
