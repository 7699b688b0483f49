"""Pushes to the Hugging Face Hub as runs: asked for on a page or by the API, carried out by the worker.

An upload may take hours: it is watched and cancelled like any other run. Each app says what of its own is sent.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from runs.actions import queue_run
from runs.hub.files import HubFile
from runs.hub.tokens import (
    clean_token,
    drop_token,
    hand_over,
    may_use_site_token,
    refusal_of_site_token,
    take_token,
)
from runs.hub.upload import REPOSITORY_NAME, Target, UploadStopped, Watcher, push_files
from runs.models import Run
from runs.run_kinds import Resources, RunKind
from runs.site_command import SiteRun, Stopped
from runs.site_environment import SITE_ENVIRONMENT
from workspace.errors import ActionError
from workspace.models import Project, User

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")
FOLDER = "to_send"  # of the run's: what is made to be sent
# Where the Hub is, and how it is reached; huggingface_hub and its HTTP library read them.
_NETWORK = (
    "HF_ENDPOINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


@dataclass(frozen=True, kw_only=True)
class Push:
    """What a run sends: its files, what kind of repository, and the commit's message."""

    files: Sequence[HubFile]
    repository_type: str
    message: str
    replaces: Sequence[str] = ()


def push_kind(name: str, label: str, command: str) -> RunKind:
    return RunKind(
        name=name,
        label=label,
        command=command,
        build_inputs=lambda run: {},
        save_result=lambda run, result: None,
        resources=Resources(threads=1),
        environment=(*SITE_ENVIRONMENT, *_NETWORK),
    )


def queue_push(
    *,
    actor: User,
    project: Project,
    kind: RunKind,
    what: str,
    repository: str,
    public: bool = False,
    token: str = "",
    dry_run: bool = False,
    parameters: Mapping[str, Any],
) -> Run:
    """A run that sends `what`, or with `dry_run` lists what it would send. Raises ActionError.

    Without a token the site's own (ROUNDTABLE_HUB_TOKEN of the worker) is used, for the repositories of
    ROUNDTABLE_HUB_REPOSITORIES; for others `token_needed`. The repository is made, private unless
    `public`; one that is there already is not made private or public by a push.
    """
    repository, token = clean_repository(repository), clean_token(token)
    site_token = not token and not dry_run
    if site_token and not may_use_site_token(repository):
        raise ActionError(refusal_of_site_token(repository), code="token_needed")
    run: Run | None = None
    try:
        with transaction.atomic():
            run = queue_run(
                actor=actor,
                project=project,
                kind=kind,
                title=f"List what a push of {what} would send" if dry_run else f"Push {what} to {repository}",
                config={},
                parameters={
                    **parameters,
                    "repository": repository,
                    "public": public,
                    "dry_run": dry_run,
                    "site_token": site_token,
                },
            )
            if token and not dry_run:
                hand_over(run, token)
    except BaseException:
        if run is not None:
            with suppress(OSError):
                drop_token(run)
        raise
    return run


def clean_repository(repository: str) -> str:
    repository = repository.strip().strip("/")
    if not REPOSITORY_NAME.fullmatch(repository) or ".." in repository or "--" in repository:
        raise ActionError(
            gettext("A repository is written as owner/name, in letters, digits, - _ and single dots."),
            code="bad_repository",
        )
    return repository


def push_of_run(site_run: SiteRun, prepare: Callable[[Run, Path], Push]) -> Mapping[str, Any]:
    """What the command of such a run does. `prepare` says what is sent: from where it lies, or made in the folder that
    it is given.
    """
    run = site_run.run
    asked = run.parameters
    # Before anything else: it lies there no longer than it must.
    token = "" if asked["dry_run"] else take_token(run)
    folder = run.path / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        site_run.say("preparing files", 0, None)
        push = prepare(run, folder)
        watcher = Watcher(say=site_run.say, stop_requested=lambda: site_run.stop_requested)
        return carry_out(push, asked, token=token, watcher=watcher)
    except UploadStopped as stopped:
        raise Stopped from stopped
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def carry_out(push: Push, asked: Mapping[str, Any], *, token: str, watcher: Watcher) -> dict[str, Any]:
    """What was sent, or would be. Raises UserError, UploadStopped."""
    listed = [{"name": file.name, "bytes": file.size} for file in push.files]
    found: dict[str, Any] = {"dry_run": asked["dry_run"], "public": asked["public"], "files": listed}
    if asked["dry_run"]:
        return found | {"repository": asked["repository"]}
    target = Target(
        repository=asked["repository"],
        repository_type=push.repository_type,
        public=asked["public"],
        replaces=push.replaces,
    )
    return found | push_files(push.files, target, token=token, message=push.message, watcher=watcher)


def pushes_of(project: Project, kind: RunKind, name: str, pk: int) -> QuerySet[Run]:
    """Earlier pushes of the dataset or model `pk`, which stands under `name` in their parameters; newest first."""
    found: QuerySet[Run] = project.runs.filter(kind=kind.name, **{f"parameters__{name}": pk})
    return found.order_by("-pk")
