"""Our own records read back: `judgments` rows and `comparisons` rows, told apart by their columns.

Of judgments, what counts is taken: current, not withdrawn, not surplus; the rest of the history is passed
over. A `comparisons` row is one judgment (a consensus row loses how many people it was made of). Splits are
never read: a prompt's side follows from the project's own salt. Nor are rounds and the versions of guidelines
and settings: their numbers are those of the installation that wrote them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from annotation.errors import BadAnswer, UnreadableText
from annotation.importing import cells
from annotation.importing.cells import Columns
from annotation.importing.judgments import ImportedJudgment, ImportedPair, check_responses, judgments_of_pairs
from annotation.importing.report import RowProblem
from annotation.importing.source_files import kind_of
from annotation.judging import MAX_RATIONALE_CHARACTERS
from annotation.ordering import MAX_SECONDS, check_flags, check_marks
from annotation.weak_orders import MAX_GRADE, dense, ranks_of_tiers, sign

ANNOTATOR_KINDS = ("person", "simulated", "ai")
PURPOSES = ("normal", "head_to_head")
SOURCES = ("policy", "person", "reference", "import")
# The first of these that ISO 8601 writes with four digits everywhere; nobody judged anything before it.
FIRST_YEAR = 1000
SAMPLING_NUMBERS = ("temperature", "top_p", "repetition_penalty")
SAMPLING_WHOLE_NUMBERS = ("top_k", "max_tokens", "seed")
# How far i over j and j over i may be from 1 together: shares come rounded.
ROUNDING = 1e-6


class RecordsReader:
    fields: ClassVar[tuple[str, ...]] = (
        "judgment_id", "supersedes", "is_current", "withdrawn", "surplus", "project", "batch", "round", "criterion",
        "purpose", "task_id", "prompt_id", "prompt", "responses", "order_shown", "tiers", "strengths", "annotator",
        "annotator_kind", "rationale", "flags", "seconds", "guideline_version", "settings_version", "split",
        "created_at",
        "group_id", "response_ids", "ranks", "grade", "soft_preference", "weight", "n_annotators", "agreement",
    )  # fmt: skip

    def __init__(self, columns: Columns, *, criterion: str, grades: Mapping[str, str]) -> None:
        self._columns = columns
        self._criterion = criterion

    def id_of(self, row: Mapping[str, Any]) -> str | None:
        return self._id(row, self._id_field(row))

    def id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name(self._id_field(row))

    def _id_field(self, row: Mapping[str, Any]) -> str:
        return "judgment_id" if self._columns.has(row, "judgment_id") else "group_id"

    def read(self, row: Mapping[str, Any], line: int) -> Sequence[ImportedJudgment | ImportedPair]:
        self._check_criterion(row)
        if self._columns.has(row, "tiers"):
            return self._judgment(row)
        if not self._columns.has(row, "ranks") and not self._columns.has(row, "soft_preference"):
            raise RowProblem(
                "tiers", "is missing, and so are ranks and soft_preference: is this a file of records?"
            )
        return self._comparison(row, line)

    def _check_criterion(self, row: Mapping[str, Any]) -> None:
        if self._columns.has(row, "criterion"):
            column = self._columns.name("criterion")
            criterion = cells.name(self._columns.value(row, "criterion"), column)
            if criterion != self._criterion:
                raise RowProblem(column, f"is {criterion}, and this import is about {self._criterion}")

    def _id(self, row: Mapping[str, Any], field: str) -> str | None:
        if not self._columns.has(row, field):
            return None
        return cells.identifier(self._columns.value(row, field), self._columns.name(field))

    def _flag(self, row: Mapping[str, Any], field: str, default: bool) -> bool:
        if not self._columns.has(row, field):
            return default
        value = self._columns.value(row, field)
        if not isinstance(value, bool):
            raise RowProblem(self._columns.name(field), f"should be true or false but is {kind_of(value)}")
        return value

    def _one_of(self, row: Mapping[str, Any], field: str, known: Sequence[str]) -> str:
        if not self._columns.has(row, field):
            return known[0]
        column = self._columns.name(field)
        value = cells.name(self._columns.value(row, field), column)
        if value not in known:
            raise RowProblem(column, f"is {value}; it should be one of {', '.join(known)}")
        return value

    def _judgment(self, row: Mapping[str, Any]) -> list[ImportedJudgment]:
        value, name = self._columns.value, self._columns.name
        prompt = cells.messages(value(row, "prompt"), name("prompt"))
        entries = [
            _response(entry, f"{name('responses')}.{place}")
            for place, entry in enumerate(cells.list_of(value(row, "responses"), name("responses")))
        ]
        check_responses([entry["text"] for entry in entries], [name("responses")])
        ids = [entry["response_id"] for entry in entries]
        ranks = self._ranks(row, ids)
        strengths = cells.list_of(value(row, "strengths"), name("strengths"))
        if len(strengths) != max(ranks):
            raise RowProblem(
                name("strengths"), f"has {len(strengths)} strengths for {max(ranks)} steps between tiers"
            )
        counts = self._flag(row, "is_current", True) and not (
            self._flag(row, "withdrawn", False) or self._flag(row, "surplus", False)
        )
        judgment = ImportedJudgment(
            prompt=prompt,
            responses=[entry["text"] for entry in entries],
            ranks=ranks,
            strengths=[cells.whole_number(step, name("strengths"), 0, MAX_GRADE) for step in strengths],
            annotator=cells.name(value(row, "annotator"), name("annotator")),
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
        tiers = [
            cells.list_of(tier, column) for tier in cells.list_of(self._columns.value(row, "tiers"), column)
        ]
        try:
            ranks = ranks_of_tiers([[ids.index(str(response)) for response in tier] for tier in tiers])
        except ValueError:
            ranks = []
        if len(ranks) != len(ids):
            raise RowProblem(column, "does not name every response of the row exactly once")
        return ranks

    def _order_shown(self, row: Mapping[str, Any], ids: Sequence[str]) -> list[int] | None:
        """Places of the responses in the order in which they were seen, where the row says it."""
        if not self._columns.has(row, "order_shown"):
            return None
        column = self._columns.name("order_shown")
        shown = [
            cells.identifier(one, column)
            for one in cells.list_of(self._columns.value(row, "order_shown"), column)
        ]
        if sorted(shown) != sorted(ids):
            raise RowProblem(column, "does not name every response of the row exactly once")
        return [ids.index(one) for one in shown]

    def _text(self, row: Mapping[str, Any], field: str) -> str:
        if not self._columns.has(row, field):
            return ""
        return cells.text(self._columns.value(row, field), self._columns.name(field))

    def _rationale(self, row: Mapping[str, Any]) -> str:
        words = self._text(row, "rationale")
        if len(words) > MAX_RATIONALE_CHARACTERS:
            raise RowProblem(
                self._columns.name("rationale"),
                f"has {len(words):,} characters; at most {MAX_RATIONALE_CHARACTERS:,}",
            )
        return words

    def _flags(self, row: Mapping[str, Any]) -> list[str]:
        if not self._columns.has(row, "flags"):
            return []
        column = self._columns.name("flags")
        flags = cells.list_of(self._columns.value(row, "flags"), column)
        try:
            return check_flags([cells.text(flag, column) for flag in flags])
        except (BadAnswer, UnreadableText) as error:
            raise RowProblem(column, error.message) from error

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
            raise RowProblem(column, f"{shown}, no time in ISO 8601 with its zone")
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            moment = None
        if moment is None or moment.year < FIRST_YEAR:
            raise RowProblem(column, f"{shown}; it should be in UTC's years {FIRST_YEAR} to 9999")
        return moment.isoformat()

    def _seconds(self, row: Mapping[str, Any]) -> float:
        if not self._columns.has(row, "seconds"):
            return 0.0
        column = self._columns.name("seconds")
        seconds = cells.number(self._columns.value(row, "seconds"), column)
        if not 0 <= seconds <= MAX_SECONDS:
            raise RowProblem(column, f"is {seconds:g}; it should be between 0 and {MAX_SECONDS:,}, a day")
        return seconds

    def _comparison(self, row: Mapping[str, Any], line: int) -> list[ImportedJudgment]:
        value, name = self._columns.value, self._columns.name
        prompt = cells.messages(value(row, "prompt"), name("prompt"))
        given = cells.list_of(value(row, "responses"), name("responses"))
        responses = [cells.answer(words, f"{name('responses')}.{place}") for place, words in enumerate(given)]
        check_responses(responses, [name("responses")])
        signs = self._signs(row, len(responses))
        return judgments_of_pairs(
            group=self.id_of(row) or f"line {line}",
            prompt=prompt,
            responses=responses,
            signs=signs,
            grades=self._grades(row, len(responses), signs),
            response_ids=self._response_ids(row, len(responses)),
            record_id=self._id(row, "group_id"),
            annotator=cells.name(value(row, "annotator"), name("annotator"))
            if self._columns.has(row, "annotator")
            else None,
            annotator_kind=self._one_of(row, "annotator_kind", ANNOTATOR_KINDS),
        )

    def _response_ids(self, row: Mapping[str, Any], things: int) -> list[str] | None:
        if not self._columns.has(row, "response_ids"):
            return None
        column = self._columns.name("response_ids")
        given = cells.list_of(self._columns.value(row, "response_ids"), column)
        ids = [cells.identifier(one, f"{column}.{place}") for place, one in enumerate(given)]
        if len(ids) != things or len(set(ids)) != things:
            raise RowProblem(column, f"should be {things} different ids, one a response")
        return ids

    def _signs(self, row: Mapping[str, Any], things: int) -> dict[tuple[int, int], int]:
        pairs = [(i, j) for i in range(things) for j in range(i + 1, things)]
        if self._columns.has(row, "ranks"):
            column = self._columns.name("ranks")
            given = cells.list_of(self._columns.value(row, "ranks"), column)
            if len(given) != things:
                raise RowProblem(column, f"has {len(given)} ranks for {things} responses")
            ranks = dense([cells.whole_number(rank, column, 0, 10**6) for rank in given])
            return {(i, j): sign(ranks[j], ranks[i]) for i, j in pairs}
        shares = self._matrix(row, "soft_preference", things, 1)
        self._check_shares(shares, pairs)
        signs = {(i, j): sign(share, 0.5) for i, j in pairs if (share := shares[i][j]) is not None}
        if not signs:
            raise RowProblem(self._columns.name("soft_preference"), "compares no two responses")
        return signs

    def _check_shares(
        self, shares: Sequence[Sequence[float | None]], pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Both sides of a pair say the same. Raises RowProblem."""
        for i, j in pairs:
            over, under = shares[i][j], shares[j][i]
            if over is None and under is None:
                continue
            if over is None or under is None or abs(over + under - 1) > ROUNDING:
                raise RowProblem(
                    self._columns.name("soft_preference"),
                    f"contradicts itself on responses {i + 1} and {j + 1}: their two shares should make 1",
                )

    def _grades(
        self, row: Mapping[str, Any], things: int, signs: Mapping[tuple[int, int], int]
    ) -> dict[tuple[int, int], int]:
        if not self._columns.has(row, "grade"):
            return {pair: 0 for pair, value in signs.items() if value}
        grades = self._matrix(row, "grade", things, MAX_GRADE)
        return {
            (i, j): min(MAX_GRADE, int(((grades[i][j] if value > 0 else grades[j][i]) or 0.0) + 0.5))
            for (i, j), value in signs.items()
            if value
        }

    def _matrix(self, row: Mapping[str, Any], field: str, things: int, high: int) -> list[list[float | None]]:
        column = self._columns.name(field)
        lines = [
            cells.list_of(line, column) for line in cells.list_of(self._columns.value(row, field), column)
        ]
        if len(lines) != things or any(len(line) != things for line in lines):
            raise RowProblem(column, f"should be a {things} x {things} table, like the responses")
        matrix = [[None if cell is None else cells.number(cell, column) for cell in line] for line in lines]
        if any(cell is not None and not 0 <= cell <= high for line in matrix for cell in line):
            raise RowProblem(column, f"has numbers outside 0 to {high}")
        return matrix


