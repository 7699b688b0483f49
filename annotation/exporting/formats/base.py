"""What an export format is, and the options that formats share: the command and the pages build their forms from it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.datasets.shards import CSV, FILE_KINDS
from annotation.exporting.raw_columns import RawComparisons, RowsOfBatch
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
class FormatOption:
    """An option of formats, as a form or a command shows it. No choices: it is switched on or off."""

    name: str
    title: str
    description: str
    default: str | bool
    choices: tuple[str, ...] = ()


# What becomes of a row's columns: "documented" leaves exactly those that the format's own documentation names.
COLUMNS = ("all", "documented")
# NeMo RL's file knows rankings; its trainers read pairs.
ROWS = ("pairs", "rankings")

EXPORT_OPTIONS: Mapping[str, FormatOption] = {
    option.name: option
    for option in (
        FormatOption(
            name="ties",
            title=gettext_noop("Ties"),
            description=gettext_noop(
                "drop leaves tied pairs out and counts them; soft writes them with soft_label 0.5, or with "
                "equal ranks where the format has ranks"
            ),
            default="drop",
            choices=TIES,
        ),
        FormatOption(
            name="plain",
            title=gettext_noop("Plain text"),
            description=gettext_noop(
                "texts instead of messages; a prompt of several turns becomes a transcript"
            ),
            default=False,
        ),
        FormatOption(
            name="margin",
            title=gettext_noop("Margins"),
            description=gettext_noop(
                "the table of margins (Llama 2, table 27): small 0 to 1, large 0 to 3, none 0 for every pair, "
                "as trainers need that take a margin of every pair"
            ),
            default="small",
            choices=tuple(MARGINS),
        ),
        FormatOption(
            name="columns",
            title=gettext_noop("Columns"),
            description=gettext_noop(
                "all has the group, weight, strength, soft label and number of ties beside the format's own "
                "columns; documented has the format's own alone"
            ),
            default="all",
            choices=COLUMNS,
        ),
        FormatOption(
            name="rows",
            title=gettext_noop("Rows"),
            description=gettext_noop("pairs, which NeMo RL's trainers read, or whole rankings"),
            default="pairs",
            choices=ROWS,
        ),
        FormatOption(
            name="consensus",
            title=gettext_noop("Consensus"),
            description=gettext_noop(
                "one row a task, its annotators weighed by their reliability, instead of one a judgment"
            ),
            default=False,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How rows are written. A format reads those of the options that it names."""

    files: str = "parquet"
    ties: str = "drop"
    plain: bool = False
    margin: str = "small"
    columns: str = "all"
    rows: str = "pairs"
    # Not the caller's to say: whether the dataset has tool calls or responses of several turns, and how many responses
    # its largest judgment has.
    with_turns: bool = False
    most_responses: int = 0

    def __post_init__(self) -> None:
        require_known("tie policy", self.ties, TIES)
        require_known("margin", self.margin, MARGINS)
        require_known("kind of file", self.files, (*FILE_KINDS, CSV))
        require_known("choice of columns", self.columns, COLUMNS)
        require_known("kind of row", self.rows, ROWS)

    @property
    def all_columns(self) -> bool:
        return self.columns == "all"


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format: the schema of its rows, and the rows made of one row of a dataset. Pure.

    `rows(row, options, counts)` gets a COMPARISONS row, with `of_judgments` a JUDGMENTS row, or with `of_questions`
    (group id, the JUDGMENTS rows that answer one question); and adds to `counts` what the manifest should tell (ties
    left out, for example).
    `requires_single_criterion`: its rows have no column that says which criterion they answer.
    `options`: the EXPORT_OPTIONS it reads; `file_kinds`: the files it can be, the usual one first.
    `losses`: what is counted that the format cannot carry, and what that means, a phrase each.
    `ties_in_soft_label`: a tie it writes is known by soft_label alone.
    `imports_back`: the command that reads these files again and the format it reads them as; None where none does.
    `columns`: the same rows and counts of a whole batch of raw comparisons at once, or None for a batch that has to go
    row by row; many times faster, and tested to be the same to the byte.
    """

    name: str
    schema: Callable[[ExportOptions], pa.Schema]
    rows: Callable[[Any, ExportOptions, Counter[str]], Iterable[Mapping[str, Any]]]
    description: str
    of_judgments: bool = False
    of_questions: bool = False
    requires_single_criterion: bool = False
    columns: Callable[[RawComparisons, ExportOptions, Counter[str]], RowsOfBatch | None] | None = None
    options: tuple[str, ...] = ()
    file_kinds: tuple[str, ...] = FILE_KINDS
    losses: Mapping[str, str] = field(default_factory=dict)
    ties_in_soft_label: bool = False
    imports_back: tuple[str, str] | None = None

    @property
    def export_options(self) -> list[FormatOption]:
        """In the order of a form."""
        return [option for name, option in EXPORT_OPTIONS.items() if name in self.options]

    def require_writable(self, criteria: Collection[str]) -> None:
        """Raises ExportRefused where judgments of these criteria cannot be written in this format."""
        if self.requires_single_criterion and len(criteria) > 1:
            raise ExportRefused(
                f"The format {self.name} has no column for the criterion, and there are several: name one with "
                f"--criterion ({', '.join(criteria)}).",
                code="which_criterion",
            )

    def require_options(self, options: ExportOptions, consensus: bool) -> None:
        """Raises ExportRefused for an option that would do nothing here, or would make preferences of ties."""
        given = {name: getattr(options, name, consensus) for name in EXPORT_OPTIONS}
        for name, option in EXPORT_OPTIONS.items():
            if given[name] != option.default and name not in self.options:
                raise ExportRefused(
                    f"The format {self.name} has no option {name}; it has {', '.join(self.options) or 'none'}.",
                    code="option_without_use",
                )
        if options.files not in self.file_kinds:
            raise ExportRefused(
                f"The format {self.name} is written as {' or '.join(self.file_kinds)}, not {options.files}.",
                code="wrong_files",
            )
        if self.ties_in_soft_label and options.ties == "soft" and not options.all_columns:
            raise ExportRefused(
                f"In the documented columns of {self.name} a tie cannot be told from a preference: leave --ties soft "
                "or --columns documented out.",
                code="ties_without_column",
            )
