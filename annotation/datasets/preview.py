"""What a selection would freeze, before it is frozen: how many, and some of the rows. The time it takes is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from annotation.datasets.selection import Selection
from annotation.preferences.comparisons import is_counted
from annotation.rendering.markdown import excerpt
from learning.interface.record_rows import JudgmentRow

ROWS_READ = 2_000  # what conditions are tried on
ROWS_COUNTED = 200_000  # beyond, “more than”
SAMPLES = 5
ANSWERS_SHOWN = 3


@dataclass(kw_only=True)
class Preview:
    """`judgments` and `tasks` of the rows read that meet the conditions, all there are where `is_complete`.

    Otherwise `selected` is how many there are without the conditions, or a number that they are more than.
    """

    read: int = 0
    judgments: int = 0
    counted: int = 0
    tasks: int = 0
    is_complete: bool = True
    selected: int = 0
    selected_is_exact: bool = True
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def estimate(self) -> int:
        """Of the judgments selected, how many would meet the conditions if all were as those that were read."""
        return round(self.selected * self.judgments / self.read) if self.read else 0


def preview_selection(selection: Selection) -> Preview:
    found = Preview()
    rows = selection.without_conditions().rows()

    def first_rows() -> Iterator[JudgmentRow]:
        for row in rows:
            if found.read == ROWS_READ:
                found.is_complete = False
                return
            found.read += 1
            yield row

    last_task = None
    for row in selection.conditions.rows(first_rows()):
        found.judgments += 1
        if is_counted(row):
            found.counted += 1
            if len(found.samples) < SAMPLES and row["task_id"] not in {s["task"] for s in found.samples}:
                found.samples.append(_sample(row))
        if row["task_id"] != last_task:
            found.tasks += 1
            last_task = row["task_id"]
    found.selected = found.read
    if not found.is_complete:
        found.selected = selection.judgments()[: ROWS_COUNTED + 1].count()
        found.selected_is_exact = found.selected <= ROWS_COUNTED
        found.selected = min(found.selected, ROWS_COUNTED)
    return found


def _sample(row: JudgmentRow) -> dict[str, Any]:
    """A judgment in a few words; not who wrote the answers, nor who judged them."""
    texts = {response["response_id"]: response["text"] for response in row["responses"]}
    ranked = [
        {"rank": rank, "tie": len(tier) > 1, "text": excerpt(texts[response], 160)}
        for rank, tier in enumerate(row["tiers"], 1)
        for response in tier
    ]
    return {
        "task": row["task_id"],
        "batch": row["batch"],
        "split": row["split"],
        "prompt": excerpt(row["prompt"][-1]["content"], 160),
        "answers": ranked[:ANSWERS_SHOWN],
        "more": len(ranked) - len(ranked[:ANSWERS_SHOWN]),
    }
