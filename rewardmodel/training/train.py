"""Comparisons to a reward model.

    python -m rewardmodel.training.train RUN_DIR
    torchrun --nproc-per-node 2 -m rewardmodel.training.train RUN_DIR

Reads inputs/comparisons.parquet, or inputs/ratings.parquet where the loss learns from ratings (trains on the split
train, evaluates on validation, leaves test alone) and, when there are any, inputs/demonstrations.parquet, on which the
reward gets mean zero. Writes model/, which plain transformers loads as AutoModelForSequenceClassification: its logit
minus config.reward_shift is the reward.

A comparison is one example: its K responses stand behind one copy of the prompt, and all its pairs
are one term of the loss (InstructGPT, 3.5). The loss of an optimizer step is divided by the weight of all
comparisons in it, so that neither micro-batches nor processes change the update.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.collation import Example
from learning.batches.forward import compute_scores
from learning.batches.micro_batching import ExampleSize, MicroBatch, example_size
from learning.batches.samplers import EpochBatchSampler
from learning.checkpoints import Checkpoints
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.usable_comparisons import learns_from_ratings
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.adapters import add_adapter
from learning.models.architectures import require_max_positions
from learning.models.loading import load_reward_model
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from rewardmodel.training.batcher import Batcher, step_batch_size
from rewardmodel.training.comparisons import (
    Comparison,
    PairCounts,
    build_targets,
    count_by_split,
    count_pairs_without_strength,
    criteria_in_turn,
    keep_distinct,
    read_comparisons,
    separate_equal_pairs,
    split_usable,
)
from rewardmodel.training.config import ObjectiveOptions, RewardModelConfig
from rewardmodel.training.lm_head import attach_language_head, detach_language_head
from rewardmodel.training.model_card import describe_input, export_tokenizer, write_card
from rewardmodel.training.rating_losses import attach_thresholds, detach_thresholds, thresholds_of
from rewardmodel.training.ratings import RatingScale, read_ratings, split_rated
from rewardmodel.training.reporting import (
    criterion_notes,
    log_samples,
    log_worst,
    pair_notes,
    rating_figures_notes,
    rating_notes,
    split_report,
    supply_notes,
)
from rewardmodel.training.scoring import compute_fp32_scores
from rewardmodel.training.step_metrics import StepMetrics
from rewardmodel.training.tokenization import (
    CutCounts,
    prepare_tokenizer,
    tokenize_comparisons,
    tokenize_demonstrations,
)
from rewardmodel.training.total_loss import LossBreakdown, comparison_losses

logger = logging.getLogger(__name__)


def main(context: RunContext[RewardModelConfig]) -> dict[str, Any]:
    options = context.options
    distributed = DistributedContext.start(options.runtime)

    # 1. The comparisons, and the model that is to learn from them.
    context.set_status(stage="reading")
    source = read_training_data(context)
    training, validation, scale = source.training, source.validation, source.scale
    tokenizer = prepare_tokenizer(context, training, distributed)
    model = load_model(options, tokenizer, scale).to(distributed.device)
    options = replace(options, batch=resolve_micro_batch_tokens(context, distributed, options.batch, model))

    # 2. Token ids: one shared-prompt row a comparison, when that proves exact for this model.
    cuts, limit = CutCounts(), options.batch.max_response_tokens
    examples = tokenize_comparisons(tokenizer, training, options.batch, cuts)
    heldout_examples = tokenize_comparisons(tokenizer, validation, options.batch, cuts)
    demonstrations = tokenize_demonstrations(context, tokenizer)
    training_pairs = PairCounts(pairs=0, equal=0)  # a loss of ratings has none, and keeps every answer
    if scale is None:
        training, examples, training_pairs = keep_distinct(
            training, examples, options.objective.ranking_loss, limit
        )
    validation = [
        separate_equal_pairs(item, example.response_ids)
        for item, example in zip(validation, heldout_examples, strict=True)
    ]
    heldout_pairs = PairCounts.of(validation)
    notes = [
        cuts.note(options.batch),
        *pair_notes(training_pairs, heldout_pairs, limit),
        *(
            supply_notes(len(training), len(validation))
            if scale is None
            else rating_notes(count_responses(training), count_responses(validation))
        ),
    ]
    context.set_status(notes=notes)
    batcher = Batcher.choose_layout(model, examples, options, tokenizer.pad_token_id, distributed)
    sizes = [example_size(example, batcher.layout) for example in examples]
    data = TrainingData(comparisons=training, examples=examples, sizes=sizes)

    # 3. The plan of optimizer steps, and how many of them earlier attempts have done.
    sampler = EpochBatchSampler(
        [size.rows * size.tokens for size in sizes],
        seed=options.runtime.seed,
        step_batch_size=step_batch_size(options.data),
    )
    steps_total = options.data.steps or sampler.steps_for_epochs(options.data.epochs or 1)
    epochs = options.data.epochs or steps_total / sampler.steps_per_epoch
    if options.data.steps is not None:  # a number from a paper may be a hundred epochs of a smaller set
        notes.append(f"{steps_total} steps are {epochs:.2f} epochs of {len(training)} comparisons.")
        context.set_status(notes=notes)
    engine = Engine(
        model,
        optimizer=options.optimizer,
        steps_total=steps_total,
        runtime=options.runtime,
        distributed=distributed,
    )
    checkpoints = Checkpoints(
        context, distributed, engines={"reward_model": engine}, state={"sampler": sampler}
    )
    steps_done = checkpoints.resume()
    logger.info(
        "%d comparisons to train on, %d held out; step %d of %d",
        len(training),
        len(validation),
        steps_done,
        steps_total,
    )
    if source.pairs_without_strength:
        logger.info("%d training pairs have no strength: no margin, weight 1", source.pairs_without_strength)

    # 4. Training, with a quick evaluation now and then.
    evaluate_every = options.evaluation.evaluate_every_steps
    evaluated = validation[: options.evaluation.max_examples]
    for step in range(steps_done + 1, steps_total + 1):
        context.require_current()
        indices = sampler.next()
        metrics = train_step(engine, batcher, options.objective, data, indices)
        score = None
        if evaluated and evaluate_every and step % evaluate_every == 0:
            evaluation = evaluate(context, engine, batcher, step, evaluated, heldout_examples)
            metrics |= evaluation
            score = evaluation["eval_accuracy"]
            if scale is not None and (loss := evaluation["eval_ranking_loss"]) is not None:
                score = -loss  # answers that were rated alone have no pairs
        epoch = sampler.epoch + sampler.position / sampler.steps_per_epoch
        context.log_metrics(step, {**metrics, "epoch": epoch})
        context.set_status(stage=f"training, {batcher.layout} rows", step=step, steps_total=steps_total)
        checkpoints.after_step(step, last=step == steps_total, score=score)

    # 5. Held-out accuracy and the zero of the reward, both in the precision of the weights; then the model.
    context.require_current()
    context.set_status(stage="evaluating", step=steps_total, steps_total=steps_total)
    stop = context.stop_if_requested  # the last step's checkpoint is there: nothing is lost
    heldout_scores = batcher.scores(engine, compute_fp32_scores, heldout_examples, before_pass=stop)
    shift, shift_source = compute_reward_shift(
        engine, batcher, demonstrations, heldout_scores, examples, stop
    )
    rewards = [[score - shift for score in scores] for scores in heldout_scores]
    log_samples(context, steps_total, validation[: options.evaluation.logged_samples], rewards)
    log_worst(context, steps_total, validation, rewards, options.evaluation.logged_samples)
    thresholds = thresholds_of(model)
    report = split_report(validation, rewards, options.objective, shift=shift, thresholds=thresholds)
    context.set_status(notes=[*notes, *criterion_notes(report), *rating_figures_notes(report)])
    context.require_current()
    detach_language_head(model)
    detach_thresholds(model)
    ratings = None if scale is None else scale.described(thresholds[0].tolist() if thresholds else [])
    exported = export_tokenizer(tokenizer)
    describe_input(
        model, exported, options.batch, reward_shift=shift, objective=options.objective, ratings=ratings
    )
    # Of the held-out responses: a policy whose responses score above it has left what the model learned from.
    flat = [reward for group in rewards for reward in group]
    model.config.reward_range = [min(flat), max(flat)] if flat else None
    sha256s = engine.save_model(
        exported,
        context.path / "model",
        finish=partial(write_card, config=model.config, tokenizer=exported, report=report),
    )
    return {
        **report,
        "reward_shift": shift,
        "reward_range": model.config.reward_range,
        "reward_shift_source": shift_source,
        "n_demonstrations": len(demonstrations),
        "comparisons": count_by_split(source.comparisons, training, validation),
        **({} if ratings is None else {"rating_scale": ratings}),
        "pairs": {"train": asdict(training_pairs), "validation": asdict(heldout_pairs)},
        **cuts.as_result(),
        "pairs_without_strength": source.pairs_without_strength,
        "steps": steps_total,
        "epochs": epochs,
        "layout": batcher.layout,
        "layout_reason": batcher.layout_reason,
        "model_sha256s": sha256s,
    }


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The comparisons to train on, their token ids, and how much of a forward pass each takes."""

    comparisons: Sequence[Comparison]
    examples: Sequence[Example]
    sizes: Sequence[ExampleSize]


