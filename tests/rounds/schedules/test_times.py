"""Against dates that were enumerated minute by minute, and against the dates of known changes of clocks."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from rounds.schedules.times import is_absent, is_ambiguous, next_weekly_time, to_utc, weekly_times

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "wall", "instant", "kind"),
    [
        # Berlin put its clocks from 02:00 to 03:00 on 29 March 2026, and back on 25 October.
        (BERLIN, (2026, 3, 29, 1, 59), utc(2026, 3, 29, 0, 59), "plain"),
        (BERLIN, (2026, 3, 29, 2, 30), utc(2026, 3, 29, 1, 30), "absent"),  # shown as 03:30
        (BERLIN, (2026, 3, 29, 3, 0), utc(2026, 3, 29, 1, 0), "plain"),
        (BERLIN, (2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30), "ambiguous"),  # the first of two
        (BERLIN, (2026, 10, 25, 3, 0), utc(2026, 10, 25, 2, 0), "plain"),
        # RFC 5545's own example: 02:30 on 11 March 2007 in New York is 03:30 EDT.
        (NEW_YORK, (2007, 3, 11, 2, 30), utc(2007, 3, 11, 7, 30), "absent"),
        (NEW_YORK, (2007, 11, 4, 1, 30), utc(2007, 11, 4, 5, 30), "ambiguous"),
        # Lord Howe Island moves by half an hour; Apia had no 30 December 2011.
        (ZoneInfo("Australia/Lord_Howe"), (2026, 10, 4, 2, 15), utc(2026, 10, 3, 15, 45), "absent"),
        (ZoneInfo("Pacific/Apia"), (2011, 12, 30, 9, 0), utc(2011, 12, 30, 19, 0), "absent"),
        (ZoneInfo("UTC"), (2026, 3, 29, 2, 30), utc(2026, 3, 29, 2, 30), "plain"),
    ],
)
def test_wall_clock_times_around_changes_of_clocks(zone, wall, instant, kind):
    wall = datetime(*wall)
    assert to_utc(wall, zone) == instant
    assert (is_absent(wall, zone), is_ambiguous(wall, zone)) == (kind == "absent", kind == "ambiguous")


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("time_of_day", [time(0, 0), time(1, 30), time(2, 30), time(23, 45)])
def test_weekly_times_are_those_of_a_calendar_read_quarter_by_quarter(name, time_of_day):
    """A year of quarters of an hour, each asked what the zone's clocks show: every Sunday (the day of changes) once.

    A time of two is the first; on a Sunday without it the week is looked up by hand above.
    """
    zone, begin = ZoneInfo(name), utc(2026, 1, 1)
    seen, shown = [], set()
    for quarter in range(366 * 96):
        local = (begin + timedelta(minutes=15 * quarter)).astimezone(zone)
        if local.weekday() == 6 and local.time() == time_of_day and local.date() not in shown:
            shown.add(local.date())
            seen.append(local.astimezone(UTC))
    end = begin + timedelta(days=366)
    found = weekly_times(
        6, time_of_day, zone, after=begin - timedelta(minutes=1), until=end - timedelta(minutes=1)
    )
    absent = [instant for instant in found if instant.astimezone(zone).time() != time_of_day]
    assert [instant for instant in found if instant not in absent] == seen
    assert len(absent) == (1 if (name, time_of_day) in ABSENT_ONCE else 0)
    local_sundays = {instant.astimezone(zone).date() for instant in found}
    assert len(found) == len(local_sundays) and {day.weekday() for day in local_sundays} == {6}
    weeks = {abs(later - earlier - WEEK) for earlier, later in pairwise(found)}
    assert weeks <= {timedelta(0), HOUR / 2, HOUR}


WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
ABSENT_ONCE = {("Europe/Berlin", time(2, 30)), ("America/New_York", time(2, 30))}


def test_the_next_weekly_time_is_the_first_one_after():
    monday = utc(2026, 11, 30, 8, 0)  # 09:00 in Berlin
    assert next_weekly_time(0, time(9, 0), BERLIN, after=monday - timedelta(seconds=1)) == monday
    assert next_weekly_time(0, time(9, 0), BERLIN, after=monday) == utc(2026, 12, 7, 8, 0)
    apia = ZoneInfo("Pacific/Apia")  # Friday 30 December 2011 was left out
    fridays = weekly_times(4, time(9, 0), apia, after=utc(2011, 12, 20), until=utc(2012, 1, 10))
    assert fridays == [utc(2011, 12, 23, 19), utc(2011, 12, 30, 19), utc(2012, 1, 5, 19)]
    assert next_weekly_time(4, time(9, 0), apia, after=utc(2011, 12, 23, 19)) == utc(2011, 12, 30, 19)
