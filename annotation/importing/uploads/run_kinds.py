"""Uploads as runs: checked whole, or imported, by the worker."""

from collections.abc import Mapping
from typing import Any

from annotation.importing.uploads.actions import record_outcome
from annotation.models import Upload
from runs.models import Run
from runs.run_kinds import Resources, RunKind
from runs.site_environment import SITE_ENVIRONMENT

COMMAND = "annotation.importing.uploads.process"


def _no_inputs(run: Run) -> Mapping[str, Any]:
    """The file is read where it lies: it may be larger than the room for a second one."""
    return {}


def _save_result(run: Run, result: Mapping[str, Any]) -> None:
    """The rows are in already, in transactions of their own; the upload's page learns of them."""
    upload = Upload.objects.filter(pk=run.parameters["upload"], project=run.project).first()
    if upload is not None:
        record_outcome(upload, result)


def _kind(name: str, label: str) -> RunKind:
    return RunKind(
        name=name,
        label=label,
        command=COMMAND,
        build_inputs=_no_inputs,
        save_result=_save_result,
        resources=Resources(threads=1),
        environment=SITE_ENVIRONMENT,
    )


CHECK = _kind("check_file", "Check of a file")
IMPORT = _kind("import_file", "Import of a file")
RUN_KINDS = (CHECK, IMPORT)
