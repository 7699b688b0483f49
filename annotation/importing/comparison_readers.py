"""Readers of comparisons in other people's formats: one row of a file -> judgments, or a RowProblem.

To add a format: a class with `fields` and `read`, and its name in READERS. A reader sees one row at a time
and knows nothing of the file, the database or other rows (pairs that belong together are put together later).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from annotation.importing import cells
from annotation.importing.cells import Columns, Message
from annotation.importing.judgments import ImportedJudgment, ImportedPair, check_responses, judgments_of_pairs
from annotation.importing.record_readers import RecordsReader
from annotation.importing.report import RowProblem
from annotation.importing.transcripts import MARKERS, from_transcript, shared_prompt
from annotation.weak_orders import dense

Row = Mapping[str, Any]


class Reader(Protocol):
    fields: ClassVar[tuple[str, ...]]

    def __init__(self, columns: Columns, *, criterion: str, grades: Mapping[str, str]) -> None: ...

    def read(self, row: Row, line: int) -> Sequence[ImportedJudgment | ImportedPair]: ...

    def id_of(self, row: Row) -> str | None:
        """What must not appear twice in the file, where the format has such a thing."""

    def id_column(self, row: Row) -> str:
        """Where `id_of` found it."""


class _PlainReader:
    """What the foreign formats share: the optional id and annotator columns, and the names of grades."""

    fields: ClassVar[tuple[str, ...]]

    def __init__(self, columns: Columns, *, criterion: str, grades: Mapping[str, str]) -> None:
        self._columns = columns
        self._grades = grades

    def id_of(self, row: Row) -> str | None:
        return self._optional_name(row, "id")

    def id_column(self, row: Row) -> str:
        return self._columns.name("id")

    def _optional_name(self, row: Row, field: str) -> str | None:
        if not self._columns.has(row, field):
            return None
        return cells.name(self._columns.value(row, field), self._columns.name(field))

    def _strength(self, row: Row) -> int:
        """A file without strengths says nothing of them: 0, which adds no margin."""
        if not self._columns.has(row, "strength"):
            return 0
        return cells.strength(self._columns.value(row, "strength"), self._columns.name("strength"))


class HhReader(_PlainReader):
    """`chosen`, `rejected`: whole transcripts; the prompt is what they share, up to an assistant marker."""

    fields: ClassVar[tuple[str, ...]] = ("chosen", "rejected", "strength", "annotator", "id")

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        chosen, rejected = (
            cells.filled_text(self._columns.value(row, field), self._columns.name(field))
            for field in ("chosen", "rejected")
        )
        check_responses([chosen, rejected], names)
        parts = shared_prompt(chosen, rejected)
        if parts is None:
            raise RowProblem(names[1], f"shares no prompt with {names[0]} that ends with an assistant marker")
        prompt, better, worse = parts
        for name, words in zip(names, (better, worse), strict=True):
            if MARKERS["user"] in words:
                raise RowProblem(name, "goes on with another human turn where the two sides part")
        check_responses([better, worse], names)
        return [
            ImportedJudgment(
                prompt=cells.messages(from_transcript(prompt), names[0]),
                responses=[better, worse],
                ranks=[0, 1],
                strengths=[self._strength(row)],
                annotator=self._optional_name(row, "annotator"),
            )
        ]


class TrlReader(_PlainReader):
    """`prompt`, `chosen`, `rejected` as messages or text; without a prompt column the messages the two sides
    share.

    Pairs of one `group_id` are one K-way judgment again. `soft_label` 0.5 is a tie. A text prompt in the form
    of a transcript is read as its turns. `margin`, `weight`, `agreement` are views of what is kept as
    strength and judgments.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "prompt", "chosen", "rejected", "strength", "soft_label", "margin", "weight", "agreement",
        "group_id", "pair_index", "n_pairs_in_group", "annotator", "id",
    )  # fmt: skip

    def id_of(self, row: Row) -> str | None:
        if self._is_numbered(row):
            column = self._columns.name("pair_index")
            index = cells.whole_number(self._columns.value(row, "pair_index"), column, 0, 10**6)
            annotator = self._optional_name(row, "annotator") or ""
            return f"{self._group(row)} pair {index} {annotator}".strip()
        return super().id_of(row)

    def id_column(self, row: Row) -> str:
        return self._columns.name("pair_index") if self._is_numbered(row) else super().id_column(row)

    def _is_numbered(self, row: Row) -> bool:
        return self._columns.has(row, "group_id") and self._columns.has(row, "pair_index")

    def _group(self, row: Row) -> str | None:
        if not self._columns.has(row, "group_id"):
            return None
        return cells.identifier(self._columns.value(row, "group_id"), self._columns.name("group_id"))

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        prompt, better, worse = self._sides(row)
        check_responses([better, worse], [self._columns.name("chosen"), self._columns.name("rejected")])
        strength, tie = self._strength(row), self._is_tie(row)
        annotator = self._optional_name(row, "annotator")
        group = self._group(row)
        if group is None:
            return [
                ImportedJudgment(
                    prompt=prompt,
                    responses=[better, worse],
                    ranks=[0, 0] if tie else [0, 1],
                    strengths=[] if tie else [strength],
                    annotator=annotator,
                )
            ]
        return [
            ImportedPair(
                group=group, prompt=prompt, better=better, worse=worse, strength=strength, tie=tie,
                annotator=annotator, pairs_in_group=self._pairs_in_group(row),
            )
        ]  # fmt: skip

    def _pairs_in_group(self, row: Row) -> int | None:
        if not self._columns.has(row, "n_pairs_in_group"):
            return None
        column = self._columns.name("n_pairs_in_group")
        # Nine responses have 36 pairs.
        return cells.whole_number(self._columns.value(row, "n_pairs_in_group"), column, 1, 36)

    def _sides(self, row: Row) -> tuple[list[Message], str, str]:
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        chosen, rejected = self._columns.value(row, "chosen"), self._columns.value(row, "rejected")
        if not self._columns.has(row, "prompt") and isinstance(chosen, list) and isinstance(rejected, list):
            return _implicit_prompt(chosen, rejected, names)
        value = self._columns.value(row, "prompt")
        prompt = cells.messages(value, self._columns.name("prompt"))
        if isinstance(value, str) and (turns := from_transcript(value)):
            prompt = cells.messages(turns, self._columns.name("prompt"))
        return prompt, cells.answer(chosen, names[0]), cells.answer(rejected, names[1])

    def _is_tie(self, row: Row) -> bool:
        if not self._columns.has(row, "soft_label"):
            return False
        column = self._columns.name("soft_label")
        share = cells.number(self._columns.value(row, "soft_label"), column)
        if not 0.5 <= share <= 1:
            raise RowProblem(column, f"is {share:g}: the share for the chosen side lies between 0.5 and 1")
        return share == 0.5


