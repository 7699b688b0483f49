"""The files of a dataset: read, and checked against the manifest."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings

from annotation.datasets.consensus_labels import labelled
from annotation.datasets.damage import DatasetDamaged as DatasetDamaged  # who reads files finds it here
from annotation.datasets.frozen_weights import read_weights, weighed
from annotation.datasets.quality_labels import require_files_beside
from annotation.datasets.shards import ROWS_PER_GROUP, describe_file
from annotation.models import PreferenceDataset
from annotation.preferences.comparisons import raw_comparisons
from annotation.preferences.consensus import annotator_weights, consensus_comparisons
from annotation.preferences.rated_comparisons import RatingChoice, rated_comparisons, rating_rows
from annotation.record_columns import rows_as_written
from learning.interface.record_rows import ComparisonRow, JudgmentRow, RatingRow
from workspace.models import Project

SCHEMA_VERSION = 1

MANIFEST = "manifest.json"


def dataset_manifest(dataset: PreferenceDataset) -> dict[str, Any]:
    """The manifest, checked against the row that names it."""
    path = Path(settings.DATA_DIR) / dataset.directory / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DatasetDamaged(f"The dataset “{dataset.name}” has lost its manifest: {path}.") from error
    if hashlib.sha256(text).hexdigest() != dataset.manifest_sha256:
        raise DatasetDamaged(f"The manifest of the dataset “{dataset.name}” was changed: {path}.")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def excluded_batches_note(dataset: PreferenceDataset) -> str:
    """Which batches a manager had left out when it was frozen; empty when none."""
    names = dataset.filters.get("excluded_batches", [])
    batches = ", ".join(f"“{name}”" for name in names)
    what = "The batch" if len(names) == 1 else "The batches"
    return (
        f"{what} {batches} {'is' if len(names) == 1 else 'are'} excluded from datasets and left out."
        if names
        else ""
    )


def dataset_judgments(
    dataset: PreferenceDataset, *, splits: Collection[str] | None = None
) -> Iterator[JudgmentRow]:
    """The dataset's JUDGMENTS rows in its order. The files are checked against the manifest first."""
    for batch in dataset_batches(dataset, splits=splits):
        yield from rows_of_batch(batch)


def dataset_batches(
    dataset: PreferenceDataset,
    *,
    splits: Collection[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The same rows as record batches; `columns`: only these, named as Parquet does (`split` among them, and what
    they lack is not there). Files of an earlier version may lack columns too.
    """
    for path in verified_files(dataset):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=columns):
                if splits is not None:
                    batch = batch.filter(pc.is_in(batch["split"], value_set=pa.array(splits, pa.string())))
                yield batch


def rows_of_batch(batch: pa.RecordBatch) -> Iterator[JudgmentRow]:
    return rows_as_written(batch.to_pylist())


def verified_files(dataset: PreferenceDataset) -> Iterator[Path]:
    """The files, each checked against the manifest. Raises DatasetDamaged."""
    folder = Path(settings.DATA_DIR) / dataset.directory
    for described in dataset_manifest(dataset)["files"]:
        path = folder / described["name"]
        if not path.is_file() or describe_file(path, described["rows"], folder) != described:
            raise DatasetDamaged(f"A file of the dataset “{dataset.name}” is missing or was changed: {path}.")
        yield path


def most_responses(dataset: PreferenceDataset) -> int:
    """How many responses its largest judgment has."""
    most = 0
    for path in verified_files(dataset):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["responses.list.element.response_id"]):
                most = max(most, pc.max(pc.list_value_length(batch.column("responses"))).as_py() or 0)
    return most


def find_dataset_faults(project: Project | None = None, *, read: bool = True) -> tuple[int, list[str]]:
    """How many datasets there are, and one line for each whose files are missing or were changed.

    With `read` every file is read and compared with its manifest; without, only the manifest is.
    """
    datasets = PreferenceDataset.objects.order_by("pk")
    if project is not None:
        datasets = datasets.filter(project=project)
    faults = []
    for dataset in datasets:
        try:
            if read:
                for _ in verified_files(dataset):
                    pass
                require_files_beside(dataset, dataset_manifest(dataset))
            else:
                dataset_manifest(dataset)
        except DatasetDamaged as error:
            faults.append(f"dataset {dataset.pk}: {error.message}")
    return len(datasets), faults


def dataset_comparisons(
    dataset: PreferenceDataset,
    *,
    consensus: bool = False,
    splits: Collection[str] | None = None,
    ratings: RatingChoice | None = None,
    weights: bool = False,
) -> Iterator[ComparisonRow]:
    """COMPARISONS rows of a dataset: one a judgment, or one a task with annotators weighed by their
    reliability; and with `ratings` those of single answers, an annotator and prompt each, behind them.

    Reliability is estimated on the whole dataset, so that it is the same for every split. Of a dataset that was frozen
    with the consensus of a quality report, `soft_preference` of the merged rows is that consensus. With `weights`
    annotators count as the report says with which the dataset was frozen: in `weight`, and in the shares of merged
    rows instead of that reliability. Raises NoConsensus of a dataset without weights.
    """
    manifest = dataset_manifest(dataset) if consensus or weights else {}
    known = read_weights(dataset, manifest) if weights else None

    def read(wanted: Collection[str] | None) -> Iterator[JudgmentRow]:
        rows = dataset_judgments(dataset, splits=wanted)
        if known is not None:
            rows = weighed(rows, known)
        return labelled(rows, dataset, manifest) if consensus else rows

    compared = comparisons_of(read, consensus=consensus, splits=splits, weighed_already=weights)
    if ratings is None:
        return compared
    rated = dataset_judgments(dataset, splits=splits)
    return chain(compared, rated_comparisons(rated if known is None else weighed(rated, known), ratings))


def labels_in_words(dataset: PreferenceDataset, *, consensus: bool, weights: bool = False) -> str:
    """What the preferences of its comparisons are."""
    manifest = dataset_manifest(dataset) if consensus or weights else {}
    if consensus and (report := manifest.get("consensus")):
        return f"consensus of quality report {report['report']}"
    if weights:
        by = f"weighed by ability of quality report {manifest['annotator_weights']['report']}"
        return f"votes {by}" if consensus else f"each judgment, {by}"
    return "votes weighed by reliability" if consensus else "each judgment"


def dataset_ratings(
    dataset: PreferenceDataset, mark: str, *, splits: Collection[str] | None = None, weights: bool = False
) -> Iterator[RatingRow]:
    """RATINGS rows of a dataset: the points that single answers were given on this mark. `weights`: as above."""
    rows = dataset_judgments(dataset, splits=splits)
    if weights:
        rows = weighed(rows, read_weights(dataset, dataset_manifest(dataset)))
    return rating_rows(rows, mark)


def comparisons_of(
    read: Callable[[Collection[str] | None], Iterator[JudgmentRow]],
    *,
    consensus: bool,
    splits: Collection[str] | None = None,
    weighed_already: bool = False,
) -> Iterator[ComparisonRow]:
    """The same of what `read` returns for the splits it is asked for (None: all), in the order of tasks."""
    if consensus and weighed_already:
        return consensus_comparisons(read(splits))
    if consensus:
        return consensus_comparisons(read(splits), annotator_weights(read(None)))
    return raw_comparisons(read(splits))
