"""How well a reward model on disk agrees with comparisons it may never have seen.

    python -m rewardmodel.training.evaluate RUN_DIR

Reads inputs/comparisons.parquet, scores one split, writes result.json (accuracy overall and by grade with
intervals, points of a reliability diagram) and a few comparisons to samples.jsonl. It trains nothing and
moves no reward_shift.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from learning.attempts import Attempt
from learning.command import run_command
from learning.language_models import model_sha256s
from learning.options import UserError
from learning.processes import Processes
from learning.records import COMPARISONS
from rewardmodel.training.accuracy import ScoredPair, accuracy_report
from rewardmodel.training.comparisons import Judgment, check_splits, judgment_from_row, targets
from rewardmodel.training.config import EvaluateConfig, ObjectiveOptions
from rewardmodel.training.losses import ranking_losses
from rewardmodel.training.scoring import RewardScorer

SAMPLE_CHARACTERS = 2000  # of a prompt or response in samples.jsonl


def read_comparisons(attempt: Attempt[Any]) -> list[Judgment]:
    """The judgments of inputs/comparisons.parquet, checked one by one and for prompts on two sides."""
    path = attempt.input_path("comparisons")
    judgments = [
        judgment_from_row(row, where=f"{path.name}, row {number}")
        for number, row in enumerate(attempt.read_input("comparisons", COMPARISONS), start=1)
    ]
    check_splits(judgments, where=path.name)
    return judgments


def scored_pairs(judgments: Sequence[Judgment], scores: Sequence[Sequence[float]]) -> list[ScoredPair]:
    """Every untied pair of the judgments with the difference of its two scores."""
    return [
        ScoredPair(
            judgment=index,
            difference=values[pair.first] - values[pair.second],
            grade=pair.grade,
            length_difference=len(judgment.responses[pair.first]) - len(judgment.responses[pair.second]),
        )
        for index, (judgment, values) in enumerate(zip(judgments, scores, strict=True))
        for pair in judgment.untied_pairs
    ]


def ranking_loss(
    judgments: Sequence[Judgment], scores: Sequence[Sequence[float]], objective: ObjectiveOptions
) -> float | None:
    """Weighted mean ranking loss of the judgments that are usable under the objective; None when there is
    none.
    """
    usable = [
        (judgment, values)
        for judgment, values in zip(judgments, scores, strict=True)
        if judgment.is_usable(objective.ranking)
    ]
    if not usable:
        return None
    goal = targets([judgment for judgment, _ in usable])
    terms = ranking_losses(
        torch.tensor([value for _, values in usable for value in values], dtype=torch.float64),
        goal,
        objective=objective.ranking,
        margin=objective.margin,
        pair_weight=objective.pair_weight,
        strength_weighted=objective.strength_weighted,
    )
    return float((terms.ranking_B * goal.weight_B).sum() / goal.weight_B.sum())


def report(
    judgments: Sequence[Judgment], scores: Sequence[Sequence[float]], objective: ObjectiveOptions
) -> dict[str, Any]:
    """The part of result.json about one split."""
    values = torch.tensor([value for group in scores for value in group], dtype=torch.float64)
    return {
        **accuracy_report(scored_pairs(judgments, scores)),
        "loss": ranking_loss(judgments, scores, objective),
        "reward_spread": float(values.std()) if len(values) > 1 else None,
    }


def log_comparisons(
    attempt: Attempt[Any], step: int, judgments: Iterable[Judgment], scores: Iterable[Sequence[float]]
) -> None:
    """Writes comparisons to samples.jsonl: the prompt, and the responses from most to least liked by the
    model.

    There may be more scores than judgments; the first ones belong to them.
    """
    for judgment, values in zip(judgments, scores, strict=False):
        order = [index for _, index in sorted((-value, index) for index, value in enumerate(values))]
        agreed = sum(values[pair.first] > values[pair.second] for pair in judgment.untied_pairs)
        attempt.log_sample(
            step,
            prompt="\n".join(f"{message['role']}: {message['content']}" for message in judgment.prompt)[
                -SAMPLE_CHARACTERS:
            ],
            responses="\n\n".join(
                f"{values[index]:+.3f} {'(preferred) ' if judgment.is_top[index] else ''}"
                f"{judgment.responses[index][:SAMPLE_CHARACTERS]}"
                for index in order
            ),
            agrees=f"{agreed} of {len(judgment.untied_pairs)}",
        )


def main(attempt: Attempt[EvaluateConfig]) -> dict[str, Any]:
    options = attempt.options
    attempt.status(stage="reading", step=0, steps_total=1)
    judgments = [
        judgment
        for judgment in read_comparisons(attempt)
        if judgment.split == options.split and judgment.untied_pairs
    ]
    if not judgments:
        raise UserError(
            f"inputs/comparisons.parquet has no untied judgment in the split {options.split!r}; "
            "choose another split."
        )
    processes = Processes.start(options.runtime)
    scorer = RewardScorer.load(
        options.model_path, batch=options.batch, dtype=options.runtime.dtype, processes=processes
    )
    attempt.check()
    attempt.status(stage="evaluating", step=0, steps_total=1)
    scores = scorer.score(
        [judgment.prompt for judgment in judgments], [judgment.responses for judgment in judgments]
    )
    log_comparisons(attempt, 1, judgments[: options.samples], scores[: options.samples])
    attempt.status(stage="evaluating", step=1, steps_total=1)
    return {
        **report(judgments, scores, ObjectiveOptions()),
        "split": options.split,
        "truncated_responses": scorer.truncated_responses,
        "layout": scorer.layout,
        "layout_reason": scorer.layout_reason,
        "model_sha256s": model_sha256s(options.model_path),
    }


if __name__ == "__main__":
    run_command(main, EvaluateConfig)
