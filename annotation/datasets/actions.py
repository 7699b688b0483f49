"""Judgments frozen into Parquet files: what a dataset is, once and for good.

A dataset holds JUDGMENTS rows, history included, in the order of tasks. Everything else (comparisons, pairs,
other people's formats) is computed from those files, so that an export of the same dataset is the same to
the byte, whatever has happened to the database since.
"""

import hashlib
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max, ProtectedError
from django.utils import timezone
from django.utils.translation import gettext

from annotation.content.splits import rule_of, salt_id
from annotation.datasets.conditions import NO_CONDITIONS, Conditions
from annotation.datasets.consensus_labels import write_consensus
from annotation.datasets.descriptions import clean_description, clean_licence, clean_name
from annotation.datasets.files import (
    MANIFEST,
    SCHEMA_VERSION,
    DatasetDamaged,
    dataset_manifest,
    verified_files,
)
from annotation.datasets.frozen_weights import write_weights
from annotation.datasets.near_duplicates import near_duplicates
from annotation.datasets.quality_labels import report_for, require_files_beside, selected_criteria
from annotation.datasets.selection import DEFAULT_ANNOTATOR_KINDS, Selection
from annotation.datasets.shards import (
    ShardWriter,
    describe_file,
    manifest_text,
    write_and_sync,
)
from annotation.datasets.statistics import STATISTICS_VERSION, dataset_statistics
from annotation.models import COUNTED_PURPOSES, Batch, Import, PreferenceDataset
from annotation.preferences.comparisons import counted_rows
from learning.interface.options import UserError
from learning.interface.record_rows import iso_utc
from learning.interface.record_schemas import JUDGMENTS
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User
from workspace.shown_values import Shown, change_values


class NoJudgments(ActionError):
    """Nothing is selected: there is no dataset without judgments."""

    code = "no_judgments"


