"""Rows of `comparisons` files: each is one judgment (a consensus row loses how many people it was made of)."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

from annotation.importing.readers.base import Row
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    parse_choice,
    parse_id,
    parse_integer,
    parse_list,
    parse_name,
    parse_number,
)
from annotation.importing.readers.judgments import ImportedJudgment, check_responses, merge_pairs
from annotation.importing.readers.record_responses import parse_ended
from annotation.importing.rows import RowError
from annotation.preferences.weak_orders import MAX_STRENGTH, compare, dense_ranks
from learning.interface.messages import Answer
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON

# How far i over j and j over i may be from 1 together: shares come rounded.
SHARE_TOLERANCE = 1e-6
Matrix = list[list[float | None]]
PairNumbers = dict[tuple[int, int], int]


class ComparisonRecordReader:
    fields: ClassVar[tuple[str, ...]] = (
        "group_id", "response_ids", "ranks", "grade", "soft_preference", "weight", "n_annotators", "agreement",
        "round", "criterion", "prompt", "responses", "annotator", "annotator_kind", "split",
        "turns", "ended",
    )  # fmt: skip

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def read(self, row: Row, *, group: str) -> list[ImportedJudgment]:
        parse_optional = self._columns.parse_optional
        prompt = self._columns.parse(row, "prompt", self._columns.messages.prompt)
        responses = self._responses(row)
        signs = self._pair_signs(row, len(responses))
        return merge_pairs(
            group=group,
            prompt=prompt,
            responses=responses,
            signs=signs,
            strengths=self._pair_strengths(row, len(responses), signs),
            response_ids=parse_optional(row, "response_ids", _parse_response_ids, len(responses)),
            ended=parse_optional(row, "ended", _parse_ends, len(responses)),
            annotator=parse_optional(row, "annotator", parse_name),
            annotator_kind=parse_optional(row, "annotator_kind", parse_choice, ANNOTATOR_KINDS) or PERSON,
        )

    def _responses(self, row: Row) -> list[Answer]:
        column = self._columns.name("responses")
        parse = self._columns.messages.response
        responses = [
            parse(response, f"{column}.{index}")
            for index, response in enumerate(self._columns.parse(row, "responses", parse_list))
        ]
        turns = self._columns.parse_optional(row, "turns", parse_list)
        if turns is not None:
            column = self._columns.name("turns")
            if len(turns) != len(responses):
                raise RowError(column, f"has {len(turns)} entries for {len(responses)} responses")
            responses = [
                response if own is None else parse(own, f"{column}.{index}")
                for index, (response, own) in enumerate(zip(responses, turns, strict=True))
            ]
        check_responses(responses, [column])
        return responses

    def _pair_signs(self, row: Row, size: int) -> PairNumbers:
        pairs = list(combinations(range(size), 2))
        if self._columns.has(row, "ranks"):
            ranks = self._columns.parse(row, "ranks", _parse_ranks, size)
            return {(i, j): compare(ranks[j], ranks[i]) for i, j in pairs}
        shares = self._columns.parse(row, "soft_preference", _parse_shares, size)
        signs = {(i, j): compare(share, 0.5) for i, j in pairs if (share := shares[i][j]) is not None}
        if not signs:
            raise RowError(self._columns.name("soft_preference"), "compares no two responses")
        return signs

    def _pair_strengths(
        self, row: Row, size: int, signs: Mapping[tuple[int, int], int]
    ) -> dict[tuple[int, int], int | None]:
        """The strength of each untied pair: the grade of the preferred response over the other, rounded half up;
        None where nobody gave one.
        """
        untied = {pair: sign for pair, sign in signs.items() if sign}
        if not self._columns.has(row, "grade"):
            return dict.fromkeys(untied, None)
        grades = self._columns.parse(row, "grade", _parse_matrix, size, MAX_STRENGTH)
        preferred = {(i, j): grades[i][j] if sign > 0 else grades[j][i] for (i, j), sign in untied.items()}
        return {
            pair: None if grade is None else min(MAX_STRENGTH, int(grade + 0.5))
            for pair, grade in preferred.items()
        }


def _parse_response_ids(value: Any, column: str, size: int) -> list[str]:
    ids = [
        parse_id(response_id, f"{column}.{index}")
        for index, response_id in enumerate(parse_list(value, column))
    ]
    if len(ids) != size or len(set(ids)) != size:
        raise RowError(column, f"should be {size} different ids, one a response")
    return ids


def _parse_ends(value: Any, column: str, size: int) -> list[bool | None]:
    ends = [parse_ended(end, f"{column}.{index}") for index, end in enumerate(parse_list(value, column))]
    if len(ends) != size:
        raise RowError(column, f"has {len(ends)} entries for {size} responses")
    return ends


def _parse_ranks(value: Any, column: str, size: int) -> list[int]:
    ranks = parse_list(value, column)
    if len(ranks) != size:
        raise RowError(column, f"has {len(ranks)} ranks for {size} responses")
    return dense_ranks([parse_integer(rank, column, 0, 10**6) for rank in ranks])


def _parse_shares(value: Any, column: str, size: int) -> Matrix:
    """The shares of each response over each other; both sides of a pair say the same."""
    shares = _parse_matrix(value, column, size, 1)
    for i, j in combinations(range(size), 2):
        over, under = shares[i][j], shares[j][i]
        if over is None and under is None:
            continue
        if over is None or under is None or abs(over + under - 1) > SHARE_TOLERANCE:
            raise RowError(
                column,
                f"contradicts itself on responses {i + 1} and {j + 1}: their two shares should make 1",
            )
    return shares


def _parse_matrix(value: Any, column: str, size: int, high: int) -> Matrix:
    rows: Sequence[list[Any]] = [parse_list(row, column) for row in parse_list(value, column)]
    if len(rows) != size or any(len(row) != size for row in rows):
        raise RowError(column, f"should be a {size} x {size} table, like the responses")
    matrix = [[None if item is None else parse_number(item, column) for item in row] for row in rows]
    if any(item is not None and not 0 <= item <= high for row in matrix for item in row):
        raise RowError(column, f"has numbers outside 0 to {high}")
    return matrix
