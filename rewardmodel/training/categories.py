"""Held-out figures of groups of comparisons: of a criterion, of a tag of prompts, of a way of asking.

Tags are what people call kinds of prompts by (helpful, harmless, coding, ...); a comparison counts for each tag of its
prompt. They are no part of a comparison: inputs/prompt_tags.parquet has them, where prompts have any.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from learning.interface.messages import messages_key
from learning.interface.record_schemas import PROMPT_TAGS
from learning.run_context import RunContext
from rewardmodel.training.comparisons import Comparison

PromptTags = Mapping[str, Sequence[str]]  # by messages_key of the prompt
UNTAGGED = ""  # in by_tag: comparisons whose prompt has no tag
MAX_TAGS = 50  # of a report, those with the most comparisons; tags may be as many as prompts
PAIRS, RANKINGS, RATINGS = "pairs", "rankings", "ratings"


def read_prompt_tags(context: RunContext[Any]) -> PromptTags:
    """Of the run's inputs; empty where no prompt has a tag. Raises UserError for a bad row."""
    if not context.has_input("prompt_tags"):
        return {}
    return {
        messages_key(row["prompt"]): tuple(dict.fromkeys(row["tags"]))
        for row in context.read_input("prompt_tags", PROMPT_TAGS)
    }


def way_of_asking(comparison: Comparison) -> str:
    """Two answers side by side, several in an order, or points of single answers, of which comparisons are made."""
    if comparison.is_of_ratings:
        return RATINGS
    return PAIRS if len(comparison.responses) == 2 else RANKINGS


def group_comparisons(
    comparisons: Sequence[Comparison],
    scores: Sequence[Sequence[float]],
    groups_of: Callable[[Comparison], Iterable[str]],
) -> dict[str, tuple[list[Comparison], list[Sequence[float]]]]:
    """The comparisons of each group with their scores, groups in the order they are met."""
    found: dict[str, tuple[list[Comparison], list[Sequence[float]]]] = {}
    for comparison, group in zip(comparisons, scores, strict=True):
        for name in groups_of(comparison):
            members, their_scores = found.setdefault(name, ([], []))
            members.append(comparison)
            their_scores.append(group)
    return found


def group_by_tag(
    comparisons: Sequence[Comparison], scores: Sequence[Sequence[float]], tags: PromptTags
) -> tuple[dict[str, tuple[list[Comparison], list[Sequence[float]]]], int]:
    """(comparisons of each tag, the tag with the most first; how many tags are left out)."""
    found = group_comparisons(
        comparisons, scores, lambda item: tags.get(messages_key(item.prompt)) or (UNTAGGED,)
    )
    ordered = sorted(found, key=lambda tag: (tag == UNTAGGED, -len(found[tag][0]), tag))
    named = [tag for tag in ordered if tag != UNTAGGED]
    kept = named[:MAX_TAGS] + ordered[len(named) :]
    return {tag: found[tag] for tag in kept}, len(ordered) - len(kept)
