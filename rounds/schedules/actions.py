"""What a manager does to schedules: add, pause, resume, delete, and what to do with a time that fell due."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from annotation.models import PromptSet
from policy_training.models import Policy
from rounds.actions import require_startable
from rounds.errors import RoundRefused
from rounds.models import Schedule, ScheduleFiring, Trigger
from rounds.plans import RoundPlan, plan_to_dict
from rounds.schedules.due import count_judgments
from rounds.schedules.firing import settle_firing, start_of
from rounds.schedules.triggers import When
from rounds.schedules.wording import describe_trigger, local_time
from rounds.servers import require_servers
from rounds.starting_models import require_start_by_rule
from workspace.actions import record_audit
from workspace.database import database_now
from workspace.members import require_manager_of_what_waits
from workspace.models import Criterion, Project, User


class ScheduleRefused(RoundRefused):
    """The schedule cannot be made or changed as asked."""

    code = "schedule_refused"


def create_schedule(
    *,
    actor: User,
    project: Project,
    when: When,
    criterion: Criterion,
    start_policy: Policy | None,
    prompt_set: PromptSet,
    plan: RoundPlan,
) -> Schedule:
    """A round of this plan, later. Without a start policy it starts from the newest there is then, or from what the
    plan's rule says then.

    Raises NotAManager, ScheduleRefused for a time that is over, and RoundRefused for a plan that could not start even
    now: better than at night.
    """
    require_manager_of_what_waits(project, actor)
    require_servers(plan, start_policy)  # before the transaction: nobody else could write beside it on SQLite
    return _create_schedule(
        actor=actor,
        project=project,
        when=when,
        criterion=criterion,
        start_policy=start_policy,
        prompt_set=prompt_set,
        plan=plan,
    )


@transaction.atomic
def _create_schedule(
    *,
    actor: User,
    project: Project,
    when: When,
    criterion: Criterion,
    start_policy: Policy | None,
    prompt_set: PromptSet,
    plan: RoundPlan,
) -> Schedule:
    now = database_now()
    schedule = Schedule(
        project=project,
        trigger=when.trigger,
        at=when.at,
        weekday=when.weekday,
        time_of_day=when.time_of_day,
        judgments=when.judgments,
        repeats=when.repeats,
        criterion=criterion,
        prompt_set=prompt_set,
        start_policy=start_policy,
        plan=plan_to_dict(plan),
        considered_until=now,
        created_by=actor,
    )
    if when.at is not None and when.at <= now:
        raise ScheduleRefused(
            gettext("%(time_zone)s (%(time_zone2)s) is over: choose a time to come.")
            % {"time_zone": local_time(when.at, project.time_zone), "time_zone2": project.time_zone},
            fields={"at": gettext("A time to come")},
        )
    start = start_of(schedule, plan)
    require_start_by_rule(project, plan, start)
    require_startable(
        project=project,
        criterion=criterion,
        start_policy=start,
        prompt_set=prompt_set,
        plan=plan,
    )
    if when.trigger == Trigger.AFTER_ROUND and not _something_comes_before(project):
        raise ScheduleRefused(
            gettext("No round is under way or planned that this one could wait for: start it now.")
        )
    schedule.judgments_before = count_judgments(schedule)
    schedule.save()
    record_audit(
        actor=actor,
        action="schedule.create",
        project=project,
        target=schedule,
        when=describe_trigger(schedule),
    )
    return schedule


def _something_comes_before(project: Project) -> bool:
    return project.rounds.open().exists() or Schedule.objects.active().filter(project=project).exists()


@transaction.atomic
def pause_schedule(*, actor: User, schedule: Schedule) -> Schedule:
    """Nothing falls due while it is paused; what waits goes on waiting."""
    locked = _lock(schedule)
    if locked.ended_at is not None:
        raise ScheduleRefused(gettext("This schedule is over: there is nothing to pause."))
    if locked.paused_at is None:
        locked.paused_at = database_now()
        locked.save(update_fields=["paused_at"])
        record_audit(actor=actor, action="schedule.pause", project=locked.project, target=locked)
    return locked


@transaction.atomic
def resume_schedule(*, actor: User, schedule: Schedule) -> Schedule:
    """Go on from now: times that passed while it was paused were left out on purpose.

    Raises ScheduleRefused where its only time is among them.
    """
    locked = _lock(schedule)
    if locked.paused_at is None:
        return locked
    now = database_now()
    if locked.at is not None and locked.considered_until < locked.at <= now:
        raise ScheduleRefused(gettext("Its time passed while it was paused: delete it and add another."))
    locked.paused_at = None
    locked.considered_until = max(now, locked.considered_until)
    locked.save(update_fields=["paused_at", "considered_until"])
    record_audit(actor=actor, action="schedule.resume", project=locked.project, target=locked)
    return locked


@transaction.atomic
def delete_schedule(*, actor: User, schedule: Schedule) -> None:
    """With its list of times; rounds that it started stay."""
    locked = _lock(schedule)
    record_audit(
        actor=actor,
        action="schedule.delete",
        project=locked.project,
        target=locked,
        when=describe_trigger(locked),
    )
    locked.delete()


@transaction.atomic
def retry_firing(*, actor: User, firing: ScheduleFiring) -> ScheduleFiring:
    """Try a time again whose round could not start: as soon as no round is under way."""
    schedule = _lock(firing.schedule)
    firing.refresh_from_db()
    if firing.state != ScheduleFiring.State.FAILED:
        raise ScheduleRefused(gettext("Only what failed can be tried again: reload the page."))
    firing.state, firing.error, firing.settled_at = ScheduleFiring.State.WAITING, "", None
    try:
        with transaction.atomic():
            firing.save(update_fields=["state", "error", "settled_at"])
    except IntegrityError as error:
        raise ScheduleRefused(gettext("A later time of this schedule waits already.")) from error
    Schedule.objects.filter(pk=schedule.pk).update(ended_at=None, paused_at=None)
    record_audit(actor=actor, action="schedule.retry", project=schedule.project, target=schedule)
    return firing


@transaction.atomic
def drop_firing(*, actor: User, firing: ScheduleFiring) -> ScheduleFiring:
    """Give up a time that waits for the round under way."""
    schedule = _lock(firing.schedule)
    firing.refresh_from_db()
    if firing.state != ScheduleFiring.State.WAITING:
        raise ScheduleRefused(gettext("It does not wait any more: reload the page."))
    settle_firing(schedule, firing, ScheduleFiring.State.DROPPED, database_now(), actor=actor)
    firing.refresh_from_db()
    return firing


def _lock(schedule: Schedule) -> Schedule:
    locked = (
        Schedule.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "created_by")
        .filter(pk=schedule.pk)
        .first()
    )
    if locked is None:
        raise ScheduleRefused(gettext("This schedule was deleted meanwhile: reload the page."))
    return locked
