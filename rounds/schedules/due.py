"""What of a schedule is due: pure reading; rounds.schedules.firing acts on it."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from annotation.models import Judgment
from rounds.models import Round, Schedule, Stage, Trigger
from rounds.plans import load_plan
from rounds.schedules.times import next_weekly_time, weekly_times


@dataclass(frozen=True, kw_only=True)
class Due:
    """The latest time at which a schedule fell due, and how many earlier ones nobody has acted on."""

    at: datetime
    missed: int = 0


def find_due(schedule: Schedule, now: datetime) -> Due | None:
    """What has fallen due since the schedule was last looked at; None when nothing has.

    However many times were missed (no worker was running), it is one `Due`: the round starts once.
    """
    match Trigger(schedule.trigger):
        case Trigger.AT:
            assert schedule.at is not None
            return Due(at=schedule.at) if schedule.considered_until < schedule.at <= now else None
        case Trigger.WEEKLY:
            assert schedule.weekday is not None and schedule.time_of_day is not None
            times = weekly_times(
                schedule.weekday,
                schedule.time_of_day,
                project_zone(schedule),
                after=schedule.considered_until,
                until=now,
            )
            return Due(at=times[-1], missed=len(times) - 1) if times else None
        case Trigger.AFTER_ROUND:
            done = Round.objects.filter(
                project=schedule.project, stage=Stage.DONE, finished_at__gt=schedule.considered_until
            )
            ends = [at for at in done.order_by("finished_at").values_list("finished_at", flat=True) if at]
            return Due(at=ends[-1], missed=len(ends) - 1) if ends else None
        case Trigger.JUDGMENTS:
            assert schedule.judgments is not None
            times_met = new_judgments(schedule) // schedule.judgments
            return Due(at=now, missed=times_met - 1) if times_met > 0 else None


def new_judgments(schedule: Schedule) -> int:
    """How many judgments have come in since the schedule last fell due, or was made."""
    return count_judgments(schedule) - schedule.judgments_before


def count_judgments(schedule: Schedule) -> int:
    """Judgments that count, ties among them, and that the round would learn from: on the criteria that its reward model
    learns, by the kinds of annotators of its plan, of the batches that the plan names.
    """
    plan = load_plan(schedule.plan)
    judgments = (
        Judgment.objects.counted()
        .for_datasets()
        .of_project(schedule.project)
        .filter(task__batch__criterion__name__in=plan.learned_criteria(schedule.criterion.name))
        .for_reward_model_training()
        .of_annotator_kinds(*plan.annotation.annotator_kinds)
    )
    if plan.batches:
        judgments = judgments.filter(task__batch__name__in=plan.batches)
    return judgments.count()


def project_zone(schedule: Schedule) -> ZoneInfo:
    return ZoneInfo(schedule.project.time_zone)


def next_time(schedule: Schedule, now: datetime) -> datetime | None:
    """When it falls due next; None where that is no time of the clock, or it is over."""
    if schedule.ended_at is not None or schedule.paused_at is not None:
        return None
    if schedule.trigger == Trigger.AT:
        return schedule.at if schedule.at is not None and schedule.at > schedule.considered_until else None
    if schedule.trigger == Trigger.WEEKLY:
        assert schedule.weekday is not None and schedule.time_of_day is not None
        return next_weekly_time(schedule.weekday, schedule.time_of_day, project_zone(schedule), after=now)
    return None