def _response(entry: Any, column: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise RowProblem(column, f"should be a response (response_id, text, ...) but is {kind_of(entry)}")
    source = entry.get("source") or "import"
    if source not in SOURCES:
        raise RowProblem(
            f"{column}.source", f"is {str(source)[:40]}; it should be one of {', '.join(SOURCES)}"
        )
    policy = entry.get("policy")
    return {
        "response_id": cells.identifier(entry.get("response_id"), f"{column}.response_id"),
        "text": cells.text(entry.get("text"), f"{column}.text"),
        "source": [source, cells.text(policy, f"{column}.policy") if policy is not None else source],
        "sampling": _sampling(entry.get("sampling"), f"{column}.sampling"),
        "marks": _marks(entry.get("marks"), f"{column}.marks"),
    }


def _sampling(value: Any, column: str) -> dict[str, float | int] | None:
    """The settings that are given. Others than these would be lost on the way out: they are refused."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise RowProblem(column, f"should be an object but is {kind_of(value)}")
    sampling: dict[str, float | int] = {}
    for name, setting in value.items():
        where = f"{column}.{name}"
        if name not in SAMPLING_NUMBERS + SAMPLING_WHOLE_NUMBERS:
            known = ", ".join(SAMPLING_NUMBERS + SAMPLING_WHOLE_NUMBERS)
            raise RowProblem(where, f"is not known; take it out ({known} are kept)")
        if setting is None:
            continue
        if name in SAMPLING_NUMBERS:
            sampling[name] = cells.number(setting, where)
        else:
            sampling[name] = cells.whole_number(setting, where, -(2**63), 2**63 - 1)
    return sampling


def _marks(value: Any, column: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping | list):
        raise RowProblem(column, f"should be an object but is {kind_of(value)}")
    try:
        marks = _named(value)
        check_marks({0: marks}, [0])
    except (BadAnswer, UnreadableText) as error:
        raise RowProblem(column, error.message) from error
    except (TypeError, ValueError, KeyError) as error:
        raise RowProblem(column, "should be an object of names and numbers") from error
    return marks


def _named(marks: Any) -> dict[str, Any]:
    """Marks as an object; Parquet gives them as pairs, or as objects with key and value."""
    if not isinstance(marks, list):
        return dict(marks or {})
    return {pair["key"]: pair["value"] for pair in marks if isinstance(pair, Mapping)} | dict(
        pair for pair in marks if not isinstance(pair, Mapping)
    )
