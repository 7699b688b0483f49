"""What workers write to runs: claim, renew, requeue, finish. No audit rows here but for ends, which
people ask about.

Every write is conditional on the run's state and fence, so that a worker that was frozen, cut off or declared dead
finds out by changing nothing. The database's clock decides about leases; where that clock itself was set back, a
worker that sees a lease unchanged for long enough by its own stopwatch may take over as well.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Now

from learning.interface.text import replace_unstorable_characters
from runs.launchers import Process
from runs.models import Run, RunQuerySet
from runs.states import RunState
from runs.transitions import transition_run
from workspace.actions import record_audit
from workspace.database import database_now_plus


class LostLease(Exception):
    """The run belongs to another worker now: stop touching it and everything it has on disk."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A run this worker owns from now on."""

    run: Run
    previous_process: Process | None  # what the worker before started, if it said so
    attempts_exhausted: bool  # a worker was lost and no attempt is left


@dataclass
class LeaseWatch:
    """Tracks, with this process's monotonic clock, how long each running run's lease has not been renewed."""

    seen: dict[tuple[int, int], tuple[Any, float]] = field(default_factory=dict)

    def stale_runs(self, runs: RunQuerySet, lease_seconds: float) -> list[int]:
        """Ids of running runs whose owner has not renewed for a lease and a half under this watch."""
        now = time.monotonic()
        current: dict[tuple[int, int], tuple[Any, float]] = {}
        for pk, fence, lease_until in runs.running().values_list("pk", "fence", "lease_until"):
            known = self.seen.get((pk, fence))
            current[pk, fence] = known if known and known[0] == lease_until else (lease_until, now)
        self.seen = current
        return [pk for (pk, _), (_, since) in current.items() if now - since > 1.5 * lease_seconds]


def claim_run(
    *, kinds: Collection[str], worker_name: str, host: str, lease_seconds: float, watch: LeaseWatch
) -> Claim | None:
    """The next run of these kinds that is due or abandoned, now running under a new fence; None when there is none."""
    runs = Run.objects.filter(kind__in=kinds)
    claimable = (
        runs.due() | runs.abandoned() | runs.running().filter(pk__in=watch.stale_runs(runs, lease_seconds))
    )
    with transaction.atomic():
        candidates = claimable.order_by("run_after", "pk")
        if connection.features.has_select_for_update_skip_locked:
            candidates = candidates.select_for_update(no_key=True, skip_locked=True)
        run = candidates.first()
        if run is None:
            return None
        lost = run.state == RunState.RUNNING
        attempts_exhausted = lost and run.attempt >= run.max_attempts
        previous_process = (
            Process(host=run.host, pid=run.pid, identity=run.process_identity) if run.pid else None
        )
        moved = transition_run(
            claimable,
            run,
            RunState.RUNNING,
            fence=F("fence") + 1,
            attempt=run.attempt if attempts_exhausted else run.attempt + 1,
            lease_until=database_now_plus(lease_seconds),
            started_at=Coalesce(F("started_at"), Now()),
            worker_name=worker_name,
            # The process of the worker before stays on record until it is known to be gone.
            host=run.host if previous_process else host,
        )
        if not moved:
            return None
    run = Run.objects.select_related("project", "requested_by").get(pk=run.pk)
    return Claim(run=run, previous_process=previous_process, attempts_exhausted=attempts_exhausted)


def still_owned(run: Run) -> RunQuerySet:
    return Run.objects.running().filter(pk=run.pk, fence=run.fence)


def renew(run: Run, lease_seconds: float, progress: Mapping[str, Any] | None = None) -> bool:
    """Renew the lease and copy progress; the answer is whether a cancel was asked for. Raises LostLease."""
    changes: dict[str, Any] = {"lease_until": database_now_plus(lease_seconds)}
    if progress is not None:
        changes["progress"] = {
            key: replace_unstorable_characters(value) if isinstance(value, str) else value
            for key, value in progress.items()
        }
    if not still_owned(run).update(**changes):
        raise LostLease
    cancel = still_owned(run).values_list("cancel_requested", flat=True).first()
    if cancel is None:
        raise LostLease
    return cancel


def record_process(run: Run, process: Process | None, lease_seconds: float, host: str = "") -> None:
    """Write down what was started, so that a successor can end it; None: nothing of the run lives."""
    changed = still_owned(run).update(
        lease_until=database_now_plus(lease_seconds),
        host=process.host if process else host,
        pid=process.pid if process else None,
        process_identity=process.identity if process else "",
    )
    if not changed:
        raise LostLease


def requeue(run: Run, *, seconds: float, error: str, count_attempt: bool) -> None:
    """Back into the queue: at once when a worker leaves, after a back-off when an attempt failed."""
    moved = transition_run(
        Run.objects.all(),
        run,
        RunState.QUEUED,
        run_after=database_now_plus(seconds),
        lease_until=None,
        pid=None,
        process_identity="",
        error=replace_unstorable_characters(error)[:1000],
        attempt=F("attempt") if count_attempt else max(run.attempt - 1, 0),
    )
    if not moved:
        raise LostLease


def pause_run(run: Run, reason: str) -> None:
    """It waits for a manager; `reason` says why. No attempt is used up."""
    with transaction.atomic():
        moved = transition_run(
            Run.objects.all(),
            run,
            RunState.PAUSED,
            lease_until=None,
            pid=None,
            process_identity="",
            attempt=max(run.attempt - 1, 0),
            error=replace_unstorable_characters(reason or "The command paused and did not say why.")[:1000],
        )
        if not moved:
            raise LostLease
        record_audit(actor=run.requested_by, action="run.paused", project=run.project, target=run)


def finish_run(run: Run, to: RunState, error: str = "") -> None:
    """The run's last word, with its audit row. Callers that change more do so in the same transaction."""
    with transaction.atomic():
        moved = transition_run(
            Run.objects.all(),
            run,
            to,
            lease_until=None,
            pid=None,
            process_identity="",
            finished_at=Now(),
            error=Value(replace_unstorable_characters(error)[:1000]),
        )
        if not moved:
            raise LostLease
        record_audit(actor=run.requested_by, action=f"run.{to}", project=run.project, target=run)
