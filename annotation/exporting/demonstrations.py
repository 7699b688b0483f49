"""Demonstrations on their way out: as our own records, or as SFT trainers read them; a folder, or an archive of one.

As `messages`, which SFT trainers read, a demonstration is its prompt and its response; with `plain` it is `prompt` and
`completion`. Both are read back by `import_demonstrations`, and keep prompt, author, split, and what their file said.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.db.models import Max

from annotation.content.splits import rule_of, salt_id
from annotation.datasets.files import MANIFEST, SCHEMA_VERSION
from annotation.datasets.shards import FILE_KINDS, ShardWriter, describe_file, manifest_text, write_and_sync
from annotation.exporting.dataset_card import dataset_info_yaml, demonstrations_card, split_of_file
from annotation.exporting.folders import download_folder, finished_folder, require_free_folder
from annotation.exporting.formats.base import ExportOptions, ExportRefused, require_known
from annotation.exporting.formats.columns import OF_ITS_FILE, TEXT, messages_type, of_its_file
from annotation.exporting.formats.responses import SFT_LOSSES, sft_cells
from annotation.models import PromptSet
from annotation.records import demonstration_rows
from learning.interface.messages import has_calls
from learning.interface.record_rows import DemonstrationRow, iso_utc
from learning.interface.record_schemas import DEMONSTRATIONS
from learning.interface.vocabulary import SPLITS
from workspace.actions import record_audit
from workspace.models import Project, User
from workspace.zip_stream import ZipStream

RECORDS, SFT = "records", "sft"
FORMATS = (RECORDS, SFT)
_OF_A_DEMONSTRATION = [pa.field(name, TEXT) for name in ("prompt_id", "author", "split")]


@dataclass
class _Written:
    """What has been written: the files as the manifest lists them, rows by split, what could not be carried."""

    files: list[dict[str, Any]] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


def export_demonstrations(
    *,
    actor: User,
    project: Project,
    out: Path,
    format: str = RECORDS,
    plain: bool = False,
    prompt_set: PromptSet | None = None,
    split: str | None = None,
    files: str = "parquet",
) -> dict[str, Any]:
    """Write the folder `out` and return its manifest. `plain`: texts instead of messages. Raises ExportRefused."""
    options = _options(project, format, plain, files, prompt_set=prompt_set, split=split)
    require_free_folder(out)
    with finished_folder(out) as partial:
        written = _Written()
        for _ in _write_data(partial, project, format, options, written, prompt_set=prompt_set, split=split):
            pass
        manifest = _manifest(project, format, options, written, prompt_set=prompt_set, split=split)
        for name, text in _described(manifest, format, options):
            write_and_sync(partial / name, text)
    record_audit(
        actor=actor,
        action="demonstrations.export",
        project=project,
        format=format,
        rows=manifest["counts"]["rows"],
    )
    return manifest


def stream_demonstrations(
    *,
    actor: User,
    project: Project,
    format: str = RECORDS,
    plain: bool = False,
    prompt_set: PromptSet | None = None,
    split: str | None = None,
    files: str = "parquet",
) -> tuple[str, Iterator[bytes]]:
    """The same folder as a zip archive: its name, and its bytes as they come. Raises ExportRefused before the first.

    Only files that are being written lie on the disk, below DATA_DIR/downloads, and none when it has ended in any way.
    """
    options = _options(project, format, plain, files, prompt_set=prompt_set, split=split)
    record_audit(actor=actor, action="demonstrations.download", project=project, format=format)
    name = "-".join(filter(None, (project.slug, "demonstrations", format, split)))
    return f"{name}.zip", _archive(name, project, format, options, prompt_set=prompt_set, split=split)


def _archive(
    name: str,
    project: Project,
    format: str,
    options: ExportOptions,
    *,
    prompt_set: PromptSet | None,
    split: str | None,
) -> Iterator[bytes]:
    archive, written = ZipStream(name), _Written()
    with download_folder() as folder:
        for path in _write_data(
            folder, project, format, options, written, prompt_set=prompt_set, split=split
        ):
            yield from archive.add_file(path, path.relative_to(folder).as_posix())
            path.unlink()
    manifest = _manifest(project, format, options, written, prompt_set=prompt_set, split=split)
    for text_name, text in _described(manifest, format, options):
        yield from archive.add_text(text, text_name)
    yield from archive.finish()


def _options(
    project: Project, format: str, plain: bool, files: str, *, prompt_set: PromptSet | None, split: str | None
) -> ExportOptions:
    """Raises ExportRefused for what cannot be written."""
    require_known("format of demonstrations", format, FORMATS)
    require_known("kind of file", files, FILE_KINDS)
    if split is not None:
        require_known("split", split, SPLITS)
    if plain and format != SFT:
        raise ExportRefused("Only the format sft has plain text.", code="option_without_use")
    found = with_turns = 0
    for row in _rows(project, prompt_set, split):
        found += 1
        with_turns += bool(row["turns"]) or has_calls(row["prompt"])
    if not found:
        raise ExportRefused(
            f"The project {project.slug} has no demonstration in this selection.", code="no_rows"
        )
    if plain and with_turns:
        raise ExportRefused(
            f"{with_turns} of {found} demonstrations have tool calls or responses of several turns, which plain text "
            "cannot hold: leave plain text out.",
            code="cannot_hold_calls",
        )
    return ExportOptions(files=files, plain=plain, with_turns=bool(with_turns))


def _rows(project: Project, prompt_set: PromptSet | None, split: str | None) -> Iterator[DemonstrationRow]:
    return demonstration_rows(project, prompt_set=prompt_set, splits=None if split is None else (split,))


def _write_data(
    folder: Path,
    project: Project,
    format: str,
    options: ExportOptions,
    written: _Written,
    *,
    prompt_set: PromptSet | None,
    split: str | None,
) -> Iterator[Path]:
    """Gives each file below `folder`/data when it is complete; it may be removed then."""
    finished: deque[tuple[Path, int]] = deque()
    schema = _schema(format, options)
    shards = {
        name: ShardWriter(folder / "data", name, schema, options.files, finished.append) for name in SPLITS
    }

    def complete() -> Iterator[Path]:
        while finished:
            path, number = finished.popleft()
            written.files.append(describe_file(path, number, folder))
            yield path

    for row in _rows(project, prompt_set, split):
        written.rows[row["split"]] += 1
        shards[row["split"]].add(row if format == RECORDS else _sft_row(row, options, written.counts))
        yield from complete()
    for shard in shards.values():
        shard.close()
        yield from complete()


def _manifest(
    project: Project,
    format: str,
    options: ExportOptions,
    written: _Written,
    *,
    prompt_set: PromptSet | None,
    split: str | None,
) -> dict[str, Any]:
    rows, counts = written.rows, written.counts
    newest = project.demonstrations.aggregate(newest=Max("created_at"))["newest"]
    losses = SFT_LOSSES | {
        "prompts_ambiguous_as_text": "prompts whose text has a marker of a turn in it: not read back as the same turns"
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "format": f"demonstrations as {format}",
        "project": project.slug,
        "time": iso_utc(newest),
        "filters": {"prompt_set": prompt_set.name if prompt_set else None, "split": split},
        "plain": options.plain,
        "split_rule": rule_of(project).describe(),
        "split_salt_id": salt_id(project.split_salt),
        "counts": {"rows": rows.total()} | {name: rows[name] for name in SPLITS if rows[name]},
        "losses": {
            what: {"count": counts[what], "meaning": meaning}
            for what, meaning in losses.items()
            if counts[what]
        },
        # By split and number, whichever was complete first.
        "files": sorted(written.files, key=lambda file: (SPLITS.index(split_of_file(file)), file["name"])),
    }


def _described(manifest: Mapping[str, Any], format: str, options: ExportOptions) -> Iterator[tuple[str, str]]:
    """Name and text of what lies beside the data."""
    yield MANIFEST, manifest_text(manifest)
    yield "README.md", demonstrations_card(manifest, dataset_info_yaml(_schema(format, options)))


def _schema(format: str, options: ExportOptions) -> pa.Schema:
    return DEMONSTRATIONS if format == RECORDS else _sft_schema(options)


def _sft_schema(options: ExportOptions) -> pa.Schema:
    columns = [pa.field(name, TEXT) for name in ("prompt", "completion")]
    if not options.plain:
        columns = [pa.field("messages", messages_type(options))]
    return pa.schema([*columns, *_OF_A_DEMONSTRATION, *OF_ITS_FILE])


def _sft_row(row: DemonstrationRow, options: ExportOptions, counts: Counter[str]) -> Mapping[str, Any]:
    answer = row["turns"] or row["response"]
    own = {"prompt_id": row["prompt_id"], "author": row["author"], "split": row["split"]}
    return sft_cells(row["prompt"], answer, options, counts) | own | of_its_file(row)
