"""A prompt, its responses, and how they compare: ranks, a preference or labels of pairs."""

from typing import Any, ClassVar

from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import (
    parse_integer,
    parse_list,
    parse_preference,
    parse_strength,
    parse_text,
)
from annotation.importing.readers.judgments import (
    ImportedJudgment,
    ImportedPair,
    check_responses,
    merge_pairs,
)
from annotation.importing.readers.messages import Message
from annotation.importing.readers.prompt_columns import PROMPT_FIELDS, prompt_name, read_prompt
from annotation.importing.readers.whole_conversations import read_responses
from annotation.importing.rows import RowError
from annotation.preferences.weak_orders import dense_ranks
from learning.interface.messages import Answer


class RankedReader(ForeignFormatReader):
    """`prompt`, `responses`, and how they compare: `ranks` (lowest best, equal = tie) with optional
    `strengths` of the steps; or, for two responses, `preference` (a strength with its side); or `pair_labels`
    for the pairs in the order 12 13 14 23 24 34: 0 tie, 1 the first, 2 the second. Pair labels that are no
    weak order stay pairs.
    """

    description: ClassVar[str] = "responses with ranks, a preference or labels of pairs"
    fields: ClassVar[tuple[str, ...]] = (
        *PROMPT_FIELDS,
        "responses",
        "ranks",
        "strengths",
        "preference",
        "pair_labels",
        "rationale",
        "annotator",
        "id",
    )

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        prompt, responses = self._prompt_and_responses(row)
        common: dict[str, Any] = {"annotator": self._annotator(row)}
        if self._columns.has(row, "rationale"):
            common["rationale"] = self._columns.parse(row, "rationale", parse_text)
        if self._columns.has(row, "pair_labels"):
            return list(self._read_pair_labels(row, line, prompt, responses, common))
        if self._columns.has(row, "preference"):
            return [self._read_preference(row, prompt, responses, common)]
        return [self._read_ranks(row, prompt, responses, common)]

    def _prompt_and_responses(self, row: Row) -> tuple[list[Message], list[Answer]]:
        column = self._columns.name("responses")
        values = self._columns.parse(row, "responses", parse_list)
        several = " + " in column
        names = column.split(" + ") if several else [f"{column}.{index}" for index in range(len(values))]
        prompt, responses = read_responses(
            self._columns.messages,
            read_prompt(self._columns, row),
            prompt_name(self._columns, row),
            values,
            names,
        )
        check_responses(responses, names if several else [column])
        return prompt, responses

    def _read_ranks(
        self, row: Row, prompt: list[Message], responses: list[Answer], common: dict[str, Any]
    ) -> ImportedJudgment:
        column = self._columns.name("ranks")
        values = self._columns.parse(row, "ranks", parse_list)
        if len(values) != len(responses):
            raise RowError(column, f"has {len(values)} ranks for {len(responses)} responses")
        ranks = dense_ranks(
            [parse_integer(rank, f"{column}.{i}", -(10**6), 10**6) for i, rank in enumerate(values)]
        )
        strengths: list[int | None] = [None] * max(ranks)
        if self._columns.has(row, "strengths"):
            column = self._columns.name("strengths")
            steps = self._columns.parse(row, "strengths", parse_list)
            strengths = [
                None if step is None else parse_strength(step, f"{column}.{i}")
                for i, step in enumerate(steps)
            ]
            if len(strengths) != max(ranks):
                raise RowError(column, f"has {len(strengths)} strengths for {max(ranks)} steps between tiers")
        return ImportedJudgment(
            prompt=prompt, responses=responses, ranks=ranks, strengths=strengths, **common
        )

    def _read_preference(
        self, row: Row, prompt: list[Message], responses: list[Answer], common: dict[str, Any]
    ) -> ImportedJudgment:
        if len(responses) != 2:
            raise RowError(
                self._columns.name("preference"),
                f"compares two responses, but there are {len(responses)}",
            )
        side, strength = self._columns.parse(row, "preference", parse_preference, self._named_strengths)
        return ImportedJudgment(
            prompt=prompt,
            responses=responses,
            ranks=[int(side > 0), int(side < 0)],
            strengths=[strength] if side else [],
            **common,
        )

    def _read_pair_labels(
        self, row: Row, line: int, prompt: list[Message], responses: list[Answer], common: dict[str, Any]
    ) -> list[ImportedJudgment]:
        column = self._columns.name("pair_labels")
        pairs = [(i, j) for i in range(len(responses)) for j in range(i + 1, len(responses))]
        labels = self._columns.parse(row, "pair_labels", parse_list)
        if len(labels) != len(pairs):
            raise RowError(
                column, f"has {len(labels)} labels for the {len(pairs)} pairs of {len(responses)} responses"
            )
        signs = {
            pair: (0, 1, -1)[parse_integer(label, f"{column}.{index}", 0, 2)]
            for index, (pair, label) in enumerate(zip(pairs, labels, strict=True))
        }
        return merge_pairs(
            group=self.row_id(row) or f"line {line}",
            prompt=prompt,
            responses=responses,
            signs=signs,
            strengths=dict.fromkeys(pairs, None),
            **common,
        )
