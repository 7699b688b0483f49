"""Files sent in pieces: begun, gone on with after a cut, given up, forgotten.

A piece says where it belongs; what stands in the row of the upload is what the server has, so that a browser that was
closed in the middle asks and goes on from there. A piece that was written and not recorded is written again.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext

from annotation.models import Upload
from annotation.text import clean_text, safe_excerpt
from runs.models import Run
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Project, User

MAX_PIECE_BYTES = 1_000_000
MEGABYTE = 1_000_000
MAX_FILES = 100  # of one import
# A file of this size is hashed within the request of its last piece; of larger ones their check or import does it.
MAX_HASHED_AT_ONCE = 64 * MEGABYTE
# What nobody touches for so long was given up.
KEEP_UPLOADS = timedelta(days=7)
# A request that checks or imports a small file and does not end was cut off.
REQUEST_PATIENCE = timedelta(minutes=5)


class UploadRefused(ActionError):
    code = "upload_refused"


class WrongOffset(ActionError):
    """The piece is not the next one; the server has `offset` bytes."""

    code = "wrong_offset"
    is_conflict = True

    def __init__(self, offset: int) -> None:
        super().__init__(f"The server has {offset:,} bytes of the file: send the piece that begins there.")
        self.offset = offset


def begin_upload(
    *,
    actor: User,
    project: Project,
    name: str,
    size: int,
    sha256: str = "",
    fingerprint: str = "",
    kind: str = "",
    part_of: Upload | None = None,
) -> Upload:
    """A place for the file's pieces; `kind`: of import, where it is known; `part_of`: an upload of the actor, of whose
    import it is one more file. Where the actor has begun the same file before (name, size and `fingerprint`), that
    upload, which goes on from what it has. Raises UploadRefused.
    """
    name = clean_text(Path(name.replace("\\", "/")).name, "The file's name")[:200]
    if size < 1:
        raise UploadRefused(gettext("%(name)s is empty: nothing to import.") % {"name": name}, code="empty")
    if size > settings.UPLOAD_MAX_MB * MEGABYTE:
        raise UploadRefused(
            gettext(
                "%(name)s has %(megabyte)s MB, and files of at most %(upload_max_mb)s MB are taken "
                "(ROUNDTABLE_UPLOAD_MAX_MB): compress it with gzip, divide it, or have an operator "
                "import it there."
            )
            % {
                "name": name,
                "megabyte": f"{size / MEGABYTE:,.0f}",
                "upload_max_mb": f"{settings.UPLOAD_MAX_MB:,}",
            },
            code="too_large",
        )
    if sha256 and (len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef")):
        raise UploadRefused(gettext("A sha256 has 64 characters, 0 to 9 and a to f."), code="bad_sha256")
    with transaction.atomic():
        # Two uploads begun at once do not both find the last of the room.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        begun = project.uploads.filter(
            owner=actor, state=Upload.State.RECEIVING, size_bytes=size, part_of=part_of
        )
        if fingerprint and (known := begun.filter(fingerprint=fingerprint, name=name).first()) is not None:
            return known
        if part_of is not None:
            _begin_part(part_of, name)
        require_room(project, size)
        upload = Upload.objects.create(
            project=project, owner=actor, name=name, size_bytes=size, sha256=sha256, part_of=part_of,
            fingerprint=fingerprint[:200], settings={"only": kind} if kind else {},
        )  # fmt: skip
        record_audit(
            actor=actor, action="upload.begin", project=project, target=upload, name=name, bytes=size
        )
    return upload


def _begin_part(first: Upload, name: str) -> None:
    """What a check of the files before said does not hold any more. Raises UploadRefused."""
    first = _locked(first)
    if first.hub:
        raise UploadRefused(
            gettext("%(name)s is a dataset of the hub: import the file by itself.") % {"name": first.name},
            code="is_hub",
        )
    if first.part_of_id is not None:
        raise UploadRefused(
            gettext("%(name)s is itself one of several files: add to the first.") % {"name": first.name},
            code="is_part",
        )
    if first.state not in (Upload.State.RECEIVING, Upload.State.COMPLETE) and not is_left(first):
        raise UploadRefused(
            gettext("%(name)s is %(lower)s.")
            % {"name": first.name, "lower": first.get_state_display().lower()},
            code="at_work",
        )
    there = [file.name for file in first.files()]
    if name in there:
        raise UploadRefused(
            gettext("%(name)s is one of these files already: rename one, or reports could not say which.")
            % {"name": name},
            code="file_twice",
        )
    if len(there) >= MAX_FILES:
        raise UploadRefused(
            gettext("An import has at most %(max_files)s files.") % {"max_files": MAX_FILES},
            code="too_many_files",
        )
    Upload.objects.filter(pk=first.pk).update(outcome={}, touched_at=timezone.now())


def require_room(project: Project, size: int) -> None:
    """Call it in a transaction that holds the project. Raises UploadRefused."""
    waiting = (
        project.uploads.exclude(state=Upload.State.IMPORTED).aggregate(sum=Sum("size_bytes"))["sum"] or 0
    )
    quota = settings.UPLOAD_QUOTA_MB * MEGABYTE
    if waiting + size > quota:
        raise UploadRefused(
            gettext(
                "The project's uploads may take %(upload_quota_mb)s MB together "
                "(ROUNDTABLE_UPLOAD_QUOTA_MB), and those that wait take %(megabyte)s MB: import or "
                "remove some first."
            )
            % {"upload_quota_mb": f"{settings.UPLOAD_QUOTA_MB:,}", "megabyte": f"{waiting / MEGABYTE:,.0f}"},
            code="quota",
        )
    require_disk(size)


def require_disk(needed: int) -> None:
    """Raises UploadRefused where the disk would have less than its floor left."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.DATA_DIR).free
    floor = settings.RUN_MIN_FREE_DISK_MB * MEGABYTE
    if free - needed < floor:
        raise UploadRefused(
            gettext(
                "The server's disk has %(megabyte)s MB free, of which %(run_min_free_disk_mb)s MB "
                "must stay: the file does not fit; ask an operator for room."
            )
            % {
                "megabyte": f"{free / MEGABYTE:,.0f}",
                "run_min_free_disk_mb": f"{settings.RUN_MIN_FREE_DISK_MB:,}",
            },
            code="disk_full",
        )


