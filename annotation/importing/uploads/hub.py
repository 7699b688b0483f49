"""A dataset of the Hugging Face Hub as an upload: a worker fetches it, then it is looked at and imported as a file is.

Only what an operator's setting names (ROUNDTABLE_HUB_DATASETS); whoever has a shell imports what they like, by the
import commands. A token is handed over for one start, and kept nowhere.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.importing.uploads.actions import MEGABYTE, UploadRefused, require_disk, require_room
from annotation.models import Upload
from annotation.text import safe_excerpt
from learning.interface.exit_codes import EXIT_USER_ERROR
from learning.interface.options import UserError
from runs.actions import queue_run
from runs.hub.tokens import clean_token, drop_token, hand_over, take_token
from runs.models import Run
from runs.run_kinds import Resources, RunKind
from runs.site_command import SiteRun, Stopped
from runs.site_environment import SITE_ENVIRONMENT
from workspace.actions import record_audit
from workspace.models import Project, User

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_WORD = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
MAX_SPLITS = 20
LOOK_SECONDS = 0.2
ROOT = Path(__file__).resolve().parents[3]

FETCH = RunKind(
    name="fetch_dataset",
    label="Fetching of a dataset",
    command="annotation.importing.uploads.fetch",
    build_inputs=lambda run: {},
    # The upload is ready already, in a transaction of its own.
    save_result=lambda run, result: None,
    resources=Resources(threads=1),
    environment=(
        *SITE_ENVIRONMENT, "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY",
        "SSL_CERT_FILE", "SSL_CERT_DIR",
    ),
)  # fmt: skip


def require_allowed(dataset: str) -> None:
    """Raises UploadRefused for what is no id of the hub, and for a dataset that no operator named."""
    message = ""
    code = "bad_dataset"
    if not HUB_ID.fullmatch(dataset):
        message = f"{safe_excerpt(dataset)}: a dataset of the hub is written owner/name."
    elif not any(fnmatchcase(dataset, pattern) for pattern in settings.HUB_DATASETS):
        code = "not_allowed"
        message = (
            f"{dataset} is none of the hub's datasets that may be imported here: ask an operator, who names them in "
            "ROUNDTABLE_HUB_DATASETS."
        )
    if message:
        raise UploadRefused(message, code=code, fields={"dataset": message})


def fetch_from_hub(
    *,
    actor: User,
    project: Project,
    dataset: str,
    config: str = "",
    splits: Sequence[str] = (),
    revision: str = "",
    kind: str = "",
    token: str = "",
) -> Upload:
    """Queues the run that fetches it; the upload is complete when that is done. `splits`: none named, all. Raises
    UploadRefused, ActionError for what is no token.
    """
    dataset = dataset.strip()
    require_allowed(dataset)
    for field, word, form in (
        ("config", config, _WORD),
        ("revision", revision, _REVISION),
        *(("splits", split, _WORD) for split in splits),
    ):
        if word and not form.fullmatch(word):
            message = (
                f"{safe_excerpt(word)} is no name of a {'split' if field == 'splits' else field} of the hub."
            )
            raise UploadRefused(message, code="bad_dataset", fields={field: message})
    if len(splits) > MAX_SPLITS:
        message = f"At most {MAX_SPLITS} splits."
        raise UploadRefused(message, code="bad_dataset", fields={"splits": message})
    token = clean_token(token)
    run: Run | None = None
    try:
        with transaction.atomic():
            Project.objects.select_for_update(no_key=True).get(pk=project.pk)
            require_room(project, 1)
            asked = {"dataset": dataset, "config": config, "splits": list(splits), "revision": revision}
            upload = Upload.objects.create(
                project=project, owner=actor, name=dataset, size_bytes=1, settings={"only": kind} if kind else {},
                hub=asked,
            )  # fmt: skip
            upload.run = run = queue_run(
                actor=actor, project=project, kind=FETCH, title=f"Fetch {dataset}", config={},
                parameters={"upload": upload.pk, "with_token": bool(token)},
            )  # fmt: skip
            upload.save(update_fields=["run"])
            record_audit(actor=actor, action="upload.fetch", project=project, target=upload, **asked)
            if token:
                hand_over(run, token)
    except BaseException:
        if run is not None:
            with suppress(OSError):
                drop_token(run)
        raise
    return upload


def execute_fetch(site_run: SiteRun) -> dict[str, object]:
    """Into the upload's folder, as `datasets` saves it; begun again it begins anew. Raises UserError, Stopped."""
    run = site_run.run
    token = _token_of(run)
    upload = Upload.objects.select_related("project").filter(pk=run.parameters["upload"]).first()
    if upload is None:
        raise UserError("The upload is not there any more: fetch the dataset again.")
    if upload.state != Upload.State.RECEIVING:
        return {"upload": upload.pk, "bytes": upload.size_bytes}
    require_allowed(upload.name)
    shutil.rmtree(upload.folder, ignore_errors=True)
    inside = upload.folder / "fetching"
    inside.mkdir(parents=True)
    try:
        _run_library(site_run, upload, inside, token)
        size = _size_of(inside / upload.path.name)
        _refuse_large(upload, size)
        with transaction.atomic():
            Project.objects.select_for_update(no_key=True).get(pk=upload.project_id)
            require_room(upload.project, size)
            os.replace(inside / upload.path.name, upload.path)
            Upload.objects.filter(pk=upload.pk).update(
                state=Upload.State.COMPLETE,
                size_bytes=size,
                received_bytes=size,
                run=None,
                touched_at=timezone.now(),
            )
    except BaseException:
        shutil.rmtree(upload.folder, ignore_errors=True)
        raise
    shutil.rmtree(inside, ignore_errors=True)
    return {"upload": upload.pk, "bytes": size}