@dataclass(frozen=True, kw_only=True)
class InputData:
    """What the run was given: comparisons, or ratings with the scale that their points are on."""

    comparisons: Sequence[Comparison]  # all of them
    training: list[Comparison]
    validation: list[Comparison]
    scale: RatingScale | None
    pairs_without_strength: int


def read_training_data(context: RunContext[RewardModelConfig]) -> InputData:
    """Of the record that the loss learns from. Raises UserError where there is too little."""
    objective = context.options.objective
    if learns_from_ratings(objective.ranking_loss):
        rated = read_ratings(context)
        training, validation = split_rated(rated, objective.ranking_loss)
        scale = RatingScale.of(training, objective.ranking_loss)
        return InputData(
            comparisons=rated,
            training=[scale.place(item) for item in training],
            validation=[scale.place(item) for item in criteria_in_turn(validation)],
            scale=scale,
            pairs_without_strength=0,
        )
    comparisons = read_comparisons(context)
    training, validation = split_usable(comparisons, objective.ranking_loss)
    return InputData(
        comparisons=comparisons,
        training=training,
        validation=criteria_in_turn(validation),
        scale=None,
        pairs_without_strength=count_pairs_without_strength(training, objective),
    )


def count_responses(rated: Sequence[Comparison]) -> int:
    return sum(len(item.responses) for item in rated)


