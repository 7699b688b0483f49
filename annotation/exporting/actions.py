"""An export: a folder of data files, a manifest and a dataset card that `datasets.load_dataset(folder)`
reads.

A pure function of a dataset's files and the options: no clock, no database content, no random number goes
in, so that the same dataset gives the same bytes. The folder appears complete, by one rename, or not at all.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotation.content.splits import SPLITS
from annotation.datasets.actions import discard_dataset, freeze_dataset
from annotation.datasets.files import (
    MANIFEST,
    SCHEMA_VERSION,
    dataset_comparisons,
    dataset_judgments,
    dataset_manifest,
)
from annotation.datasets.shards import FILE_KINDS, ShardWriter, describe_file, manifest_text, write_and_sync
from annotation.exporting.dataset_card import dataset_card, dataset_info_yaml, split_of_file
from annotation.exporting.formats.base import MARGINS, TIES, ExportFormat, ExportOptions
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.models import PreferenceDataset
from annotation.text import safe_excerpt
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Project, User


class ExportRefused(ActionError):
    """Nothing was written; one sentence says why."""

    code = "export_refused"


def export_preferences(
    *,
    actor: User,
    dataset: PreferenceDataset,
    out: Path,
    format: str = "records",
    split: str | None = None,
    ties: str = "drop",
    plain: bool = False,
    margin: str = "small",
    consensus: bool = False,
    files: str = "parquet",
) -> dict[str, Any]:
    """Write the folder `out` and return its manifest. Raises ExportRefused."""
    for what, value, known in (
        ("format", format, tuple(EXPORT_FORMATS)),
        ("split", split, (None, *SPLITS)),
        ("tie policy", ties, TIES),
        ("margin", margin, tuple(MARGINS)),
        ("kind of file", files, FILE_KINDS),
    ):
        if value not in known:
            names = ", ".join(name for name in known if name)
            raise ExportRefused(f"There is no {what} “{value}”: use {names}.", code="unknown_option")
    require_free_folder(out)
    source = dataset_manifest(dataset)
    export_format = EXPORT_FORMATS[format]
    if export_format.requires_single_criterion and len(source["criteria"]) > 1:
        raise ExportRefused(
            f"The format {format} has no column for the criterion, and there are several: name one with --criterion "
            f"({', '.join(source['criteria'])}).",
            code="which_criterion",
        )
    options = ExportOptions(files=files, ties=ties, plain=plain, margin=margin)  # type: ignore[arg-type]
    try:
        partial = _nearest_existing_parent(out) / f".{out.name}.{os.getpid()}.partial"
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        described, counted, features = _write_data(partial, dataset, export_format, options, split, consensus)
        if not described:
            raise ExportRefused(
                f"No row of the dataset “{dataset.name}” is in this selection.", code="no_rows"
            )
        manifest = _manifest(dataset, source, format, options, split, consensus, described, counted)
        write_and_sync(partial / MANIFEST, manifest_text(manifest))
        write_and_sync(partial / "README.md", dataset_card(manifest, export_format, features))
        if out.is_dir():
            out.rmdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    record_audit(
        actor=actor, action="preferences.export", project=dataset.project, target=dataset, format=format,
        rows=sum(file["rows"] for file in described),
    )  # fmt: skip
    return manifest


def export_selection(
    *, actor: User, project: Project, selection: Mapping[str, Any], out: Path, **options: Any
) -> dict[str, Any]:
    """Freeze what is selected (see freeze_dataset) and export it, or an earlier dataset of the same
    content. A refused export leaves no new dataset behind.
    """
    require_free_folder(out)
    before = set(project.preference_datasets.values_list("pk", flat=True))
    dataset = freeze_dataset(actor=actor, project=project, reuse=True, **selection)
    try:
        return export_preferences(actor=actor, dataset=dataset, out=out, **options)
    except ExportRefused:
        if dataset.pk not in before:
            discard_dataset(actor=actor, dataset=dataset)
        raise


def require_free_folder(out: Path) -> None:
    """An export never writes over anything: `out` must not be there, or be an empty folder."""
    try:
        if out.is_dir() and not any(out.iterdir()):
            return
        taken = out.exists()
    except OSError as error:
        raise _cannot_write(out, error) from error
    if taken:
        raise ExportRefused(
            f"{safe_excerpt(str(out))} is there already: name a new folder.", code="out_taken"
        )


def _cannot_write(out: Path, error: OSError) -> ExportRefused:
    return ExportRefused(
        f"{safe_excerpt(str(out))} cannot be written: {error.strerror or error}.", code="cannot_write"
    )


def _nearest_existing_parent(out: Path) -> Path:
    """The first folder above `out` that is there: what is written before the end is written in it, so that a
    refused export leaves no folder behind.
    """
    return next(parent for parent in out.absolute().parents if parent.exists())


def _write_data(
    folder: Path,
    dataset: PreferenceDataset,
    export_format: ExportFormat,
    options: ExportOptions,
    split: str | None,
    consensus: bool,
) -> tuple[list[dict[str, Any]], Counter[str], str]:
    """What was written, what was counted, and the columns for the card."""
    schema = export_format.schema(options)
    shards = {name: ShardWriter(folder / "data", name, schema, options.files) for name in SPLITS}
    counted: Counter[str] = Counter()
    marks: set[str] = set()
    splits = None if split is None else (split,)
    if export_format.of_judgments:
        for judgment in dataset_judgments(dataset, splits=splits):
            marks.update(name for response in judgment["responses"] for name in response["marks"])
            for row in export_format.rows(judgment, options, counted):
                shards[judgment["split"]].add(row)
    else:
        for comparison in dataset_comparisons(dataset, consensus=consensus, splits=splits):
            counted["groups"] += 1
            for row in export_format.rows(comparison, options, counted):
                shards[comparison["split"]].add(row)
    described = [describe_file(path, rows, folder) for name in SPLITS for path, rows in shards[name].close()]
    return described, counted, dataset_info_yaml(schema, marks)


def _manifest(
    dataset: PreferenceDataset,
    source: Mapping[str, Any],
    format: str,
    options: ExportOptions,
    split: str | None,
    consensus: bool,
    files: list[dict[str, Any]],
    counted: Counter[str],
) -> dict[str, Any]:
    rows = {name: sum(file["rows"] for file in files if split_of_file(file) == name) for name in SPLITS}
    return {
        "schema_version": SCHEMA_VERSION,
        "format": format,
        "project": source["project"],
        "criteria": source["criteria"],
        "dataset": dataset.name,
        "dataset_content_sha256": source["content_sha256"],
        "time": source["created_at"],
        "filters": source["filters"] | {"split": split},
        "merging": "consensus" if consensus and format != "judgments" else "raw",
        "tie_policy": options.ties,
        "margin": options.margin,
        "plain": options.plain,
        "rounds": source["rounds"],
        "guideline_versions": source["guideline_versions"],
        "judgments_by_annotator_kind": source["judgments_by_annotator_kind"],
        "split_rule": source["split_rule"],
        "split_salt_id": source["split_salt_id"],
        "counts": {"rows": sum(rows.values())}
        | {name: rows[name] for name in SPLITS if rows[name]}
        | counted,
        "files": files,
    }
