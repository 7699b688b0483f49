"""When a schedule falls due, as a person gives it: checked values of a form, or the words of the command line."""

import re
from calendar import day_name
from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from learning.interface.options import UserError
from rounds.models import Trigger
from rounds.schedules.times import is_absent, to_utc

MAX_JUDGMENTS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class When:
    """One of: an instant, a time of the week, the end of the round before, a number of new judgments."""

    trigger: Trigger
    at: datetime | None = None
    weekday: int | None = None  # 0: Monday
    time_of_day: time | None = None
    judgments: int | None = None
    repeats: bool = False


def at_time(wall: datetime, zone: ZoneInfo) -> When:
    """Once, at a wall-clock time of the zone, or at an instant when `wall` carries its offset.

    Raises UserError for a time that the zone's clocks leave out; of one that comes twice the first is meant.
    """
    if wall.tzinfo is not None:
        return When(trigger=Trigger.AT, at=wall.astimezone(UTC))
    if is_absent(wall, zone):
        shown = to_utc(wall, zone).astimezone(zone)
        raise UserError(
            f"There is no {wall:%H:%M} on {wall:%-d %B %Y} in {zone.key}: clocks are put forward. The time after it is "
            f"{shown:%H:%M}."
        )
    return When(trigger=Trigger.AT, at=to_utc(wall, zone))


def every_week(weekday: int, time_of_day: time) -> When:
    return When(trigger=Trigger.WEEKLY, weekday=weekday, time_of_day=time_of_day, repeats=True)


def after_round(*, repeats: bool = False) -> When:
    return When(trigger=Trigger.AFTER_ROUND, repeats=repeats)


def after_judgments(count: int, *, repeats: bool = False) -> When:
    if not 1 <= count <= MAX_JUDGMENTS:
        raise UserError(f"A schedule waits for at least 1 new judgment, not for {count}.")
    return When(trigger=Trigger.JUDGMENTS, judgments=count, repeats=repeats)


def parse_at(text: str, zone: ZoneInfo) -> When:
    """“2026-12-01 09:00”, “2026-12-01T09:00+01:00”. Raises UserError."""
    try:
        wall = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UserError(f"--at {text!r} is no time: write 2026-12-01 09:00.") from error
    if len(text.strip()) <= len("2026-12-01"):
        raise UserError(f"--at {text!r} has no time of day: write 2026-12-01 09:00.")
    return at_time(wall, zone)


def parse_every(text: str) -> When:
    """“monday 09:00”, “mon 9:00”. Raises UserError."""
    match = re.fullmatch(r"([a-z]{3,9})[ ,]+(?:at +)?(\d{1,2}):(\d{2})", text.strip().lower())
    days = [n for n, name in enumerate(day_name) if match and name.lower().startswith(match[1])]
    try:
        if match and days:
            return every_week(days[0], time(int(match[2]), int(match[3])))
    except ValueError:
        pass  # 25:00
    raise UserError(f"--every {text!r} is no time of the week: write monday 09:00.")


def parse_after(text: str, *, repeats: bool = False) -> When:
    """“round”, or a number of judgments. Raises UserError."""
    if text.strip().lower() in ("round", "previous", "done"):
        return after_round(repeats=repeats)
    match = re.fullmatch(r"(\d{1,12})( *judg[e]?ments?)?", text.strip().lower())
    if match is None:
        raise UserError(
            f"--after {text!r} is nothing to wait for: write `--after round` (the one before is done) or a number of "
            "new judgments."
        )
    return after_judgments(int(match[1]), repeats=repeats)
