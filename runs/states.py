"""The states of a run and which one may follow which. Only transitions.py moves a run."""

from django.db import models
from django.utils.translation import gettext_lazy


class RunState(models.TextChoices):
    # Waits for a worker; after a failed attempt also for its back-off (run_after).
    QUEUED = "queued", gettext_lazy("Queued")
    RUNNING = "running", gettext_lazy("Running")  # a worker holds the lease and watches the command
    # Found something that a person decides on; waits for a manager, who has it go on or end.
    PAUSED = "paused", gettext_lazy("Paused")
    DONE = "done", gettext_lazy("Done")  # result saved; final
    FAILED = "failed", gettext_lazy("Failed")  # attempts used up; a manager may retry
    # The input or the configuration is wrong; never retried by itself.
    USER_ERROR = "user_error", gettext_lazy("Needs a change")
    CANCELLED = "cancelled", gettext_lazy("Cancelled")  # stopped because somebody asked; a manager may retry


FINISHED = frozenset({RunState.DONE, RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED})
ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING})  # a worker has something to do
UNFINISHED = ACTIVE | {RunState.PAUSED}

ALLOWED_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    # running -> running: another worker takes over after the lease ran out.
    # running -> queued: handed back by a worker that leaves, or waiting for the next attempt.
    RunState.RUNNING: frozenset(
        {
            RunState.RUNNING,
            RunState.QUEUED,
            RunState.PAUSED,
            RunState.DONE,
            RunState.FAILED,
            RunState.USER_ERROR,
            RunState.CANCELLED,
        }
    ),
    RunState.PAUSED: frozenset({RunState.QUEUED, RunState.CANCELLED}),
    RunState.DONE: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.USER_ERROR: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
}
