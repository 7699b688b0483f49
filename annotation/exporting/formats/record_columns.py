"""The records formats of a batch of judgments, as columns."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from annotation.exporting.formats.base import ExportOptions
from annotation.exporting.raw_columns import RawComparisons, RowsOfBatch
from learning.interface.record_schemas import COMPARISONS


def comparison_columns(
    raw: RawComparisons, options: ExportOptions, counts: Counter[str]
) -> RowsOfBatch | None:
    """COMPARISONS rows; every judgment is a weak order."""
    if options.files != "parquet":
        return None
    judgments, size = raw.columns, len(raw)
    counts["weak_orders"] += size
    texts, kinds = raw.response_field("text"), {field.name: field.type for field in COMPARISONS}
    constants = {"weight": 1.0, "n_annotators": 1, "agreement": None}
    columns = {
        "group_id": judgments["judgment_id"],
        "responses": raw.lists_of_responses(texts, kinds["responses"]),
        "ended": raw.lists_of_responses(raw.response_field("ended"), kinds["ended"]),
        "response_ids": raw.lists_of_responses(raw.response_field("response_id"), kinds["response_ids"]),
        **{name: raw.of_shapes(name, kinds[name]) for name in ("ranks", "grade", "soft_preference")},
        **{name: pa.repeat(pa.scalar(value, kinds[name]), size) for name, value in constants.items()},
        "turns": _turns(raw, kinds["turns"]),
    }
    arrays = [columns[name] if name in columns else judgments[name] for name in COMPARISONS.names]
    return RowsOfBatch(splits=raw.splits(), table=pa.Table.from_arrays(arrays, schema=COMPARISONS))


def _turns(raw: RawComparisons, kind: pa.DataType) -> pa.Array:
    """Null for a comparison none of whose responses has turns."""
    turns_R = raw.response_field("turns")
    if turns_R.null_count == len(turns_R):
        return pa.nulls(len(raw), kind)
    lists = raw.lists_of_responses(turns_R, kind)
    rows = pc.list_parent_indices(lists).filter(turns_R.is_valid()).unique()
    has_turns = pc.is_in(pa.array(range(len(raw)), rows.type), value_set=rows)
    return pc.if_else(has_turns, lists, pa.nulls(len(raw), kind))
