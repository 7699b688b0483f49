"""An export: a folder of data files, a manifest and a dataset card that `datasets.load_dataset(folder)`
reads.

A pure function of a dataset's files, its licence and description, and the options: no clock, no other content of the
database, no random number goes in, so that the same dataset gives the same bytes. The folder appears complete, by one
rename, or not at all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext

from annotation.content.splits import salt_id
from annotation.datasets.actions import frozen_for_use, remember_statistics
from annotation.datasets.files import (
    MANIFEST,
    SCHEMA_VERSION,
    dataset_manifest,
    most_responses,
)
from annotation.datasets.pictures import dataset_pictures
from annotation.datasets.shards import (
    CSV,
    FILE_KINDS,
    ShardWriter,
    describe_file,
    manifest_text,
    write_and_sync,
)
from annotation.exporting.data_files import Export, Written, no_rows, require_rows, write_data_files
from annotation.exporting.dataset_card import (
    PICTURES,
    dataset_card,
    dataset_info_yaml,
    split_of_file,
    texts_card,
)
from annotation.exporting.folders import download_folder, finished_folder, require_free_folder
from annotation.exporting.formats.base import (
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
from workspace.zip_stream import ZipStream

README = "README.md"

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
    columns: str = "all",
    rows: str = "pairs",
    consensus: bool = False,
    files: str | None = None,
) -> dict[str, Any]:
    """Write the folder `out` and return its manifest. Without `files`, the format's own. Raises ExportRefused."""
    require_free_folder(out)
    export, source = prepare_export(
        dataset, format, split=split, consensus=consensus, files=files,
        ties=ties, plain=plain, margin=margin, columns=columns, rows=rows,
    )  # fmt: skip
    with finished_folder(out) as partial:
        written = Written()
        for _ in write_data_files(partial, export, written):
            pass
        if not written.files:
            raise no_rows(export, written.counts)
        manifest = _manifest_of(export, source, written)
        for name, text in _described(export, manifest, written):
            (partial / name).parent.mkdir(exist_ok=True)
            write_and_sync(partial / name, text)
    record_audit(
        actor=actor, action="preferences.export", project=dataset.project, target=dataset, format=format,
        rows=manifest["counts"]["rows"],
    )  # fmt: skip
    return manifest


def stream_preferences(
    *, actor: User, dataset: PreferenceDataset, format: str = "records", **options: Any
) -> tuple[str, Iterator[bytes]]:
    """The folder of `export_preferences` (and its options) as a zip archive: its name, and its bytes as they come.

    Only files that are being written lie on the disk, below DATA_DIR/downloads, and none when it has ended in any way.
    Raises ExportRefused before the first byte; DatasetDamaged later ends the stream in the middle, and what has come by
    then is no archive.
    """
    export, source = prepare_export(dataset, format, **options)
    require_rows(export, may_hold_calls=source.get("has_turns", False))
    record_audit(
        actor=actor, action="preferences.download", project=dataset.project, target=dataset, format=format
    )
    name = _folder_name(export)
    return f"{name}.zip", _archive(export, source, name)


def _archive(export: Export, source: Mapping[str, Any], name: str) -> Iterator[bytes]:
    archive, written = ZipStream(name), Written()
    with download_folder() as folder:
        for path in write_data_files(folder, export, written):
            yield from archive.add_file(path, path.relative_to(folder).as_posix())
            path.unlink()
        for text_name, text in _described(export, _manifest_of(export, source, written), written):
            yield from archive.add_text(text, text_name)
        yield from archive.finish()


def _folder_name(export: Export) -> str:
    """What the folder in an archive is called: in every script, and safe on every file system."""
    dataset = export.dataset
    version = f"v{dataset.version}" if dataset.version > 1 else ""
    name = slugify(dataset.name, allow_unicode=True) or "dataset"
    return "-".join(filter(None, (dataset.project.slug, name, version, export.format.name, export.split)))


