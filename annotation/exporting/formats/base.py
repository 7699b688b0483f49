"""What an export format is, and the options that all formats share."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from annotation.preferences.weak_orders import MAX_STRENGTH

Ties = Literal["drop", "soft"]

TIES = ("drop", "soft")

# Llama 2, table 27, read between its grades for the mean grades of a consensus. Both tables are straight
# lines.
MARGINS: Mapping[str, Callable[[float], float]] = {
    "small": lambda grade: grade / MAX_STRENGTH,
    "large": lambda grade: grade,
    "none": lambda grade: 0.0,
}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    files: str = "parquet"
    ties: Ties = "drop"
    plain: bool = False
    margin: str = "small"


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format: the schema of its rows, and the rows made of one row of a dataset.

    `rows(row, options, counted)` gets a COMPARISONS row, or with `of_judgments` a JUDGMENTS row, and adds to
    `counted` what the manifest should tell (ties left out, for example).
    `requires_single_criterion`: its rows have no column that says which criterion they answer.
    """

    schema: Callable[[ExportOptions], pa.Schema]
    rows: Callable[[Any, ExportOptions, Counter[str]], Iterable[Mapping[str, Any]]]
    description: str
    of_judgments: bool = False
    requires_single_criterion: bool = False
