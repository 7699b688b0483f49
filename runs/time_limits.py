"""How long one start of a run may take: its own limit, or else the site's (RUN_TIME_LIMIT_MINUTES).

The worker that watches the command counts, from its launch on. A run that is retried has its limit again: it goes on
from its checkpoint.
"""

import time

from django.conf import settings

from runs.database_retry import DATABASE_UNAVAILABLE_ERRORS, drop_broken_connection
from runs.models import Run

SECONDS_PER_MINUTE = 60.0
MAX_MINUTES = 525_600  # a year


def limit_of(own_minutes: int | None) -> int | None:
    """In minutes; None: as long as it takes."""
    return own_minutes or settings.RUN_TIME_LIMIT_MINUTES or None


class TimeLimit:
    """Of one start. It is read again at each look: who sees that a limit is too short can make it longer."""

    def __init__(self, run: Run, every_seconds: float) -> None:
        self._run, self._every = run, every_seconds
        self._began = self._looked_at = time.monotonic()
        self._own = run.time_limit_minutes
        self.is_over = False

    def look(self) -> bool:
        """Whether it is over; asks the database every `every_seconds`, however often it is called."""
        now = time.monotonic()
        if self.is_over or now - self._looked_at < self._every:
            return self.is_over
        self._looked_at = now
        try:
            found = Run.objects.filter(pk=self._run.pk).values_list("time_limit_minutes", flat=True).first()
        except DATABASE_UNAVAILABLE_ERRORS:  # the command goes on, and so does its limit
            drop_broken_connection()
        else:
            self._own = found
        limit = limit_of(self._own)
        self.is_over = limit is not None and now - self._began >= limit * SECONDS_PER_MINUTE
        return self.is_over

    def sentence(self, outcome: str, reason: str) -> str:
        """What became of a run that the limit stopped; `reason`: why it failed, if it did."""
        limit = limit_of(self._own) or 0
        minutes = f"{limit:,} minute{'' if limit == 1 else 's'}"
        stopped = (
            "stopped with a checkpoint; Retry goes on from it" if outcome == "checkpointed" else "stopped"
        )
        said = f" It failed as it was stopped: {reason}" if outcome == "failed" and reason else ""
        return (
            f"It reached its time limit of {minutes} and was {stopped}. The limit can be changed on the run's page."
            + said
        )
