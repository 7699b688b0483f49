"""Schedules as the Rounds page and the command list them."""

from dataclasses import dataclass

from django.db.models import Prefetch
from django.utils.translation import gettext

from learning.interface.options import UserError
from rounds.models import Round, Schedule, ScheduleFiring, Stage, Trigger
from rounds.plans import SELECTED
from rounds.schedules.due import new_judgments, next_time
from rounds.schedules.wording import describe_trigger, local_time
from workspace.database import database_now
from workspace.models import Project

SHOWN_FIRINGS = 3


@dataclass(frozen=True, kw_only=True)
class FiringRow:
    """A time that fell due, and what became of it."""

    firing: ScheduleFiring
    due: str
    outcome: str

    @property
    def is_waiting(self) -> bool:
        return self.firing.state == ScheduleFiring.State.WAITING

    @property
    def has_failed(self) -> bool:
        return self.firing.state == ScheduleFiring.State.FAILED


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """One schedule: when, what, what comes next, and its last times."""

    schedule: Schedule
    when: str
    what: str
    next: str
    firings: list[FiringRow]

    @property
    def state(self) -> str:
        """active | paused | over"""
        if self.schedule.ended_at is not None:
            return "over"
        return "paused" if self.schedule.paused_at is not None else "active"


def schedule_rows(project: Project) -> list[ScheduleRow]:
    """Those that will fall due first, then those that are over; the newest of each first."""
    schedules = (
        project.schedules.select_related("project", "criterion", "start_policy")
        .prefetch_related(Prefetch("firings", ScheduleFiring.objects.select_related("round")))
        .order_by("-pk")
    )
    open_round = project.rounds.open().first()
    rows = [_schedule_row(schedule, open_round) for schedule in schedules]
    return sorted(rows, key=lambda row: row.state == "over")


def _schedule_row(schedule: Schedule, open_round: Round | None) -> ScheduleRow:
    preset = schedule.plan.get("preset") or gettext("own values")
    if schedule.start_policy:
        start = schedule.start_policy.name
    elif schedule.plan.get("start_from") == SELECTED:
        start = gettext("the project's selected policy")
    else:
        start = schedule.plan.get("start_from_policy") or gettext("the newest policy")
    firings = sorted(schedule.firings.all(), key=lambda firing: firing.due_at, reverse=True)
    return ScheduleRow(
        schedule=schedule,
        when=describe_trigger(schedule),
        what=gettext("%(preset)s, from %(start)s") % {"preset": preset, "start": start},
        next=_next(schedule),
        firings=[_firing_row(schedule, firing, open_round) for firing in firings[:SHOWN_FIRINGS]],
    )


def _next(schedule: Schedule) -> str:
    if schedule.ended_at is not None:
        return "over"
    if schedule.paused_at is not None:
        return "paused"
    if schedule.trigger == Trigger.JUDGMENTS:
        try:
            judgments = new_judgments(schedule)
        except UserError as error:  # a plan of another version of this program; the worker pauses it
            return str(error)
        return gettext("%(schedule)s of %(judgments)s judgments are in") % {
            "schedule": f"{max(0, judgments):,}",
            "judgments": f"{schedule.judgments:,}",
        }
    if schedule.trigger == Trigger.AFTER_ROUND:
        return gettext("at the end of the next round that is done")
    at = next_time(schedule, database_now())
    return local_time(at, schedule.project.time_zone) if at else gettext("falls due now")


def _firing_row(schedule: Schedule, firing: ScheduleFiring, open_round: Round | None) -> FiringRow:
    match ScheduleFiring.State(firing.state):
        case ScheduleFiring.State.STARTED:
            outcome = (
                gettext("started round %(number)s") % {"number": firing.round.number}
                if firing.round
                else gettext("started")
            )
        case ScheduleFiring.State.FAILED:
            outcome = firing.error
        case ScheduleFiring.State.DROPPED:
            outcome = gettext("dropped")
        case ScheduleFiring.State.WAITING:
            outcome = _what_it_waits_for(open_round)
    if firing.missed:
        earlier = f"{firing.missed} other time{'' if firing.missed == 1 else 's'}"
        outcome += gettext(" (stands for %(earlier)s too)") % {"earlier": earlier}
    return FiringRow(
        firing=firing, due=local_time(firing.due_at, schedule.project.time_zone), outcome=outcome
    )


def _what_it_waits_for(open_round: Round | None) -> str:
    if open_round is None:
        return gettext("starts as soon as a worker looks")
    if open_round.stage == Stage.FAILED:
        return gettext("waits for round %(number)s, which failed: try it again or cancel it") % {
            "number": open_round.number
        }
    return gettext("waits for the end of round %(number)s") % {"number": open_round.number}