def freeze_dataset(
    *,
    actor: User,
    project: Project,
    name: str | None = None,
    criterion: Criterion | None = None,
    criteria: Collection[Criterion] = (),
    batches: Collection[Batch] | None = None,
    rounds: Collection[int] = (),
    purposes: Collection[str] = COUNTED_PURPOSES,
    annotator_kinds: Collection[str] = DEFAULT_ANNOTATOR_KINDS,
    splits: Collection[str] = (),
    conditions: Conditions = NO_CONDITIONS,
    decisions: bool = False,
    consensus: bool = False,
    annotator_weights: int | None = None,
    new_version: bool = False,
    licence: str = "",
    description: str = "",
    reuse: bool = False,
    folder_name: str | None = None,
    watch: Callable[[int], None] = lambda judgments: None,
) -> PreferenceDataset:
    """Freeze the judgments that are there now.

    Of one `criterion`, of several `criteria`, or of all; of the `batches`, `rounds` and `splits` named, or of all;
    those that meet the `conditions`. People and machines are kept apart unless asked: name the kinds to mix.
    With `decisions`, what reviewers decided stands in place of the judgments of those tasks.
    With `consensus`, the labels of the newest quality report are frozen beside them: what comparisons merged by task
    are made of. With `annotator_weights`, the number of the newest report, how much each annotator counts after their
    ability in it.
    `purposes=("normal",)` leaves head-to-head judgments out. With `new_version`, a taken `name` gets its next version.
    With `reuse`, an earlier dataset of the same content is returned instead of a new one. `watch` hears how many
    are written and may raise to end it: nothing of it stays. A `folder_name` (32 hexadecimal digits) makes it safe to
    do again after a kill: what was recorded under it is returned, what was not is made anew. Raises NoJudgments,
    NoConsensus; ActionError when the name is taken or the disk refuses.
    """
    name = name if name is None else clean_name(name)
    licence, description = clean_licence(licence), clean_description(description)
    chosen = {of.pk: of for of in ([criterion] if criterion else criteria)}
    only = next(iter(chosen.values())) if len(chosen) == 1 else None
    selected = Selection(
        project=project,
        criteria=tuple(chosen.values()),
        batches=batches,
        rounds=rounds,
        purposes=purposes,
        annotator_kinds=annotator_kinds,
        splits=splits,
        conditions=conditions,
        decisions=decisions,
    )
    filters = selected.describe() | ({"consensus": True} if consensus else {})
    report = None
    if consensus or annotator_weights is not None:
        report = report_for(selected, number=annotator_weights)
    if annotator_weights is not None:
        filters["annotator_weights"] = annotator_weights
    root = Path(settings.DATA_DIR) / "datasets"
    folder = root / (folder_name or uuid.uuid4().hex)
    partial = root / f".{folder.name}.partial"
    if folder_name is not None:
        directory = folder.relative_to(settings.DATA_DIR).as_posix()
        if done := project.preference_datasets.filter(directory=directory).first():
            return done
        for left in (partial, folder):
            shutil.rmtree(left, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        imports = selected.imports()
        manifest = _write_files(partial, _watched(selected.tables(), watch)) | {
            "project": project.slug,
            "filters": filters,
        }
        if manifest["counts"]["judgments"] == 0:
            raise NoJudgments(_empty_selection_message(selected))
        manifest |= {"split_rule": rule_of(project).describe(), "split_salt_id": salt_id(project.split_salt)}
        if report is not None and consensus:
            manifest["consensus"] = write_consensus(report, partial, manifest["files"])
        if report is not None and annotator_weights is not None:
            weighing = selected_criteria(selected)
            manifest["annotator_weights"] = write_weights(report, weighing, partial, manifest["files"])
        if project.near_duplicates_together:
            paths = [partial / file["name"] for file in manifest["files"]]
            manifest["near_duplicates"] = near_duplicates(project, paths)
        content = hashlib.sha256(manifest_text(manifest).encode()).hexdigest()
        if reuse and (earlier := _find_same_content(project, content)):
            return earlier
        text = manifest_text(manifest | {"content_sha256": content, "created_at": iso_utc(timezone.now())})
        write_and_sync(partial / MANIFEST, text)
        partial.rename(folder)
    except OSError as error:
        raise ActionError(
            gettext("The dataset cannot be written below %(root)s: %(error)s.")
            % {"root": root, "error": error.strerror or error},
            code="cannot_write",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    try:
        with transaction.atomic():
            _require_imports(imports)
            dataset = PreferenceDataset.objects.create(
                project=project,
                name=name or _unused_name(project),
                version=_next_version(project, name) if name and new_version else 1,
                licence=licence,
                description=description,
                criterion=only,
                directory=folder.relative_to(settings.DATA_DIR).as_posix(),
                manifest_sha256=hashlib.sha256(text.encode()).hexdigest(),
                filters=filters | {"content_sha256": content},
                counts=manifest["counts"],
                created_by=actor,
            )
            dataset.imports.set(imports)
            record_audit(
                actor=actor,
                action="dataset.freeze",
                project=project,
                target=dataset,
                **manifest["counts"],
            )
    except ActionError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except IntegrityError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ActionError(
            gettext(
                "There is a dataset named “%(name)s” already: take another name, or make it a new "
                "version of that one."
            )
            % {"name": name},
            code="dataset_name_taken",
        ) from error
    # While its files are in memory's reach: the page and the cards of exports want them.
    remember_statistics(dataset)
    return dataset


def _require_imports(keys: list[int]) -> None:
    """Holds the imports until the dataset is recorded. Raises ActionError when one was taken back meanwhile."""
    locked = Import.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    if any(imported.state != Import.State.DONE for imported in locked):
        raise ActionError(
            gettext("An import was taken back while its judgments were frozen: do it again."),
            code="import_gone",
        )


def _watched(tables: Iterator[pa.Table], watch: Callable[[int], None]) -> Iterator[pa.Table]:
    written = 0
    for table in tables:
        yield table
        written += table.num_rows
        watch(written)


def _write_files(folder: Path, tables: Iterator[pa.Table]) -> dict[str, Any]:
    shards = ShardWriter(folder, "judgments", JUDGMENTS, "parquet")
    counts: Counter[str] = Counter({"judgments": 0})
    kinds: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    found: dict[str, set[Any]] = {name: set() for name in ("round", "guideline_version", "criterion")}
    last_task, has_turns = None, False
    for table in tables:
        shards.add_many(table)
        counts["judgments"] += table.num_rows
        counts["counted"] += counted_rows(table).true_count
        kinds.update(table["annotator_kind"].to_pylist())
        for task, split in zip(table["task_id"].to_pylist(), table["split"].to_pylist(), strict=True):
            if task != last_task:
                tasks[split] += 1
                last_task = task
        for name, values in found.items():
            values.update(table[name].unique().to_pylist())
        has_turns = has_turns or _has_turns(table)
    rounds, guidelines, criteria = found.values()
    files = [describe_file(path, number, folder) for path, number in shards.close()]
    return {
        "schema_version": SCHEMA_VERSION,
        "files": files,
        "counts": dict(counts) | {"tasks": sum(tasks.values())},
        "tasks_by_split": dict(sorted(tasks.items())),
        "judgments_by_annotator_kind": dict(sorted(kinds.items())),
        "rounds": sorted(number for number in rounds if number is not None),
        "guideline_versions": sorted(number for number in guidelines if number is not None),
        "criteria": sorted(criteria),
        # Formats that hold only texts ask for it. Without any, the manifest is what it was before there were turns.
        **({"has_turns": True} if has_turns else {}),
    }


def _has_turns(table: pa.Table) -> bool:
    calls = pc.struct_field(pc.list_flatten(table["prompt"]), "tool_calls")
    turns = pc.struct_field(pc.list_flatten(table["responses"]), "turns")
    return bool(pc.any(pc.greater(pc.list_value_length(calls), 0)).as_py()) or turns.null_count < len(turns)


def _empty_selection_message(selected: Selection) -> str:
    project = selected.project
    present = {
        kind
        for kind in User.Kind.values
        if User.objects.filter(kind=kind, judgments__task__batch__project=project).exists()
    }
    others = sorted(present - set(selected.annotator_kinds))
    hint = ""
    if selected.conditions and any(True for _ in selected.without_conditions().rows()):
        hint = ": none meets the conditions on agreement, length and time"
    elif others:
        hint = f"; there are some of kind {', '.join(others)}: name the kind to have them"
    elif not present:
        hint = ": let people judge tasks, or bring judgments in with `manage.py import_comparisons`"
    return f"The project {project.slug} has no judgments of this selection{hint}."


def _find_same_content(project: Project, content: str) -> PreferenceDataset | None:
    """The first whose files are complete: one that lost its files must not stand in the way of a new one."""
    for dataset in project.preference_datasets.filter(filters__content_sha256=content).order_by("pk"):
        try:
            for _ in verified_files(dataset):
                pass
            require_files_beside(dataset, dataset_manifest(dataset))
        except DatasetDamaged:
            continue
        return dataset
    return None


@contextmanager
def frozen_for_use(*, actor: User, project: Project, **selection: Any) -> Iterator[PreferenceDataset]:
    """What is selected (see freeze_dataset), or an earlier dataset of the same content, for what is asked for in the
    block: refused there, a new dataset is not left behind.
    """
    before = set(project.preference_datasets.values_list("pk", flat=True))
    dataset = freeze_dataset(actor=actor, project=project, reuse=True, **selection)
    try:
        yield dataset
    except (ActionError, UserError):
        if dataset.pk not in before:
            discard_dataset(actor=actor, dataset=dataset)
        raise


def discard_dataset(*, actor: User, dataset: PreferenceDataset) -> None:
    """Delete a dataset that nothing uses. One that a run or a round uses by now stays."""
    # A run that somebody asked for meanwhile has it among its parameters alone until it is done.
    if dataset.project.runs.filter(parameters__dataset=dataset.pk).exists():
        return
    folder = Path(settings.DATA_DIR) / dataset.directory
    try:
        with transaction.atomic():
            record_audit(actor=actor, action="dataset.discard", project=dataset.project, target=dataset)
            dataset.delete()
    except ProtectedError:
        return
    shutil.rmtree(folder, ignore_errors=True)


def describe_dataset(
    *,
    actor: User,
    dataset: PreferenceDataset,
    licence: str | None = None,
    description: str | None = None,
    shown: Shown = None,
) -> PreferenceDataset:
    """Change what others are told of a dataset: its licence and description. Its rows and their files stay.

    Raises ChangedMeanwhile.
    """
    given = {
        "licence": None if licence is None else clean_licence(licence),
        "description": None if description is None else clean_description(description),
    }
    return change_values(actor=actor, row=dataset, action="dataset.describe", given=given, shown=shown)


def remember_statistics(dataset: PreferenceDataset) -> Mapping[str, Any]:
    """The statistics of the files, computed the first time that somebody asks. Raises DatasetDamaged.

    They are a function of files that never change: nobody's action, and nothing for the audit trail.
    """
    known = dataset.statistics
    if not known or known.get("statistics_version") != STATISTICS_VERSION:
        dataset.statistics = dataset_statistics(dataset)
        dataset.save(update_fields=["statistics"])
    found: Mapping[str, Any] = dataset.statistics
    return found


def _next_version(project: Project, name: str) -> int:
    newest = project.preference_datasets.filter(name=name).aggregate(newest=Max("version"))["newest"]
    return (newest or 0) + 1


def _unused_name(project: Project) -> str:
    number = project.preference_datasets.count() + 1
    while project.preference_datasets.filter(name=f"dataset {number}").exists():
        number += 1
    return f"dataset {number}"
