"""What every stage uses: the round's lock, the transition to another stage, the runs of a stage."""

from collections.abc import Sequence
from typing import Any

from annotation.batches.actions import close_batch
from annotation.models import Batch
from policy_training.models import Policy
from rounds.errors import RoundRefused
from rounds.models import Round, RoundRun, Stage, StageEntry
from runs.models import Run
from runs.states import RunState
from workspace.actions import record_audit
from workspace.models import User

UNSUCCESSFUL_STATES = (RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED)


def lock_round(pk: int) -> Round:
    return (
        Round.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "started_by", "start_policy", "criterion", "prompt_set")
        .get(pk=pk)
    )


def enter_stage(
    round_: Round,
    stage: str,
    reason: str,
    *,
    actor: User | None = None,
    action: str = "round.enter",
    **fields: Any,
) -> None:
    """Move the locked round to a stage; the only place that writes `stage`. Without an actor the program acts in the
    name of whoever started the round.

    A round that is over hands out no more tasks: its batches are closed, those kept for single people and those of
    head-to-head pairs too. What people have on their screens still comes in.
    """
    if stage in (Stage.DONE, Stage.CANCELLED):
        for batch in Batch.objects.filter(project=round_.project, round_number=round_.number):
            close_batch(actor=actor or round_.started_by, batch=batch)
    round_.stage = stage
    for name, value in fields.items():
        setattr(round_, name, value)
    round_.save(update_fields=["stage", *fields])
    StageEntry.objects.create(round=round_, stage=stage, reason=reason[:300])
    record_audit(
        actor=actor or round_.started_by,
        action=action,
        project=round_.project,
        target=round_,
        stage=stage,
        reason=reason,
    )


def fail_round(round_: Round, message: str) -> None:
    if round_.stage in (Stage.DONE, Stage.FAILED, Stage.CANCELLED):
        return
    enter_stage(round_, Stage.FAILED, message, failed_stage=round_.stage, error=message)


def stage_runs(round_: Round, stage: str | None = None) -> list[Run]:
    """The round's runs (of one stage), each unsuccessful run replaced by its latest clone."""
    links = round_.round_runs.select_related("run").order_by("pk")
    return [_latest_clone(link.run) for link in (links.filter(stage=stage) if stage else links)]


def _latest_clone(run: Run) -> Run:
    while run.state in UNSUCCESSFUL_STATES:
        clone = Run.objects.filter(cloned_from=run).order_by("-pk").first()
        if clone is None:
            break
        run = clone
    return run


def require_none_unsuccessful(runs: Sequence[Run]) -> None:
    """Raises RoundRefused, naming the run, if one failed or was cancelled."""
    for run in runs:
        if run.state in UNSUCCESSFUL_STATES:
            why = f": {run.error}" if run.error else "."
            raise RoundRefused(
                f"“{run.title}” ended as {run.get_state_display().lower()}{why}", code="run_ended_badly"
            )


def all_done(runs: Sequence[Run]) -> bool:
    return bool(runs) and all(run.state == RunState.DONE for run in runs)


def attach_run(
    round_: Round,
    run: Run,
    policy: Policy | None = None,
    purpose: str = RoundRun.Purpose.STAGE,
    step: int = 0,
) -> None:
    RoundRun.objects.create(
        round=round_, run=run, stage=round_.stage, policy=policy, purpose=purpose, step=step
    )
