"""What an export format is, and the options that formats share."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from annotation.datasets.shards import FILE_KINDS
from annotation.preferences.weak_orders import MAX_STRENGTH
from workspace.errors import ActionError

TIES = ("drop", "soft")
# Llama 2, table 27, read between its strengths for the mean strength of a consensus. Both tables are straight lines.
NO_MARGINS = "none"
MARGINS: Mapping[str, Callable[[float], float]] = {
    "small": lambda strength: strength / MAX_STRENGTH,
    "large": lambda strength: strength,
    NO_MARGINS: lambda strength: 0.0,
}


class ExportRefused(ActionError):
    """Nothing was written; one sentence says why."""

    code = "export_refused"


# What `rows` counts where a row has tool calls or several turns and the format only texts: the export is refused.
UNWRITABLE = "rows_with_calls"


def require_known(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ExportRefused(f"There is no {what} “{value}”: use {', '.join(known)}.", code="unknown_option")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How rows are written. A format reads those of the options that concern it."""

    files: str = "parquet"
    ties: str = "drop"
    plain: bool = False
    margin: str = "small"
    with_turns: bool = (
        False  # the dataset has tool calls or responses of several turns; not the caller's to say
    )

    def __post_init__(self) -> None:
        require_known("tie policy", self.ties, TIES)
        require_known("margin", self.margin, MARGINS)
        require_known("kind of file", self.files, FILE_KINDS)


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format: the schema of its rows, and the rows made of one row of a dataset.

    `rows(row, options, counts)` gets a COMPARISONS row, or with `of_judgments` a JUDGMENTS row, and adds to
    `counts` what the manifest should tell (ties left out, for example).
    `requires_single_criterion`: its rows have no column that says which criterion they answer.
    """

    name: str
    schema: Callable[[ExportOptions], pa.Schema]
    rows: Callable[[Any, ExportOptions, Counter[str]], Iterable[Mapping[str, Any]]]
    description: str
    of_judgments: bool = False
    requires_single_criterion: bool = False

    def require_writable(self, criteria: Collection[str]) -> None:
        """Raises ExportRefused where judgments of these criteria cannot be written in this format."""
        if self.requires_single_criterion and len(criteria) > 1:
            raise ExportRefused(
                f"The format {self.name} has no column for the criterion, and there are several: name one with "
                f"--criterion ({', '.join(criteria)}).",
                code="which_criterion",
            )
