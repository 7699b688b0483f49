"""Judgments to a reward model.

    python -m rewardmodel.training.train RUN_DIR
    torchrun --nproc-per-node 2 -m rewardmodel.training.train RUN_DIR

Reads inputs/comparisons.parquet (trains on the split train, is judged on validation, leaves test alone) and,
when there are any, inputs/demonstrations.parquet, on which the reward gets mean zero. Writes model/, which
plain transformers loads as AutoModelForSequenceClassification: its logit minus config.reward_shift is the
reward.

A judgment is one example: its K responses stand packed behind one copy of the prompt, and all its pairs are
one term of the loss (InstructGPT, 3.5). Every optimiser step is normalised by the weight of all judgments in
it, so that neither micro-batches nor processes change the update.
"""

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from learning.architectures import require_positions
from learning.attempts import Attempt
from learning.batching import DataCursor, MicroBatch, Shape, StepSize, micro_batches, shape_of
from learning.checkpoints import Checkpoints
from learning.command import run_command
from learning.engine import Engine
from learning.language_models import load_reward_model, load_tokenizer
from learning.packing import Batch, Example, choose_layout, collate, scores_N
from learning.processes import Processes
from learning.records import DEMONSTRATIONS
from learning.tokenization import train_tokenizer
from learning.training_options import Layout
from rewardmodel.training.comparisons import Judgment, count_judgments, targets, usable_judgments
from rewardmodel.training.config import DataOptions, ObjectiveOptions, RewardModelConfig
from rewardmodel.training.evaluate import log_comparisons, read_comparisons, report
from rewardmodel.training.imitation import attach_language_head, detach_language_head
from rewardmodel.training.losses import Targets
from rewardmodel.training.objective import TrainingTerms, judgment_losses
from rewardmodel.training.scoring import (
    SELF_CHECK_EXAMPLES,
    count_truncated,
    encode_group,
    exact_scores_N,
    score_examples,
)

logger = logging.getLogger(__name__)


def main(attempt: Attempt[RewardModelConfig]) -> dict[str, Any]:
    options = attempt.options
    processes = Processes.start(options.runtime)

    # 1. What people said, and the model that is to learn it.
    attempt.status(stage="reading")
    judgments = read_comparisons(attempt)
    training, validation = usable_judgments(judgments, options.objective.ranking)
    tokenizer = starting_tokenizer(attempt, training, processes)
    model = starting_model(options, tokenizer).to(processes.device)

    # 2. Rows: one packed row a judgment, when packing proves exact for this model.
    examples = encode_judgments(tokenizer, training, options)
    held_out = encode_judgments(tokenizer, validation, options)
    demonstrations = read_demonstrations(attempt, tokenizer)
    rows = Rows.settle(model, examples, options, tokenizer.pad_token_id, processes)

    # 3. The plan of optimiser steps, and what earlier attempts got done of it.
    shapes = [shape_of(example, rows.layout) for example in examples]
    cursor = DataCursor(
        [shape.rows * shape.tokens for shape in shapes],
        seed=options.runtime.seed,
        step_size=step_size(options.data),
    )
    steps_total = cursor.steps_in(options.data.epochs)
    engine = Engine(
        model,
        optimiser=options.optimiser,
        steps_total=steps_total,
        runtime=options.runtime,
        processes=processes,
    )
    checkpoints = Checkpoints(attempt, processes, engines={"reward_model": engine}, state={"cursor": cursor})
    done = checkpoints.resume()
    logger.info(
        "%d judgments to learn, %d held out; step %d of %d", len(training), len(validation), done, steps_total
    )

    # 4. Training.
    on_the_way = OnTheWay(
        attempt, engine, rows, validation[: options.watching.evaluation_judgments], held_out
    )
    for step in range(done + 1, steps_total + 1):
        attempt.check()
        chosen = cursor.next()
        metrics = train_step(engine, rows, options.objective, Material(training, examples, shapes), chosen)
        score = None
        if on_the_way.is_due(step):
            found = on_the_way.evaluate(step)
            metrics |= {"validation_accuracy": found["accuracy"], "validation_loss": found["loss"]}
            score = found["accuracy"]
        epoch = cursor.epoch + cursor.position / cursor.steps_per_epoch
        attempt.log_metrics(step, {**metrics, "epoch": epoch})
        attempt.status(stage=f"training, {rows.layout} rows", step=step, steps_total=steps_total)
        checkpoints.after_step(step, last=step == steps_total, score=score)

    # 5. Held-out accuracy and the zero of the reward, both in the precision of the weights; then the model.
    attempt.check()
    attempt.status(stage="evaluating", step=steps_total, steps_total=steps_total)
    held_out_scores = rows.scores(engine, exact_scores_N, held_out)
    shift, shift_source = reward_zero(engine, rows, demonstrations, held_out_scores, examples)
    rewards = [[score - shift for score in scores] for scores in held_out_scores]
    log_comparisons(attempt, steps_total, validation[: options.watching.samples], rewards)
    attempt.check()
    detach_language_head(model)
    model.config.reward_shift = shift
    sha256s = engine.save_model(tokenizer, attempt.path / "model")
    return {
        **report(validation, rewards, options.objective),
        "reward_shift": shift,
        "reward_shift_source": shift_source,
        "n_demonstrations": len(demonstrations),
        "judgments": count_judgments(judgments, training, validation),
        "truncated_responses": count_truncated(examples + held_out, tokenizer.eos_token_id),
        "steps": steps_total,
        "epochs": options.data.epochs,
        "layout": rows.layout,
        "layout_reason": rows.layout_reason,
        "model_sha256s": sha256s,
    }


