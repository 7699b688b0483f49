"""A dataset to a repository of the Hugging Face Hub: the folder that an export writes, as one commit."""

from pathlib import Path
from typing import Any

from annotation.exporting.actions import export_preferences, prepare_export
from annotation.exporting.data_files import require_rows
from annotation.models import PreferenceDataset
from learning.interface.options import UserError
from runs.hub.files import files_of_folder
from runs.hub.pushes import Push, push_kind, queue_push
from runs.models import Run
from workspace.models import User

PUSH = push_kind("push_dataset", "Push of a dataset", "annotation.exporting.push")
# What an earlier push left there and this one has not is of another snapshot.
REPLACES = ("data/*", "pictures/*")


def push_dataset(
    *,
    actor: User,
    dataset: PreferenceDataset,
    repository: str,
    public: bool = False,
    token: str = "",
    dry_run: bool = False,
    format: str = "records",
    **options: Any,
) -> Run:
    """Queue the push of an export (the options of export_preferences). Raises ActionError, ExportRefused."""
    export, source = prepare_export(dataset, format, **options)
    require_rows(export, may_hold_calls=source.get("has_turns", False))
    return queue_push(
        actor=actor,
        project=dataset.project,
        kind=PUSH,
        what=f"{dataset.label} as {export.format.name}",
        repository=repository,
        public=public,
        token=token,
        dry_run=dry_run,
        parameters={"dataset": dataset.pk, "options": {"format": format} | options},
    )


def prepare_push(run: Run, folder: Path) -> Push:
    dataset = run.project.preference_datasets.filter(pk=run.parameters["dataset"]).first()
    if dataset is None:
        raise UserError("The dataset is not there any more.")
    return dataset_push(run.requested_by, dataset, folder, run.parameters["options"])


def dataset_push(actor: User, dataset: PreferenceDataset, folder: Path, options: dict[str, Any]) -> Push:
    manifest = export_preferences(actor=actor, dataset=dataset, out=folder, **options)
    return Push(
        files=files_of_folder(folder),
        repository_type="dataset",
        message=f"{dataset.label} as {manifest['format']}: {manifest['counts']['rows']} rows",
        replaces=REPLACES,
    )
