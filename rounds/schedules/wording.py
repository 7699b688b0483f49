"""A schedule in words, as pages, commands and timelines name it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext, ngettext

from rounds.models import Schedule, Trigger


def describe_trigger(schedule: Schedule) -> str:
    """For example “every Monday at 09:00 (Europe/Berlin)”."""
    zone = schedule.project.time_zone
    match Trigger(schedule.trigger):
        case Trigger.AT:
            assert schedule.at is not None
            return gettext("at %(zone)s (%(zone2)s)") % {"zone": local_time(schedule.at, zone), "zone2": zone}
        case Trigger.WEEKLY:
            assert schedule.weekday is not None and schedule.time_of_day is not None
            return gettext("every %(weekday)s at %(time_of_day)s (%(zone)s)") % {
                "weekday": WEEKDAYS[schedule.weekday],
                "time_of_day": f"{schedule.time_of_day:%H:%M}",
                "zone": zone,
            }
        case Trigger.AFTER_ROUND:
            return (
                gettext("when a round is done")
                if schedule.repeats
                else gettext("when the round before is done")
            )
        case Trigger.JUDGMENTS:
            assert schedule.judgments is not None
            count = ngettext("%(n)s new judgment", "%(n)s new judgments", schedule.judgments) % {
                "n": f"{schedule.judgments:,}"
            }
            return (
                gettext("every %(count)s") % {"count": count}
                if schedule.repeats
                else gettext("after %(count)s") % {"count": count}
            )


def local_time(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%-d %b %Y, %H:%M}"