def _implicit_prompt(
    chosen: list[Any], rejected: list[Any], names: Sequence[str]
) -> tuple[list[Message], str, str]:
    a, b = (cells.conversation(side, name) for side, name in zip((chosen, rejected), names, strict=True))
    for turns, name in ((a, names[0]), (b, names[1])):
        if turns[-1]["role"] != "assistant":
            raise RowProblem(name, f"should end with an assistant turn but ends with {turns[-1]['role']}")
    if a[:-1] != b[:-1]:
        raise RowProblem(names[1], f"shares no prompt with {names[0]} up to its last turn")
    if len(a) == 1:
        raise RowProblem(names[0], "has no prompt before the answer, and there is no column prompt")
    return cells.messages(a[:-1], names[0]), a[-1]["content"], b[-1]["content"]


class RankedReader(_PlainReader):
    """`prompt`, `responses`, and how they compare: `ranks` (lowest best, equal = tie) with optional
    `strengths` of the steps; or, for two responses, `preference` (a grade with its side); or `pair_labels`
    for the pairs in the order 12 13 14 23 24 34: 0 tie, 1 the first, 2 the second. Pair labels that are no
    weak order stay pairs.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "prompt",
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
        value = self._columns.value(row, "prompt")
        prompt = cells.messages(value, self._columns.name("prompt"))
        column = self._columns.name("responses")
        given = cells.list_of(self._columns.value(row, "responses"), column)
        names = (
            column.split(" + ") if " + " in column else [f"{column}.{place}" for place in range(len(given))]
        )
        responses = [cells.answer(words, name) for words, name in zip(given, names, strict=True)]
        check_responses(responses, names if " + " in column else [column])
        common: dict[str, Any] = {"annotator": self._optional_name(row, "annotator")}
        if self._columns.has(row, "rationale"):
            common["rationale"] = cells.text(
                self._columns.value(row, "rationale"), self._columns.name("rationale")
            )
        if self._columns.has(row, "pair_labels"):
            return list(self._labelled(row, line, prompt, responses, common))
        if self._columns.has(row, "preference"):
            return [self._graded(row, prompt, responses, common)]
        return [self._ranked(row, prompt, responses, common)]

    def _ranked(
        self, row: Row, prompt: list[Message], responses: list[str], common: dict[str, Any]
    ) -> ImportedJudgment:
        column = self._columns.name("ranks")
        given = cells.list_of(self._columns.value(row, "ranks"), column)
        if len(given) != len(responses):
            raise RowProblem(column, f"has {len(given)} ranks for {len(responses)} responses")
        ranks = dense(
            [cells.whole_number(rank, f"{column}.{i}", -(10**6), 10**6) for i, rank in enumerate(given)]
        )
        strengths = [0] * max(ranks)
        if self._columns.has(row, "strengths"):
            column = self._columns.name("strengths")
            steps = cells.list_of(self._columns.value(row, "strengths"), column)
            strengths = [cells.strength(step, f"{column}.{i}") for i, step in enumerate(steps)]
            if len(strengths) != max(ranks):
                raise RowProblem(
                    column, f"has {len(strengths)} strengths for {max(ranks)} steps between tiers"
                )
        return ImportedJudgment(
            prompt=prompt, responses=responses, ranks=ranks, strengths=strengths, **common
        )

    def _graded(
        self, row: Row, prompt: list[Message], responses: list[str], common: dict[str, Any]
    ) -> ImportedJudgment:
        column = self._columns.name("preference")
        if len(responses) != 2:
            raise RowProblem(column, f"compares two responses, but there are {len(responses)}")
        side, strength = cells.preference(self._columns.value(row, "preference"), column, self._grades)
        return ImportedJudgment(
            prompt=prompt,
            responses=responses,
            ranks=[int(side > 0), int(side < 0)],
            strengths=[strength] if side else [],
            **common,
        )

    def _labelled(
        self, row: Row, line: int, prompt: list[Message], responses: list[str], common: dict[str, Any]
    ) -> list[ImportedJudgment]:
        column = self._columns.name("pair_labels")
        pairs = [(i, j) for i in range(len(responses)) for j in range(i + 1, len(responses))]
        labels = cells.list_of(self._columns.value(row, "pair_labels"), column)
        if len(labels) != len(pairs):
            raise RowProblem(
                column, f"has {len(labels)} labels for the {len(pairs)} pairs of {len(responses)} responses"
            )
        signs = {
            pair: (0, 1, -1)[cells.whole_number(label, f"{column}.{place}", 0, 2)]
            for place, (pair, label) in enumerate(zip(pairs, labels, strict=True))
        }
        return judgments_of_pairs(
            group=self.id_of(row) or f"line {line}",
            prompt=prompt,
            responses=responses,
            signs=signs,
            grades=dict.fromkeys(pairs, 0),
            **common,
        )


READERS: Mapping[str, type[Reader]] = {
    "records": RecordsReader,
    "trl": TrlReader,
    "hh": HhReader,
    "ranked": RankedReader,
}
