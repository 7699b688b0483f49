"""What workers write to the services of models: claim, renew, ready, ended. Every write is conditional on the
fence, so that a worker that was frozen or declared dead finds out by changing nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from learning.interface.text import replace_unstorable_characters
from runs.launchers import Process
from runs.serving.service import Service, ServiceKind, ServiceQuerySet
from workspace.actions import record_audit
from workspace.database import database_now_plus

State = Service.State
# A model that has just been loaded answers those who waited for it before it makes room for the next one.
LEAST_SERVED_SECONDS = 5.0
MAX_FAILURES = 3  # in a row, before a manager, or the next request after a while, has to ask again
RETRY_SECONDS = 60.0


class LostService(Exception):
    """The service belongs to another worker now: end the server and touch nothing."""


@dataclass(frozen=True, kw_only=True)
class ServiceClaim:
    service: Service
    previous_process: Process | None


@transaction.atomic
def claim_service(
    kind: ServiceKind, *, worker_name: str, host: str, lease_seconds: float
) -> ServiceClaim | None:
    """The next service that waits or was left behind, now this worker's under a new fence.

    None when there is none, or no room; then the least recently used one is asked to make room.
    """
    if not kind.model.objects.claimable().exists():
        return None
    # All of them, so that no two workers count the same room.
    rows = list(
        kind.model.objects.select_for_update(no_key=True)
        .exclude(state__in=[State.STOPPED, State.FAILED])
        .order_by("requested_at", "pk")
    )
    kept = [row for row in rows if row.state in (State.STARTING, State.READY)]
    claimable = set(kind.model.objects.claimable().values_list("pk", flat=True))
    abandoned = [row for row in kept if row.pk in claimable]
    waiting = [row for row in rows if row.state == State.WAITING]
    if abandoned:
        found = abandoned[0]
    elif len(kept) < kind.max_models() and waiting:
        found = waiting[0]
    else:
        if waiting and not any(row.stop_requested for row in kept):
            _make_room(kind, kept)
        return None
    previous = Process(host=found.host, pid=found.pid, identity=found.process_identity) if found.pid else None
    changed = (
        kind.model.objects.claimable()
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
    service = kind.model.objects.select_related(*kind.related, "requested_by").get(pk=found.pk)
    return ServiceClaim(service=service, previous_process=previous)


def _make_room(kind: ServiceKind, kept: list[Any]) -> None:
    settled = kind.model.objects.filter(
        pk__in=[row.pk for row in kept],
        state=State.READY,
        ready_at__lt=database_now_plus(-LEAST_SERVED_SECONDS),
    )
    longest_unused = settled.order_by(Coalesce("last_used_at", "ready_at"), "pk").first()
    if longest_unused is not None:
        kind.model.objects.filter(pk=longest_unused.pk).update(stop_requested=True)


def still_kept(service: Service) -> ServiceQuerySet:
    kept: ServiceQuerySet = type(service).objects.kept().filter(pk=service.pk, fence=service.fence)
    return kept


def renew(service: Service, lease_seconds: float, **changes: Any) -> bool:
    """Renew the lease, with what changed; whether a stop was asked for. Raises LostService."""
    if not still_kept(service).update(lease_until=database_now_plus(lease_seconds), **changes):
        raise LostService
    stop = still_kept(service).values_list("stop_requested", flat=True).first()
    if stop is None:
        raise LostService
    return stop


def record_server(service: Service, process: Process | None, host: str, lease_seconds: float) -> None:
    """What was started, so that a successor can end it; None: nothing of it lives."""
    renew(
        service,
        lease_seconds,
        host=process.host if process else host,
        pid=process.pid if process else None,
        process_identity=process.identity if process else "",
    )


def record_ready(
    service: Service,
    *,
    address: str,
    secret: str,
    lease_seconds: float,
    counts: Mapping[str, int] | None = None,
) -> bool:
    """`counts`: what it has done so far, of this server's life alone."""
    return renew(
        service,
        lease_seconds,
        state=State.READY,
        address=address,
        secret=secret,
        ready_at=Now(),
        error="",
        **(counts or {}),
    )


def end_service(service: Service, to: str, *, reason: str = "", error: str = "") -> None:
    """No server has it any more, or will in a moment. To WAITING: another one is to be started.

    A failure counts; after MAX_FAILURES in a row it is FAILED, for `RETRY_SECONDS` at least. The audit row names who
    started it, as that of a run's end does.
    """
    with transaction.atomic():
        row = still_kept(service).select_for_update(no_key=True).first()
        if row is None:
            raise LostService
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
        still_kept(service).update(state=to, **changes)
        if to in (State.STOPPED, State.FAILED):
            record_audit(
                actor=row.requested_by,
                action=f"{service.audit_name}.serving_{to}",
                project=service.project,
                target=service.subject,
                reason=reason or changes.get("error", ""),
            )


def forget_failures(service: Service) -> None:
    """It has held for a while: the next fault is a first one."""
    still_kept(service).filter(failures__gt=0).update(failures=0)
