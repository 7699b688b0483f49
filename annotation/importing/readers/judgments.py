"""What every reader of comparisons makes of its rows: judgments (weak orders), and pairs to merge into judgments.

Nothing here touches the database; positions stand for responses.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.importing.readers.messages import Message
from annotation.importing.rows import RowError
from annotation.models import Task
from annotation.preferences.flags import GROUP_FLAG, INTRANSITIVE_FLAG
from annotation.preferences.weak_orders import MAX_STRENGTH, ranks_from_pairs, ranks_to_tiers
from learning.interface.messages import Answer, answer_key
from learning.interface.vocabulary import PERSON

MIN_RESPONSES, MAX_RESPONSES = 2, 9


@dataclass(kw_only=True)  # not frozen: that would treble the time to make one
class ImportedJudgment:
    """One person's weak order over responses, as a file gave it. `ranks` are dense, 0 best."""

    prompt: list[Message]
    responses: list[Answer]
    ranks: list[int]
    strengths: list[int | None]  # one for each step between tiers, max(ranks) of them; None: nobody gave one
    annotator: str | None = None
    annotator_kind: str = PERSON
    rationale: str = ""
    flags: list[str] = field(default_factory=list)
    seconds: float = 0.0
    purpose: str = Task.Purpose.NORMAL.value
    created_at: str | None = None
    prompt_id: str | None = None
    task_id: str | None = None
    order_shown: list[int] | None = None  # places in `responses`
    response_ids: list[str] | None = None
    sources: list[list[str]] | None = None  # [kind, name] of each response
    sampling: list[dict[str, Any] | None] | None = None
    ended: list[bool | None] | None = None  # False: cut at the sampler's limit
    marks: list[dict[str, Any]] | None = None
    confidence: int | None = None
    # Of the row, whatever its format: read beside the reader.
    split: str | None = None
    tags: list[str] | None = None
    source_id: str | None = None
    metadata: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Without what is null."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(kw_only=True)
class ImportedPair:
    """One row of a file of pairs that says which group it belongs to."""

    group: str
    prompt: list[Message]
    chosen: Answer
    rejected: Answer
    strength: int | None
    tie: bool
    annotator: str | None
    pairs_in_group: int | None  # how many rows the group has in all, where the file says so
    ties_in_group: int | None = None  # ... how many tied pairs, written or left out
    responses_in_group: int | None = None
    rationale: str = ""
    split: str | None = None
    tags: list[str] | None = None
    source_id: str | None = None
    metadata: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def group_flag(group: str) -> str:
    """The flag of a group's judgments; a long id is shortened to a digest of itself (a flag has at most 60
    characters).
    """
    if len(group) > 48:
        group = hashlib.sha256(group.encode()).hexdigest()[:32]
    return GROUP_FLAG + group


def check_responses(
    responses: Sequence[Answer], columns: Sequence[str], *, least: int = MIN_RESPONSES
) -> None:
    """`least` to 9 responses, no two alike. Raises RowError naming one of `columns` (one name, or one a
    response).
    """
    if not least <= len(responses) <= MAX_RESPONSES:
        raise RowError(
            columns[0],
            f"has {len(responses)} responses; between {least} and {MAX_RESPONSES} are taken",
        )
    first_at: dict[str, int] = {}
    for index, response in enumerate(responses):
        key = answer_key(response)
        if key in first_at:
            a, b = first_at[key], index
            if len(columns) > 1:
                raise RowError(
                    columns[b], f"is the same text as {columns[a]}: identical responses carry no preference"
                )
            raise RowError(
                columns[0],
                f"has the same text as responses {a + 1} and {b + 1}: identical responses carry no preference",
            )
        first_at[key] = index


