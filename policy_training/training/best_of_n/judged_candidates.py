"""The judge's part of best-of-n's scores: every candidate of a prompt is compared with every other one of it.

Whose answers they are makes no difference: a reward of comparisons among each policy's own answers would have the same
mean for all policies, the best and the worst. Verdicts are kept as they come (candidates/verdicts.jsonl).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.run_directory import JUDGE_FILE
from learning.run_context import RunContext, StopRequested
from policy_training.training.best_of_n.candidates import Answers
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.evaluation.kept_verdicts import VerdictFile, judge_missing
from policy_training.training.rewards.judging import (
    Judge,
    require_a_verdict,
    rewards_of,
)
from policy_training.training.servers.requests import ServerUnavailable

# The other processes wait for the first no longer than for so many comparisons and those of one prompt.
COMPARISONS_AT_ONCE = 256


def add_judges_rewards(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    rows: Sequence[Mapping[str, Any]],
    answers: Answers,
) -> tuple[Answers, dict[str, Any]]:
    """The answers with the judge's weighted reward added to their scores, and what result.json says of the judge.

    The same text is one candidate, as where answers are chosen: it is compared once and its answers share the reward.
    An answer with no other text beside it gets 0. Raises UserError where the judge says nothing at all.
    """
    options = context.options.rewards.judge
    texts = {
        row["prompt_id"]: list(dict.fromkeys(answer.text for answer in answers[row["prompt_id"]]))
        for row in rows
    }
    compared = [row for row in rows if len(texts[row["prompt_id"]]) > 1]
    if not compared:
        raise UserError(
            "config.rewards.judge: no prompt has two different answers to compare; sample more of each, or leave out "
            "the judge"
        )
    groups = [texts[row["prompt_id"]] for row in compared]
    rewards_by_prompt: dict[str, dict[str, float]] = {}
    report: dict[str, Any] = {}
    # The first process alone asks.
    judge = Judge(options, report_to=context.path / JUDGE_FILE) if distributed.is_main else None
    kept = VerdictFile(context.path / "candidates" / "verdicts.jsonl") if distributed.is_main else None
    total = options.repeats * sum(len(group) * (len(group) - 1) for group in groups)
    try:
        for begin, end in _shards([len(group) for group in groups], options.repeats):
            context.require_current()
            if distributed.any(context.stop_requested):
                raise StopRequested(
                    f"stopped after the answers to {begin} of {len(groups)} prompts were judged; start the run again "
                    "to go on"
                )
            failure = ""
            if judge is not None and kept is not None:
                context.set_status(stage="judging", step=len(kept.verdicts), steps_total=total)
                try:
                    judge_missing(
                        judge,
                        kept,
                        [row["prompt_id"] for row in compared[begin:end]],
                        [row["messages"] for row in compared[begin:end]],
                        groups[begin:end],
                        check=context.require_current,
                    )
                    require_a_verdict(options, kept.verdicts.values())
                except (UserError, ServerUnavailable) as error:  # the other processes leave, too
                    failure = str(error)
            if failure := distributed.broadcast_object(failure):
                raise UserError(failure)
        if judge is not None and kept is not None:
            judged = kept.of([row["prompt_id"] for row in compared], groups, options.repeats)
            report = judge.report()
            found = iter(rewards_of(judged, [len(group) for group in groups]).rewards)
            rewards_by_prompt = {
                row["prompt_id"]: {text: next(found) for text in group}
                for row, group in zip(compared, groups, strict=True)
            }
    finally:
        if judge is not None:
            judge.close()
    rewards_by_prompt, report = distributed.broadcast_object((rewards_by_prompt, report))
    return {
        prompt_id: [
            replace(
                answer,
                score=answer.score
                + options.weight * rewards_by_prompt.get(prompt_id, {}).get(answer.text, 0.0),
            )
            for answer in own
        ]
        for prompt_id, own in answers.items()
    }, report


def _shards(sizes: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """(first prompt, one after the last) of parts with COMPARISONS_AT_ONCE comparisons, or a little more."""
    begin, comparisons = 0, 0
    for place, size in enumerate(sizes, start=1):
        comparisons += size * (size - 1) * repeats
        if comparisons >= COMPARISONS_AT_ONCE or place == len(sizes):
            yield begin, place
            begin, comparisons = place, 0
