"""Judgments frozen into Parquet files: what a dataset is, once and for good.

A dataset holds JUDGMENTS rows, history included, in the order of tasks. Everything else (comparisons, pairs,
other people's formats) is computed from those files, so that an export of the same dataset is the same to
the byte, whatever has happened to the database since.
"""

import hashlib
import shutil
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from annotation.content.splits import rule_of, salt_id
from annotation.datasets.files import (
    MANIFEST,
    SCHEMA_VERSION,
    DatasetDamaged,
    verified_files,
)
from annotation.datasets.shards import (
    ShardWriter,
    describe_file,
    manifest_text,
    write_and_sync,
)
from annotation.models import COUNTED_PURPOSES, Batch, Import, PreferenceDataset
from annotation.preferences.comparisons import is_counted
from annotation.records import imports_of_judgments, judgment_rows
from learning.interface.messages import has_calls
from learning.interface.record_rows import JudgmentRow, iso_utc
from learning.interface.record_schemas import JUDGMENTS
from learning.interface.vocabulary import PERSON
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User

DEFAULT_ANNOTATOR_KINDS = (PERSON,)


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
    purposes: Collection[str] = COUNTED_PURPOSES,
    annotator_kinds: Collection[str] = DEFAULT_ANNOTATOR_KINDS,
    reuse: bool = False,
) -> PreferenceDataset:
    """Freeze the judgments that are there now.

    Of one `criterion`, of several `criteria`, or of all. People and machines are kept apart unless asked: name
    the kinds to mix. `purposes=("normal",)` leaves head-to-head judgments out. With `reuse`, an earlier dataset of the
    same content is returned instead of a new one. Raises NoJudgments; ActionError when the name is taken or the disk
    refuses.
    """
    chosen = {of.pk: of for of in ([criterion] if criterion else criteria)}
    only = next(iter(chosen.values())) if len(chosen) == 1 else None
    filters = {
        "criterion": only.name if only else None,
        # Only where it says something: the content of a dataset is known by its filters too.
        **({"criteria": sorted(of.name for of in chosen.values())} if len(chosen) > 1 else {}),
        "batches": sorted(batch.name for batch in batches) if batches is not None else None,
        "purposes": sorted(purposes),
        "annotator_kinds": sorted(annotator_kinds),
    }
    excluded = Batch.objects.filter(project=project, visible=True, excluded=True)
    if chosen:
        excluded = excluded.filter(criterion__in=chosen)
    if batches is None and (names := sorted(excluded.values_list("name", flat=True))):
        filters["excluded_batches"] = names
    root = Path(settings.DATA_DIR) / "datasets"
    folder = root / uuid.uuid4().hex
    partial = root / f".{folder.name}.partial"
    try:
        partial.mkdir(parents=True)
        selection: dict[str, Any] = {
            "criteria": list(chosen.values()),
            "batches": batches,
            "purposes": purposes,
            "annotator_kinds": annotator_kinds,
        }
        imports = imports_of_judgments(project, **selection)
        rows = judgment_rows(project, **selection)
        manifest = _write_files(partial, rows) | {"project": project.slug, "filters": filters}
        if manifest["counts"]["judgments"] == 0:
            raise NoJudgments(_empty_selection_message(project, annotator_kinds))
        manifest |= {"split_rule": rule_of(project).describe(), "split_salt_id": salt_id(project.split_salt)}
        content = hashlib.sha256(manifest_text(manifest).encode()).hexdigest()
        if reuse and (earlier := _find_same_content(project, content)):
            return earlier
        text = manifest_text(manifest | {"content_sha256": content, "created_at": iso_utc(timezone.now())})
        write_and_sync(partial / MANIFEST, text)
        partial.rename(folder)
    except OSError as error:
        raise ActionError(
            f"The dataset cannot be written below {root}: {error.strerror or error}.", code="cannot_write"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    try:
        with transaction.atomic():
            _require_imports(imports)
            dataset = PreferenceDataset.objects.create(
                project=project,
                name=name or _unused_name(project),
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
        raise ActionError(f"There is a dataset named “{name}” already.", code="dataset_name_taken") from error
    return dataset


def _require_imports(keys: list[int]) -> None:
    """Holds the imports until the dataset is recorded. Raises ActionError when one was taken back meanwhile."""
    locked = Import.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    if any(imported.state != Import.State.DONE for imported in locked):
        raise ActionError(
            "An import was taken back while its judgments were frozen: do it again.", code="import_gone"
        )


def _write_files(folder: Path, rows: Iterator[JudgmentRow]) -> dict[str, Any]:
    shards = ShardWriter(folder, "judgments", JUDGMENTS, "parquet")
    counts: Counter[str] = Counter({"judgments": 0})
    kinds: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    rounds, guidelines, criteria, last_task = set(), set(), set(), None
    has_turns = False
    for row in rows:
        shards.add(row)
        counts["judgments"] += 1
        counts["counted"] += is_counted(row)
        kinds[row["annotator_kind"]] += 1
        if row["task_id"] != last_task:
            tasks[row["split"]] += 1
            last_task = row["task_id"]
        rounds.add(row["round"])
        guidelines.add(row["guideline_version"])
        criteria.add(row["criterion"])
        has_turns = has_turns or has_calls(row["prompt"]) or any(r.get("turns") for r in row["responses"])
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


def _empty_selection_message(project: Project, annotator_kinds: Collection[str]) -> str:
    present = {
        kind
        for kind in User.Kind.values
        if User.objects.filter(kind=kind, judgments__task__batch__project=project).exists()
    }
    others = sorted(present - set(annotator_kinds))
    hint = ""
    if others:
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
        except DatasetDamaged:
            continue
        return dataset
    return None


def discard_dataset(*, actor: User, dataset: PreferenceDataset) -> None:
    """Delete a dataset that nothing uses. One that a run or a round uses by now stays."""
    folder = Path(settings.DATA_DIR) / dataset.directory
    try:
        with transaction.atomic():
            record_audit(actor=actor, action="dataset.discard", project=dataset.project, target=dataset)
            dataset.delete()
    except ProtectedError:
        return
    shutil.rmtree(folder, ignore_errors=True)


def _unused_name(project: Project) -> str:
    number = project.preference_datasets.count() + 1
    while project.preference_datasets.filter(name=f"dataset {number}").exists():
        number += 1
    return f"dataset {number}"