def merge_pairs(
    *,
    group: str,
    prompt: list[Message],
    responses: list[Answer],
    signs: Mapping[tuple[int, int], int],
    strengths: Mapping[tuple[int, int], int | None],
    response_ids: list[str] | None = None,
    ended: list[bool | None] | None = None,
    **common: Any,
) -> list[ImportedJudgment]:
    """One K-way judgment when the pairs are a weak order; else a judgment a pair, flagged with the group.

    `signs[i, j]`, i < j: 1 when i is better, -1 when j is, 0 for a tie. `strengths` has that of each
    untied pair, None where nobody gave one.
    """
    ranks = ranks_from_pairs(len(responses), signs)
    if ranks is not None:
        return [
            ImportedJudgment(
                prompt=prompt,
                responses=responses,
                ranks=ranks,
                strengths=_step_strengths(ranks, strengths),
                response_ids=response_ids,
                ended=ended,
                **common,
            )
        ]
    complete = len(signs) == len(responses) * (len(responses) - 1) // 2
    flags = [group_flag(group)] + [INTRANSITIVE_FLAG] * complete
    return [
        ImportedJudgment(
            prompt=prompt,
            responses=[responses[i], responses[j]],
            ranks=[int(value < 0), int(value > 0)],
            strengths=[strengths[i, j]] if value else [],
            flags=flags,
            response_ids=[response_ids[i], response_ids[j]] if response_ids else None,
            ended=[ended[i], ended[j]] if ended else None,
            **common,
        )
        for (i, j), value in sorted(signs.items())
    ]


def _step_strengths(
    ranks: Sequence[int], strengths: Mapping[tuple[int, int], int | None]
) -> list[int | None]:
    """The strength of each step: the mean of the strengths given for the pairs across it, rounded half up."""
    tiers = ranks_to_tiers(ranks)
    steps: list[int | None] = []
    for upper, lower in zip(tiers, tiers[1:], strict=False):
        across = [strengths[min(i, j), max(i, j)] for i in upper for j in lower]
        given = [strength for strength in across if strength is not None]
        steps.append(min(MAX_STRENGTH, int(sum(given) / len(given) + 0.5)) if given else None)
    return steps


def merge_group(pairs: Iterable[ImportedPair]) -> list[ImportedJudgment]:
    """The judgments behind the rows of one group (same group id, same annotator), in file order.

    Files of pairs leave ties out. Where the file says how many ties and responses the group has, pairs without a row
    are ties if these are just as many; where it says only how many rows, and has them all, if that gives an order.
    Else they were never compared. Raises RowError when the rows contradict each other.
    """
    rows = list(pairs)
    first = rows[0]
    responses: list[Answer] = []
    signs: dict[tuple[int, int], int] = {}
    strengths: dict[tuple[int, int], int | None] = {}
    for row in rows:
        if row.prompt != first.prompt:
            raise RowError("group_id", f"is {first.group} for two different prompts")
        for response in (row.chosen, row.rejected):
            if response not in responses:
                responses.append(response)
        i, j = responses.index(row.chosen), responses.index(row.rejected)
        pair = (min(i, j), max(i, j))
        if pair in signs:
            raise RowError("group_id", f"is {first.group} for two rows with the same two responses")
        signs[pair] = 0 if row.tie else (1 if i < j else -1)
        strengths[pair] = row.strength
    expected = first.pairs_in_group
    if expected is not None and expected != len(rows):
        raise RowError(
            "n_pairs_in_group", f"is {expected}, but group {first.group} has {len(rows)} rows here"
        )
    check_responses(responses, ["group_id"])
    with_ties = {pair: signs.get(pair, 0) for pair in itertools.combinations(range(len(responses)), 2)}
    if first.ties_in_group is not None and first.responses_in_group is not None:
        left_out = first.ties_in_group - sum(sign == 0 for sign in signs.values())
        if len(responses) == first.responses_in_group and len(signs) + left_out == len(with_ties):
            signs = with_ties
    elif expected is not None and ranks_from_pairs(len(responses), with_ties) is not None:
        signs = with_ties
    return merge_pairs(
        group=first.group,
        prompt=first.prompt,
        responses=responses,
        signs=signs,
        strengths=strengths,
        annotator=first.annotator,
        rationale=first.rationale,
        split=_only_split(rows),
        tags=first.tags,
        **_merged_metadata(rows),
    )


def _only_split(rows: Sequence[ImportedPair]) -> str | None:
    splits = sorted({row.split for row in rows if row.split is not None})
    if len(splits) > 1:
        raise RowError("split", f"is {' and '.join(splits)} for the rows of one group")
    return splits[0] if splits else None


def _merged_metadata(rows: Sequence[ImportedPair]) -> dict[str, Any]:
    """What all rows say; where they differ, what each says, under `rows`."""
    first = rows[0]
    if all((row.source_id, row.metadata) == (first.source_id, first.metadata) for row in rows):
        return {"source_id": first.source_id, "metadata": first.metadata}
    each = [
        ({"source_id": row.source_id} if row.source_id is not None else {}) | (row.metadata or {})
        for row in rows
    ]
    return {"source_id": None, "metadata": {"rows": each}}
