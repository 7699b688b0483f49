"""Time zones by their IANA names, as Python's zoneinfo finds them (the system's, or the package tzdata)."""

from functools import cache
from zoneinfo import available_timezones

from django.conf import settings


def default_time_zone() -> str:
    """A new project's: the installation's."""
    return settings.TIME_ZONE


@cache
def known_time_zones() -> tuple[str, ...]:
    """Every name, sorted: UTC first, then Africa/Abidjan to Zulu."""
    return ("UTC", *sorted(available_timezones() - {"UTC", "localtime", "Factory"}))