def train_step(
    engine: Engine,
    rows: "Rows",
    objective: ObjectiveOptions,
    material: "Material",
    chosen: Sequence[int],
) -> dict[str, float | None]:
    """One optimiser step on the chosen judgments; returns its figures. Every process does its share."""
    seen = Seen()

    def loss_sum(micro_batch: MicroBatch) -> Tensor:
        batch = rows.batch([material.examples[index] for index in micro_batch.indices])
        goal = targets([material.judgments[index] for index in micro_batch.indices], rows.processes.device)
        terms: TrainingTerms = engine.forward(judgment_losses, batch, goal, objective)
        if not micro_batch.is_filler:
            seen.add(terms, goal)
        return (terms.total_B * goal.weight_B).sum()

    weight = math.fsum(material.judgments[index].weight for index in chosen)
    update = engine.update(rows.plan(material.shapes, chosen), loss_sum, weight)
    return {
        **seen.means(rows.processes, objective),
        "total_loss": update.loss,
        "learning_rate": update.learning_rate,
        "gradient_norm": update.gradient_norm,
        "judgments": len(chosen),
    }


@dataclass(frozen=True)
class Material:
    """What is trained on: judgments, their token ids, and how much of a forward pass each takes."""

    judgments: Sequence[Judgment]
    examples: Sequence[Example]
    shapes: Sequence[Shape]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How examples become tensors in this run."""

    layout: Layout
    layout_reason: str
    pad_id: int
    max_tokens: int
    processes: Processes

    @classmethod
    def settle(
        cls,
        model: Any,
        examples: Sequence[Example],
        options: RewardModelConfig,
        pad_id: int,
        processes: Processes,
    ) -> "Rows":
        """Packed rows when they give the scores of separate rows on the first examples, else padded ones."""
        layout, reason = choose_layout(
            model,
            examples[:SELF_CHECK_EXAMPLES],
            dtype=options.runtime.dtype,
            requested=options.batch.layout,
        )
        logger.info("%s rows: %s", layout, reason)
        return cls(
            layout=layout,
            layout_reason=reason,
            pad_id=pad_id,
            max_tokens=options.batch.max_micro_batch_tokens,
            processes=processes,
        )

    def batch(self, examples: Sequence[Example]) -> Batch:
        return collate(examples, layout=self.layout, pad_id=self.pad_id, device=self.processes.device)

    def plan(self, shapes: Sequence[Shape], chosen: Sequence[int]) -> list[MicroBatch]:
        return micro_batches(
            shapes,
            chosen,
            max_tokens=self.max_tokens,
            rank=self.processes.rank,
            world_size=self.processes.world_size,
        )

    def scores(self, engine: Engine, function: Any, examples: Sequence[Example]) -> list[list[float]]:
        """function(model, batch) -> (N,) of all examples, without gradients."""
        return score_examples(
            lambda batch: engine.infer(function, batch),
            examples,
            layout=self.layout,
            pad_id=self.pad_id,
            max_micro_batch_tokens=self.max_tokens,
            processes=self.processes,
        )


@dataclass(frozen=True)
class OnTheWay:
    """The evaluations between steps: quick ones, on the first validation judgments, in the training
    precision.
    """

    attempt: Attempt[RewardModelConfig]
    engine: Engine
    rows: Rows
    validation: Sequence[Judgment]
    held_out: Sequence[Example]

    def is_due(self, step: int) -> bool:
        every = self.attempt.options.watching.evaluate_every_steps
        return bool(every and step % every == 0 and self.validation)

    def evaluate(self, step: int) -> dict[str, Any]:
        options = self.attempt.options
        scores = self.rows.scores(self.engine, scores_N, self.held_out[: len(self.validation)])
        log_comparisons(self.attempt, step, self.validation[: options.watching.samples], scores)
        return report(self.validation, scores, options.objective)


@dataclass
class Seen:
    """Sums over the micro-batches of one optimiser step, for its line in metrics.jsonl."""

    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("weight", "ranking", "lm", "agree", "pairs"), 0.0)
    )

    def add(self, terms: TrainingTerms, goal: Targets) -> None:
        weight_B = goal.weight_B
        untied = goal.is_untied_P
        difference_P = (terms.scores_N[goal.first_P] - terms.scores_N[goal.second_P])[untied]
        self.sums["weight"] += float(weight_B.sum())
        self.sums["ranking"] += float((terms.ranking.ranking_B.detach() * weight_B).sum())
        if terms.lm_B is not None:
            self.sums["lm"] += float((terms.lm_B.detach() * weight_B).sum())
        self.sums["agree"] += float((difference_P > 0).sum() + 0.5 * (difference_P == 0).sum())
        self.sums["pairs"] += len(difference_P)

    def means(self, processes: Processes, objective: ObjectiveOptions) -> dict[str, float | None]:
        """Over all processes: ranking loss, language-model loss when there is one, agreement on the step's
        pairs.
        """
        values = torch.tensor(list(self.sums.values()), dtype=torch.float64, device=processes.device)
        sums = dict(zip(self.sums, processes.all_reduce_sum(values).tolist(), strict=True))
        return {
            "loss": sums["ranking"] / sums["weight"],
            **({"lm_loss": sums["lm"] / sums["weight"]} if objective.lm_coefficient > 0 else {}),
            "accuracy": sums["agree"] / sums["pairs"] if sums["pairs"] else None,
        }


def reward_zero(
    engine: Engine,
    rows: Rows,
    demonstrations: Sequence[Example],
    held_out_scores: list[list[float]],
    examples: Sequence[Example],
) -> tuple[float, str]:
    """The score that becomes reward 0, and what it is the mean of. Source: InstructGPT, 3.5 (demonstrations).

    Without demonstrations the compared responses stand in, held-out ones first (ours): some zero is needed
    for rewards of several models to be of one scale.
    """
    if demonstrations:
        groups, source = rows.scores(engine, exact_scores_N, demonstrations), "demonstrations"
    elif held_out_scores:
        groups, source = held_out_scores, "validation responses"
    else:
        groups, source = rows.scores(engine, exact_scores_N, examples), "training responses"
    values = [value for group in groups for value in group]
    return math.fsum(values) / len(values), source


def step_size(data: DataOptions) -> StepSize:
    if data.tokens_per_step is None:
        return StepSize(examples=data.judgments_per_step)
    return StepSize(
        tokens=data.tokens_per_step,
        min_examples=data.min_judgments_per_step,
        max_examples=data.judgments_per_step,
    )


def starting_model(options: RewardModelConfig, tokenizer: Any) -> Any:
    """The reward model before its first step, with a language head beside the score head when the loss has
    one.
    """
    model = load_reward_model(options.model.source, tokenizer, dropout=options.model.dropout)
    require_positions(model, options.batch.max_prompt_tokens + options.batch.max_response_tokens)
    if options.objective.lm_coefficient > 0:
        attach_language_head(model, options.model.source, tokenizer)
    if options.model.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    return model


def starting_tokenizer(
    attempt: Attempt[RewardModelConfig], training: Sequence[Judgment], processes: Processes
) -> Any:
    """The tokenizer of the start, or, for random weights without one, one trained on the training
    comparisons.

    A trained one is kept in the run directory: a resumed run must not depend on training it the same way
    twice.
    """
    options = attempt.options
    if options.model.source.fresh is None:
        return load_tokenizer(options.model.source)
    if options.tokenizer.path is not None:
        return load_tokenizer(options.tokenizer.path)
    path = attempt.path / "tokenizer"
    if processes.is_main and not path.exists():
        texts = (
            text
            for judgment in training
            for text in (*(str(message["content"]) for message in judgment.prompt), *judgment.responses)
        )
        temporary = path.with_name("tokenizer.tmp")
        train_tokenizer(texts, options.tokenizer.vocabulary_size).save_pretrained(temporary)
        os.replace(temporary, path)  # whole or not at all
    processes.barrier()
    return load_tokenizer(path)


def encode_judgments(
    tokenizer: Any, judgments: Sequence[Judgment], options: RewardModelConfig
) -> list[Example]:
    return [encode_group(tokenizer, item.prompt, item.responses, options.batch) for item in judgments]


def read_demonstrations(attempt: Attempt[RewardModelConfig], tokenizer: Any) -> list[Example]:
    """The demonstrations, one response an example; none when the run was given none."""
    if not attempt.has_input("demonstrations"):
        return []
    batch = attempt.options.batch
    return [
        encode_group(tokenizer, row["prompt"], [row["response"]], batch)
        for row in attempt.read_input("demonstrations", DEMONSTRATIONS)
    ]


if __name__ == "__main__":
    run_command(main, RewardModelConfig)
