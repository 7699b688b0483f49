"""The worker's part of schedules: what falls due starts a round, exactly once, whoever looks and whoever is killed.

All that a firing means - its row, the round, how far the schedule has been looked at - is one transaction under the
lock of the schedule's row: a worker that is killed in it has done nothing, and the next one does it. A time that was
missed while no worker was running fires once when one is back. A time at which a round is under way waits for its end;
one whose plan does not fit (any more) ends as failed with its sentence. Neither is lost, and neither is tried for ever.
"""

import logging
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from learning.interface.options import UserError
from learning.interface.text import replace_unstorable_characters
from policy_training.models import Policy
from rounds.actions import start_round_of_asked_servers
from rounds.errors import RoundRefused
from rounds.models import Round, Schedule, ScheduleFiring
from rounds.plans import RoundPlan, load_plan
from rounds.schedules.due import Due, find_due
from rounds.schedules.wording import describe_trigger
from rounds.servers import require_servers
from rounds.starting_models import start_by_rule
from workspace.actions import record_audit
from workspace.database import database_now
from workspace.errors import ActionError
from workspace.models import User
from workspace.roles import Capability, capabilities_of

logger = logging.getLogger(__name__)


def fire_due_schedules(now: datetime | None = None) -> int:
    """Start what is due and can start; how many schedules changed. `now`: the database's clock."""
    now = now or database_now()
    changed = 0
    for schedule in Schedule.objects.active().select_related("project", "criterion"):
        try:
            if _has_something_to_do(schedule, now):
                changed += fire_schedule(schedule.pk, now)
        except (OperationalError, InterfaceError):
            raise  # the database is gone: that is no fault of the schedule
        except (ActionError, UserError) as error:  # its plan is of another version of this program
            _fail_and_pause(schedule.pk, now, str(error))
            changed += 1
        except Exception as error:
            # It must neither keep the other schedules waiting nor be tried again for ever without a word.
            logger.exception("schedule %s could not be looked at", schedule.pk)
            fault = replace_unstorable_characters(f"{type(error).__name__}: {error}")[:500]
            _fail_and_pause(
                schedule.pk, now, f"This is a fault of the program ({fault}); the worker's log tells more."
            )
            changed += 1
    return changed


def _has_something_to_do(schedule: Schedule, now: datetime) -> bool:
    """A look without a lock: most ticks end here."""
    if find_due(schedule, now) is not None:
        return True
    waiting = schedule.firings.filter(state=ScheduleFiring.State.WAITING)
    return waiting.exists() and not schedule.project.rounds.open().exists()


def fire_schedule(pk: int, now: datetime) -> bool:
    """Look at one schedule once, under its lock; whether anything changed.

    The model servers of its plan are asked before: one that is away takes seconds, in which nobody could write on
    SQLite.
    """
    schedule = Schedule.objects.active().select_related("project", "start_policy").filter(pk=pk).first()
    if schedule is None:
        return False
    may_start = not schedule.project.rounds.open().exists()
    refusal = _refusal_of_servers(schedule) if may_start else None
    return _fire_locked(pk, now, may_start=may_start, refusal=refusal)


def _refusal_of_servers(schedule: Schedule) -> RoundRefused | None:
    """None too for a plan that cannot be read or has no start: starting the round says so."""
    try:
        plan = load_plan(schedule.plan)
        start = start_of(schedule, plan)
    except (ActionError, UserError):
        return None
    try:
        require_servers(plan, start)
    except RoundRefused as error:
        return error
    return None


@transaction.atomic
def _fire_locked(pk: int, now: datetime, *, may_start: bool, refusal: RoundRefused | None) -> bool:
    """`may_start`: whether no round was open, so that servers were asked; `refusal`: what they said."""
    schedule = _lock(pk)
    if schedule is None:
        return False
    firing = schedule.firings.filter(state=ScheduleFiring.State.WAITING).first()
    due = find_due(schedule, now)
    if due is not None:
        firing = _record_due(schedule, firing, due)
    if firing is None:
        return False
    if not may_start or schedule.project.rounds.open().exists():
        return due is not None
    _start(schedule, firing, now, refusal)
    return True


