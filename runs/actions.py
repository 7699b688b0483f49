"""What people and schedules do to runs: queue, cancel, retry, clone. What workers do to them is in leases.py."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from learning.interface.options import UserError, load_options
from learning.interface.run_directory import RunDirectory
from runs.artifacts import Digest, hash_path, relative_to_data_dir
from runs.errors import BadArtifact, BadRunConfig, IllegalTransition, RunChanged
from runs.models import Artifact, Run
from runs.paths import with_relative_paths
from runs.run_files import best_checkpoint
from runs.run_kinds import RunKind
from runs.states import FINISHED, RunState
from runs.time_limits import MAX_MINUTES
from runs.transitions import transition_run
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.shown_values import Shown, require_shown, values_of

LIMITS = ("time_limit_minutes",)
Options = TypeVar("Options")


def default_threads() -> int:
    """Threads of a process when nobody says: the setting, or the cores this process may use."""
    if settings.RUN_THREADS:
        return settings.RUN_THREADS
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@transaction.atomic
def queue_run(
    *,
    actor: User,
    project: Project,
    kind: RunKind,
    title: str,
    config: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    processes: int | None = None,
    threads: int | None = None,
) -> Run:
    """A run that waits for a worker. Its directory appears when a worker prepares it.

    Raises BadRunConfig when the command would refuse the configuration, or the number of processes with it: better now
    than after an hour in the queue.
    """
    processes = processes or kind.resources.processes
    if kind.options is not None:
        _require_processes(load_run_options(kind.options, config), processes)
    run = Run.objects.create(
        project=project,
        kind=kind.name,
        kind_label=kind.label[:80],
        title=title[:200],
        config=with_relative_paths(config),
        parameters=dict(parameters or {}),
        processes=processes,
        threads=threads or kind.resources.threads or default_threads(),
        max_attempts=kind.max_attempts,
        requested_by=actor,
    )
    record_audit(
        actor=actor, action="run.queue", project=project, target=run, kind=kind.name, title=run.title
    )
    return run


def load_run_options(cls: type[Options], config: Mapping[str, Any], where: str = "config") -> Options:
    """As `load_options`, for actions. Raises BadRunConfig."""
    try:
        return load_options(cls, config, where)
    except UserError as error:
        raise BadRunConfig(str(error)) from error


def _require_processes(options: Any, processes: int) -> None:
    """`options`: of a command, which all have a `runtime`. Raises BadRunConfig."""
    try:
        options.runtime.require_processes(processes)
    except ValueError as error:
        raise BadRunConfig(gettext("config.runtime: %(error)s") % {"error": error}) from error


@transaction.atomic
def cancel_run(*, actor: User, run: Run) -> Run:
    """Stop a run. One that waits is cancelled at once; one that runs is asked, and its worker ends it.

    A result that was not saved when the cancel arrived is never saved. Asking twice changes nothing.
    """
    run = Run.objects.select_for_update(no_key=True).select_related("project").get(pk=run.pk)
    if run.state == RunState.RUNNING:
        if run.cancel_requested:
            return run
        updated = Run.objects.running().filter(pk=run.pk, fence=run.fence).update(cancel_requested=True)
        if not updated:
            raise RunChanged(gettext("The run has just changed its state: look again."))
    elif not transition_run(
        Run.objects.all(), run, RunState.CANCELLED, cancel_requested=True, finished_at=Now(), error=""
    ):
        raise RunChanged(gettext("The run has just changed its state: look again."))
    record_audit(actor=actor, action="run.cancel", project=run.project, target=run)
    run.refresh_from_db()
    return run


@transaction.atomic
def limit_run(*, actor: User, run: Run, minutes: int | None, shown: Shown = None) -> Run:
    """How long each start of it may take, from now on also the one that goes on; None: the site's own limit. A run made
    again from it takes it over. Raises ChangedMeanwhile, and ActionError for a number that cannot be.
    """
    if minutes is not None and not 1 <= minutes <= MAX_MINUTES:
        sentence = f"A time limit is 1 to {MAX_MINUTES:,} minutes."
        raise ActionError(sentence, code="bad_time_limit", fields={"time_limit_minutes": sentence})
    locked = Run.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=run.pk)
    require_shown(shown, values_of(locked, LIMITS))
    if locked.time_limit_minutes != minutes:
        before, locked.time_limit_minutes = locked.time_limit_minutes, minutes
        locked.save(update_fields=["time_limit_minutes"])
        record_audit(
            actor=actor, action="run.limit", project=locked.project, target=locked, before=before, now=minutes
        )
    return locked


@transaction.atomic
def retry_run(*, actor: User, run: Run) -> Run:
    """Queue a failed, refused or cancelled run again: same directory, last checkpoint, fresh attempts."""
    run = Run.objects.select_for_update(no_key=True).select_related("project").get(pk=run.pk)
    if run.state not in FINISHED:
        raise IllegalTransition(
            gettext("The run is %(lower)s: there is nothing to retry.")
            % {"lower": run.get_state_display().lower()}
        )
    changed = transition_run(
        Run.objects.all(),
        run,
        RunState.QUEUED,
        attempt=0,
        run_after=Now(),
        finished_at=None,
        cancel_requested=False,
        error="",
    )
    if not changed:
        raise RunChanged(gettext("The run has just changed its state: look again."))
    record_audit(actor=actor, action="run.retry", project=run.project, target=run)
    run.refresh_from_db()
    return run


@transaction.atomic
def resume_run(*, actor: User, run: Run, end: bool = False) -> Run:
    """Have a paused run go on from where it paused; with `end`, end with its best checkpoint from before the pause.

    Raises IllegalTransition for a run that is not paused, ActionError where it is to end and has no such checkpoint.
    """
    run = Run.objects.select_for_update(no_key=True).select_related("project").get(pk=run.pk)
    if run.state != RunState.PAUSED:
        raise IllegalTransition(
            gettext("The run is %(lower)s, not paused.") % {"lower": run.get_state_display().lower()}
        )
    if end and best_checkpoint(run.path) is None:
        raise ActionError(
            gettext(
                "The run kept no checkpoint from before the alarm, so it cannot end with one; have it go on, or "
                "cancel it."
            ),
            code="no_best_checkpoint",
        )
    try:
        # Before the state: whoever claims the run must find it, and nothing works in the folder of a paused run.
        RunDirectory(run.path).ask_to_end(end)
    except OSError as error:
        raise ActionError(
            gettext("The run's folder cannot be written: %(strerror)s.") % {"strerror": error.strerror},
            code="no_folder",
        ) from error
    changed = transition_run(
        Run.objects.all(), run, RunState.QUEUED, attempt=0, run_after=Now(), cancel_requested=False, error=""
    )
    if not changed:
        raise RunChanged(gettext("The run has just changed its state: look again."))
    record_audit(actor=actor, action="run.resume", project=run.project, target=run, end=end)
    run.refresh_from_db()
    return run


@transaction.atomic
def clone_run(
    *,
    actor: User,
    run: Run,
    title: str | None = None,
    config: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Run:
    """The same work from the start in a new directory: for another machine or another configuration."""
    clone = Run.objects.create(
        project=run.project,
        kind=run.kind,
        kind_label=run.kind_label,
        title=(title or f"{run.title} (again)")[:200],
        config=run.config if config is None else with_relative_paths(config),
        parameters=run.parameters if parameters is None else dict(parameters),
        processes=run.processes,
        threads=run.threads,
        time_limit_minutes=run.time_limit_minutes,
        max_attempts=run.max_attempts,
        requested_by=actor,
        cloned_from=run,
    )
    record_audit(actor=actor, action="run.clone", project=run.project, target=clone, cloned_from=run.pk)
    return clone


def register_artifact(
    *, actor: User, project: Project, kind: str, path: Path, digest: Digest | None = None
) -> Artifact:
    """A folder or file that no run of ours made. Recorded once a path; a changed content is refused, not
    overwritten. Give the `digest` where the call is part of a larger transaction.
    """
    digest = digest or hash_path(path)  # before the transaction: reading a large model takes a while
    with transaction.atomic():
        artifact, created = Artifact.objects.get_or_create(
            project=project,
            kind=kind,
            path=relative_to_data_dir(path),
            defaults={"sha256": digest.sha256, "size_bytes": digest.size_bytes},
        )
        if artifact.sha256 != digest.sha256:
            raise BadArtifact(
                gettext(
                    "%(path)s was recorded before with another content: copy the new one to a new folder."
                )
                % {"path": path}
            )
        if created:
            record_audit(
                actor=actor,
                action="artifact.register",
                project=project,
                target=artifact,
                kind=kind,
                path=artifact.path,
            )
    return artifact
