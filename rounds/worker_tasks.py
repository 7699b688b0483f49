"""The composition root: every kind of run, and what the worker does between runs."""

import time

from annotation.queue.actions import sweep_expired_leases
from annotation.rendering import html_cache
from policy_training.run_kinds import KINDS as POLICY_KINDS
from rewardmodel.run_kinds import RUN_KINDS as REWARD_MODEL_KINDS
from rounds.schedules.firing import fire_due_schedules
from rounds.stages.machine import advance_rounds
from runs.run_kinds import RunKind
from workspace.login_records import forget_old_logins

HOUSEKEEPING_SECONDS = 3600
RUN_KINDS: tuple[RunKind, ...] = (*REWARD_MODEL_KINDS, *POLICY_KINDS)


_next_housekeeping = 0.0


def housekeeping() -> None:
    """What grows with use is trimmed, about every hour: kept HTML, ended sessions, old records of logins."""
    global _next_housekeeping
    if time.monotonic() < _next_housekeeping:
        return
    _next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
    html_cache.trim()
    forget_old_logins()


def periodic_tasks() -> bool:
    """Sweep lapsed leases, advance rounds, start what is scheduled; True while something moved."""
    swept = sweep_expired_leases()
    moved = advance_rounds()
    # After the rounds: one that has just ended makes room for what waits for it.
    fired = fire_due_schedules()
    housekeeping()
    return bool(swept or moved or fired)