def receive_piece(*, actor: User, upload: Upload, offset: int, content: bytes) -> Upload:
    """Appends the piece that begins at `offset`. Raises WrongOffset when it is not the next one, UploadRefused when it
    does not fit.

    It is on the disk before the row says that the server has it. No audit row a piece.
    """
    if not content or len(content) > MAX_PIECE_BYTES:
        raise UploadRefused(
            gettext("A piece has 1 to %(max_piece_bytes)s bytes.")
            % {"max_piece_bytes": f"{MAX_PIECE_BYTES:,}"},
            code="bad_piece",
        )
    require_disk(len(content))
    try:
        upload.folder.mkdir(parents=True, exist_ok=True)
        with upload.path.open("ab") as file:
            # Two tabs that send the same file take turns.
            fcntl.flock(file, fcntl.LOCK_EX)
            upload.refresh_from_db()
            if upload.hub:
                raise UploadRefused(
                    gettext("%(name)s is fetched from the hub: no pieces of it are sent.")
                    % {"name": upload.name},
                    code="is_hub",
                )
            _believe_the_disk(upload)
            if upload.state != Upload.State.RECEIVING or offset != upload.received_bytes:
                raise WrongOffset(upload.received_bytes)
            if offset + len(content) > upload.size_bytes:
                raise UploadRefused(
                    gettext("The piece ends %(size_bytes)s bytes behind the end of the file.")
                    % {"size_bytes": f"{offset + len(content) - upload.size_bytes:,}"},
                    code="bad_piece",
                )
            file.truncate(offset)  # of a piece that was not recorded
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            received = offset + len(content)
            changes: dict[str, Any] = {"received_bytes": received, "touched_at": timezone.now()}
            if received == upload.size_bytes:
                changes |= _completed(upload)
            Upload.objects.filter(pk=upload.pk, state=Upload.State.RECEIVING).update(**changes)
    except OSError as error:
        raise UploadRefused(
            gettext("The piece could not be written (%(strerror)s): send it again later.")
            % {"strerror": error.strerror},
            code="not_written",
        ) from error
    upload.refresh_from_db()
    return upload


def _believe_the_disk(upload: Upload) -> None:
    """A disk or a backup may have lost what the row says is there: then it is sent again."""
    on_disk = upload.path.stat().st_size
    if on_disk < upload.received_bytes and upload.state == Upload.State.RECEIVING:
        Upload.objects.filter(pk=upload.pk).update(received_bytes=on_disk)
        upload.received_bytes = on_disk


def _completed(upload: Upload) -> Mapping[str, Any]:
    """Of a file whose last byte is here. Where it is not what its sender said, all of it is sent anew."""
    if upload.size_bytes > MAX_HASHED_AT_ONCE:
        return {"state": Upload.State.COMPLETE}
    found = hash_file(upload.path)
    if upload.sha256 and found != upload.sha256:
        upload.path.unlink()
        Upload.objects.filter(pk=upload.pk).update(received_bytes=0)
        raise UploadRefused(
            gettext("What arrived has another sha256 than the file that was announced: send it again."),
            code="other_sha256",
        )
    return {"state": Upload.State.COMPLETE, "sha256": found}


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@transaction.atomic
def remove_upload(*, actor: User, upload: Upload) -> None:
    """Gives the file up, and with the first of several all of them. Raises UploadRefused while it is being imported."""
    first = _locked(upload.part_of or upload)
    is_fetched = first.state == Upload.State.RECEIVING and first.run is not None and not first.run.is_finished
    if is_fetched or (first.state == Upload.State.AT_WORK and not is_left(first)):
        sentence = gettext("%(name)s is being fetched or imported: cancel that first.") % {"name": first.name}
        raise UploadRefused(sentence, code="at_work")
    record_audit(actor=actor, action="upload.remove", project=upload.project, target=upload, name=upload.name)
    if first.pk != upload.pk:
        Upload.objects.filter(pk=first.pk).update(outcome={}, touched_at=timezone.now())
    _delete(upload)