def prepare_export(
    dataset: PreferenceDataset,
    format: str,
    *,
    split: str | None = None,
    consensus: bool = False,
    files: str | None = None,
    **options: Any,
) -> tuple[Export, dict[str, Any]]:
    """What is to be written, and the dataset's manifest. Raises ExportRefused, DatasetDamaged."""
    require_known("format", format, EXPORT_FORMATS)
    if split is not None:
        require_known("split", split, SPLITS)
    source = dataset_manifest(dataset)
    export_format = EXPORT_FORMATS[format]
    export_options = ExportOptions(
        files=export_format.file_kinds[0] if files is None else files,
        with_turns=source.get("has_turns", False),
        most_responses=most_responses(dataset) if export_format.file_kinds == (CSV,) else 0,
        **options,
    )
    export_format.require_options(export_options, consensus)
    export_format.require_writable(source["criteria"])
    export = Export(
        dataset=dataset, format=export_format, options=export_options, split=split, consensus=consensus
    )
    return export, source


def _manifest_of(export: Export, source: Mapping[str, Any], written: Written) -> dict[str, Any]:
    return _manifest(
        export.dataset, source, export.format, export.options, export.split, export.consensus,
        written.in_order(), written.counts,
    )  # fmt: skip


def _described(export: Export, manifest: Mapping[str, Any], written: Written) -> Iterator[tuple[str, str]]:
    """Name and text of what lies beside the data: manifest, pictures, card. Raises DatasetDamaged."""
    statistics = remember_statistics(export.dataset)
    pictures = dataset_pictures(statistics)
    yield MANIFEST, manifest_text(manifest)
    for name, (_, picture) in pictures.items():
        yield f"{PICTURES}/{name}", picture
    yield README, dataset_card(
        manifest, export.format, dataset_info_yaml(export.schema, written.marks),
        licence=export.dataset.licence, description=export.dataset.description,
        statistics=statistics, pictures=pictures,
    )  # fmt: skip


def export_selection(
    *, actor: User, project: Project, selection: Mapping[str, Any], out: Path, **options: Any
) -> dict[str, Any]:
    """Freeze what is selected (see freeze_dataset) and export it, or an earlier dataset of the same
    content. A refused export leaves no new dataset behind.
    """
    require_free_folder(out)
    with frozen_for_use(actor=actor, project=project, **selection) as dataset:
        return export_preferences(actor=actor, dataset=dataset, out=out, **options)


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
            raise ExportRefused(
                gettext("The project %(slug)s has no text in this selection.") % {"slug": project.slug},
                code="no_rows",
            )
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
        write_and_sync(partial / README, texts_card(manifest, dataset_info_yaml(TEXTS)))
    record_audit(actor=actor, action="texts.export", project=project, rows=licences.total())
    return manifest


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
        "dataset_version": dataset.version,
        "dataset_content_sha256": source["content_sha256"],
        "time": source["created_at"],
        "filters": source["filters"] | {"split": split},
        "merging": "consensus" if consensus and not export_format.of_judgments else "raw",
        "tie_policy": options.ties,
        "margin": options.margin,
        "plain": options.plain,
        "columns": options.columns,
        "rounds": source["rounds"],
        "guideline_versions": source["guideline_versions"],
        "judgments_by_annotator_kind": source["judgments_by_annotator_kind"],
        "split_rule": source["split_rule"],
        "split_salt_id": source["split_salt_id"],
        **({"near_duplicates": source["near_duplicates"]} if "near_duplicates" in source else {}),
        "counts": {"rows": sum(rows.values())}
        | {name: rows[name] for name in SPLITS if rows[name]}
        | dict(sorted((+counts).items())),
        # What the format could not carry of this dataset, and what that means.
        "losses": {
            what: {"count": counts[what], "meaning": meaning}
            for what, meaning in export_format.losses.items()
            if counts[what]
        },
        "files": files,
    }
