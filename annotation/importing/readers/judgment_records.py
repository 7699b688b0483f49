"""Our own records read back: `judgments` rows and `comparisons` rows, told apart by their columns.

Of judgments, what counts is taken: current, not withdrawn, not surplus; the rest of the history is passed
over. A `comparisons` row is one judgment (a consensus row loses how many people it was made of). Splits are
never read: a prompt's side follows from the project's own salt. Nor are rounds and the versions of guidelines
and settings: their numbers are those of the installation that wrote them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from annotation.errors import InvalidJudgment, InvalidText
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    parse_id,
    parse_integer,
    parse_list,
    parse_name,
    parse_number,
    parse_prompt,
    parse_response,
    parse_text,
)
from annotation.importing.readers.judgments import (
    ImportedJudgment,
    ImportedPair,
    check_responses,
    merge_pairs,
)
from annotation.importing.readers.record_responses import (
    parse_response_record,
)
from annotation.importing.report import RowError
from annotation.importing.source_files import describe_json_type
from annotation.preferences.validation import MAX_RATIONALE_CHARACTERS, MAX_SECONDS, clean_flags
from annotation.preferences.weak_orders import MAX_STRENGTH, compare, dense_ranks, tiers_to_ranks

ANNOTATOR_KINDS = ("person", "simulated", "ai")
PURPOSES = ("normal", "head_to_head")
# The first of these that ISO 8601 writes with four digits everywhere; nobody judged anything before it.
FIRST_YEAR = 1000
# How far i over j and j over i may be from 1 together: shares come rounded.
SHARE_TOLERANCE = 1e-6


class RecordsReader:
    fields: ClassVar[tuple[str, ...]] = (
        "judgment_id", "supersedes", "is_current", "withdrawn", "surplus", "project", "batch", "round", "criterion",
        "purpose", "task_id", "prompt_id", "prompt", "responses", "order_shown", "tiers", "strengths", "annotator",
        "annotator_kind", "rationale", "flags", "seconds", "guideline_version", "settings_version", "split",
        "created_at",
        "group_id", "response_ids", "ranks", "grade", "soft_preference", "weight", "n_annotators", "agreement",
    )  # fmt: skip

    def __init__(self, columns: ColumnMap, *, criterion: str, named_strengths: Mapping[str, str]) -> None:
        self._columns = columns
        self._criterion = criterion

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        return self._id(row, self._id_field(row))

    def row_id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name(self._id_field(row))

    def _id_field(self, row: Mapping[str, Any]) -> str:
        return "judgment_id" if self._columns.has(row, "judgment_id") else "group_id"

    def read(self, row: Mapping[str, Any], line: int) -> Sequence[ImportedJudgment | ImportedPair]:
        self._check_criterion(row)
        if self._columns.has(row, "tiers"):
            return self._judgment(row)
        if not self._columns.has(row, "ranks") and not self._columns.has(row, "soft_preference"):
            raise RowError(
                "tiers", "is missing, and so are ranks and soft_preference: is this a file of records?"
            )
        return self._comparison(row, line)

    def _check_criterion(self, row: Mapping[str, Any]) -> None:
        if self._columns.has(row, "criterion"):
            column = self._columns.name("criterion")
            criterion = parse_name(self._columns.value(row, "criterion"), column)
            if criterion != self._criterion:
                raise RowError(column, f"is {criterion}, and this import is about {self._criterion}")

    def _id(self, row: Mapping[str, Any], field: str) -> str | None:
        if not self._columns.has(row, field):
            return None
        return parse_id(self._columns.value(row, field), self._columns.name(field))

    def _flag(self, row: Mapping[str, Any], field: str, default: bool) -> bool:
        if not self._columns.has(row, field):
            return default
        value = self._columns.value(row, field)
        if not isinstance(value, bool):
            raise RowError(
                self._columns.name(field), f"should be true or false but is {describe_json_type(value)}"
            )
        return value

    def _one_of(self, row: Mapping[str, Any], field: str, known: Sequence[str]) -> str:
        if not self._columns.has(row, field):
            return known[0]
        column = self._columns.name(field)
        value = parse_name(self._columns.value(row, field), column)
        if value not in known:
            raise RowError(column, f"is {value}; it should be one of {', '.join(known)}")
        return value

    def _judgment(self, row: Mapping[str, Any]) -> list[ImportedJudgment]:
        value, name = self._columns.value, self._columns.name
        prompt = parse_prompt(value(row, "prompt"), name("prompt"))
        entries = [
            parse_response_record(entry, f"{name('responses')}.{place}")
            for place, entry in enumerate(parse_list(value(row, "responses"), name("responses")))
        ]
        check_responses([entry["text"] for entry in entries], [name("responses")])
        ids = [entry["response_id"] for entry in entries]
        ranks = self._ranks(row, ids)
        strengths = parse_list(value(row, "strengths"), name("strengths"))
        if len(strengths) != max(ranks):
            raise RowError(
                name("strengths"), f"has {len(strengths)} strengths for {max(ranks)} steps between tiers"
            )
        counts = self._flag(row, "is_current", True) and not (
            self._flag(row, "withdrawn", False) or self._flag(row, "surplus", False)
        )
        judgment = ImportedJudgment(
            prompt=prompt,
            responses=[entry["text"] for entry in entries],
            ranks=ranks,
            strengths=[parse_integer(step, name("strengths"), 0, MAX_STRENGTH) for step in strengths],
            annotator=parse_name(value(row, "annotator"), name("annotator")),
            annotator_kind=self._one_of(row, "annotator_kind", ANNOTATOR_KINDS),
            rationale=self._rationale(row),
            flags=self._flags(row),
            seconds=self._seconds(row),
            purpose=self._one_of(row, "purpose", PURPOSES),
            created_at=self._moment(row),
            prompt_id=self._id(row, "prompt_id"),
            task_id=self._id(row, "task_id"),
            record_id=self._id(row, "judgment_id"),
            response_ids=ids,
            order_shown=self._order_shown(row, ids),
            sources=[entry["source"] for entry in entries],
            sampling=[entry["sampling"] for entry in entries],
            marks=[entry["marks"] for entry in entries],
        )
        return [judgment] if counts else []

    def _ranks(self, row: Mapping[str, Any], ids: Sequence[str]) -> list[int]:
        column = self._columns.name("tiers")
        tiers = [parse_list(tier, column) for tier in parse_list(self._columns.value(row, "tiers"), column)]
        try:
            ranks = tiers_to_ranks([[ids.index(str(response)) for response in tier] for tier in tiers])
        except ValueError:
            ranks = []
        if len(ranks) != len(ids):
            raise RowError(column, "does not name every response of the row exactly once")
        return ranks

    def _order_shown(self, row: Mapping[str, Any], ids: Sequence[str]) -> list[int] | None:
        """Places of the responses in the order in which they were seen, where the row says it."""
        if not self._columns.has(row, "order_shown"):
            return None
        column = self._columns.name("order_shown")
        shown = [parse_id(one, column) for one in parse_list(self._columns.value(row, "order_shown"), column)]
        if sorted(shown) != sorted(ids):
            raise RowError(column, "does not name every response of the row exactly once")
        return [ids.index(one) for one in shown]

    def _text(self, row: Mapping[str, Any], field: str) -> str:
        if not self._columns.has(row, field):
            return ""
        return parse_text(self._columns.value(row, field), self._columns.name(field))

    def _rationale(self, row: Mapping[str, Any]) -> str:
        words = self._text(row, "rationale")
        if len(words) > MAX_RATIONALE_CHARACTERS:
            raise RowError(
                self._columns.name("rationale"),
                f"has {len(words):,} characters; at most {MAX_RATIONALE_CHARACTERS:,}",
            )
        return words

    def _flags(self, row: Mapping[str, Any]) -> list[str]:
        if not self._columns.has(row, "flags"):
            return []
        column = self._columns.name("flags")
        flags = parse_list(self._columns.value(row, "flags"), column)
        try:
            return clean_flags([parse_text(flag, column) for flag in flags])
        except (InvalidJudgment, InvalidText) as error:
            raise RowError(column, error.message) from error

    def _moment(self, row: Mapping[str, Any]) -> str | None:
        words = self._text(row, "created_at")
        if not words:
            return None
        column, shown = self._columns.name("created_at"), f"is “{words[:40]}”"
        try:
            moment = datetime.fromisoformat(words)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise RowError(column, f"{shown}, no time in ISO 8601 with its zone")
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            moment = None
        if moment is None or moment.year < FIRST_YEAR:
            raise RowError(column, f"{shown}; it should be in UTC's years {FIRST_YEAR} to 9999")
        return moment.isoformat()

    def _seconds(self, row: Mapping[str, Any]) -> float:
        if not self._columns.has(row, "seconds"):
            return 0.0
        column = self._columns.name("seconds")
        seconds = parse_number(self._columns.value(row, "seconds"), column)
        if not 0 <= seconds <= MAX_SECONDS:
            raise RowError(column, f"is {seconds:g}; it should be between 0 and {MAX_SECONDS:,}, a day")
        return seconds

    def _comparison(self, row: Mapping[str, Any], line: int) -> list[ImportedJudgment]:
        value, name = self._columns.value, self._columns.name
        prompt = parse_prompt(value(row, "prompt"), name("prompt"))
        given = parse_list(value(row, "responses"), name("responses"))
        responses = [
            parse_response(words, f"{name('responses')}.{place}") for place, words in enumerate(given)
        ]
        check_responses(responses, [name("responses")])
        signs = self._signs(row, len(responses))
        return merge_pairs(
            group=self.row_id(row) or f"line {line}",
            prompt=prompt,
            responses=responses,
            signs=signs,
            strengths=self._strengths(row, len(responses), signs),
            response_ids=self._response_ids(row, len(responses)),
            record_id=self._id(row, "group_id"),
            annotator=parse_name(value(row, "annotator"), name("annotator"))
            if self._columns.has(row, "annotator")
            else None,
            annotator_kind=self._one_of(row, "annotator_kind", ANNOTATOR_KINDS),
        )

    def _response_ids(self, row: Mapping[str, Any], things: int) -> list[str] | None:
        if not self._columns.has(row, "response_ids"):
            return None
        column = self._columns.name("response_ids")
        given = parse_list(self._columns.value(row, "response_ids"), column)
        ids = [parse_id(one, f"{column}.{place}") for place, one in enumerate(given)]
        if len(ids) != things or len(set(ids)) != things:
            raise RowError(column, f"should be {things} different ids, one a response")
        return ids

    def _signs(self, row: Mapping[str, Any], things: int) -> dict[tuple[int, int], int]:
        pairs = [(i, j) for i in range(things) for j in range(i + 1, things)]
        if self._columns.has(row, "ranks"):
            column = self._columns.name("ranks")
            given = parse_list(self._columns.value(row, "ranks"), column)
            if len(given) != things:
                raise RowError(column, f"has {len(given)} ranks for {things} responses")
            ranks = dense_ranks([parse_integer(rank, column, 0, 10**6) for rank in given])
            return {(i, j): compare(ranks[j], ranks[i]) for i, j in pairs}
        shares = self._matrix(row, "soft_preference", things, 1)
        self._check_shares(shares, pairs)
        signs = {(i, j): compare(share, 0.5) for i, j in pairs if (share := shares[i][j]) is not None}
        if not signs:
            raise RowError(self._columns.name("soft_preference"), "compares no two responses")
        return signs

    def _check_shares(
        self, shares: Sequence[Sequence[float | None]], pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Both sides of a pair say the same. Raises RowError."""
        for i, j in pairs:
            over, under = shares[i][j], shares[j][i]
            if over is None and under is None:
                continue
            if over is None or under is None or abs(over + under - 1) > SHARE_TOLERANCE:
                raise RowError(
                    self._columns.name("soft_preference"),
                    f"contradicts itself on responses {i + 1} and {j + 1}: their two shares should make 1",
                )

    def _strengths(
        self, row: Mapping[str, Any], things: int, signs: Mapping[tuple[int, int], int]
    ) -> dict[tuple[int, int], int]:
        if not self._columns.has(row, "grade"):
            return {pair: 0 for pair, value in signs.items() if value}
        grades = self._matrix(row, "grade", things, MAX_STRENGTH)
        return {
            (i, j): min(MAX_STRENGTH, int(((grades[i][j] if value > 0 else grades[j][i]) or 0.0) + 0.5))
            for (i, j), value in signs.items()
            if value
        }

    def _matrix(self, row: Mapping[str, Any], field: str, things: int, high: int) -> list[list[float | None]]:
        column = self._columns.name(field)
        lines = [parse_list(line, column) for line in parse_list(self._columns.value(row, field), column)]
        if len(lines) != things or any(len(line) != things for line in lines):
            raise RowError(column, f"should be a {things} x {things} table, like the responses")
        matrix = [[None if cell is None else parse_number(cell, column) for cell in line] for line in lines]
        if any(cell is not None and not 0 <= cell <= high for line in matrix for cell in line):
            raise RowError(column, f"has numbers outside 0 to {high}")
        return matrix
