"""A run in the words of its page: badge, progress, times. No queries, no files."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext

from runs.execution import execution_of
from runs.models import Run
from runs.states import RunState

BADGES = {
    RunState.QUEUED: "",
    RunState.RUNNING: "running",
    RunState.PAUSED: "warn",
    RunState.DONE: "good",
    RunState.FAILED: "bad",
    RunState.USER_ERROR: "warn",
    RunState.CANCELLED: "muted",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the command says it is; zeros and empty where it has not said."""

    stage: str
    step: int
    steps_total: int
    percent: int | None  # None: it cannot be told
    eta: str
    notes: tuple[str, ...] = ()  # what the command left out or cut, in sentences


@dataclass(frozen=True, kw_only=True)
class RunDisplay:
    """One run as lists and pages show it."""

    run: Run
    badge: str
    state: str
    progress: Progress
    elapsed: str
    waits_for_retry: bool
    execution: str  # processes, device and engine that were asked for

    @property
    def can_cancel(self) -> bool:
        return not self.run.is_finished and not self.run.cancel_requested

    @property
    def can_resume(self) -> bool:
        return self.run.state == RunState.PAUSED

    @property
    def can_retry(self) -> bool:
        return self.run.state in (RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED)


def run_display(run: Run) -> RunDisplay:
    state = RunState(run.state)
    now = timezone.now()
    label = str(state.label)
    waits = state == RunState.QUEUED and run.run_after > now
    if state == RunState.RUNNING and run.cancel_requested:
        label = gettext("Stopping")
    elif waits:
        label = gettext("Waiting to try again")
    began, ended = run.started_at, run.finished_at or now
    return RunDisplay(
        run=run,
        badge=BADGES[state],
        state=label,
        progress=progress_of(run),
        elapsed=duration((ended - began).total_seconds()) if began else "",
        waits_for_retry=waits,
        execution=execution_of(run),
    )


def progress_of(run: Run) -> Progress:
    status = run.progress
    step, total = int(status.get("step") or 0), int(status.get("steps_total") or 0)
    if run.state == RunState.DONE:
        step = max(step, total)  # the last that the worker read may have been earlier
    running = run.state == RunState.RUNNING
    eta = status.get("eta_seconds")
    if run.state == RunState.DONE:
        percent: int | None = 100
    else:
        percent = min(100, 100 * step // total) if total else None
    return Progress(
        stage=str(status.get("stage") or "").replace("_", " "),
        step=step,
        steps_total=total,
        percent=percent,
        eta=gettext("about %(eta)s left") % {"eta": duration(float(eta))} if running and eta else "",
        # What an alarm says stands on the page already while the run is paused by it.
        notes=tuple(str(note) for note in status.get("notes") or () if note != run.error),
    )


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return gettext("%(whole)s min %(whole2)s s") % {"whole": whole // 60, "whole2": f"{whole % 60:02d}"}
    if whole < 86_400:
        return gettext("%(whole)s h %(whole2)s min") % {
            "whole": whole // 3600,
            "whole2": f"{whole % 3600 // 60:02d}",
        }
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