def _lock(pk: int) -> Schedule | None:
    """The schedule, if it is still active, locked until the transaction ends."""
    return (
        Schedule.objects.active()
        .select_for_update(no_key=True, of=("self",))
        .select_related("project", "criterion", "prompt_set", "created_by")
        .filter(pk=pk)
        .first()
    )


def _record_due(schedule: Schedule, waiting: ScheduleFiring | None, due: Due) -> ScheduleFiring:
    """One firing waits at a time: what falls due while it does is counted with it."""
    Schedule.objects.filter(pk=schedule.pk).update(
        considered_until=due.at,
        judgments_before=F("judgments_before") + (schedule.judgments or 0) * (due.missed + 1),
    )
    if waiting is None:
        return ScheduleFiring.objects.create(schedule=schedule, due_at=due.at, missed=due.missed)
    ScheduleFiring.objects.filter(pk=waiting.pk).update(missed=F("missed") + due.missed + 1)
    return waiting


def _start(
    schedule: Schedule, firing: ScheduleFiring, now: datetime, refusal_of_servers: RoundRefused | None
) -> None:
    actor = schedule.created_by
    try:
        _require_manager(schedule, actor)
        if refusal_of_servers is not None:
            raise refusal_of_servers
        with transaction.atomic():
            plan = load_plan(schedule.plan)
            round_ = start_round_of_asked_servers(
                actor=actor,
                project=schedule.project,
                criterion=schedule.criterion,
                start_policy=start_of(schedule, plan),
                prompt_set=schedule.prompt_set,
                plan=plan,
                reason=f"started by the schedule “{describe_trigger(schedule)}” of {actor.username}",
            )
    except (ActionError, UserError) as error:
        if isinstance(error, ActionError) and error.code == "round_open":
            return  # somebody started one a moment ago: it waits
        settle_firing(schedule, firing, ScheduleFiring.State.FAILED, now, error=str(error))
    else:
        settle_firing(schedule, firing, ScheduleFiring.State.STARTED, now, round_=round_)


def _require_manager(schedule: Schedule, actor: User) -> None:
    """A schedule acts in its maker's name: not for longer than they may. An operator is a member like others."""
    if Capability.MANAGE not in capabilities_of(actor, schedule.project):
        raise RoundRefused(
            f"{actor.username}, who made this schedule, is not a manager of the project any more: add it anew.",
            code="not_a_manager",
        )


def start_of(schedule: Schedule, plan: RoundPlan) -> Policy:
    """What a round of it would start from now. Raises RoundRefused."""
    if schedule.start_policy is not None:
        return schedule.start_policy
    newest = Policy.objects.filter(project=schedule.project).order_by("-pk").first()
    return start_by_rule(schedule.project, plan, newest)[0]


def settle_firing(
    schedule: Schedule,
    firing: ScheduleFiring,
    state: str,
    now: datetime,
    *,
    round_: Round | None = None,
    error: str = "",
    actor: User | None = None,
) -> None:
    """Say what became of a firing of the locked schedule. One that falls due once is over with it."""
    ScheduleFiring.objects.filter(pk=firing.pk).update(state=state, round=round_, error=error, settled_at=now)
    if not schedule.repeats:
        Schedule.objects.filter(pk=schedule.pk).update(ended_at=now)
    record_audit(
        actor=actor or schedule.created_by,
        action=f"schedule.{state}",
        project=schedule.project,
        target=schedule,
        due_at=firing.due_at.isoformat(),
        **({"round": round_.number} if round_ is not None else {}),
        **({"error": error} if error else {}),
    )


@transaction.atomic
def _fail_and_pause(pk: int, now: datetime, error: str) -> None:
    schedule = _lock(pk)
    if schedule is None:
        return
    firing = schedule.firings.filter(state=ScheduleFiring.State.WAITING).first()
    if firing is None:
        firing = ScheduleFiring.objects.create(schedule=schedule, due_at=now)
    settle_firing(schedule, firing, ScheduleFiring.State.FAILED, now, error=error)
    Schedule.objects.filter(pk=pk, ended_at__isnull=True).update(paused_at=now, considered_until=now)
