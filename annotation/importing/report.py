"""What an import says about the rows it would not take: file, line, column, reason."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from annotation.importing.rows import RowError, locate
from workspace.errors import ActionError

SHOWN_BAD_ROWS = 50
# How the first words of a count read when it is 1.
_SINGULAR = {"tasks that were": "task that was"} | {
    f"{new}{what}s": f"{new}{what}"
    for new in ("", "new ")
    for what in (
        "annotator",
        "demonstration",
        "judgment",
        "prompt",
        "response",
        "row",
        "source",
        "task",
        "text",
    )
}


def describe_counts(counts: Mapping[str, int]) -> str:
    """“1 judgment, 2 tasks”."""
    return ", ".join(
        f"{number} {_singular(what) if number == 1 else what}" for what, number in counts.items()
    )


def _singular(what: str) -> str:
    for plural, singular in _SINGULAR.items():
        if what == plural or what.startswith(f"{plural} "):
            return singular + what.removeprefix(plural)
    return what


# A file that begins with so many bad rows and not one good one is read no further.
MAX_ONLY_BAD_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class BadRow:
    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}: {self.reason}"


class ImportRefused(ActionError):
    """Nothing was imported. The message is one sentence that says what, where and what to do; `report` has
    the bad rows.
    """

    code = "import_refused"
    report: "ImportReport | None" = None


@dataclass(kw_only=True)
class ImportReport:
    """Counts of an import. `bad_rows` holds the first SHOWN_BAD_ROWS; `bad` counts all, `write_bad_rows` writes all."""

    file: str  # or how several are called together
    files: list[str] = field(default_factory=list)
    rows: int = 0
    bad: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what else the caller should know, a sentence each
    import_id: int | None = None  # of the finished import
    project: str = ""  # its slug, once the import is finished
    _all_bad: IO[bytes] | None = field(default=None, repr=False)  # a file without a name, a line of JSON each

    def add_bad(self, line: int, problem: RowError) -> None:
        self.bad += 1
        index, line_in_file = locate(line)
        name = self.files[index] if index < len(self.files) else self.file
        row = BadRow(file=name, line=line_in_file, column=problem.column, reason=problem.reason)
        if len(self.bad_rows) < SHOWN_BAD_ROWS:
            self.bad_rows.append(row)
        if self._all_bad is None:
            self._all_bad = tempfile.TemporaryFile(prefix="roundtable-bad-rows-")  # noqa: SIM115 - as long as the report
        self._all_bad.write(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n")
        if self.bad == self.rows >= MAX_ONLY_BAD_ROWS:
            raise self.refusal(
                f"Nothing was imported: the first {self.bad:,} rows of {self.file} are all bad (first: "
                f"{self.bad_rows[0]}); correct the file.",
                code="bad_rows",
            )

    def write_bad_rows(self, path: Path) -> None:
        """All bad rows as JSON Lines (file, line, column, reason), in the order in which they were found; no file
        where there is none.
        """
        if self._all_bad is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._all_bad.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(self._all_bad, target)
        self._all_bad.seek(0, 2)

    @property
    def good(self) -> int:
        return self.rows - self.bad

    def lines(self) -> list[str]:
        """The bad rows as lines of text, with a last line for those that are not shown."""
        shown = [str(row) for row in self.bad_rows]
        if self.bad > len(shown):
            shown.append(f"{self.file}: {self.bad - len(shown)} more bad rows")
        return shown

    def raise_if_bad_rows(self, *, skip_bad: bool) -> None:
        """All or nothing: raise ImportRefused when a row is bad, or when nothing is left to import."""
        if self.rows == 0:
            raise self.refusal(f"{self.file} has no rows: nothing to import.", code="no_rows")
        if self.bad == 0:
            return
        count = f"{self.bad} of {self.rows} rows {'is' if self.bad == 1 else 'are'} bad"
        first = f"first: {self.bad_rows[0]}"
        if self.good == 0:
            raise self.refusal(f"Nothing was imported: {count} ({first}); correct the file.", code="bad_rows")
        if not skip_bad:
            raise self.refusal(
                f"Nothing was imported: {count} ({first}); correct them, or leave them out with --skip-bad.",
                code="bad_rows",
            )

    def refusal(self, sentence: str, *, code: str) -> ImportRefused:
        """An ImportRefused that has this report."""
        refused = ImportRefused(sentence, code=code)
        refused.report = self
        return refused
