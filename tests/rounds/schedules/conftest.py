from datetime import UTC, datetime, timedelta

import pytest

from rounds.models import Schedule
from rounds.plans import preset_plan
from rounds.schedules.actions import create_schedule
from rounds.schedules.triggers import When

# A Monday, 09:00 in Berlin.
MONDAY = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


@pytest.fixture
def add_schedule(project, criterion, policy, prompt_set, max_):
    """A schedule made at `made_at`, whatever today is."""

    def add(when: When, *, made_at: datetime = MONDAY - HOUR, **changes) -> Schedule:
        asked = {
            "actor": max_,
            "project": project,
            "criterion": criterion,
            "start_policy": policy,
            "prompt_set": prompt_set,
            "plan": preset_plan("tiny"),
        }
        schedule = create_schedule(when=when, **{**asked, **changes})
        Schedule.objects.filter(pk=schedule.pk).update(considered_until=made_at)
        schedule.refresh_from_db()
        return schedule

    return add