def _token_of(run: Run) -> str:
    if not run.parameters["with_token"]:
        return ""
    try:
        return take_token(run)
    except UserError as error:
        raise UserError(
            "The token that came with it is kept for one start and for an hour: fetch the dataset again and give it "
            "again."
        ) from error


def _refuse_large(upload: Upload, size: int) -> None:
    if size > settings.UPLOAD_MAX_MB * MEGABYTE:
        raise UserError(
            f"{upload.name} has {size / MEGABYTE:,.0f} MB or more, and {settings.UPLOAD_MAX_MB:,} MB at most are taken "
            "(ROUNDTABLE_UPLOAD_MAX_MB): fetch one of its splits or configurations, or have an operator import it."
        )


def _run_library(site_run: SiteRun, upload: Upload, inside: Path, token: str) -> None:
    """By a process of its own, in an empty folder: there the id of a dataset names no folder of this machine."""
    asked = upload.hub
    command = [sys.executable, "-m", "learning.hub_datasets", asked["dataset"], upload.path.name]
    for option in ("config", "revision"):
        if asked[option]:
            command.append(f"--{option}={asked[option]}")
    command += [f"--split={split}" for split in asked["splits"]]
    cache = inside / "cache"
    known = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDTABLE_")}
    environment = known | {
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **({"HF_TOKEN": token} if token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}),
    }
    said = inside / "said"
    with said.open("wb") as errors:
        child = subprocess.Popen(
            command, cwd=inside, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            while child.poll() is None:
                if site_run.stop_requested:
                    raise Stopped
                require_disk(0)
                _refuse_large(upload, _size_of(cache / "hub"))  # what it has downloaded
                site_run.say("fetching", _size_of(cache) // MEGABYTE, None)
                time.sleep(LOOK_SECONDS)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode:
        lines = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
        reason = (
            safe_excerpt(lines[-1])
            if lines and child.returncode == EXIT_USER_ERROR
            else "the library ended unexpectedly"
        )
        if token:
            reason = reason.replace(token, "…")
        raise UserError(f"{upload.name} could not be fetched from the hub: {reason}.")


def _size_of(folder: Path) -> int:
    """Bytes of its files; what goes away meanwhile is not counted."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except FileNotFoundError:
            continue
    return max(total, 1)
