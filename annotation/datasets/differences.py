"""What came, went and changed between two datasets of a project."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from annotation.datasets.files import verified_files
from annotation.models import PreferenceDataset

KINDS = ("added", "changed", "withdrawn", "removed", "same")
EXAMPLES = 5
_COLUMNS = ["is_current", "withdrawn", "batch", "task_id", "annotator", "judgment_id"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of what each annotator says last of each task.

    added: said in the newer one only. changed: said otherwise there. withdrawn: taken back there. removed: not in the
    newer one at all, because its selection leaves it out. same: one and the same judgment.
    """

    counts: dict[str, int]
    by_batch: dict[str, dict[str, int]]  # in the order of names; batches without any difference are left out
    examples: dict[str, list[tuple[str, str]]] = field(
        default_factory=dict
    )  # kind -> (batch, judgment_id), oldest first


def dataset_difference(old: PreferenceDataset, new: PreferenceDataset) -> Difference:
    """Raises DatasetDamaged. Memory: some fifty bytes a judgment."""
    joined = _last_said(old).join(
        _last_said(new),
        keys=["task_id", "annotator"],
        join_type="full outer",
        left_suffix=" old",
        right_suffix=" new",
    )
    in_old, in_new = (pc.is_valid(joined[f"judgment_id {which}"]) for which in ("old", "new"))
    gone_old, gone_new = (pc.fill_null(joined[f"withdrawn {which}"], True) for which in ("old", "new"))
    same = pc.fill_null(pc.equal(joined["judgment_id old"], joined["judgment_id new"]), False)
    in_both = pc.and_(in_old, in_new)
    masks = {
        "added": pc.and_(pc.invert(in_old), pc.invert(gone_new)),
        "changed": pc.and_(pc.and_not(in_both, same), pc.invert(gone_new)),
        "withdrawn": pc.and_(pc.and_not(in_both, same), pc.and_not(gone_new, gone_old)),
        "removed": pc.and_(pc.invert(in_new), pc.invert(gone_old)),
        "same": pc.and_(same, pc.invert(gone_new)),
    }
    batches = pc.coalesce(joined["batch new"], joined["batch old"])
    judgments = pc.coalesce(joined["judgment_id new"], joined["judgment_id old"])
    found = pa.table({"batch": batches, "judgment": judgments})
    by_batch: dict[str, dict[str, int]] = {}
    examples = {}
    for kind in KINDS:
        of_kind = found.filter(masks[kind])
        for item in pc.value_counts(of_kind["batch"]).to_pylist():
            by_batch.setdefault(item["values"], dict.fromkeys(KINDS, 0))[kind] = item["counts"]
        if kind != "same":
            first = of_kind.sort_by("judgment").slice(0, EXAMPLES)
            examples[kind] = [(row["batch"], str(row["judgment"])) for row in first.to_pylist()]
    return Difference(
        counts={kind: int(pc.sum(masks[kind]).as_py() or 0) for kind in KINDS},
        by_batch={
            batch: counts
            for batch, counts in sorted(by_batch.items())
            if any(number for kind, number in counts.items() if kind != "same")
        },
        examples=examples,
    )


def _last_said(dataset: PreferenceDataset) -> pa.Table:
    """batch, task_id, annotator, judgment_id, withdrawn of the head of each chain; ids as numbers, which they are."""
    parts = []
    for path in verified_files(dataset):
        with pq.ParquetFile(path) as file:
            table = file.read(columns=_COLUMNS)
        heads = table.filter(table["is_current"]).drop_columns("is_current")
        for name in ("task_id", "judgment_id"):
            place = heads.column_names.index(name)
            heads = heads.set_column(place, name, pc.cast(heads[name], pa.int64()))
        parts.append(heads)
    return pa.concat_tables(parts)
