"""How well a reward model on disk agrees with comparisons it may never have seen.

    python -m rewardmodel.training.evaluate RUN_DIR

Reads inputs/comparisons.parquet, scores one split, writes result.json (accuracy overall and by strength of
the preference with intervals, by criterion, by way of asking and by tag of prompts, points of a reliability diagram)
and a few comparisons to samples.jsonl. Where there is inputs/ratings.parquet it reads that instead: correlations of
score and rating, and the accuracy on pairs of what one annotator rated. It trains nothing and moves no reward_shift.
"""

from dataclasses import asdict
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_dict
from learning.interface.usable_comparisons import learns_from_ratings
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.files import model_sha256s
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from rewardmodel.training.categories import read_prompt_tags
from rewardmodel.training.comparisons import (
    Comparison,
    PairCounts,
    criteria_in_turn,
    read_comparisons,
    separate_equal_pairs,
)
from rewardmodel.training.config import EvaluateConfig, ObjectiveOptions
from rewardmodel.training.model_card import objective_of
from rewardmodel.training.ratings import read_ratings
from rewardmodel.training.reporting import (
    criterion_notes,
    log_samples,
    log_worst,
    pair_notes,
    rating_figures_notes,
    split_report,
)
from rewardmodel.training.scoring import RewardScorer
from rewardmodel.training.tokenization import tokenize_comparisons


def main(context: RunContext[EvaluateConfig]) -> dict[str, Any]:
    options = context.options
    context.set_status(stage="reading", step=0, steps_total=1)
    comparisons = criteria_in_turn(_read_split(context))
    has_ratings = comparisons[0].scores is not None
    distributed = DistributedContext.start(options.runtime)
    scorer = RewardScorer.load(
        options.model_path, batch=options.batch, dtype=options.runtime.dtype, distributed=distributed
    )
    scorer.batch = resolve_micro_batch_tokens(context, distributed, options.batch, scorer.model)
    scorer.before_pass = context.stop_if_requested
    context.stop_if_requested()
    context.set_status(stage="evaluating", step=0, steps_total=1)
    examples = tokenize_comparisons(scorer.tokenizer, comparisons, options.batch, scorer.cuts)
    limit = options.batch.max_response_tokens
    comparisons = [
        separate_equal_pairs(comparison, example.response_ids)
        for comparison, example in zip(comparisons, examples, strict=True)
    ]
    pairs = PairCounts.of(comparisons)
    if pairs.equal == pairs.pairs and not has_ratings:
        raise UserError(
            f"{pairs.sentence(f'pairs of the split {options.split!r}', limit)}: there is nothing to agree with; raise "
            "batch.max_response_tokens until the answers differ."
        )
    notes = [scorer.cuts.note(options.batch), *pair_notes(None, pairs, limit)]
    context.set_status(notes=notes)
    scores = scorer.score_examples(examples)
    log_samples(context, 1, comparisons[: options.logged_samples], scores[: options.logged_samples])
    log_worst(context, 1, comparisons, scores, options.logged_samples)
    objective = objective_of(scorer.model.config)
    tags = read_prompt_tags(context)
    report = split_report(comparisons, scores, objective or ObjectiveOptions(), tags=tags)
    if objective is not None and learns_from_ratings(objective.ranking_loss):
        # The loss reads points on the scale of its training, and the scores before the shift.
        report["ranking_loss"] = None
        for groups in ("by_criterion", "by_question", "by_tag"):
            for figures in report.get(groups, {}).values():
                figures["ranking_loss"] = None
    notes += [*criterion_notes(report), *rating_figures_notes(report)]
    context.set_status(stage="evaluating", step=1, steps_total=1, notes=notes)
    return {
        **report,
        "split": options.split,
        # Of the ranking loss above: the one that the model was trained with, where it says so.
        "objective": options_to_dict(objective or ObjectiveOptions()),
        "objective_source": "the model" if objective else "the default: the model does not say",
        "pairs": {options.split: asdict(pairs)},
        **scorer.cuts.as_result(),
        "layout": scorer.layout,
        "layout_reason": scorer.layout_reason,
        "model_sha256s": model_sha256s(options.model_path),
    }


def _read_split(context: RunContext[EvaluateConfig]) -> list[Comparison]:
    """Raises UserError where there is nothing to agree with."""
    split = context.options.split
    if context.has_input("ratings"):
        rated = [item for item in read_ratings(context) if item.split == split]
        number = sum(len(item.responses) for item in rated)
        if number < 2:
            raise UserError(
                f"inputs/ratings.parquet has {number} ratings in the split {split!r}, and a correlation needs two: "
                "choose another split."
            )
        return rated
    compared = [item for item in read_comparisons(context) if item.split == split and item.untied_pairs]
    if not compared:
        raise UserError(
            f"inputs/comparisons.parquet has no untied comparison in the split {split!r}; choose another split."
        )
    return compared


if __name__ == "__main__":
    run_recipe(main, EvaluateConfig)
