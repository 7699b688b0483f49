"""An export: a folder of data files, a manifest and a dataset card that `datasets.load_dataset(folder)`
reads.

A pure function of a dataset's files and the options: no clock, no database content, no random number goes
in, so that the same dataset gives the same bytes. The folder appears complete, by one rename, or not at all.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db.models import Max

from annotation.content.splits import salt_id
from annotation.datasets.actions import discard_dataset, freeze_dataset
from annotation.datasets.files import (
    MANIFEST,
    SCHEMA_VERSION,
    dataset_comparisons,
    dataset_judgments,
    dataset_manifest,
)
from annotation.datasets.shards import FILE_KINDS, ShardWriter, describe_file, manifest_text, write_and_sync
from annotation.exporting.dataset_card import dataset_card, dataset_info_yaml, split_of_file, texts_card
from annotation.exporting.folders import finished_folder, require_free_folder
from annotation.exporting.formats.base import (
    UNWRITABLE,
    ExportFormat,
    ExportOptions,
    ExportRefused,
    require_known,
)
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.models import PreferenceDataset
from annotation.records import text_rows
from learning.interface.record_rows import iso_utc
from learning.interface.record_schemas import TEXTS
from learning.interface.vocabulary import SPLITS
from workspace.actions import record_audit
from workspace.models import Project, User

TEXT_SPLIT_RULE = "the file's own, else sha256 of the salt and the text, as prompts"


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
    require_known("format", format, EXPORT_FORMATS)
    if split is not None:
        require_known("split", split, SPLITS)
    require_free_folder(out)
    source = dataset_manifest(dataset)
    options = ExportOptions(
        files=files, ties=ties, plain=plain, margin=margin, with_turns=source.get("has_turns", False)
    )
    export_format = EXPORT_FORMATS[format]
    export_format.require_writable(source["criteria"])
    with finished_folder(out) as partial:
        data_files, counts, columns = _write_data(partial, dataset, export_format, options, split, consensus)
        if not data_files:
            raise ExportRefused(
                f"No row of the dataset “{dataset.name}” is in this selection.", code="no_rows"
            )
        manifest = _manifest(dataset, source, export_format, options, split, consensus, data_files, counts)
        write_and_sync(partial / MANIFEST, manifest_text(manifest))
        write_and_sync(partial / "README.md", dataset_card(manifest, export_format, columns))
    record_audit(
        actor=actor, action="preferences.export", project=dataset.project, target=dataset, format=format,
        rows=sum(file["rows"] for file in data_files),
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


def export_texts(
    *, actor: User, project: Project, out: Path, split: str | None = None, files: str = "parquet"
) -> dict[str, Any]:
    """The project's plain texts as records: a folder with data files, a manifest and a card. Raises ExportRefused."""
    if split is not None:
        require_known("split", split, SPLITS)
    require_known("kind of file", files, FILE_KINDS)
    newest = project.texts.aggregate(newest=Max("created_at"))["newest"]
    with finished_folder(out) as partial:
        shards = {name: ShardWriter(partial / "data", name, TEXTS, files) for name in SPLITS}
        licences: Counter[str] = Counter()
        for row in text_rows(project, splits=None if split is None else (split,)):
            shards[row["split"]].add(row)
            licences[row["licence"] or ""] += 1
        data_files = [
            describe_file(path, rows, partial) for name in SPLITS for path, rows in shards[name].close()
        ]
        if not data_files:
            raise ExportRefused(f"The project {project.slug} has no text in this selection.", code="no_rows")
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "format": "texts",
            "project": project.slug,
            "time": iso_utc(newest),
            "filters": {"split": split},
            "licences": dict(sorted(licences.items())),
            "split_rule": TEXT_SPLIT_RULE,
            "split_salt_id": salt_id(project.split_salt),
            "counts": {"rows": licences.total()},
            "files": data_files,
        }
        write_and_sync(partial / MANIFEST, manifest_text(manifest))
        write_and_sync(partial / "README.md", texts_card(manifest, dataset_info_yaml(TEXTS)))
    record_audit(actor=actor, action="texts.export", project=project, rows=licences.total())
    return manifest


def _write_data(
    folder: Path,
    dataset: PreferenceDataset,
    export_format: ExportFormat,
    options: ExportOptions,
    split: str | None,
    consensus: bool,
) -> tuple[list[dict[str, Any]], Counter[str], str]:
    """The files written, what was counted, and the columns for the card."""
    schema = export_format.schema(options)
    shards = {name: ShardWriter(folder / "data", name, schema, options.files) for name in SPLITS}
    counts: Counter[str] = Counter()
    marks: set[str] = set()
    splits = None if split is None else (split,)
    if export_format.of_judgments:
        for judgment in dataset_judgments(dataset, splits=splits):
            marks.update(name for response in judgment["responses"] for name in response["marks"])
            for row in export_format.rows(judgment, options, counts):
                shards[judgment["split"]].add(row)
    else:
        for comparison in dataset_comparisons(dataset, consensus=consensus, splits=splits):
            counts["groups"] += 1
            for row in export_format.rows(comparison, options, counts):
                shards[comparison["split"]].add(row)
    if unwritable := counts[UNWRITABLE]:
        raise ExportRefused(
            f"{unwritable} of {counts['groups']} comparisons have tool calls or responses of several turns, which "
            f"{export_format.name} as plain text cannot hold: leave --plain out, or use the format records.",
            code="cannot_hold_calls",
        )
    data_files = [describe_file(path, rows, folder) for name in SPLITS for path, rows in shards[name].close()]
    return data_files, counts, dataset_info_yaml(schema, marks)


def _manifest(
    dataset: PreferenceDataset,
    source: Mapping[str, Any],
    export_format: ExportFormat,
    options: ExportOptions,
    split: str | None,
    consensus: bool,
    files: list[dict[str, Any]],
    counts: Counter[str],
) -> dict[str, Any]:
    rows = {name: sum(file["rows"] for file in files if split_of_file(file) == name) for name in SPLITS}
    return {
        "schema_version": SCHEMA_VERSION,
        "format": export_format.name,
        "project": source["project"],
        "criteria": source["criteria"],
        "dataset": dataset.name,
        "dataset_content_sha256": source["content_sha256"],
        "time": source["created_at"],
        "filters": source["filters"] | {"split": split},
        "merging": "consensus" if consensus and not export_format.of_judgments else "raw",
        "tie_policy": options.ties,
        "margin": options.margin,
        "plain": options.plain,
        "rounds": source["rounds"],
        "guideline_versions": source["guideline_versions"],
        "judgments_by_annotator_kind": source["judgments_by_annotator_kind"],
        "split_rule": source["split_rule"],
        "split_salt_id": source["split_salt_id"],
        "counts": {"rows": sum(rows.values())} | {name: rows[name] for name in SPLITS if rows[name]} | counts,
        "files": files,
    }
