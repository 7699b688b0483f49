"""What the trainings of a reward model end with: held-out figures, the zero of the reward, and the model's folder."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from learning.batches.collation import Example
from learning.engine import Engine
from learning.run_context import RunContext
from rewardmodel.training.batcher import Batcher
from rewardmodel.training.categories import read_prompt_tags
from rewardmodel.training.comparisons import count_by_split
from rewardmodel.training.lm_head import detach_language_head
from rewardmodel.training.model_card import describe_input, export_tokenizer, write_card
from rewardmodel.training.preparation import Prepared
from rewardmodel.training.rating_losses import detach_thresholds, thresholds_of
from rewardmodel.training.reporting import (
    criterion_notes,
    log_samples,
    log_worst,
    rating_figures_notes,
    split_report,
)
from rewardmodel.training.scoring import compute_fp32_scores


def finish_model(
    context: RunContext[Any], prepared: Prepared, engine: Engine, *, step: int, steps_total: int
) -> dict[str, Any]:
    """Held-out accuracy and the zero of the reward, both in the precision of the weights, of the model as the engine
    has it after `step` of `steps_total`; then the model. Returns result.json without the numbers of steps.
    """
    options, batcher, validation = prepared.options, prepared.batcher, prepared.validation
    context.require_current()
    context.set_status(stage="evaluating", step=step, steps_total=steps_total)
    stop = context.stop_if_requested  # the weights are in a checkpoint: nothing is lost
    heldout_scores = batcher.scores(engine, compute_fp32_scores, prepared.heldout_examples, before_pass=stop)
    shift, shift_source = compute_reward_shift(
        engine, batcher, prepared.demonstrations, heldout_scores, prepared.examples, stop
    )
    rewards = [[score - shift for score in scores] for scores in heldout_scores]
    log_samples(context, step, validation[: options.evaluation.logged_samples], rewards)
    log_worst(context, step, validation, rewards, options.evaluation.logged_samples)
    thresholds = thresholds_of(prepared.model)
    tags = read_prompt_tags(context)
    report = split_report(
        validation, rewards, options.objective, shift=shift, thresholds=thresholds, tags=tags
    )
    context.set_status(notes=[*prepared.notes, *criterion_notes(report), *rating_figures_notes(report)])
    context.require_current()
    model, source = prepared.model, prepared.source
    detach_language_head(model)
    detach_thresholds(model)
    ratings = (
        None if source.scale is None else source.scale.described(thresholds[0].tolist() if thresholds else [])
    )
    exported = export_tokenizer(prepared.tokenizer)
    describe_input(
        model, exported, options.batch, reward_shift=shift, objective=options.objective, ratings=ratings
    )
    # Of the held-out responses: a policy whose responses score above it has left what the model learned from.
    flat = [reward for group in rewards for reward in group]
    model.config.reward_range = [min(flat), max(flat)] if flat else None
    # A policy is supported by them as far as they are like its own.
    model.config.labelled_answers = sum(len(example.response_ids) for example in prepared.examples)
    sha256s = engine.save_model(
        exported,
        context.path / "model",
        finish=partial(write_card, config=model.config, tokenizer=exported, report=report),
    )
    return {
        **report,
        "reward_shift": shift,
        "reward_range": model.config.reward_range,
        "labelled_answers": model.config.labelled_answers,
        "reward_shift_source": shift_source,
        "n_demonstrations": len(prepared.demonstrations),
        "comparisons": count_by_split(source.comparisons, prepared.training, validation),
        **({} if ratings is None else {"rating_scale": ratings}),
        "pairs": {"train": asdict(prepared.training_pairs), "validation": asdict(prepared.heldout_pairs)},
        **prepared.cuts.as_result(),
        "pairs_without_strength": source.pairs_without_strength,
        "layout": batcher.layout,
        "layout_reason": batcher.layout_reason,
        "model_sha256s": sha256s,
    }


def compute_reward_shift(
    engine: Engine,
    batcher: Batcher,
    demonstrations: Sequence[Example],
    heldout_scores: list[list[float]],
    examples: Sequence[Example],
    before_pass: Callable[[], None] = lambda: None,
) -> tuple[float, str]:
    """The score that becomes reward 0, and what it is the mean of.

    Source: InstructGPT, 3.5 (demonstrations). Without demonstrations the compared responses stand in,
    held-out ones first (ours): some zero is needed for rewards of several models to be of one scale.
    """
    if demonstrations:
        groups = batcher.scores(engine, compute_fp32_scores, demonstrations, before_pass)
        source = "demonstrations"
    elif heldout_scores:
        groups, source = heldout_scores, "validation responses"
    else:
        groups = batcher.scores(engine, compute_fp32_scores, examples, before_pass)
        source = "training responses"
    values = [value for group in groups for value in group]
    return math.fsum(values) / len(values), source
