"""The composition root: every kind of run, and what the worker does between runs."""

from annotation.queue.actions import sweep_expired_leases
from policy_training.run_kinds import KINDS as POLICY_KINDS
from rewardmodel.run_kinds import RUN_KINDS as REWARD_MODEL_KINDS
from rounds.schedules.firing import fire_due_schedules
from rounds.stages.machine import advance_rounds
from runs.run_kinds import RunKind

RUN_KINDS: tuple[RunKind, ...] = (*REWARD_MODEL_KINDS, *POLICY_KINDS)


def periodic_tasks() -> bool:
    """Sweep lapsed leases, advance rounds, start what is scheduled; True while something moved."""
    swept = sweep_expired_leases()
    moved = advance_rounds()
    # After the rounds: one that has just ended makes room for what waits for it.
    fired = fire_due_schedules()
    return bool(swept or moved or fired)
