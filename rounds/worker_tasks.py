"""The composition root: every kind of run, and what the worker does between runs."""

import time

from annotation.adjudication.more_annotators import apply_one_more_rules
from annotation.content.waiting_groups import group_waiting_prompts
from annotation.datasets.freezing import FREEZE
from annotation.exporting.pushing import PUSH as PUSH_DATASET
from annotation.importing.uploads.actions import forget_abandoned_uploads
from annotation.importing.uploads.hub import FETCH
from annotation.importing.uploads.run_kinds import RUN_KINDS as UPLOAD_KINDS
from annotation.making.queueing import MAKE_BATCH, clear_given_up
from annotation.quality.actions import queue_due_measurements
from annotation.quality.run_kind import MEASURE
from annotation.queue.actions import sweep_expired_leases
from annotation.queue.repeats import prepare_repeats
from annotation.rendering import html_cache
from events.actions import forget_old_deliveries
from events.background import deliver_in_background
from events.publishing import publish_events, record_event
from policy_training.chaining.actions import queue_due_trainings
from policy_training.comparing.kind import COMPARE
from policy_training.judging.kind import JUDGE
from policy_training.models import ChainedTraining
from policy_training.outgoing.views import PUSH as PUSH_POLICY
from policy_training.run_kinds import KINDS as POLICY_KINDS
from rewardmodel.outgoing import PUSH as PUSH_REWARD_MODEL
from rewardmodel.run_kinds import RUN_KINDS as REWARD_MODEL_KINDS
from rounds.schedules.firing import fire_due_schedules
from rounds.stages.machine import advance_rounds
from runs.hub.tokens import forget_old_tokens
from runs.run_kinds import RunKind
from workspace.login_records import forget_old_logins
from workspace.planner_statistics import refresh_statistics

HOUSEKEEPING_SECONDS = 3600
RUN_KINDS: tuple[RunKind, ...] = (
    *UPLOAD_KINDS,
    *REWARD_MODEL_KINDS,
    *POLICY_KINDS,
    *(COMPARE, FETCH, FREEZE, JUDGE, MAKE_BATCH, MEASURE, PUSH_DATASET, PUSH_REWARD_MODEL, PUSH_POLICY),
)


_next_housekeeping = 0.0


def housekeeping() -> None:
    """What grows with use is trimmed, about every hour: kept HTML, ended sessions, old logins, uploads and deliveries,
    tokens that no run took. Then the database looks at how large its tables have become.
    """
    global _next_housekeeping
    if time.monotonic() < _next_housekeeping:
        return
    _next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
    html_cache.trim()
    forget_old_logins()
    forget_abandoned_uploads()
    forget_old_tokens()
    forget_old_deliveries()
    refresh_statistics()


def tell_of_refusal(training: ChainedTraining) -> None:
    """A run that fails is an event by itself; this one has no run."""
    names = ("recipe", "name", "title", "error")
    data = {"training": training.pk} | {name: getattr(training, name) for name in names}
    record_event(training.project_id, "training.refused", data)


def periodic_tasks() -> bool:
    """Sweep lapsed leases, advance rounds, queue trainings whose start policy is made, start what is scheduled, measure
    what has grown, ask one more annotator where they disagree, prepare tasks that come again, tell of events, group
    prompts that wait, clear batches whose making was given up.

    True while something moved.
    """
    swept = sweep_expired_leases()
    moved = advance_rounds()
    chained = queue_due_trainings(tell_of_refusal)
    # After the rounds: one that has just ended makes room for what waits for it.
    fired = fire_due_schedules()
    queued = queue_due_measurements()
    asked = apply_one_more_rules()
    prepare_repeats()
    publish_events()
    deliver_in_background()
    grouped = group_waiting_prompts()
    clear_given_up()
    housekeeping()
    return bool(swept or moved or chained or fired or queued or asked or grouped)
