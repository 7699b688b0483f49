"""What workers write to the services of reward models: claim, renew, ready, ended. Every write is conditional on the
fence, so that a worker that was frozen or declared dead finds out by changing nothing.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from learning.interface.text import replace_unstorable_characters
from rewardmodel.models import Serving, ServingQuerySet
from runs.launchers import Process
from workspace.actions import record_audit
from workspace.database import database_now_plus

State = Serving.State
# A model that has just been loaded answers those who waited for it before it makes room for the next one.
LEAST_SERVED_SECONDS = 5.0
MAX_FAILURES = 3  # in a row, before a manager, or the next request after a while, has to ask again
RETRY_SECONDS = 60.0


class LostServing(Exception):
    """The service belongs to another worker now: end the scorer and touch nothing."""


@dataclass(frozen=True, kw_only=True)
class ServingClaim:
    serving: Serving
    previous_process: Process | None


@transaction.atomic
def claim_serving(*, worker_name: str, host: str, lease_seconds: float) -> ServingClaim | None:
    """The next service that waits or was left behind, now this worker's under a new fence.

    None when there is none, or no room; then the least recently used one is asked to make room.
    """
    if not Serving.objects.claimable().exists():
        return None
    # All of them, so that no two workers count the same room.
    rows = list(
        Serving.objects.select_for_update()
        .exclude(state__in=[State.STOPPED, State.FAILED])
        .order_by("requested_at", "pk")
    )
    kept = [row for row in rows if row.state in (State.STARTING, State.READY)]
    claimable = set(Serving.objects.claimable().values_list("pk", flat=True))
    abandoned = [row for row in kept if row.pk in claimable]
    waiting = [row for row in rows if row.state == State.WAITING]
    if abandoned:
        found = abandoned[0]
    elif len(kept) < settings.SCORER_MAX_MODELS and waiting:
        found = waiting[0]
    else:
        if waiting and not any(row.stop_requested for row in kept):
            _make_room(kept)
        return None
    previous = Process(host=found.host, pid=found.pid, identity=found.process_identity) if found.pid else None
    changed = (
        Serving.objects.claimable()
        .filter(pk=found.pk, fence=found.fence)
        .update(
            state=State.STARTING,
            fence=F("fence") + 1,
            lease_until=database_now_plus(lease_seconds),
            worker_name=worker_name,
            host=found.host if previous else host,
            address="",
            secret="",
            ready_at=None,
        )
    )
    if not changed:
        return None
    serving = Serving.objects.select_related(
        "reward_model__artifact", "reward_model__produced_by", "reward_model__project", "requested_by"
    ).get(pk=found.pk)
    return ServingClaim(serving=serving, previous_process=previous)


def _make_room(kept: list[Serving]) -> None:
    settled = Serving.objects.filter(
        pk__in=[row.pk for row in kept],
        state=State.READY,
        ready_at__lt=database_now_plus(-LEAST_SERVED_SECONDS),
    )
    longest_unused = settled.order_by(Coalesce("last_used_at", "ready_at"), "pk").first()
    if longest_unused is not None:
        Serving.objects.filter(pk=longest_unused.pk).update(stop_requested=True)


def still_kept(serving: Serving) -> ServingQuerySet:
    return Serving.objects.kept().filter(pk=serving.pk, fence=serving.fence)


def renew(serving: Serving, lease_seconds: float, **changes: Any) -> bool:
    """Renew the lease, with what changed; whether a stop was asked for. Raises LostServing."""
    if not still_kept(serving).update(lease_until=database_now_plus(lease_seconds), **changes):
        raise LostServing
    stop = still_kept(serving).values_list("stop_requested", flat=True).first()
    if stop is None:
        raise LostServing
    return stop


def record_scorer(serving: Serving, process: Process | None, host: str, lease_seconds: float) -> None:
    """What was started, so that a successor can end it; None: nothing of it lives."""
    renew(
        serving,
        lease_seconds,
        host=process.host if process else host,
        pid=process.pid if process else None,
        process_identity=process.identity if process else "",
    )


def record_ready(serving: Serving, *, address: str, secret: str, lease_seconds: float) -> bool:
    return renew(
        serving,
        lease_seconds,
        state=State.READY,
        address=address,
        secret=secret,
        ready_at=Now(),
        n_requests=0,
        n_rewards=0,
        error="",
    )


def end_serving(serving: Serving, to: str, *, reason: str = "", error: str = "") -> None:
    """No scorer has it any more, or will in a moment. To WAITING: another one is to be started.

    A failure counts; after MAX_FAILURES in a row it is FAILED, for `RETRY_SECONDS` at least. The audit row names who
    started it, as that of a run's end does.
    """
    with transaction.atomic():
        row = still_kept(serving).select_for_update().first()
        if row is None:
            raise LostServing
        changes: dict[str, Any] = {
            "lease_until": None,
            "address": "",
            "secret": "",
            "pid": None,
            "process_identity": "",
            "stop_requested": False,
        }
        if error:
            failures = row.failures + 1
            if to == State.WAITING and failures >= MAX_FAILURES:
                to = State.FAILED
            changes |= {"failures": failures, "error": replace_unstorable_characters(error)[:1000]}
        if to == State.FAILED:
            changes["retry_at"] = database_now_plus(RETRY_SECONDS)
        still_kept(serving).update(state=to, **changes)
        if to in (State.STOPPED, State.FAILED):
            record_audit(
                actor=row.requested_by,
                action=f"reward_model.serving_{to}",
                project=serving.reward_model.project,
                target=serving.reward_model,
                reason=reason or changes.get("error", ""),
            )


def forget_failures(serving: Serving) -> None:
    """It has held for a while: the next fault is a first one."""
    still_kept(serving).filter(failures__gt=0).update(failures=0)
