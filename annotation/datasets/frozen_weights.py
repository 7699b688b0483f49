"""How much each annotator counts, after their ability in a quality report: a file in the dataset's folder that its
manifest names with the report. The judgments stay what they are; who asks for weights reads them beside.

An annotator of ability a has answer probabilities sigmoid(a d) for a pair of difference d (annotation/quality/
graded_model.py), so that the log likelihood of a vote has at an even pair a times the slope of that of Bradley and
Terry's model: a vote is worth a, in units of the crowd's mean. Below 0 somebody answers the other way round: nothing is
learned from them, and no vote is turned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from django.utils.translation import gettext

from annotation.datasets.quality_labels import NoConsensus, require_file
from annotation.datasets.shards import ROWS_PER_GROUP, describe_file
from annotation.models import PreferenceDataset, QualityAnnotator, QualityReport
from learning.interface.atomic_files import sync_path
from learning.interface.record_rows import JudgmentRow, iso_utc
from workspace.models import Criterion

WEIGHTS_FILE = "annotator_weights.parquet"
MOST_WEIGHT = 2.0  # one able annotator does not outvote several
SCHEMA = pa.schema(
    [
        pa.field("criterion", pa.string(), nullable=False),
        pa.field("annotator", pa.string(), nullable=False),  # pseudonym
        pa.field("ability", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),  # its 95 % interval
        pa.field("high", pa.float64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)
Weights = dict[tuple[str, str], float]  # by criterion and pseudonym


def weight_of(ability: float, mean_ability: float) -> float:
    return min(MOST_WEIGHT, max(0.0, ability / mean_ability))


def write_weights(
    report: QualityReport, criteria: Sequence[Criterion], folder: Path, files: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The weights of the annotators of a report on these criteria; the manifest's lines of them. `files`: those of the
    judgments below `folder`.

    Raises NoConsensus where abilities say nothing, or the report is replaced meanwhile.
    """
    rows, means = [], {}
    for criterion in criteria:
        summary = report.summaries[str(criterion.pk)]
        means[criterion.name] = mean = summary["crowd"]["ability"]
        if mean <= 0:
            raise NoConsensus(
                gettext(
                    "The annotators of %(name)s are together no better than chance (mean ability "
                    "%(mean)s in the quality report %(pk)s): their abilities are no weights."
                )
                % {"name": criterion.name, "mean": f"{mean:.2f}", "pk": report.pk}
            )
        found = QualityAnnotator.objects.filter(
            report=report, criterion=criterion, annotator__kind=summary["kind"]
        )
        for pseudonym, figures in found.values_list("annotator__pseudonym", "figures"):
            if "ability" in figures:
                ability, low, high = figures["ability"]
                weight = weight_of(ability, mean)
                rows.append((criterion.name, pseudonym, ability, low, high, weight))
    # A new measurement removes the rows of the one before.
    if not rows or not QualityReport.objects.filter(pk=report.pk, is_complete=True).exists():
        raise NoConsensus(gettext("The measurement of quality was replaced while it was read: do it again."))
    path = folder / WEIGHTS_FILE
    table = [dict(zip(SCHEMA.names, row, strict=True)) for row in sorted(rows)]
    pq.write_table(pa.Table.from_pylist(table, schema=SCHEMA), path, compression="zstd")
    sync_path(path)
    known = {row[:2] for row in rows}
    judged = _annotators_of(folder / file["name"] for file in files)
    return {
        "report": report.pk,
        "measured_at": iso_utc(report.created_at),
        "judgments_measured": report.judgments,
        "rule": f"ability / mean ability of the crowd, 0 to {MOST_WEIGHT:g}",
        "mean_ability": means,
        "annotators": len(known & judged),
        # Reviewers who decided, and who only rated single answers: they count 1, as the crowd's mean does.
        "annotators_without": len(judged - known),
        "file": describe_file(path, len(rows), folder),
    }


def _annotators_of(paths: Iterable[Path]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=["criterion", "annotator"]):
                found.update(
                    zip(*(batch[name].to_pylist() for name in ("criterion", "annotator")), strict=True)
                )
    return found


def read_weights(dataset: PreferenceDataset, manifest: Mapping[str, Any]) -> Weights:
    """Raises NoConsensus of a dataset without them, DatasetDamaged."""
    path = require_file(dataset, manifest, "annotator_weights")
    if path is None:
        raise NoConsensus(
            gettext(
                "The dataset “%(name)s” was frozen without weights of annotators: freeze one "
                "with those of a quality report."
            )
            % {"name": dataset.name}
        )
    rows = pq.read_table(path).to_pylist()
    return {(row["criterion"], row["annotator"]): row["weight"] for row in rows}


def weighed(rows: Iterable[JudgmentRow], weights: Weights) -> Iterator[JudgmentRow]:
    """Each row with what its annotator counts under `weight`, which comparisons and ratings made of it read."""
    for row in rows:
        weight = weights.get((row["criterion"], row["annotator"]), 1.0)
        yield cast(JudgmentRow, {**row, "weight": weight})
