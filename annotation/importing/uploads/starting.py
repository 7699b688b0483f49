"""A check or an import begins, at once for a small file, else as a run for the worker; and how one has ended."""

from django.db import transaction

from annotation.importing.uploads.actions import is_left, mark_at_work, record_outcome
from annotation.importing.uploads.execution import execute, is_small, outcome_of_import
from annotation.importing.uploads.run_kinds import CHECK, IMPORT
from annotation.models import Import, Upload
from runs.actions import queue_run
from workspace.models import User


def start(*, actor: User, upload: Upload, check_only: bool) -> Upload:
    """The upload, checked or imported already where it is small. Raises UploadRefused when it is at work."""
    if is_small(upload):
        upload = mark_at_work(upload)
        outcome = {"is_check": check_only, "sentence": "It broke off: try again.", "import": None}
        try:
            outcome = execute(actor=actor, upload=upload, check_only=check_only)
        finally:
            upload = record_outcome(upload, outcome)
        return upload
    with transaction.atomic():
        upload = mark_at_work(upload)
        upload.run = queue_run(
            actor=actor,
            project=upload.project,
            kind=CHECK if check_only else IMPORT,
            title=f"{'Check' if check_only else 'Import'} {upload.title}",
            config={},
            parameters={"upload": upload.pk, "check_only": check_only},
        )
        upload.save(update_fields=["run"])
    return upload


def settle(upload: Upload) -> Upload:
    """Where a run ended without its result (cancelled at the last moment), the import that is in all the same."""
    if is_left(upload) and upload.run is not None:
        imported = upload.run.imports.filter(state=Import.State.DONE).first()
        if imported is not None:
            return record_outcome(upload, outcome_of_import(imported))
    return upload
