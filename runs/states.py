"""The states of a run and the only function that moves a run from one to another.

`Run.state` is written here and nowhere else. Each move is a conditional UPDATE (state, and the fence where
the mover is a worker), so that of two movers exactly one succeeds and the other learns of it by the answer
False.
"""

from typing import TYPE_CHECKING, Any

from django.db import models

from runs.errors import IllegalTransition

if TYPE_CHECKING:
    from runs.models import Run


class RunState(models.TextChoices):
    QUEUED = (
        "queued",
        "Queued",
    )  # waits for a worker; after a failed attempt also for its back-off (run_after)
    RUNNING = "running", "Running"  # a worker holds the lease and watches the command
    DONE = "done", "Done"  # result adopted; final
    FAILED = "failed", "Failed"  # attempts used up; a manager may retry
    USER_ERROR = (
        "user_error",
        "Needs a change",
    )  # the input or the configuration is wrong; never retried by itself
    CANCELLED = "cancelled", "Cancelled"  # stopped because somebody asked; a manager may retry


FINISHED = frozenset({RunState.DONE, RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED})
ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING})

LEGAL: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    # running -> running: another worker takes over after the lease ran out.
    # running -> queued: handed back by a worker that leaves, or waiting for the next attempt.
    RunState.RUNNING: frozenset(
        {
            RunState.RUNNING,
            RunState.QUEUED,
            RunState.DONE,
            RunState.FAILED,
            RunState.USER_ERROR,
            RunState.CANCELLED,
        }
    ),
    RunState.DONE: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.USER_ERROR: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
}


def move_run(runs: "models.QuerySet[Run]", run: "Run", to: RunState, **fields: Any) -> bool:
    """Move `run` from the state and fence it was read with to `to`, setting `fields` in the same UPDATE.

    `runs` is the queryset to look in (callers narrow it further, e.g. to an expired lease). True: this
    caller moved it. False: it was moved by somebody else meanwhile, and nothing was written. Raises
    IllegalTransition for a step that does not exist, whatever the database holds.
    """
    was = RunState(run.state)
    if to not in LEGAL[was]:
        raise IllegalTransition(f"A run that is {was.label.lower()} cannot become {to.label.lower()}.")
    return runs.filter(pk=run.pk, state=was, fence=run.fence).update(state=to, **fields) == 1
