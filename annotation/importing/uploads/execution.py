"""An upload checked whole, or imported: in the worker's process, or in the request where the file is small."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from annotation.importing.actions import clear_unfinished
from annotation.importing.report import ImportReport
from annotation.importing.uploads.actions import UploadRefused, hash_file, in_the_owners_words
from annotation.importing.uploads.preview import source_of
from annotation.importing.uploads.settings import ImportSettings, import_source
from annotation.importing.watching import OnlyChecked, Watch, watched_by
from annotation.models import Batch, Import, Upload
from learning.interface.options import UserError
from runs.models import Run
from workspace.errors import ActionError
from workspace.models import User

# A file of this size is checked in a second or two: it waits for no worker. Packed forms hold many times their size.
SMALL_BYTES = 250_000
SMALL_PACKED_BYTES = 25_000


def is_small(upload: Upload) -> bool:
    """Whether all files of the import together are."""

    def share(file: Upload) -> float:
        packed = bool(file.hub) or file.path.name.endswith((".gz", ".parquet", ".arrow"))
        return file.size_bytes / max(SMALL_PACKED_BYTES if packed else SMALL_BYTES, 1)

    return sum(map(share, upload.files())) <= 1


def execute(
    *,
    actor: User,
    upload: Upload,
    check_only: bool,
    run: Run | None = None,
    say: Callable[[str, int, int | None], None] = lambda stage, done, total: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """What became of it, as the upload's page says it; a file that is refused has a `sentence` and stores nothing.

    Of a run that is started again after its import was in, that import. Raises ImportStopped.
    """
    settings = ImportSettings.from_json(upload.settings)
    if run is not None and (done := run.imports.filter(state=Import.State.DONE).first()) is not None:
        return outcome_of_import(done)
    batch: Batch | None = None
    report: ImportReport | None = None
    outcome: dict[str, Any] = {"is_check": check_only, "sentence": "", "import": None}
    cleared = clear_unfinished(actor=actor, project=upload.project)
    watch = Watch(
        check_only=check_only,
        run=run,
        say=say,
        stop_requested=stop_requested,
        rows_expected=upload.outcome.get("rows"),
    )
    try:
        outcome["sha256"], *_ = [_require_sha256(file) for file in upload.files()]
        with watched_by(watch):
            batch, report = import_source(
                # A check says how many rows are bad, whatever becomes of them.
                replace(settings, skip_bad=True) if check_only else settings,
                actor=actor,
                project=upload.project,
                source=source_of(upload),
            )
    except OnlyChecked as checked:
        report = checked.report
    except (ActionError, UserError) as error:
        report = getattr(error, "report", None)
        outcome["sentence"] = in_the_owners_words(upload, str(error))
    if report is not None:
        report.write_bad_rows(upload.bad_rows_path)
        outcome |= {
            "rows": report.rows,
            "bad": report.bad,
            "bad_rows": report.lines(),
            "counts": report.counts,
            "notes": cleared + report.notes,
            "import": report.import_id,
        }
    if batch is not None:
        outcome["batch"] = batch.pk
    return outcome


def outcome_of_import(imported: Import) -> dict[str, Any]:
    return {
        "is_check": False, "sentence": "", "import": imported.pk, "rows": imported.rows, "bad": imported.bad_rows,
        "counts": imported.counts, "notes": imported.notes, "bad_rows": [],
    }  # fmt: skip


def _require_sha256(upload: Upload) -> str:
    """The file's; small files were compared when their last piece came. Raises UploadRefused."""
    if upload.hub and upload.path.is_dir():
        return ""  # its files are hashed by the import
    if not upload.path.is_file():
        raise UploadRefused(f"The file {upload.name} is not there any more: upload it again.", code="gone")
    found = hash_file(upload.path)
    if upload.sha256 and found != upload.sha256:
        raise UploadRefused(
            f"{upload.name} has another sha256 than was announced: upload it again.", code="other_sha256"
        )
    return found
