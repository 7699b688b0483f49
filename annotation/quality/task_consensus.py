"""What the crowd thinks of one task, as the newest report has it, in the letters of a page."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotation.models import Task, TaskConsensus


@dataclass(frozen=True)
class PairConsensus:
    better: str  # the label that is preferred; of an even pair the first
    worse: str
    percent: int  # of annotators of mean ability, a tie half: 50 to 100
    low: int  # the 90 % interval, in percent
    high: int


@dataclass(frozen=True)
class CrowdOpinion:
    annotators: int
    certainty: int  # percent; of the least certain pair
    pairs: list[PairConsensus]


def crowd_opinion(task: Task, label_of: Mapping[int, str]) -> CrowdOpinion | None:
    """None where the newest report has nothing of it. `label_of`: the letter of each response key."""
    row = (
        TaskConsensus.objects.filter(
            task=task, report__project=task.batch.project_id, report__is_complete=True
        )
        .order_by("-report")
        .first()
    )
    if row is None:
        return None
    pairs = []
    for first, second, preference, low, high in row.pairs:
        # The pair may have been judged in other tasks, too; its responses are those of this one.
        one, other = label_of.get(int(first)), label_of.get(int(second))
        if one is None or other is None:
            continue
        if preference < 0.5:
            one, other, preference, low, high = other, one, 1 - preference, 1 - high, 1 - low
        pairs.append(PairConsensus(one, other, *(round(100 * share) for share in (preference, low, high))))
    return CrowdOpinion(row.annotators, round(100 * row.certainty), pairs)