def _delete(upload: Upload) -> None:
    folders = [file.folder for file in upload.files()]
    upload.delete()
    transaction.on_commit(lambda: _remove(folders))


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def forget_abandoned_uploads() -> int:
    """Removes what nobody has touched for KEEP_UPLOADS and no run reads, and folders without a row; how many rows."""
    before = timezone.now() - KEEP_UPLOADS
    removed = 0
    left = Upload.objects.filter(touched_at__lt=before, part_of__isnull=True)
    for upload in left.exclude(parts__touched_at__gte=before).exclude(run__in=Run.objects.active()):
        _delete(upload)
        removed += 1
    root = settings.DATA_DIR / "uploads"
    if root.is_dir():
        known = {public_id.hex for public_id in Upload.objects.values_list("public_id", flat=True)}
        for folder in root.iterdir():
            if folder.name not in known and folder.stat().st_mtime < before.timestamp():
                shutil.rmtree(folder, ignore_errors=True)
    return removed


def in_the_owners_words(upload: Upload, sentence: str) -> str:
    """Sentences of readers name the file by its path on our disk; its owner knows it by another name."""
    for file in upload.files():
        path = str(file.path)
        for written in (path, safe_excerpt(path), safe_excerpt(path, 100)):
            sentence = sentence.replace(written, file.name)
    return sentence.replace(str(settings.DATA_DIR), "…")


def change_settings(*, actor: User, upload: Upload, values: Mapping[str, Any]) -> Upload:
    """How the file is to be read; what a check said under other settings does not hold any more."""
    with transaction.atomic():
        upload = _locked(upload)
        if is_left(upload):
            upload.state = Upload.State.COMPLETE
        if upload.state != Upload.State.COMPLETE:
            raise UploadRefused(
                gettext("%(name)s is %(lower)s.")
                % {"name": upload.name, "lower": upload.get_state_display().lower()},
                code="at_work",
            )
        upload.settings, upload.outcome, upload.touched_at = dict(values), {}, timezone.now()
        upload.save(update_fields=["settings", "outcome", "state", "touched_at"])
    return upload


@transaction.atomic
def mark_at_work(upload: Upload) -> Upload:
    """Raises UploadRefused where something is at work on it, or there is nothing to work on."""
    upload = _locked(upload)
    if is_left(upload):
        upload.state = Upload.State.COMPLETE
    if upload.state != Upload.State.COMPLETE:
        raise UploadRefused(
            gettext("%(name)s is %(lower)s.")
            % {"name": upload.name, "lower": upload.get_state_display().lower()},
            code="at_work",
        )
    if upload.part_of_id is not None:
        raise UploadRefused(
            gettext("%(name)s is one of several files: import the first of them.") % {"name": upload.name},
            code="is_part",
        )
    for file in upload.files():
        if file.state != Upload.State.COMPLETE:
            raise UploadRefused(
                gettext("%(name)s is not whole yet (%(percent)s %%): send the rest of it, or remove it.")
                % {"name": file.name, "percent": file.percent},
                code="not_whole",
            )
    upload.state, upload.run, upload.touched_at = Upload.State.AT_WORK, None, timezone.now()
    upload.save(update_fields=["state", "run", "touched_at"])
    return upload


def waiting_uploads(*, owner: User, project: Project) -> QuerySet[Upload]:
    """Their own that are not imported, of several files of one import the first; the newest first."""
    own = project.uploads.filter(owner=owner, part_of__isnull=True)
    return own.exclude(state=Upload.State.IMPORTED).prefetch_related("parts").order_by("-pk")


def is_left(upload: Upload) -> bool:
    """Whether nobody works on it any more: its run ended without a result, or its request did not end."""
    if upload.state != Upload.State.AT_WORK:
        return False
    if upload.run is not None:
        return upload.run.is_finished
    return timezone.now() - upload.touched_at > REQUEST_PATIENCE


def record_outcome(upload: Upload, outcome: Mapping[str, Any]) -> Upload:
    """What a check or an import came to. The file of an import that is in goes. Called twice it changes nothing."""
    with transaction.atomic():
        upload = _locked(upload)
        if upload.state == Upload.State.IMPORTED:
            return upload
        imported = upload.project.imports.filter(pk=outcome.get("import") or 0).first()
        upload.outcome, upload.imported = dict(outcome), imported
        upload.state = Upload.State.IMPORTED if imported else Upload.State.COMPLETE
        upload.sha256 = outcome.get("sha256") or upload.sha256
        upload.touched_at = timezone.now()
        upload.save(update_fields=["outcome", "imported", "state", "sha256", "touched_at"])
        if imported:
            folders = [file.folder for file in upload.files()]
            upload.parts.update(state=Upload.State.IMPORTED, imported=imported)
            transaction.on_commit(lambda: _remove(folders))
    return upload


def _locked(upload: Upload) -> Upload:
    return (
        Upload.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "run")
        .get(pk=upload.pk)
    )