def load_model(options: RewardModelConfig, tokenizer: Any, scale: RatingScale | None = None) -> Any:
    """The model before its first step, with a language head beside the score head and thresholds of ratings if the loss
    needs them.
    """
    model = load_reward_model(options.model.source, tokenizer, dropout=options.model.dropout)
    if options.model.lora.rank:  # before other heads come: they are trained as they are
        add_adapter(model, options.model.lora, options.model.source)
    require_max_positions(model, options.batch.max_prompt_tokens + options.batch.max_response_tokens)
    if options.objective.lm_coefficient > 0:
        attach_language_head(model, options.model.source, tokenizer)
    if scale is not None and options.objective.ranking_loss == "ordinal":
        attach_thresholds(model, scale.initial_thresholds())
    if options.model.gradient_checkpointing:
        checkpoint_layers(model)
    return model


def train_step(
    engine: Engine, batcher: Batcher, objective: ObjectiveOptions, data: TrainingData, indices: Sequence[int]
) -> dict[str, float | None]:
    """One optimizer step on these comparisons; returns its metrics. Every process does its share."""
    step_metrics = StepMetrics()

    def loss_sum(micro_batch: MicroBatch) -> Tensor:
        batch = batcher.collate([data.examples[index] for index in micro_batch.indices])
        targets = build_targets(
            [data.comparisons[index] for index in micro_batch.indices], batcher.distributed.device
        )
        losses: LossBreakdown = engine.forward(comparison_losses, batch, targets, objective)
        if not micro_batch.is_dummy:
            step_metrics.add(losses, targets)
        return (losses.total_B * targets.weight_B).sum()

    weight = math.fsum(data.comparisons[index].weight for index in indices)
    update = engine.accumulate_and_step(batcher.micro_batches(data.sizes, indices), loss_sum, weight)
    return {
        **step_metrics.means(batcher.distributed, objective),
        "loss": update.loss,
        "learning_rate": update.learning_rate,
        "gradient_norm": update.gradient_norm,
        "comparisons": len(indices),
    }


def evaluate(
    context: RunContext[RewardModelConfig],
    engine: Engine,
    batcher: Batcher,
    step: int,
    evaluated: Sequence[Comparison],
    heldout_examples: Sequence[Example],
) -> dict[str, float | None]:
    """Metrics and samples of the first held-out comparisons, in the training dtype."""
    options = context.options
    scores = batcher.scores(engine, compute_scores, heldout_examples[: len(evaluated)])
    log_samples(context, step, evaluated[: options.evaluation.logged_samples], scores)
    report = split_report(evaluated, scores, options.objective, thresholds=thresholds_of(engine.model))
    by_criterion = report["by_criterion"] if len(report["by_criterion"]) > 1 else {}
    return {
        "eval_accuracy": report["accuracy"],
        "eval_ranking_loss": report["ranking_loss"],
        **({"eval_spearman": report["ratings"]["spearman"]} if "ratings" in report else {}),
        **{f"eval_accuracy_{name}": figures["accuracy"] for name, figures in by_criterion.items()},
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


if __name__ == "__main__":
    run_recipe(main, RewardModelConfig)
