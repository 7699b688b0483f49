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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning.batches.collation import Example
from learning.batches.forward import compute_scores
from learning.batches.micro_batching import ExampleSize, MicroBatch
from learning.checkpoints import Checkpoints
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from rewardmodel.training.batcher import Batcher
from rewardmodel.training.comparisons import Comparison, build_targets
from rewardmodel.training.config import ObjectiveOptions, RewardModelConfig
from rewardmodel.training.finishing import finish_model
from rewardmodel.training.preparation import prepare
from rewardmodel.training.rating_losses import thresholds_of
from rewardmodel.training.reporting import log_samples, split_report
from rewardmodel.training.step_metrics import StepMetrics
from rewardmodel.training.total_loss import LossBreakdown, comparison_losses

logger = logging.getLogger(__name__)


def main(context: RunContext[RewardModelConfig]) -> dict[str, Any]:
    options = context.options
    distributed = DistributedContext.start(options.runtime)

    # 1. and 2. The comparisons, the model that is to learn from them, and token ids (preparation.py).
    prepared = prepare(context, distributed)
    options, batcher, model = prepared.options, prepared.batcher, prepared.model
    training, validation, examples = prepared.training, prepared.validation, prepared.examples
    heldout_examples, source, notes = prepared.heldout_examples, prepared.source, prepared.notes
    sizes = prepared.sizes()
    data = TrainingData(comparisons=training, examples=examples, sizes=sizes)

    # 3. The plan of optimizer steps, and how many of them earlier attempts have done.
    sampler = prepared.sampler(sizes)
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
    checkpoints.require_steps(steps_total)
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
            if source.scale is not None and (loss := evaluation["eval_ranking_loss"]) is not None:
                score = -loss  # answers that were rated alone have no pairs
        epoch = sampler.epoch + sampler.position / sampler.steps_per_epoch
        context.log_metrics(step, {**metrics, "epoch": epoch})
        context.set_status(stage=f"training, {batcher.layout} rows", step=step, steps_total=steps_total)
        checkpoints.after_step(step, last=step == steps_total, score=score)

    # 5. Held-out accuracy, the zero of the reward, and the model (finishing.py).
    result = finish_model(context, prepared, engine, step=steps_total, steps_total=steps_total)
    return {**result, "steps": steps_total, "epochs": epochs}


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The comparisons to train on, their token ids, and how much of a forward pass each takes."""

    comparisons: Sequence[Comparison]
    examples: Sequence[Example]
    sizes: Sequence[ExampleSize]


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


if __name__ == "__main__":
    run_recipe(main, RewardModelConfig)
