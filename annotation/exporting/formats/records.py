"""Our own records as export formats: comparisons (`records`) and judgments."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.record_columns import comparison_columns
from learning.interface.record_rows import ComparisonRow, JudgmentRow
from learning.interface.record_schemas import COMPARISONS, JUDGMENTS

# A Parquet map is a list of (key, value) pairs that `datasets` cannot read under that name: the same pairs as
# structs it can.
_MARKS = pa.list_(
    pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.float64(), nullable=False)])
)


def _judgment_schema() -> pa.Schema:
    index = JUDGMENTS.get_field_index("responses")
    response = [
        pa.field("marks", _MARKS, nullable=False) if field.name == "marks" else field
        for field in JUDGMENTS.field("responses").type.value_type
    ]
    return JUDGMENTS.set(index, pa.field("responses", pa.list_(pa.struct(response)), nullable=False))


def _judgment_rows(
    row: JudgmentRow, options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    """The dataset's row itself; in Parquet the marks as a list of pairs."""
    if options.files != "parquet":
        yield row
        return
    responses = [
        response | {"marks": [{"key": key, "value": value} for key, value in response["marks"].items()]}
        for response in row["responses"]
    ]
    yield row | {"responses": responses}


def _comparison_rows(
    row: ComparisonRow, options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    counts["intransitive_groups" if row["ranks"] is None else "weak_orders"] += 1
    yield row


COMPARISONS_FORMAT = ExportFormat(
    name="records",
    schema=lambda options: COMPARISONS,
    rows=_comparison_rows,
    columns=comparison_columns,
    description=gettext_noop(
        "comparisons: one row a judgment (or a task), ranks, grades and shares of each pair"
    ),
    options=("consensus",),
    imports_back=("import_comparisons", "records"),
)
JUDGMENTS_FORMAT = ExportFormat(
    name="judgments",
    schema=lambda options: _judgment_schema() if options.files == "parquet" else JUDGMENTS,
    rows=_judgment_rows,
    of_judgments=True,
    description=gettext_noop("judgments: one row a judgment, the append-only history included"),
    imports_back=("import_comparisons", "records"),
)
